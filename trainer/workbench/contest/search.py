"""The search for better settings: seeded draws from a candidate's space, every other one near the best so far.

The leading candidates take turns while there is time. What is better on select rows is kept when the search is over,
so that judging and writing are paid once a candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.contest.fitting import fit
from trainer.workbench.contest.turn import keep, tell_done

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described
    from trainer.workbench.contest.board import Entry
    from trainer.workbench.contest.course import Course
    from trainer.workbench.contest.fitting import Fitted

MOST: Final = 40
"""Settings tried of one candidate, at most."""
_SEARCHED: Final = 3
"""Candidates whose settings are searched: the best ones with their defaults."""
_FINE: Final = 5e-5
"""A metric this near to 1 leaves nothing to search for,"""
_SURE: Final = 1e-3
"""with a log loss, where there is one, as low as this: ranks may be right to the last row while chances are not."""
_ROOM: Final = 2.0
"""Fits like the best so far that there must be time for: other settings may take longer than those did."""


class Draws:
    """The tries of one candidate. The same seed and the same answers give the same tries."""

    def __init__(self, described: Described, seed: int) -> None:
        self._space = described.space
        self._chance = np.random.default_rng([seed, 87, *described.name.encode()])
        self._seen: set[tuple[tuple[str, str], ...]] = set()
        self.tried = 0

    def next(self, best: dict[str, Any]) -> dict[str, Any] | None:
        """Settings not tried before, or None when there are no more."""
        if not self._space or self.tried >= MOST:
            return None
        for _ in range(50):
            given = {key: values[int(self._chance.integers(len(values)))] for key, values in self._space.items()}
            if self.tried % 2 == 1:
                # Every other try changes one or two settings of the best so far.
                moved = self._chance.permutation(list(self._space))[: 1 + int(self._chance.integers(2))]
                given = {**best, **{str(key): given[str(key)] for key in moved}}
            key = tuple(sorted((name, repr(value)) for name, value in given.items()))
            if key not in self._seen:
                self._seen.add(key)
                self.tried += 1
                return given
        return None


def search(course: Course) -> None:
    """Try settings of the leading candidates in turns while there is time, and keep those that are better."""
    candidates = course.asked.candidates
    names = [name for name in course.leading(_SEARCHED) if name in course.fitted and candidates[name].space]
    draws = {name: Draws(candidates[name], course.asked.settings.seed) for name in names}
    improved: dict[str, Fitted] = {}
    while draws and not course.asked.stopped():
        leading = [course.entries[name] for name in names]
        for name in list(draws):
            entry = course.entries[name]
            enough = any(perfect(course.value(one), one.loss) for one in leading)
            given = draws[name].next(dict(entry.params))
            spare = course.asked.left() - course.reserve() - sum(course.judging_s.get(one, 0.0) for one in improved)
            short = spare < _ROOM * (entry.fit_s or 0.0)
            if given is None or short or enough or course.asked.stopped():
                del draws[name]
                continue
            found = _tried(course, name, given, spare)
            if found is not None:
                improved[name] = found
    for name, fitted in improved.items():
        entry = course.entries[name]
        try:
            keep(course, fitted, entry)
        except Exception as error:  # noqa: BLE001 - the file of the settings before stays
            course.notes.append(f"Better settings of {entry.title} could not be kept: {error}")
        else:
            tell_done(course, entry)
    for entry in course.entries.values():
        if entry.searched:
            course.save(entry)


def perfect(value: float, loss: float | None) -> bool:
    """Whether a metric of `value` at a log loss of `loss` leaves nothing to be better at."""
    return value >= 1 - _FINE and (loss is None or loss <= _SURE)


def _tried(course: Course, name: str, given: dict[str, Any], spare: float) -> Fitted | None:
    """A candidate fitted with `given` if it is better than its entry, which then tells of it."""
    asked = course.asked
    described, entry = asked.candidates[name], course.entries[name]
    asked.events.stage("search", asked.fraction(), f"trying settings of {entry.title}")
    entry.searched += 1
    start = asked.clock.now()
    try:
        fitted = fit(course, described, given, start + spare / 2)
        found, loss = course.bench.select(fitted.candidate)
    except Exception as error:  # noqa: BLE001 - settings that cannot be fitted are worse settings
        asked.events.model(name, entry.title, "failed", message=f"settings {given}: {error}"[:300])
        return None
    if not _better(course, entry, found, loss):
        return None
    entry.select, entry.loss, entry.params = found, loss, given
    entry.fit_s = asked.clock.now() - start
    return fitted


def _better(course: Course, entry: Entry, found: dict[str, float | None], loss: float | None) -> bool:
    now, before = found[course.bench.metric] or 0.0, course.value(entry)
    if loss is None or entry.loss is None:
        return now > before
    # The metric moves in steps of a row; the loss says which way it went in between.
    apart = (max(before * (1 - before), 0.0) / max(len(course.bench.dealt.select), 1)) ** 0.5
    return now >= before - apart and loss < entry.loss
