"""The spool equals a list, under any sequence of operations, restarts and crashes."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.clock import SystemClock
from agent.errors import SpoolFull
from agent.spool import DROPPED, Spool
from agent.spool_file import RECORD_OVERHEAD, Entry, Kind
from agent.spool_reader import SpoolReader
from agent.state import StateDir

LIMIT = 20_000
QUIET_LIMIT = LIMIT * 4 // 5


@dataclass
class Item:
    """What the model keeps of a record."""

    first: int
    sequence: int
    size: int
    alerts: int
    flows: int
    gap: bool = False

    @property
    def quiet(self) -> bool:
        return not self.gap and not self.alerts


class NaiveSpool:
    """The same promises on a list, written for clarity alone."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.last = 0

    def used(self, *, quiet: bool = False) -> int:
        return sum(item.size for item in self.items if not item.gap and (item.quiet or not quiet))

    def enqueue(self, size: int, alerts: int, flows: int) -> bool:
        trial = [Item(i.first, i.sequence, i.size, i.alerts, i.flows, i.gap) for i in self.items]
        before, self.items = self.items, trial
        fits = alerts or size <= QUIET_LIMIT
        while fits and (self.used() + size > LIMIT or (not alerts and self.used(quiet=True) + size > QUIET_LIMIT)):
            victim = next((item for item in self.items if item.quiet), None)
            if victim is None:
                break
            victim.gap = True
        if self.used() + size > LIMIT and alerts:
            self.items = before
            return False
        self.last += 1
        lost = not alerts and (not fits or self.used() + size > LIMIT)
        self.items.append(Item(self.last, self.last, size, alerts, flows, gap=bool(lost)))
        self.merge()
        return True

    def merge(self) -> None:
        merged: list[Item] = []
        for item in self.items:
            if merged and item.gap and merged[-1].gap and merged[-1].sequence + 1 == item.first:
                head = merged.pop()
                item = Item(head.first, item.sequence, 0, 0, head.flows + item.flows, gap=True)  # noqa: PLW2901
            merged.append(item)
        self.items = merged

    def prune(self, cursor: int) -> None:
        self.items = [item for item in self.items if item.sequence > cursor]


class SpoolMachine(RuleBasedStateMachine):
    """Sensor and shipper in one process, doing anything in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.state = StateDir(self.root)
        self.state.prepare()
        self.spool = self.open_writer()
        self.reader = SpoolReader(self.state)
        self.model = NaiveSpool()
        self.cursor = 0
        self.position = 0

    def open_writer(self) -> Spool:
        return Spool.open(self.state, max_bytes=LIMIT, clock=SystemClock())

    def teardown(self) -> None:
        self.reader.close()
        self.spool.close()
        shutil.rmtree(self.root)

    @rule(size=st.integers(RECORD_OVERHEAD, 6_000), alerts=st.sampled_from([0, 0, 0, 1, 3]), flows=st.integers(1, 50))
    def enqueue(self, size: int, alerts: int, flows: int) -> None:
        self.model.prune(self.cursor)
        entry = Entry(bytes(size - RECORD_OVERHEAD), alerts, flows)
        try:
            [sequence] = self.spool.enqueue_all([entry])
        except SpoolFull:
            assert not self.model.enqueue(size, alerts, flows)
        else:
            assert self.model.enqueue(size, alerts, flows)
            assert sequence == self.model.last

    @rule(count=st.integers(1, 6))
    def lease(self, count: int) -> None:
        expected = [item for item in self.model.items if item.sequence > self.position][:count]
        records = self.reader.lease(count, max_bytes=1 << 30)
        assert [(r.first, r.sequence, r.kind is Kind.GAP, r.alerts, r.flows) for r in records] == [
            (i.first, i.sequence, i.gap, i.alerts, i.flows) for i in expected
        ]
        assert all(record.reason in ("", DROPPED) for record in records)
        if records:
            self.position = records[-1].sequence

    @precondition(lambda self: self.position > self.cursor)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.cursor = data.draw(st.integers(self.cursor + 1, self.position))
        self.reader.commit(self.cursor)

    @rule()
    def rollback(self) -> None:
        self.reader.rollback()
        self.position = self.cursor

    @rule()
    def prune(self) -> None:
        self.spool.prune()
        self.model.prune(self.cursor)

    @rule()
    def restart_sensor(self) -> None:
        self.spool.close()
        self.spool = self.open_writer()

    @rule()
    def restart_shipper(self) -> None:
        self.reader.close()
        self.reader = SpoolReader(self.state)
        self.position = self.cursor

    @rule()
    def power_cut(self) -> None:
        """Both processes vanish: what is on disk at this moment is all there is."""
        self.reader.close()
        copy = Path(tempfile.mkdtemp())
        for name in ("spool.db", "spool.db-wal", "cursor.json"):
            if (self.root / name).exists():
                shutil.copy(self.root / name, copy / name)
        self.spool.close()
        for name in ("spool.db", "spool.db-wal", "spool.db-shm", "cursor.json"):
            (self.root / name).unlink(missing_ok=True)
            if (copy / name).exists():
                shutil.move(copy / name, self.root / name)
        shutil.rmtree(copy)
        self.spool = self.open_writer()
        self.reader = SpoolReader(self.state)
        self.position = self.cursor

    @invariant()
    def bounded(self) -> None:
        assert self.spool.figures().bytes <= LIMIT

    @invariant()
    def every_number_is_covered_once(self) -> None:
        reader = SpoolReader(self.state)
        expected = None
        for record in reader.lease(10_000, max_bytes=1 << 30):
            assert expected is None or record.first == expected
            expected = record.sequence + 1
        reader.close()


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
