"""A candidate's turn: fitted with its defaults, judged and kept; or the reason why not.

- What is judged is on disk before the next one begins, so nothing done is ever lost.
- A candidate that fails says why in the leaderboard and, in full, in log.txt; the others go on.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from trainer.workbench.contest.board import Entry
from trainer.workbench.contest.course import JUDGED_AGAIN
from trainer.workbench.contest.fitting import fit, params
from trainer.workbench.contest.judge import judge

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described
    from trainer.workbench.contest.course import Course
    from trainer.workbench.contest.fitting import Fitted

_SHARE: Final = 0.3
"""Of the time left one candidate with its default settings may take."""
_FIRST_SHARE: Final = 0.5
"""The same of the first one, which is the one to end with if there is time for no other."""
_IMPORTANCES: Final = 0.02
"""Of the budget one candidate's importances may take."""


def take(course: Course, described: Described, waiting: int) -> None:
    """The turn of one of `waiting` candidates that are still to come, this one among them."""
    asked, now = course.asked, course.asked.clock.now
    entry = course.entries[described.name] = Entry(described.name, described.title)
    # What is judged stays, so another candidate is worth more than a second fit of the best: that one is extra.
    left = asked.left() - asked.spare() - JUDGED_AGAIN * max(course.judging_s.values(), default=0.0)
    why = "it was stopped before" if asked.stopped() else "the time budget is used up; raise it" if left <= 0 else ""
    if why and described.name in course.unfinished:
        # It goes on another time; until then what it was judged with stands.
        course.entries[described.name] = course.unfinished[described.name]
        return
    if why:
        entry.state, entry.why = "skipped", why
        asked.events.model(described.name, described.title, "skipped", message=why)
        return
    asked.events.stage("models", asked.fraction(), f"fitting {described.title}")
    asked.events.model(described.name, described.title, "started")
    start = now()
    # Networks share alike: each would use all it is given. Others mostly end early and leave it to those after them.
    share = left / waiting if described.kind == "dl" else (_SHARE if course.judging_s else _FIRST_SHARE) * left
    try:
        fitted = fit(course, described, {}, start + share)
        entry.fit_s = now() - start
        entry.why, entry.unfinished = fitted.note, fitted.unfinished
        entry.params = params(asked.settings, described, {})
        keep(course, fitted, entry)
    except Exception as error:  # noqa: BLE001 - one failing model never ends a run; it says why in the leaderboard
        fail(course, entry, error)
        return
    tell_done(course, entry)


def keep(course: Course, fitted: Fitted, entry: Entry) -> None:
    """Judge a fitted candidate, write its files, and remember it. Raises `ParityError`."""
    asked = course.asked
    start = asked.clock.now()
    entry.select, entry.loss = course.bench.select(fitted.candidate)
    cap: list[float] = []

    def late() -> bool:
        """First asked when importances begin, so that a slow judging before does not use up their time."""
        now = asked.clock.now()
        if not cap:
            cap.append(now + min(_IMPORTANCES * asked.settings.time_budget_s, asked.left()))
        return now > cap[0]

    notes = judge(course.bench, fitted, entry, asked.folder_of(entry.name), late=late)
    course.notes += [note for note in notes if note not in course.notes]
    course.fitted[entry.name] = fitted
    course.judging_s[entry.name] = asked.clock.now() - start
    course.save(entry)


def fail(course: Course, entry: Entry, error: Exception) -> None:
    """Say why a candidate is not among those compared."""
    entry.state, entry.why = "failed", f"{type(error).__name__}: {error}"[:500]
    course.fitted.pop(entry.name, None)
    with (course.asked.where / "log.txt").open("a", encoding="utf-8") as file:
        file.write(f"{entry.name} failed\n{''.join(traceback.format_exception(error))}\n")
    course.asked.events.model(entry.name, entry.title, "failed", message=entry.why)


def tell_done(course: Course, entry: Entry) -> None:
    """Say that a candidate is kept, and how good it is."""
    value = entry.select[course.bench.metric]
    course.asked.events.model(entry.name, entry.title, "done", metric=value, seconds=entry.fit_s)
