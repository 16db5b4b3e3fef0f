"""A piece of spawned work as the store knows it, what is ordered, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

Lane = Literal["heavy", "light"]
Again = Literal["resume", "restart"]


class WorkState(StrEnum):
    """Where a piece of spawned work stands."""

    QUEUED = "queued"  # waits for its turn
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"  # asked to finish early, and did; what it has is whole
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"  # cut off with the aggregator, and not started again

    @property
    def over(self) -> bool:
        """True when nothing of it runs or will run by itself."""
        return self not in {WorkState.QUEUED, WorkState.RUNNING}


@dataclass(frozen=True, slots=True)
class Work:
    """A process of the trainer's, from the queue to its end."""

    id: int
    kind: str  # import | profile | run | predict | promote
    about: str  # such as "dataset 3" or "experiment 8"
    state: WorkState
    asked: str  # "" | stop | cancel: what a person asked while it ran
    stage: str
    fraction: float  # of the whole, 0 to 1
    message: str
    error: str  # a sentence; "" unless it went wrong
    attempts: int
    by: str
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """What to spawn. Paths in it are relative to the workbench's folder: a moved state directory still works."""

    kind: str
    about: str
    folder: str  # events.jsonl, log.txt and the stop file lie here
    arguments: tuple[str, ...]  # after the trainer's command
    lane: Lane
    again: Again  # after it was cut off: go on with --resume, or start anew
    seconds: float
    memory_mib: int
    story: str = "events.jsonl"  # the file in `folder` that holds its events; the log for what tells them there
    environment: str = ""  # a file with further environment variables, as a JSON object
    secrets: tuple[str, ...] = ()  # files to remove when it is over: uploads, addresses with passwords


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, as far as that is known."""

    exit_code: int | None  # None when it ended while nobody watched, or never began
    asked: str
    timed_out: bool
    said: str  # the state of its own "end" event; "" without one
    complaint: str  # the last line of its log, or the message of that event


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a piece of work. `keep` writes what it brought, in the transaction that ends it."""

    state: WorkState
    message: str = ""
    error: str = ""
    keep: Callable[[sqlite3.Connection], None] | None = None
