"""Fitting one candidate within a time: on all fit rows, or on as many as there is time for, and then it says so.

A candidate that goes through epochs is told when to end. A fit that cannot be broken off is tried on a few rows first,
and its time on all of them reckoned from that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.candidates.base import Told
from trainer.workbench.candidates.sampling import fewer

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Classifier, Described, Detector, History, Prepared
    from trainer.workbench.contest.course import Course
    from trainer.workbench.settings import Settings

OUT_OF_TIME: Final = "More would not have fitted into the time budget."
"""How the note of a candidate ends that was not given all rows."""
_PILOT: Final = 3000
"""Fit rows of the first try."""
_GROWS: Final = 1.1
"""Time of a fit grows with rows to this power, about."""
_NEVER_LONG: Final = frozenset({"autoencoder", "most-frequent", "stump", "gaussian-naive-bayes"})
"""Candidates that look at the time themselves, or whose fit is over before a first try would be worth it."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted candidate, and what its fit had to say."""

    candidate: Classifier | Detector
    history: History = field(default_factory=list)
    """Empty of a candidate that learns in one go."""
    note: str = ""
    """A sentence for people, such as that it learnt from fewer rows than there are."""
    learnt: int | None = None
    """Fit rows it was given, where there was no time for all of them."""

    @property
    def unfinished(self) -> bool:
        """It was cut off in its epochs."""
        return bool(getattr(self.candidate, "unfinished_", False))

    @property
    def rounds(self) -> int | None:
        """Rounds of boosting, where it has them."""
        return getattr(self.candidate, "rounds_", None)


def fit(course: Course, described: Described, given: dict[str, Any], until: float) -> Fitted:
    """A candidate fitted with `given`, to be done when the clock says `until`."""
    history: History = []
    data, note = _affordable(course, described, given, until)
    candidate = described.make(params(course.asked.settings, described, given), course.asked.settings.seed)
    candidate.fit(data, _told(course, described.name, until, history))
    if note:
        return Fitted(candidate, history, note, len(data.fit))
    return Fitted(candidate, history, getattr(candidate, "note_", ""))


def params(settings: Settings, described: Described, given: dict[str, Any]) -> dict[str, Any]:
    """Hyper-parameters as a candidate gets them: a network also those that the settings have for all networks."""
    if described.kind == "ml":
        return given
    return {
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "patience": settings.patience,
        "learning_rate": settings.learning_rate,
        **given,
    }


def _affordable(course: Course, described: Described, given: dict[str, Any], until: float) -> tuple[Prepared, str]:
    data = course.bench.dealt.prepared
    count = len(data.fit)
    if described.name in _NEVER_LONG or described.kind == "dl" or count < 3 * _PILOT:
        return data, ""
    now, seed = course.asked.clock.now, course.asked.settings.seed
    start = now()
    few, _ = fewer(data, _PILOT, seed)
    described.make(given, seed).fit(few, Told())
    took = max(now() - start, 1e-3)
    allowed = max(until - now(), 0.5)
    most = int(_PILOT * max((allowed / took) ** (1 / _GROWS), 1.0))
    if most >= count:
        return data, ""
    part, note = fewer(data, most, seed)
    return part, f"{note} {OUT_OF_TIME}"


def _told(course: Course, name: str, until: float, history: History) -> Told:
    asked = course.asked

    def epoch(row: dict[str, float]) -> None:
        history.append(row)
        asked.events.epoch(name, row)

    where = asked.folder_of(name)
    where.mkdir(parents=True, exist_ok=True)
    return Told(epoch, asked.stopped, lambda: until - asked.clock.now(), where)
