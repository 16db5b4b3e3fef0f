"""The spool: what is kept, what goes first, and what is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.clock import SystemClock
from agent.errors import SpoolAbsent, SpoolBusy, SpoolFull, StateError
from agent.spool import DROPPED, Spool
from agent.spool_file import RECORD_OVERHEAD, Cursor, Entry, Kind, connect, write_cursor
from agent.spool_reader import EpochEnded, SpoolReader
from agent.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

ROW = 1000 - RECORD_OVERHEAD  # with its overhead, a record of 1,000 bytes


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path)
    state.prepare()
    return state


def open_spool(state: StateDir, max_bytes: int = 10_000) -> Spool:
    return Spool.open(state, max_bytes=max_bytes, clock=SystemClock())


def quiet(flows: int = 1) -> Entry:
    return Entry(b"q" * ROW, 0, flows)


def alert() -> Entry:
    return Entry(b"a" * ROW, 1, 1)


def leased(state: StateDir) -> list[tuple[int, int, Kind, int, int]]:
    reader = SpoolReader(state)
    try:
        return [(r.first, r.sequence, r.kind, r.flows, r.alerts) for r in reader.lease(1000, max_bytes=1 << 30)]
    finally:
        reader.close()


def test_order_is_kept(state: StateDir) -> None:
    """Records leave in the order they came, numbered from 1."""
    spool = open_spool(state)
    assert spool.enqueue_all([quiet(3), alert()]) == [1, 2]
    assert spool.enqueue(b"x", alerts=0, flows=2) == 3
    assert leased(state) == [(1, 1, Kind.BATCH, 3, 0), (2, 2, Kind.BATCH, 1, 1), (3, 3, Kind.BATCH, 2, 0)]
    spool.close()


def test_commit_moves_the_cursor_and_rollback_leases_again(state: StateDir) -> None:
    """What was leased and not committed is leased again; what was committed is not, not even after a restart."""
    spool = open_spool(state)
    spool.enqueue_all([quiet(), quiet(), quiet()])
    reader = SpoolReader(state)
    assert [r.sequence for r in reader.lease(2)] == [1, 2]
    assert [r.sequence for r in reader.lease(2)] == [3]
    assert reader.lease(2) == []
    reader.commit(1)
    reader.rollback()
    assert [r.sequence for r in reader.lease(9)] == [2, 3]
    assert reader.waiting().records == 2
    reader.close()
    assert [entry[1] for entry in leased(state)] == [2, 3]
    assert spool.prune() == 1
    assert spool.figures().records == 2
    spool.close()


def test_a_lease_is_bounded_in_bytes_but_never_empty(state: StateDir) -> None:
    """A lease stops at the byte limit, and hands out at least one record however large."""
    spool = open_spool(state, 100_000)
    spool.enqueue_all([quiet()] * 5)
    reader = SpoolReader(state)
    assert len(reader.lease(10, max_bytes=2 * ROW)) == 2
    assert len(reader.lease(10, max_bytes=1)) == 1
    reader.close()
    spool.close()


def test_numbers_are_not_given_twice(state: StateDir) -> None:
    """After everything was sent and deleted, and the sensor restarted, numbers go on."""
    spool = open_spool(state)
    spool.enqueue_all([quiet()] * 4)
    epoch = spool.epoch
    write_cursor(state.cursor, Cursor(epoch, 4))
    assert spool.prune() == 4
    spool.close()
    spool = open_spool(state)
    assert spool.epoch == epoch
    assert spool.enqueue(b"", alerts=0, flows=0) == 5
    spool.close()


def test_the_oldest_quiet_records_go_first_and_are_declared(state: StateDir) -> None:
    """When full, the oldest quiet records become one gap that counts their flows; alerts stay."""
    spool = open_spool(state)  # 10,000 bytes, 8,000 of them for quiet records
    spool.enqueue_all([quiet(1), alert(), quiet(2), quiet(3)])
    spool.enqueue_all([quiet(10)] * 7)
    assert leased(state)[:4] == [
        (1, 1, Kind.GAP, 1, 0),
        (2, 2, Kind.BATCH, 1, 1),
        (3, 3, Kind.GAP, 2, 0),
        (4, 4, Kind.BATCH, 3, 0),
    ]
    spool.enqueue(quiet(4).payload, alerts=0, flows=4)
    assert leased(state)[2] == (3, 4, Kind.GAP, 5, 0)
    assert spool.figures().bytes <= 10_000
    spool.close()


def test_a_fifth_is_reserved_for_alerts(state: StateDir) -> None:
    """Quiet records never fill more than four fifths; alerts may fill everything."""
    spool = open_spool(state)
    for _ in range(30):
        spool.enqueue_all([quiet()])
    assert spool.figures().bytes == 8_000
    for _ in range(10):
        spool.enqueue_all([alert()])
    assert spool.figures().bytes == 10_000
    assert sum(entry[2] is Kind.GAP for entry in leased(state)) == 1
    spool.close()


def test_alerts_are_never_dropped(state: StateDir) -> None:
    """A spool full of alerts refuses the next one with a remedy, and a quiet record becomes a gap at once."""
    spool = open_spool(state)
    spool.enqueue_all([alert()] * 10)
    with pytest.raises(SpoolFull, match="spool_max_mib"):
        spool.enqueue_all([quiet(7), alert()])
    assert spool.figures().records == 10, "all of a refused call or none of it"
    assert spool.enqueue_all([quiet(7)]) == [11]
    assert spool.enqueue_all([quiet(5)]) == [12]
    assert leased(state)[-1] == (11, 12, Kind.GAP, 12, 0)
    write_cursor(state.cursor, Cursor(spool.epoch, 12))
    assert spool.enqueue_all([alert()]) == [13]
    spool.close()


def test_a_record_larger_than_the_spool_is_declared(state: StateDir) -> None:
    """A quiet record that can never fit is declared as lost instead of emptying the spool for nothing."""
    spool = open_spool(state)
    spool.enqueue_all([quiet(1)])
    spool.enqueue(b"x" * 9_000, alerts=0, flows=50)
    assert leased(state) == [(1, 1, Kind.BATCH, 1, 0), (2, 2, Kind.GAP, 50, 0)]
    spool.close()


def test_a_declared_loss_has_a_number_and_a_reason(state: StateDir) -> None:
    """What was lost before it reached the spool is said in order; gaps for different reasons stay apart."""
    spool = open_spool(state)
    spool.declare(flows=4, alerts=1, reason="no space left")
    spool.declare(flows=1, alerts=0, reason="no space left")
    spool.declare(flows=2, alerts=0, reason=DROPPED)
    reader = SpoolReader(state)
    assert [(r.first, r.sequence, r.flows, r.alerts, r.reason) for r in reader.lease(9)] == [
        (1, 2, 5, 1, "no space left"),
        (3, 3, 2, 0, DROPPED),
    ]
    reader.close()
    spool.close()


def test_one_writer(state: StateDir) -> None:
    """A second sensor on the same directory is refused and told who is there; after the first one ends it may come."""
    spool = open_spool(state)
    with pytest.raises(SpoolBusy, match=r"another agent \(process \d+\)"):
        open_spool(state)
    spool.close()
    open_spool(state).close()


def test_the_reader_waits_for_the_sensor(state: StateDir) -> None:
    """Without a spool the reader says so and makes none."""
    with pytest.raises(SpoolAbsent):
        SpoolReader(state)
    assert not state.spool.exists()
    connect(state.spool, "rwc").close()
    with pytest.raises(SpoolAbsent):
        SpoolReader(state)


def test_an_old_copy_begins_a_new_epoch(state: StateDir) -> None:
    """A cursor beyond the file means its numbers were used twice: everything left goes out under a new epoch."""
    spool = open_spool(state)
    spool.enqueue_all([quiet(), quiet(), quiet()])
    write_cursor(state.cursor, Cursor(spool.epoch, 1))
    spool.prune()
    old = spool.epoch
    reader = SpoolReader(state)
    reader.commit(900)  # what an aggregator that knows more would have us write
    with pytest.raises(StateError, match="old copy"):
        spool.prune()
    spool.close()
    spool = open_spool(state)
    assert spool.epoch != old
    with pytest.raises(EpochEnded):
        reader.lease(1)
    reader.close()
    assert leased(state) == [(1, 1, Kind.BATCH, 1, 0), (2, 2, Kind.BATCH, 1, 0)]
    assert spool.enqueue(b"", alerts=0, flows=0) == 3
    spool.close()


def test_a_newer_file_is_left_alone(state: StateDir) -> None:
    """A spool of a newer version is neither read nor set aside."""
    open_spool(state).close()
    db = connect(state.spool, "rw")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="newer version"):
        open_spool(state)
    assert not list(state.root.glob("*.broken"))


def test_space_is_given_back(state: StateDir) -> None:
    """After an outage was drained the file shrinks again."""
    spool = open_spool(state, 1 << 30)
    spool.enqueue_all([Entry(b"x" * 1_000_000, 0, 1)] * 40)
    write_cursor(state.cursor, Cursor(spool.epoch, 40))
    for _ in range(6):
        spool.prune()
    spool.close()
    assert state.spool.stat().st_size < 20_000_000
