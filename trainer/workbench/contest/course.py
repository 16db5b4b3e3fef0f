"""The course of a run: what it was asked, how much time is left of it, and what it knows so far.

Every stage of a run is given one `Course` and adds to it. Time is asked of the clock handed in, and whoever wants to
begin something asks here first, so that the budget is reckoned with in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from trainer.workbench.candidates.base import Classifier
from trainer.workbench.contest import board, folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from trainer.workbench.candidates.base import Described
    from trainer.workbench.contest.board import Entry
    from trainer.workbench.contest.events import Events
    from trainer.workbench.contest.fitting import Fitted
    from trainer.workbench.contest.judge import Bench
    from trainer.workbench.settings import Settings

STOP: Final = "stop"
"""The file in a run's folder that ends it."""
JUDGED_AGAIN: Final = 1.5
"""Of the time a judging took, what to keep for another one: the next may be slower."""
_FITTED_AGAIN: Final = 1.6
"""The same of a fit, which may get the select rows, too."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives seconds that only rise, `began` is when the budget started."""

    now: Callable[[], float]
    began: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is asked to do, and with what. `tables` are the table and the test table or None."""

    where: Path
    settings: Settings
    tables: tuple[Path, Path | None]
    digest: str
    """Of the table."""
    candidates: Mapping[str, Described]
    events: Events
    clock: Clock

    def left(self) -> float:
        """Seconds of the budget that are left; below 0 when it is overdrawn."""
        return self.clock.began + self.settings.time_budget_s - self.clock.now()

    def fraction(self) -> float:
        """How far the run is, for a person who waits: the share of the budget used, with room for begin and end."""
        return 0.05 + 0.9 * min((self.clock.now() - self.clock.began) / self.settings.time_budget_s, 1.0)

    def stopped(self) -> bool:
        """A person said stop."""
        return (self.where / STOP).exists()

    def spare(self) -> float:
        """Seconds kept for the last words of a run."""
        return 1.0 + 0.03 * self.settings.time_budget_s

    def folder_of(self, name: str) -> Path:
        """Where a candidate's files lie."""
        return self.where / "models" / name


@dataclass(slots=True)
class Course:
    """What a run knows once its rows are dealt."""

    asked: Asked
    bench: Bench
    judged: bool
    """Whether select rows can compare candidates."""
    entries: dict[str, Entry] = field(default_factory=dict)
    unfinished: dict[str, Entry] = field(default_factory=dict)
    """Networks of an earlier run that were cut off in their epochs, as they were judged then."""
    fitted: dict[str, Fitted] = field(default_factory=dict)
    """What this process fitted; of a run that went on, candidates judged before have an entry and are not here."""
    judging_s: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    best: tuple[str | None, str] = (None, "")
    """Name and reason."""

    def classifier(self, name: str) -> Classifier:
        """What was fitted as `name` by a run that tells classes apart."""
        found = self.fitted[name].candidate
        assert isinstance(found, Classifier)  # noqa: S101 - a run takes only candidates that judge as its task does
        return found

    def value(self, entry: Entry) -> float:
        """The run's metric of an entry on select rows; 0 without one."""
        return entry.select[self.bench.metric] or 0.0

    def leading(self, count: int) -> list[str]:
        """Names of the best so far, best first."""
        done = [one for one in board.ordered(list(self.entries.values()), self.bench.metric) if one.state == "done"]
        return [one.name for one in done if one.name not in board.NEVER_CHOSEN][:count]

    def again_s(self, fits: list[str], judgings: list[str]) -> float:
        """Seconds to keep for fitting these once more, and for judging those."""
        fit = sum(self.entries[name].fit_s or 0.0 for name in fits)
        return _FITTED_AGAIN * fit + JUDGED_AGAIN * sum(self.judging_s.get(name, 0.0) for name in judgings)

    def reserve(self) -> float:
        """Seconds kept by a search for the last fit of the best, its judging and its file."""
        best = self.leading(1)
        return self.asked.spare() + self.again_s(best, best)

    def save(self, entry: Entry) -> None:
        """Put an entry beside its model, where a run that was cut off finds it."""
        folder.write(self.asked.folder_of(entry.name) / "entry.json", entry.to_json())
