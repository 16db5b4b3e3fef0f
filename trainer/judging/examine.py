"""Examination: what a finished model does on captures whose truth is known, the way the product would do it.

Every capture is metered as an agent would meter it, with the capture profile of the model's own manifest; alerts become
incidents by the aggregator's own grouping; networks recalibrate by the aggregator's own arithmetic. A capture that was
among the benign sources of the fit proves nothing: it is scored and listed, but no headline figure counts it.

The baseline that travels in the manifest is asked as well, at its own threshold; given benign captures, the classical
baselines are fitted on the rows the model was fitted on, and stand beside it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from trainer.captures import figures, incidents, networks
from trainer.captures.seen import Seen, see
from trainer.corpora import truth
from trainer.detectors.std_count import StdCount
from trainer.judging import evaluate
from trainer.making.calibrate import Calibration
from trainer.making.evidence import SHORT_DIGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from trainer.making.model import Model

FLOWS_PER_DAY: Final = 1_000_000.0
"""The stated rate: what an office of some hundred hosts sends. False alarms a day scale with it."""


ALONE: Final = "flow_by_flow"
"""The model without what agents add up over the flows of two hosts: like the baselines, a judge of single flows."""


class Scoring(Protocol):
    """Whatever gives raw scores: a detector, with or without a graph."""

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Strangeness `[n]` of rows `[n, F]`, above zero."""
        ...


@dataclass(frozen=True, slots=True)
class Baseline:
    """A detector with its calibration, asked as a model is."""

    detector: Scoring
    calibration: Calibration

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`-log10 p` `[n]`."""
        return self.calibration.score(self.detector.raw_score(rows))


def examine(
    model: Model,
    manifest: Path,
    alpha: float,
    progress: Callable[[float, str], None],
    *,
    recalibrated: bool = True,
    baselines: Mapping[str, Baseline] | None = None,
    fitted_on: frozenset[str] = frozenset(),
    flows_per_day: float = FLOWS_PER_DAY,
) -> dict[str, Any]:
    """Score every capture of `manifest` at the threshold of `alpha`; one that cannot be read is listed with its error.

    `baselines` stand beside the one in the model's manifest; `fitted_on` are SHA-256 of further captures that must not
    count. Raises `DataError` for a manifest that cannot be understood.
    """
    beside = carried(model) | dict(baselines or {})
    sources = frozenset(model.manifest.provenance.get("sources", ()))

    def known(digest: str) -> bool:
        return digest[:SHORT_DIGEST] in sources or digest in fitted_on

    entries = truth.read(manifest)
    detectors = {"model": model.score, ALONE: model.score}
    detectors |= {name: baseline.score for name, baseline in beside.items()}
    captures: list[Seen] = []
    for number, entry in enumerate(entries):
        progress(number / len(entries), entry.name)
        captures.append(see(entry, model.manifest.profile, detectors, known, model.manifest.together))
    progress(1.0, "grouping alerts into incidents")
    found = judge(model, captures, alpha, beside=beside, recalibrated=recalibrated, flows_per_day=flows_per_day)
    return {"manifest": manifest.name} | found


def judge(
    model: Model,
    captures: Sequence[Seen],
    alpha: float,
    *,
    beside: Mapping[str, Baseline],
    recalibrated: bool,
    flows_per_day: float,
) -> dict[str, Any]:
    """The figures of captures that were seen."""
    own = model.manifest.threshold_for(alpha)
    thresholds = {"model": model.manifest.thresholds, ALONE: model.manifest.thresholds}
    thresholds |= {name: baseline.calibration.thresholds for name, baseline in beside.items()}
    scores = {name: figures.together(captures, name) for name in thresholds}
    found = networks.survey(captures, model.manifest.thresholds, own, recalibrated=recalibrated)
    lines = [figures.capture(seen, own, found) for seen in captures]
    attacks = [line for line in lines if line["incidents"] is not None]
    result: dict[str, Any] = {
        "model": {"digest": model.digest, "name": model.manifest.name, "kind": model.manifest.kind},
        "alpha": own.alpha,
        "threshold": own.score,
        "certified": own.certified,
        "metrics": {name: evaluate.metrics(*scores[name], thresholds[name], own.alpha) for name in thresholds},
        "metrics_without_mixed": {
            name: evaluate.metrics(*figures.together(captures, name, quiet=True), thresholds[name], own.alpha)
            for name in thresholds
        },
        "curves": {name: evaluate.curves(*scores[name]) for name in thresholds},
        "false_positives": figures.false_positives(captures, found, own, flows_per_day),
        "blocks": networks.blocks(found, model.manifest.thresholds, own),
        "best_single_feature": figures.stump(captures),
        "incidents": figures.incident_recall(attacks),
        "incidents_at_model_threshold": figures.incident_recall(attacks, "model"),
        "quiet_incidents": incidents.of_quiet(captures, found, own.score),
        "recall_by_attack": figures.recall_by(attacks, "attack"),
        "recall_by_family": figures.recall_by(attacks, "family"),
        "not_counted": {
            "fitted_on": sum(seen.fitted_on for seen in captures),
            "unreadable": sum(bool(seen.error) for seen in captures),
        },
        "captures": lines,
    }
    return result | {"gates": figures.gates(result)}


def carried(model: Model) -> dict[str, Baseline]:
    """The baseline in a model's manifest; nothing when there is none that can be read."""
    try:
        raw = model.manifest.provenance["baseline"]
        return {"std_count": Baseline(StdCount.from_json(raw), Calibration.from_json(raw["calibration"]))}
    except (KeyError, TypeError, ValueError):
        return {}
