"""Examination: what a finished model does on captures whose truth is known, capture by capture.

Every capture is metered as an agent would meter it, with the capture profile of the model's own manifest. A capture
that was among the benign sources of the fit proves nothing: it is scored and listed, but no headline figure counts it.
The baseline that travels in the manifest is asked as well, at its own threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer import evaluate, truth
from trainer.calibrate import Calibration
from trainer.detectors.std_count import StdCount
from trainer.evidence import SHORT_DIGEST
from trainer.sources import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from protos.manifest import Threshold
    from trainer.model import Model


@dataclass(slots=True)
class _Scores:
    """Scores of benign and attack flows, batch by batch."""

    benign: list[NDArray[np.float32]] = field(default_factory=list)
    attack: list[NDArray[np.float32]] = field(default_factory=list)

    def together(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        nothing = np.zeros(0, dtype=np.float32)
        return np.concatenate([nothing, *self.benign]), np.concatenate([nothing, *self.attack])


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The baseline that travels in a manifest."""

    detector: StdCount
    calibration: Calibration

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.calibration.score(self.detector.raw_score(rows))


def examine(model: Model, manifest: Path, alpha: float, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Score every capture of `manifest` at the threshold of `alpha`; one that cannot be read is listed with its error.

    Raises `DataError` for a manifest that cannot be understood.
    """
    threshold = model.manifest.threshold_for(alpha)
    baseline = _baseline(model)
    by_model, by_baseline = _Scores(), _Scores()
    entries = truth.read(manifest)
    captures = []
    for number, entry in enumerate(entries):
        progress(number / len(entries), entry.name)
        captures.append(_capture(model, entry, threshold, baseline, (by_model, by_baseline)))
    metrics = {"model": evaluate.metrics(*by_model.together(), model.manifest.thresholds, threshold.alpha)}
    if baseline is not None:
        metrics["std_count"] = evaluate.metrics(
            *by_baseline.together(), baseline.calibration.thresholds, threshold.alpha
        )
    attacks = [entry for entry in captures if entry["attack_flows"] and not entry["fitted_on"]]
    seen = [entry for entry in attacks if entry["attack_alerts"]]
    return {
        "model": {"digest": model.digest, "name": model.manifest.name, "kind": model.manifest.kind},
        "manifest": manifest.name,
        "alpha": threshold.alpha,
        "threshold": threshold.score,
        "certified": threshold.certified,
        "metrics": metrics,
        "incidents": {
            "attack_captures": len(attacks),
            "seen": len(seen),
            "recall": len(seen) / len(attacks) if attacks else None,
        },
        "recall_by_attack": _by_attack(attacks),
        "not_counted": {
            "fitted_on": sum(entry["fitted_on"] for entry in captures),
            "unreadable": sum(bool(entry["error"]) for entry in captures),
        },
        "captures": captures,
    }


def _capture(
    model: Model,
    entry: truth.Entry,
    threshold: Threshold,
    baseline: _Baseline | None,
    sinks: tuple[_Scores, _Scores],
) -> dict[str, Any]:
    from agent import meter
    from agent.context import Context
    from agent.errors import SourceError
    from agent.features import compute

    found: dict[str, Any] = {
        "file": entry.name,
        "label": entry.label,
        "attack": entry.attack,
        "flows": 0,
        "attack_flows": 0,
        "attack_alerts": 0,
        "benign_alerts": 0,
        "strongest": None,
        "first_alert_after_ms": None,
        "fitted_on": False,
        "error": "",
    }
    if not entry.path.exists():
        return found | {"error": "no such file"}
    found["fitted_on"] = file_digest(entry.path)[:SHORT_DIGEST] in model.manifest.provenance.get("sources", ())
    context, begun = Context(), None
    try:
        for flows in meter.read_capture(entry.path, model.manifest.profile):
            if len(flows) == 0:
                continue
            rows = compute(flows, context)
            scores, attack = model.score(rows), entry.is_attack(flows)
            alerts = scores >= threshold.score
            begun = int(flows["bidirectional_first_seen_ms"].min()) if begun is None else begun
            found["flows"] += len(flows)
            found["attack_flows"] += int(attack.sum())
            found["attack_alerts"] += int((alerts & attack).sum())
            found["benign_alerts"] += int((alerts & ~attack).sum())
            found["strongest"] = max(found["strongest"] or 0.0, float(scores.max()))
            if found["first_alert_after_ms"] is None and (alerts & attack).any():
                found["first_alert_after_ms"] = int(flows["ended_ms"][alerts & attack].min()) - begun
            if not found["fitted_on"]:
                counted = scores if baseline is None else baseline.score(rows)
                for sink, values in zip(sinks, (scores, counted), strict=True):
                    sink.benign.append(values[~attack])
                    sink.attack.append(values[attack])
    except SourceError as error:
        found["error"] = str(error)
    return found


def _by_attack(attacks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    kinds: dict[str, dict[str, Any]] = {}
    for entry in attacks:
        kind = kinds.setdefault(entry["attack"] or "attack", {"flows": 0, "alerts": 0})
        kind["flows"] += entry["attack_flows"]
        kind["alerts"] += entry["attack_alerts"]
    for kind in kinds.values():
        kind["recall"] = kind["alerts"] / kind["flows"]
    return dict(sorted(kinds.items()))


def _baseline(model: Model) -> _Baseline | None:
    try:
        raw = model.manifest.provenance["baseline"]
        return _Baseline(StdCount.from_json(raw), Calibration.from_json(raw["calibration"]))
    except (KeyError, TypeError, ValueError):
        return None


def as_text(found: dict[str, Any]) -> str:
    """The examination for a person: headline first, then a line a kind of attack."""
    figures = found["metrics"]["model"]
    how = "certified" if found["certified"] else "estimated"
    lines = [
        f"model          {found['model']['name']} ({found['model']['digest'][:12]})",
        f"threshold      {found['threshold']:.3f} ({how}) for a false-positive rate of {found['alpha']:g}",
        f"benign flows   {figures['benign_rows']}, of which {_percent(figures['realised_fpr'])} alert",
        f"attack flows   {figures['attack_rows']}, of which {_percent(figures['recall'])} alert",
        f"attacks seen   {found['incidents']['seen']} of {found['incidents']['attack_captures']} captures",
    ]
    for name, metrics in found["metrics"].items():
        if metrics["reason"] is None:
            lines.append(
                f"{name:<14} average precision {metrics['average_precision']:.4f} at "
                f"{metrics['prevalence']:.1%} attacks, {metrics['average_precision_at_1_percent']:.4f} at 1 %; "
                f"ROC AUC {metrics['roc_auc']:.4f}"
            )
    if figures["reason"] is not None:
        lines.append(f"no ranking     {figures['reason']}")
    skipped = found["not_counted"]
    if skipped["fitted_on"] or skipped["unreadable"]:
        lines.append(f"not counted    {skipped['fitted_on']} captures fitted on, {skipped['unreadable']} unreadable")
    lines += [
        f"  {kind:<44} {entry['alerts']:>7} of {entry['flows']:>7} flows  {_percent(entry['recall'])}"
        for kind, entry in found["recall_by_attack"].items()
    ]
    return "\n".join(lines)


def _percent(rate: float | None) -> str:
    return "an unknown share" if rate is None else f"{rate:.2%}"
