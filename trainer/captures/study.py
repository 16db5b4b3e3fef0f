"""The benchmark on captures: fit on some benign captures, examine on all the others and on every attack, and repeat.

What is kept from a fit is whole captures, drawn anew for every seed, or one whole network after the other. So every
figure comes with the spread of at least as many runs as there are seeds. The model is fitted by the very stages of
`anomaflow-trainer fit`, and examined as `evaluate` does.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.captures import baselines, figures
from trainer.corpora import truth
from trainer.errors import NotEnoughRows
from trainer.judging import evaluate, examine
from trainer.making import fitting, model
from trainer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT: Final = 0.95
"""Share of later blocks that must keep within the promise."""


FIGURES: Final = (
    "roc_auc",
    "average_precision",
    "prevalence",
    "average_precision_at_1_percent",
    "average_precision_at_0_1_percent",
    "tpr_at_fpr_1",
    "tpr_at_fpr_0_1",
    "recall",
    "realised_fpr",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. `work` None forgets the models."""

    manifest: Path
    alpha: float = 5e-3
    seeds: int = 3
    first_seed: int = 1
    fit_share: float = 0.6
    by_network: bool = False
    recalibrated: bool = True
    epochs: int = 60
    flows_per_day: float = examine.FLOWS_PER_DAY
    work: Path | None = None

    @property
    def deals(self) -> range:
        """The seeds that deal."""
        return range(self.first_seed, self.first_seed + self.seeds)


@dataclass(frozen=True, slots=True)
class Round:
    """One fit: its name, its seed, and the captures it may see."""

    name: str
    seed: int
    fit: tuple[truth.Entry, ...]


def rounds(entries: list[truth.Entry], plan: Plan) -> list[Round]:
    """The splits. Pure: a seed deals the captures, in the order of their names. Raises `NotEnoughRows` without any."""
    benign = sorted((entry for entry in entries if entry.label == "benign"), key=lambda entry: entry.name)
    found = list(_by_network(benign, plan) if plan.by_network else _by_capture(benign, plan))
    if not found:
        raise NotEnoughRows(
            f"dealing the benign captures of {plan.manifest}: {len(benign)} of them leave nothing to fit or nothing to "
            "test; give a manifest with more benign captures, or with more than one network"
        )
    return found


def _by_capture(benign: list[truth.Entry], plan: Plan) -> Iterator[Round]:
    count = round(plan.fit_share * len(benign))
    if 0 < count < len(benign):
        for seed in plan.deals:
            order = np.random.default_rng(seed).permutation(len(benign))[:count]
            yield Round(f"seed-{seed}", seed, tuple(benign[number] for number in sorted(order)))


def _by_network(benign: list[truth.Entry], plan: Plan) -> Iterator[Round]:
    networks = sorted({entry.network for entry in benign})
    if len(networks) < 2:
        return
    for seed in plan.deals:
        for number, network in enumerate(networks):
            others = tuple(entry for entry in benign if entry.network != network)
            yield Round(f"without-{number}-seed-{seed}", seed, others)


def run(plan: Plan, progress: Progress, clock: Callable[[], int]) -> dict[str, Any]:
    """Every round, and what they say together. Raises `DataError`, or `SourceError` for a capture fitted on."""
    planned = rounds(truth.read(plan.manifest), plan)
    done = []
    with tempfile.TemporaryDirectory(prefix="anomaflow-") as forgotten:
        work = plan.work or Path(forgotten)
        work.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(planned):
            progress.stage("evaluate", number / len(planned), one.name)
            done.append(_round(one, plan, work, clock))
    return {
        "manifest": plan.manifest.name,
        "alpha": plan.alpha,
        "hold_out": "networks" if plan.by_network else "captures",
        "seeds": plan.seeds,
        "first_seed": plan.first_seed,
        "fit_share": None if plan.by_network else plan.fit_share,
        "epochs": plan.epochs,
        "recalibrated": plan.recalibrated,
        "summary": summarise(done),
        "attacks": attacks(done),
        "gates": gates(done),
        "runs": done,
    }


def _round(one: Round, plan: Plan, work: Path, clock: Callable[[], int]) -> dict[str, Any]:
    import io

    quiet = Progress("none", out=io.StringIO(), terminal=io.StringIO())
    paths = tuple(entry.path for entry in one.fit)
    out = work / f"{one.name}.onnx"
    started = clock()
    request = fitting.Request(
        benign=paths, labelled=(), out=out, name=one.name, seed=one.seed, epochs=plan.epochs, alpha=plan.alpha
    )
    fitting.fit(request, quiet, clock)
    fitted_at = clock()
    judged = model.load(out)
    beside, fitted_on = baselines.fit(paths, judged, lambda _fraction, _message: None)
    found = examine.examine(
        judged,
        plan.manifest,
        plan.alpha,
        lambda _fraction, _message: None,
        recalibrated=plan.recalibrated,
        baselines=beside,
        fitted_on=fitted_on,
        flows_per_day=plan.flows_per_day,
    )
    found["captures"] = [line for line in found["captures"] if line["label"] != "benign" or line["benign_alerts"]]
    timing = {
        "fit_seconds": (fitted_at - started) / 1000,
        "examine_seconds": (clock() - fitted_at) / 1000,
        "model_bytes": out.stat().st_size,
    }
    return {"name": one.name, "seed": one.seed, "fitted_captures": len(paths), **timing, **found}


