"""The blend: the mean of the surest classifiers' chances, if it is surer than each of them and there is time.

Chosen on select rows by log loss, beyond what chance explains. Members answer as they were fitted; nothing is learnt
but who belongs to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.workbench.candidates.blend import NAME, TITLE, Blend
from trainer.workbench.contest import metrics
from trainer.workbench.contest.board import Entry
from trainer.workbench.contest.fitting import Fitted
from trainer.workbench.contest.turn import fail, keep, tell_done

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Classifier
    from trainer.workbench.contest.course import Course

_MEMBERS: Final = 3
"""At most: every one is kept in the file and asked for every row."""
_SURER: Final = 0.95
"""A blend is several models to keep and ask: its log loss must be below the best one's by a twentieth."""


def blend(course: Course) -> None:
    """Add the blend to the entries if it is worth it."""
    if course.bench.dealt.task.detects or not course.judged or course.asked.settings.kind == "dl":
        return
    able = _surest(course)
    names = [one.name for one in able]
    # Judging a blend asks every member once more, and so does fitting it again.
    needed = course.reserve() + course.again_s([], names)
    if len(able) < 2 or NAME in course.entries or course.asked.left() < needed:
        return
    select = course.bench.dealt.select
    truth = select.truth
    assert truth is not None  # noqa: S101 - a task with classes has labels on its select rows
    chances = [course.classifier(name).chances(select.rows) for name in names]
    together = {count: np.mean(chances[:count], axis=0) for count in range(2, len(able) + 1)}
    count = min(together, key=lambda count: metrics.loss(together[count], truth))
    if not surer(metrics.losses(together[count], truth), metrics.losses(chances[0], truth)):
        return
    members = names[:count]
    entry = course.entries[NAME] = Entry(NAME, TITLE, params={"members": members})
    entry.fit_s = sum(one.fit_s or 0.0 for one in able[:count])
    course.asked.events.model(NAME, TITLE, "started")
    try:
        keep(course, blended(course, [course.classifier(name) for name in members]), entry)
    except Exception as error:  # noqa: BLE001 - a blend that fails ends itself only, as any candidate
        fail(course, entry, error)
    else:
        tell_done(course, entry)


def surer(blend: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether the losses `[n]` of a blend are below those of the best model by enough, and by two standard errors.

    On a hundred select rows a twentieth less is what one row does.
    """
    if len(best) < 2:
        return False
    gained = best - blend
    error = float(gained.std(ddof=1)) / float(np.sqrt(len(gained)))
    return float(gained.mean()) > max((1 - _SURER) * float(best.mean()), 2 * error)


def blended(course: Course, members: list[Classifier]) -> Fitted:
    """The blend of fitted members."""
    data = course.bench.dealt.prepared
    return Fitted(Blend(members, data.fit.shape[1], len(data.classes)))


def _surest(course: Course) -> list[Entry]:
    leading = [course.entries[name] for name in course.leading(len(course.entries)) if name in course.fitted]
    sure = sorted((one for one in leading if one.loss is not None), key=lambda one: one.loss or 0.0)[:_MEMBERS]
    return [one for one in sure if one.name in course.asked.candidates]
