"""The opening of a run: its rows dealt, what to compare by, which candidates take part, and what was done before.

A run that was cut off goes on with what is missing: a candidate whose entry and files are whole is not fitted again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trainer.workbench.candidates.baselines import BASELINES
from trainer.workbench.contest import board, folder, metrics
from trainer.workbench.contest.board import Entry
from trainer.workbench.contest.course import Course
from trainer.workbench.contest.judge import Bench
from trainer.workbench.contest.result import versions
from trainer.workbench.rows.dealing import deal

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described
    from trainer.workbench.contest.course import Asked
    from trainer.workbench.rows.dealing import Dealt
    from trainer.workbench.rows.task import Task

BESIDE_NETWORKS: Final = ("lightgbm", "isolation-forest")
"""Trees that every run of networks has beside it, since they are what a network must beat."""
_SUREST: Final = "lightgbm"
"""What a run of classifiers must not end without."""
_EACH: Final = 5
"""Strange rows, and ordinary ones, from which on select rows can compare detectors."""


def opened(asked: Asked) -> Course:
    """The course of a run at its begin. Raises errors of `TrainerError`."""
    asked.events.stage("rows", 0.01, "reading the table and dealing its rows")
    dealt = deal(asked.settings, *asked.tables)
    metric = metrics.OF_SETTING.get(asked.settings.metric, _usual(dealt.task))
    provenance = {
        "data_digest": asked.digest,
        "settings_digest": asked.settings.digest,
        "versions": versions(),
    }
    bench = Bench(dealt, metric, asked.settings.seed, provenance)
    return Course(asked, bench, _comparable(dealt), notes=[*dealt.notes, *dealt.chosen.warnings])


def _usual(task: Task) -> str:
    """The metric of `auto`: where ordinary stands against strange, what ranks rows without a threshold.

    Of attacks of unknown kinds a classifier's chances stay below one half while they still rank far above ordinary
    rows: by F1 a run chooses among thresholds that are off by luck, by average precision among models.
    """
    two = len(task.classes) == 2 and len(task.benign) == 1
    return "average_precision" if task.detects or two else "f1"


def wanted(course: Course) -> list[Described]:
    """Candidates that take part, in the order in which they are fitted."""
    asked = course.asked
    judges = "strangeness" if course.bench.dealt.task.detects else "classes"
    able = [one for one in asked.candidates.values() if one.judges == judges]
    kind = asked.settings.kind
    named = asked.settings.models
    for name in named:
        if name not in asked.candidates:
            course.notes.append(f"There is no model named {name}; there are {', '.join(one.name for one in able)}.")
    taking_part = [
        one
        for one in able
        if one.name in BASELINES
        or (kind == "dl" and one.name in BESIDE_NETWORKS)
        or (one.name in named if named else one.kind == kind)
    ]
    # What a run must not end without comes first, however slow the machine is today.
    first = _SUREST if course.judged else board.FALLBACK
    return sorted(taking_part, key=lambda one: one.name != first)


def resume(course: Course, candidates: list[Described]) -> None:
    """Take over entries of candidates judged before the run was cut off; one cut off in its epochs is not done."""
    for described in candidates:
        where = course.asked.folder_of(described.name)
        told = folder.maybe(where / "entry.json")
        whole = (where / "model.onnx").is_file() and (where / "result.json").is_file()
        if told is not None and whole:
            kept = course.unfinished if told.get("unfinished") else course.entries
            kept[described.name] = Entry(**told)
    if course.entries:
        course.notes.append(f"The run was cut off and went on; {len(course.entries)} models were there already.")


def _comparable(dealt: Dealt) -> bool:
    truth = dealt.select.truth
    if truth is None or dealt.task.kind == "unsupervised":
        return False
    return not dealt.task.detects or (bool((truth == 1).sum() >= _EACH) and bool((truth == 0).sum() >= _EACH))