def summarise(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, range and 95 % interval over the rounds, of every headline figure that each of them has."""
    found: dict[str, Any] = {
        table: {
            detector: {key: spread([one[table][detector][key] for one in done]) for key in FIGURES}
            for detector in done[0][table]
        }
        for table in ("metrics", "metrics_without_mixed")
    }
    found["false_positives"] = {
        group: {
            key: spread([one["false_positives"][group][key] for one in done]) for key in ("by_flows", "by_networks")
        }
        for group in ("model_threshold", "same_networks_before", "recalibrated", "too_small")
    }
    found["networks"] = _networks(done)
    groups: dict[str, list[dict[str, Any]]] = {
        "all": [one["incidents"] for one in done],
        "many_flows": [one["incidents"]["many_flows"] for one in done],
        "slow": [one["incidents"]["slow"] for one in done],
        "at_model_threshold": [one["incidents_at_model_threshold"] for one in done],
    }
    found["incidents"] = {
        name: {key: spread([one[key] for one in every]) for key in ("recall", "right_recall")}
        for name, every in groups.items()
    }
    for key in ("fit_seconds", "examine_seconds", "model_bytes"):
        found[key] = spread([one[key] for one in done])
    return found


def spread(values: list[float | None]) -> dict[str, Any]:
    """Mean, least, most and the 95 % interval of the mean (Student's t); None where a round has no value."""
    there = [float(value) for value in values if value is not None]
    if not there:
        return {"mean": None, "least": None, "most": None, "interval": None, "runs": 0}
    mean, interval = statistics.fmean(there), None
    if len(there) > 1:
        from scipy import stats

        reach = float(stats.t.ppf(0.975, len(there) - 1)) * statistics.stdev(there) / len(there) ** 0.5
        interval = [mean - reach, mean + reach]
    return {"mean": mean, "least": min(there), "most": max(there), "interval": interval, "runs": len(there)}


def _networks(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Each network's tested flows and alerts, added up over the rounds."""
    found: dict[str, dict[str, Any]] = {}
    for one in done:
        for row in one["false_positives"]["networks"]:
            total = found.setdefault(
                row["network"], {"runs": 0, "recalibrated": 0, "tested": 0, "at_model": 0, "at_own": 0}
            )
            total["runs"] += 1
            total["recalibrated"] += row["recalibrated"]
            total["tested"] += row["tested"]
            total["at_model"] += row["at_model_threshold"]["alerts"]
            total["at_own"] += row["at_own_threshold"]["alerts"]
    for total in found.values():
        for key in ("at_model", "at_own"):
            total[f"{key}_rate"] = total[key] / total["tested"] if total["tested"] else None
            total[f"{key}_interval"] = evaluate.interval(total[key], total["tested"])
    return dict(sorted(found.items()))


def attacks(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every attack capture over the rounds: how often it was seen and named rightly, as what, and how soon."""
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in done:
        for line in one["captures"]:
            if line["incidents"] is not None:
                lines[line["file"]].append(line)
    found = []
    for same in lines.values():
        judged = [line["incidents"]["product"] for line in same]
        after = [one["after_ms"] for one in judged if one["after_ms"] is not None]
        found.append(
            {
                "file": same[0]["file"],
                "attack": same[0]["attack"],
                "family": same[0]["family"],
                "flows": same[0]["attack_flows"],
                "runs": len(same),
                "alerts": [one["alerts"] for one in judged],
                "strongest": [line["strongest"] for line in same],
                "seen": sum(one["seen"] for one in judged),
                "right": None if judged[0]["right"] is None else sum(bool(one["right"]) for one in judged),
                "kinds": sorted({one["kind"] for one in judged if one["kind"]}),
                "incidents": [one["about_the_attack"] for one in judged],
                "median_after_ms": statistics.median(after) if after else None,
                "threshold_of": same[0]["incidents"]["threshold_of"],
            }
        )
    return sorted(found, key=lambda line: (line["family"], line["attack"]))


def gates(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """G5 in every round, and G6 over the blocks of all rounds."""
    single = [next(gate for gate in figures.gates(one) if gate["id"] == "G5") for one in done]
    passed = [gate["passed"] for gate in single]
    blocks = [block["kept"] for one in done for block in one["blocks"]]
    return [
        {
            "id": "G5",
            "passed": None if all(one is None for one in passed) else all(one is not False for one in passed),
            "detail": "; ".join(f"{one['name']}: {gate['detail']}" for one, gate in zip(done, single, strict=True)),
        },
        {
            "id": "G6",
            "passed": sum(blocks) >= KEPT * len(blocks) if blocks else None,
            "detail": f"{sum(blocks)} of {len(blocks)} later benign blocks at most 1.5 times the promise (95 %)",
        },
    ]
