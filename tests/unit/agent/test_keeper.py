"""The keeper: alerts wait in memory while the disk fails, and every loss is declared when it works again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.errors import DiskTrouble, SpoolBusy, SpoolDamaged, SpoolFull
from agent.keeper import Keeper
from agent.spool_file import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence


class FakeClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def wake(self) -> None: ...


class FakeSpool:
    """A spool that fails on command."""

    def __init__(self) -> None:
        self.kept: list[Entry | tuple[int, int, str]] = []
        self.failure: Exception | None = None
        self.opened = 0
        self.open_failure: Exception | None = None

    def open(self) -> FakeSpool:
        self.opened += 1
        if self.open_failure is not None:
            raise self.open_failure
        return self

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def enqueue_all(self, entries: Sequence[Entry]) -> None:
        self._fail()
        self.kept += entries

    def declare(self, *, flows: int, alerts: int, reason: str) -> None:
        self._fail()
        self.kept.append((flows, alerts, reason))

    def prune(self) -> int:
        self._fail()
        return 0

    def close(self) -> None: ...


def alert(size: int = 100) -> Entry:
    return Entry(b"a" * size, 1, 2)


def quiet() -> Entry:
    return Entry(b"q", 0, 5)


@pytest.fixture
def spool() -> FakeSpool:
    return FakeSpool()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make(spool: FakeSpool, clock: FakeClock, **more: int) -> Keeper:
    return Keeper(spool.open, clock=clock, **more)  # type: ignore[arg-type]


def test_a_working_spool_gets_everything_at_once(spool: FakeSpool, clock: FakeClock) -> None:
    """Nothing waits in memory without a reason."""
    keeper = make(spool, clock)
    keeper.keep([alert(), quiet()])
    keeper.keep([])
    keeper.tick()
    assert len(spool.kept) == 2
    assert (keeper.trouble, keeper.waiting) == ("", 0)


def test_alerts_wait_and_losses_are_declared(spool: FakeSpool, clock: FakeClock) -> None:
    """While the disk is full alerts wait and quiet flows are counted; then the gap comes first, the alerts after."""
    keeper = make(spool, clock)
    spool.failure = DiskTrouble("database or disk is full")
    keeper.keep([alert(), quiet()])
    keeper.keep([quiet(), alert()])
    assert keeper.waiting == 2
    assert "disk is full" in keeper.trouble
    spool.failure = None
    clock.now = 60
    keeper.tick()
    gap, *alerts = spool.kept
    assert gap == (10, 0, "not kept, because the spool refused: database or disk is full")
    assert alerts == [alert(), alert()]
    assert (keeper.trouble, keeper.waiting) == ("", 0)


def test_the_ring_is_bounded(spool: FakeSpool, clock: FakeClock) -> None:
    """Memory has a limit: the oldest alerts go, are counted, and are declared."""
    keeper = make(spool, clock, ring_bytes=3 * alert().size)
    spool.failure = SpoolFull("nothing but alerts")
    for _ in range(5):
        keeper.keep([alert()])
    assert (keeper.waiting, keeper.lost_alerts) == (3, 2)
    spool.failure = None
    clock.now = 60
    keeper.tick()
    assert spool.kept[0][:2] == (4, 2)
    assert len(spool.kept) == 4


def test_the_spool_is_not_hammered(spool: FakeSpool, clock: FakeClock) -> None:
    """Attempts have growing pauses, whatever arrives meanwhile."""
    spool.open_failure = DiskTrouble("no")
    keeper = make(spool, clock)
    for _ in range(600):
        clock.now += 0.1
        keeper.keep([quiet()])
    assert 5 < spool.opened < 15


def test_a_damaged_spool_is_opened_again_at_once(spool: FakeSpool, clock: FakeClock) -> None:
    """Damage is repaired by opening; the entries that met it are kept afterwards."""
    keeper = make(spool, clock)
    failures = [SpoolDamaged("malformed")]

    def once(entries: Sequence[Entry]) -> None:
        if failures:
            raise failures.pop()
        spool.kept += entries

    spool.enqueue_all = once  # type: ignore[method-assign]
    keeper.keep([alert()])
    assert spool.kept == [alert()]
    assert (spool.opened, keeper.trouble) == (2, "")


def test_what_a_person_must_settle_is_raised(spool: FakeSpool, clock: FakeClock) -> None:
    """A second agent on the same directory is not waited for."""
    spool.open_failure = SpoolBusy("another agent")
    with pytest.raises(SpoolBusy):
        make(spool, clock)


def test_close_tries_a_last_time(spool: FakeSpool, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """What waits is brought to disk on a stop if that is possible, and logged as lost if it is not."""
    keeper = make(spool, clock)
    spool.failure = DiskTrouble("full")
    keeper.keep([alert()])
    spool.failure = None
    keeper.close()
    assert spool.kept == [alert()]
    keeper = make(spool, clock)
    spool.failure = DiskTrouble("full")
    keeper.keep([alert()])
    keeper.close()
    assert "alerts_lost" in caplog.text
