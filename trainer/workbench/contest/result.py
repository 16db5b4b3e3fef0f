"""What a run tells: result.json, written when it begins, after every candidate and at its end, whole each time.

Whoever reads it sees the run as it is now: `state` is running, done, stopped or failed. A run that failed before its
rows were dealt tells its settings, versions and why.
"""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any, Final

from protos.version import VERSION
from trainer.workbench.candidates.baselines import BASELINES
from trainer.workbench.contest import board, folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.workbench.contest.course import Asked, Course

FORMAT: Final = "anomaflow-run-1"
_PACKAGES: Final = ("numpy", "scikit-learn", "lightgbm", "onnx", "onnxruntime", "skl2onnx", "keras", "tensorflow")


def write(asked: Asked, state: str, course: Course | None, notes: Sequence[str]) -> dict[str, Any]:
    """Write the result; it as it is written. `course` is None before rows are dealt. Raises `OutputError`."""
    told: dict[str, Any] = {
        "format": FORMAT,
        "name": asked.settings.name,
        "kind": asked.settings.kind,
        "state": state,
        "label": asked.settings.label,
        "seconds": asked.clock.now() - asked.clock.began,
        "settings": asked.settings.to_json(),
        "settings_digest": asked.settings.digest,
        "versions": versions(),
        "notes": list(dict.fromkeys(notes)),
    }
    if course is not None:
        told |= _found(course)
    folder.write(asked.where / "result.json", told)
    return folder.plain(told)


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {"anomaflow": VERSION, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _found(course: Course) -> dict[str, Any]:
    dealt, metric = course.bench.dealt, course.bench.metric
    roles = dealt.roles
    name, why = course.best
    best = course.entries.get(name or "")
    return {
        "task": dealt.task.kind,
        "why_task": dealt.task.why,
        "classes": list(dealt.task.classes),
        "benign": list(dealt.task.benign),
        "metric": metric,
        "data": {
            "digest": course.asked.digest,
            "rows": dealt.of,
            "used_rows": dealt.used,
            "features": list(dealt.chosen.features),
            "left_out": [{"name": name, "reason": reason} for name, reason in dealt.chosen.left_out],
            "duplicates": roles.duplicates,
        },
        "split": {
            "how": roles.how,
            "fit": len(dealt.prepared.fit),
            "select": len(dealt.select),
            "calibrate": len(dealt.calibrate),
            "test": len(dealt.test),
            "warning": roles.warning,
        },
        "prevalence": dealt.prevalence,
        "leaderboard": [one.to_json() for one in board.ordered(list(course.entries.values()), metric)],
        "best": name,
        "why_best": why,
        "baselines": [name for name in BASELINES if name in course.entries],
        "promised_fpr": None if best is None else best.promised_fpr,
        "realised_fpr": None if best is None else best.realised_fpr,
    }
