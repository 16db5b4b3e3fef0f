"""A benchmark: one labelled table through the whole protocol, and the report of it.

De-duplicate, thin if it is too large for the machine, fit and judge with every seed, benign-only first and supervised
after. The report says of every figure which data, split, seed, prevalence and threshold rule it has.
"""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos.version import VERSION
from trainer.tables import judged, protocol, supervised

if TYPE_CHECKING:
    from trainer.tables.labelled import Labelled
    from trainer.tables.settings import Run

_BENIGN_SHARE: Final = 0.65
"""Of the progress, where classifiers follow."""


def benchmark(data: Labelled, run: Run) -> dict[str, Any]:
    """The report as `report.json` holds it. Raises `NotEnoughRows`."""
    run.tell(0.0, "looking for duplicates")
    before = data
    data, duplicates = protocol.without_duplicates(data)
    data, set_aside = protocol.thin(data, run.most_rows, run.each_seed()[0])
    share = _BENIGN_SHARE if "supervised" in run.modes else 0.98
    seeds = judged.run_seeds(data, run, share)
    report: dict[str, Any] = {
        "benchmark": data.name,
        "version": VERSION,
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "run": run.to_json(),
        "data": _data(before, data, asdict(duplicates), set_aside),
        "benign_only": judged.judge(data, seeds, run),
        "supervised": None,
    }
    if "supervised" in run.modes:
        report["supervised"] = supervised.judge(data, seeds, run, share)
    report["headline"] = headline(report)
    run.tell(1.0, "done")
    return report


def _data(before: Labelled, data: Labelled, duplicates: dict[str, int], set_aside: int) -> dict[str, Any]:
    families, counts = np.unique(data.family, return_counts=True)
    return {
        "sources": before.sources,
        "rows": len(before.family),
        "duplicates": duplicates,
        "set_aside": set_aside,
        "used": len(data.family),
        "benign": int(data.benign.sum()),
        "test_file": data.official_test is not None,
        "families": {name: int(count) for name, count in zip(families.tolist(), counts.tolist(), strict=True)},
        "left_out_columns": data.left_out,
        "columns": list(data.table.columns),
        "notes": list(data.notes),
    }


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """The few figures to quote, as plain numbers: means over the seeds, of the portfolio and what it must beat."""
    told: dict[str, Any] = {}
    benign_only = report["benign_only"]
    for part, entry in benign_only["tests"].items():
        told[part] = {"prevalence": entry["prevalence"]}
        for name in (benign_only["headline"], "std_count"):
            figures = entry["detectors"][name]
            told[part][name] = {
                key: None if figures[key] is None else figures[key]["mean"]
                for key in ("roc_auc", "average_precision", "tpr_at_fpr_1", "realised_fpr")
            }
        if report["supervised"] is not None and part in report["supervised"]["tests"]:
            models = report["supervised"]["tests"][part]["models"]
            told[part]["accuracy"] = {name: model["accuracy"]["mean"] for name, model in models.items()}
    if report["supervised"] is not None:
        for part, entry in report["supervised"]["tests"].items():
            if part not in told:
                told[part] = {"accuracy": {name: model["accuracy"]["mean"] for name, model in entry["models"].items()}}
        trap = report["supervised"]["random_split"]["models"]
        told["random_split_accuracy_which_is_the_trap"] = {
            name: model["accuracy"]["mean"] for name, model in trap.items()
        }
    return told
