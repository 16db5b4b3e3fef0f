"""One fit, from paths to a model file and its report: the stages of the workshop in their order.

    collect -> split -> assemble (fit, choose, teach, calibrate, check) -> export -> evaluate -> gate -> write

The stages are pure or nearly so and live in their own modules; this one hands their results on. Everything random is
seeded by the recipe; the clock is handed in and reaches only `created_ms` and the figures of the run itself. So the
same recipe and data give the same weights and the same graph, and, with the same `created_ms`, the same file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from protos import manifest
from trainer import appearing
from trainer.corpora import collecting
from trainer.corpora.held import read as read_held
from trainer.corpora.split import split
from trainer.judging import gate, report, standing
from trainer.making import evidence, export, model
from trainer.making.assembly import assemble
from trainer.making.recipe import ALPHAS, Network, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.progress import Progress

log = logging.getLogger(__name__)

_SPEED_ROWS: Final = 4096
_SPEED_ROUNDS: Final = 25


@dataclass(frozen=True, slots=True)
class Request:
    """What a fit is asked for. `report_dir` None puts the report beside the model."""

    benign: tuple[Path, ...]
    labelled: tuple[Path, ...]
    out: Path
    name: str
    champion: Path | None = None
    report_dir: Path | None = None
    seed: int = 7
    epochs: int = Network().epochs
    alpha: float = 5e-3
    max_rows: int = 200_000
    attacks: tuple[str, ...] = ()
    """Sources of the attack-replay set (frozen.py)."""
    golden: tuple[str, ...] = ()
    """Sources of the golden set (frozen.py)."""
    held: Path | None = None
    """What the aggregator holds back (held.py)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A detector somebody chose: its members, a sentence that says who asked, and what it comes from."""

    members: tuple[str, ...]
    why: str
    origin: dict[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    model: Path
    digest: str
    report: Path
    gate: gate.Verdict | None


def fit(request: Request, progress: Progress, clock: Callable[[], int]) -> Result:
    """Fit, judge and write a model. Raises `TrainerError`, or the agent's `SourceError` for an unreadable capture."""
    started = clock()
    rows = collecting.collect(
        request.benign,
        request.labelled,
        profile=manifest.CaptureProfile(),
        max_rows=request.max_rows,
        seed=request.seed,
        progress=lambda fraction, message: progress.stage("corpus", fraction, message),
        held_back=request.held,
    )
    return fit_rows(request, rows, progress, clock, started=started)


def fit_rows(
    request: Request,
    rows: Corpus,
    progress: Progress,
    clock: Callable[[], int],
    *,
    started: int,
    asked: Asked | None = None,
) -> Result:
    """The same from rows that are already collected. `asked`: not the best detector, but this one."""
    champion = None if request.champion is None else model.inspect(model.read(request.champion), str(request.champion))
    sets = standing.Sets(request.attacks, request.golden, manifest.CaptureProfile())
    holding = None if request.held is None else read_held(request.held)
    rows = standing.screen(sets.spare(rows), champion, holding, request.alpha)
    recipe = _recipe(request, rows)
    if asked is not None:
        recipe = replace(recipe, members=replace(recipe.members, names=asked.members))
    dealt = split(rows, recipe.shares, recipe.seed)
    fitted = assemble(rows, dealt, recipe, progress, asked="" if asked is None else asked.why)
    fitted_at = clock()

    progress.stage("export", 0.0, "drawing the graph")
    graph = export.build(fitted.detector, fitted.calibration)
    session = model.Session(graph, request.name)
    held = rows.features[dealt.calibration]
    parity = export.require_parity(fitted.detector, fitted.calibration, session, held)

    progress.stage("evaluate", 0.0, "scoring rows never seen")
    run = evidence.Run(request.name, recipe, rows, dealt, fitted, session)
    body = evidence.evidence(run)
    body["created_ms"] = clock()
    limit = fitted.calibration.threshold_for(recipe.alpha).score
    replay = sets.best(champion, sets.recall(run.score(sets.attacks.features) >= limit))
    described = evidence.describe(run, body, replay)
    if asked is not None:
        described = replace(described, provenance=described.provenance | {"workbench": asked.origin})
        body["workbench"] = asked.origin
    data = export.with_manifest(graph, described)
    challenger = model.check(data, request.name)
    body["model_digest"] = challenger.digest
    body["run"] = {
        "fit_ms": fitted_at - started,
        "epochs": fitted.epochs,
        "model_bytes": len(data),
        "rows_per_second": _speed(session, held, clock),
        "parity": parity,
    }
    verdict = None
    if champion is not None:
        progress.stage("gate", 0.0, "comparing with the champion")
        faults = (model.find_fault(champion), model.find_fault(challenger))
        verdict = standing.compare(champion, challenger, standing.Shown(rows, dealt, sets, recipe.alpha), faults=faults)
    body["frozen"] = sets.to_json(challenger, recipe.alpha)
    body["gate"] = None if verdict is None else verdict.to_json()

    appearing.write(request.out, data)
    folder = request.out.parent if request.report_dir is None else request.report_dir
    stem = f"{request.out.stem}.report" if request.report_dir is None else "report"
    report.save(body, folder / f"{stem}.json", folder / f"{stem}.html")
    progress.stage("gate", 1.0, "done")
    log.info("model_written digest=%s rows=%d", challenger.digest, len(rows))
    return Result(request.out, challenger.digest, folder / f"{stem}.json", verdict)


def _recipe(request: Request, rows: Corpus) -> Recipe:
    return Recipe(
        sources=tuple(sorted({entry.sha256 for entry in rows.files})),
        labelled=tuple(sorted({entry.sha256 for entry in rows.labelled_files})),
        seed=request.seed,
        alpha=request.alpha,
        alphas=tuple(sorted({*ALPHAS, request.alpha}, reverse=True)),
        max_rows=request.max_rows,
        network=Network(epochs=request.epochs),
    )


def _speed(session: model.Session, rows: NDArray[np.float32], clock: Callable[[], int]) -> int | None:
    """Rows scored a second on one core, in batches, as an agent scores; None if the clock did not move."""
    many = np.resize(rows, (_SPEED_ROWS, rows.shape[1]))
    before = clock()
    for _ in range(_SPEED_ROUNDS):
        session.run(many, ("score",))
    elapsed = clock() - before
    return round(_SPEED_ROUNDS * _SPEED_ROWS * 1000 / elapsed) if elapsed > 0 else None
