"""What a person should know before believing the figures of a run: one plain sentence for each reason to doubt them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trainer.workbench.contest.opening import BESIDE_NETWORKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainer.workbench.contest.board import Entry
    from trainer.workbench.contest.course import Course

_GIVEN_AWAY: Final = 0.995
"""Balanced accuracy from which one question about one column is too good to be learnt."""
_BROKEN: Final = 1.5
"""Times the promised rate of false alerts: more is no chance."""


def cautions(course: Course) -> Iterator[str]:
    """In the order in which they are shown; none if nothing could be fitted."""
    name = course.best[0]
    if name is None:
        return
    best = course.entries[name]
    yield from _too_easy(course, best)
    yield from _no_better_than_counting(course, best)
    if course.asked.settings.kind == "dl":
        yield from _no_better_than_trees(course)
    promised, realised = best.promised_fpr, best.realised_fpr
    if realised is not None and promised is not None and realised > _BROKEN * promised:
        yield (
            f"{best.title} promises {promised:.1%} false alerts and gives {realised:.1%} on the test rows: "
            "ordinary rows there differ from those learnt from."
        )


def _too_easy(course: Course, best: Entry) -> Iterator[str]:
    """Classes told apart without a mistake, or not at all."""
    stump, plain = course.entries.get("stump"), course.entries.get("most-frequent")
    if stump is not None and (stump.test.get("balanced_accuracy") or 0.0) >= _GIVEN_AWAY:
        yield (
            "One question about one column already tells nearly every row: look whether that column is known "
            "before the label is, and drop it if not."
        )
    if plain is not None and (best.test["accuracy"] or 0.0) <= (plain.test["accuracy"] or 0.0):
        yield "The best model is no more accurate than always saying the most frequent class."
    if (best.test.get("accuracy") or 0.0) >= 1.0 and not course.bench.dealt.task.detects:
        yield "The best model makes no mistake on the test rows; look for columns that give it away."


def _no_better_than_counting(course: Course, best: Entry) -> Iterator[str]:
    count = course.entries.get("std-count")
    if count is None or best.name == count.name:
        return
    mine, theirs = best.test["average_precision"], count.test["average_precision"]
    if mine is not None and theirs is not None and mine <= theirs:
        yield "The best detector does not beat counting standard deviations on the test rows."


def _no_better_than_trees(course: Course) -> Iterator[str]:
    metric = course.bench.metric
    done = {entry.name: entry for entry in course.entries.values() if entry.state == "done"}
    networks = [
        entry
        for name, entry in done.items()
        if course.asked.candidates[name].kind == "dl" and entry.select[metric] is not None
    ]
    top = max(networks, key=course.value, default=None)
    if top is None:
        return
    for tree in (done[name] for name in BESIDE_NETWORKS if name in done):
        most = tree.select[metric]
        if most is not None and course.value(top) <= most:
            yield (
                f"No network beats {tree.title} here: {top.title}, the best of them, has "
                f"{course.value(top):.4f} against {most:.4f} on the rows set aside to choose by, "
                f"fitted in {top.fit_s or 0.0:.0f} s against {tree.fit_s or 0.0:.0f} s."
            )
