"""One fit, from paths to a model file and its report: the stages of the workshop in their order.

    collect -> split -> fit -> calibrate -> export -> evaluate -> gate -> write

The stages are pure or nearly so and live in their own modules; this one hands their results on. Everything random is
seeded by the recipe; the clock is handed in and reaches only `created_ms` and the figures of the run itself. So the
same recipe and data give the same weights and the same graph, and, with the same `created_ms`, the same file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from protos import manifest
from trainer import calibrate, corpus, evidence, export, gate, model, report
from trainer.detectors.autoencoder import Autoencoder
from trainer.detectors.std_count import StdCount
from trainer.recipe import ALPHAS, Network, Recipe
from trainer.rehearse import rehearse
from trainer.split import Role, Split, split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.corpus import Corpus
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
    champion = None if request.champion is None else model.inspect(model.read(request.champion), str(request.champion))
    rows = corpus.collect(
        request.benign,
        request.labelled,
        profile=manifest.CaptureProfile(),
        max_rows=request.max_rows,
        seed=request.seed,
        progress=lambda fraction, message: progress.stage("corpus", fraction, message),
    )
    recipe = _recipe(request, rows)
    dealt = split(rows, recipe.shares, recipe.seed)
    fitted = _fit(rows, dealt, recipe, progress)
    fitted_at = clock()

    progress.stage("export", 0.0, "drawing the graph")
    graph = export.build(fitted.network, fitted.calibration)
    session = model.Session(graph, request.name)
    held = rows.features[dealt.calibration]
    parity = export.require_parity(fitted.network, fitted.calibration, session, held)

    progress.stage("evaluate", 0.0, "scoring rows never seen")
    run = evidence.Run(request.name, recipe, rows, dealt, fitted, session)
    body = evidence.evidence(run)
    body["created_ms"] = clock()
    data = export.with_manifest(graph, evidence.describe(run, body))
    challenger = model.check(data, request.name)
    body["model_digest"] = challenger.digest
    body["run"] = {
        "fit_ms": fitted_at - started,
        "epochs": fitted.network.epochs_,
        "model_bytes": len(data),
        "rows_per_second": _speed(session, held, clock),
        "parity": parity,
    }
    verdict = None
    if champion is not None:
        progress.stage("gate", 0.0, "comparing with the champion")
        standings = [_standing(entry, rows, dealt, recipe.alpha) for entry in (champion, challenger)]
        held_back = (dealt.role != Role.FIT)[dealt.exception]
        verdict = gate.judge(standings[0], standings[1], held_back=held_back, promised=recipe.alpha)
    body["gate"] = None if verdict is None else verdict.to_json()

    export.write(request.out, data)
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


def _fit(rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress) -> evidence.Fitted:
    features, weights, scale_on = rehearse(rows, dealt, Role.FIT, recipe.shares, recipe.seed)
    select_features, select_weights, _ = rehearse(rows, dealt, Role.SELECT, recipe.shares, recipe.seed)

    def follow(done: int, of: int, loss: float) -> None:
        progress.stage("fit", done / of, f"epoch {done}, error on select rows {loss:.4f}")

    progress.stage("fit", 0.0, f"fitting {int(scale_on.sum())} rows")
    baseline = StdCount().fit(features[scale_on], weights[scale_on])
    network = Autoencoder(recipe.network, seed=recipe.seed, on_epoch=follow).fit(
        features, weights, select=(select_features, select_weights), scale_on=scale_on
    )
    held = rows.features[dealt.calibration]
    progress.stage("calibrate", 0.0, f"calibrating on {len(held)} later benign rows")
    return evidence.Fitted(
        network,
        calibrate.calibrate(network.raw_score(held), recipe.alphas),
        baseline,
        calibrate.calibrate(baseline.raw_score(held), recipe.alphas),
    )


def _standing(entry: model.Model, rows: Corpus, dealt: Split, alpha: float) -> gate.Standing:
    fault = model.find_fault(entry)
    nothing = np.zeros(0, dtype=np.bool_)
    if fault:
        return gate.Standing(entry.digest, entry.manifest.feature_digest, nothing, nothing, nothing, fault)
    threshold = entry.manifest.threshold_for(alpha).score
    return gate.Standing(
        entry.digest,
        entry.manifest.feature_digest,
        labelled=entry.score(rows.features[dealt.exception]) >= threshold,
        malicious=entry.score(rows.features[dealt.malicious]) >= threshold,
        benign=entry.score(rows.features[dealt.benign_test]) >= threshold,
    )


def _speed(session: model.Session, rows: NDArray[np.float32], clock: Callable[[], int]) -> int | None:
    """Rows scored a second on one core, all outputs, in batches; None if the clock did not move."""
    many = np.resize(rows, (_SPEED_ROWS, rows.shape[1]))
    before = clock()
    for _ in range(_SPEED_ROUNDS):
        session.run(many, manifest.OUTPUTS)
    elapsed = clock() - before
    return round(_SPEED_ROUNDS * _SPEED_ROWS * 1000 / elapsed) if elapsed > 0 else None
