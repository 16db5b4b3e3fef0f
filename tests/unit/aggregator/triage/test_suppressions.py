"""Rules that say what is normal here: they hide and never delete, end, are undone, and teach nothing."""

from __future__ import annotations

import asyncio
import sqlite3

import numpy as np
import pytest

from aggregator import audit
from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.events import Events
from aggregator.intake import ingest, screening
from aggregator.learning import labels
from aggregator.storage.store import Store
from aggregator.triage import alerts, cases, grouping, suppressions
from aggregator.triage.alerts import AlertFilter
from aggregator.triage.cases import IncidentFilter
from aggregator.triage.normality import DAY_MS, Scope


class Bench:
    """A store with alerts in their incidents."""

    def __init__(self, folder, parts):
        self.parts = parts
        self.config = parts.config(folder)
        self.store = Store(self.config.database).open()
        self.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
        self.clock = parts.HandClock()
        self.grouper = grouping.Grouper(self.store, self.clock, Events())
        self.sequence = 0

    def arrive(self, src="10.0.0.1", dst="10.0.0.9", ports=(443,), after=0):
        """One alert for each port, some milliseconds after the start, grouped at once."""
        for port in ports:
            self.sequence += 1
            body = self.parts.batch(
                1, alerts=(0,), sources=[src], targets=[dst], ports=[port], at_ms=self.parts.START_MS + after,
                packets=np.full(1, 2, dtype="<u8"),
            )  # fmt: skip
            record = screening.examine(self.parts.SENDER, self.parts.record(self.sequence, body), self.config)
            at_ms = self.clock.now_ms()
            self.store.write_now(
                lambda db, record=record, at_ms=at_ms: ingest.store_records(
                    db, self.parts.SENDER, [record], now_ms=at_ms
                )
            )
        asyncio.run(self.grouper.round())

    def add(self, scope, *, days=30.0, past=True, reason="the backup runs here", **how):
        now = self.clock.now_ms()
        values = {"until_ms": now + round(days * DAY_MS), "since_ms": now - DAY_MS if past else None, **how}
        return self.store.write_now(
            lambda db: suppressions.add(db, scope, reason=reason, by="ada", at_ms=now, **values)
        )

    def end(self, number, *, undo=False):
        now = self.clock.now_ms()
        return self.store.write_now(lambda db: suppressions.end(db, number, by="bob", at_ms=now, undo=undo))

    def incidents(self, **where):
        now = self.clock.now_ms()
        return self.store.read(lambda db: cases.find(db, IncidentFilter(**where), now_ms=now, limit=100)).items

    def hidden(self):
        page = self.store.read(lambda db: alerts.find(db, AlertFilter(suppressed=True), limit=100))
        return {alert.id for alert in page.items}

    def rule(self, number=1):
        return self.store.read(lambda db: suppressions.get(db, number, now_ms=self.clock.now_ms()))


@pytest.fixture
def bench(tmp_path, parts):
    made = Bench(tmp_path, parts)
    yield made
    made.store.close()


def test_a_rule_hides_and_nothing_is_deleted(bench):
    """Its alerts stay, say which rule hides them, and their incident is neither shown as open nor counted so."""
    bench.arrive()
    bench.arrive(src="10.0.0.2")
    made = bench.add(Scope("10.0.0.1"))
    assert (made.state, made.alerts) == ("in force", 1)
    assert [found.src_ip for found in bench.incidents()] == ["10.0.0.2"]
    (hidden,) = bench.incidents(state="suppressed")
    assert (hidden.src_ip, hidden.suppressed, hidden.alerts) == ("10.0.0.1", 1, 1)
    assert len(bench.incidents(state="all")) == 2
    counted = bench.store.read(lambda db: cases.counts(db, now_ms=bench.clock.now_ms()))
    assert counted == {"open": 1, "closed": 0, "suppressed": 1}
    detail = bench.store.read(lambda db: alerts.get(db, next(iter(bench.hidden()))))
    assert detail.alert.suppression_id == made.id


def test_a_rule_holds_for_what_arrives_later_until_it_expires(bench):
    """An alert of tomorrow is hidden, one after the end is not, and what was hidden stays so."""
    bench.add(Scope("10.0.0.1"), days=2)
    bench.clock.forward(hours=24)
    bench.arrive(after=DAY_MS)
    assert len(bench.hidden()) == 1
    bench.clock.forward(hours=30)
    assert bench.rule().state == "expired"
    bench.arrive(after=3 * DAY_MS)
    assert len(bench.hidden()) == 1
    assert [found.state for found in bench.incidents()] == ["open"]


def test_a_rule_holds_from_now_on_unless_told_otherwise(bench):
    """Without `since_ms` what is there already stays shown."""
    bench.arrive()
    bench.clock.forward(seconds=1)
    bench.add(Scope("10.0.0.1"), past=False)
    assert bench.hidden() == set()


def test_ending_shows_new_alerts_and_undoing_brings_all_back(bench):
    """Both are records of their own: who, when."""
    bench.arrive()
    bench.add(Scope("10.0.0.1"))
    bench.clock.forward(seconds=5)
    ended = bench.end(1)
    assert (ended.state, ended.ended_by, ended.alerts) == ("ended", "bob", 1)
    bench.clock.forward(seconds=5)
    bench.arrive(ports=(444,), after=10_000)
    (found,) = bench.incidents()
    assert (found.suppressed, found.alerts) == (1, 2)
    undone = bench.end(1, undo=True)
    assert (undone.state, undone.alerts) == ("undone", 0)
    assert bench.incidents()[0].suppressed == 0
    for undo in (False, True):
        with pytest.raises(Conflict, match="undone already"):
            bench.end(1, undo=undo)


def test_an_incident_that_grows_into_another_kind_comes_back(bench):
    """Somebody called a strange flow normal; a port scan is not what was meant."""
    bench.arrive(ports=(1,))
    bench.add(Scope("10.0.0.1", kind="single flow"))
    assert bench.incidents() == ()
    bench.arrive(ports=range(2, 30), after=1000)
    (found,) = bench.incidents()
    assert (found.kind, found.suppressed, found.alerts) == ("port scan", 0, 29)


def test_a_rule_is_no_label(bench):
    """Hidden alerts have no verdict and their rows in the lake do not change; a verdict on them still counts."""
    bench.arrive()
    bench.add(Scope("10.0.0.1"))
    row = bench.store.read(lambda db: dict(db.execute("SELECT * FROM alerts").fetchone()))
    assert (row["verdict"], row["lake_stale"]) == (None, 0)
    given = {"target": "alert", "target_id": row["id"], "verdict": "malicious", "note": "", "by": "ada", "at_ms": 1}
    bench.store.write_now(lambda db: labels.add(db, **given))
    seen = bench.store.read(lambda db: suppressions.preview(db, Scope("10.0.0.1"), now_ms=bench.clock.now_ms()))
    assert seen.judged_malicious == 1


def test_a_preview_says_what_would_have_been_hidden(bench):
    """By kind of incident, as a share, and how many incidents whole; nothing changes."""
    bench.arrive(ports=range(1, 8))
    bench.arrive(src="10.0.0.2")
    seen = bench.store.read(lambda db: suppressions.preview(db, Scope("10.0.0.1"), now_ms=bench.clock.now_ms()))
    assert (seen.alerts, seen.hidden, seen.incidents, seen.kinds) == (8, 7, 1, {"port scan": 7})
    narrow = Scope("10.0.0.0/24", port=3)
    seen = bench.store.read(lambda db: suppressions.preview(db, narrow, now_ms=bench.clock.now_ms()))
    assert (seen.hidden, seen.incidents) == (1, 0)
    assert bench.hidden() == set()


def test_a_rule_that_is_too_broad_needs_somebody_who_insists(bench):
    """And the record says that somebody did."""
    bench.arrive(ports=range(1, 31))
    with pytest.raises(Conflict, match="too broad"):
        bench.add(Scope("10.0.0.0/24"))
    assert bench.hidden() == set()
    assert bench.add(Scope("10.0.0.0/24"), insisted=True).forced


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"days": 366.0}, "365 days"),
        ({"days": 0.0}, "365 days"),
        ({"days": -1.0}, "365 days"),
        ({"reason": "  "}, "reason"),
        ({"since_ms": 5}, "at most 365 days ago"),
    ],
)
def test_a_rule_needs_an_end_within_a_year_and_a_reason(bench, how, word):
    """What is normal changes: no rule is for ever."""
    with pytest.raises(Invalid, match=word):
        bench.add(Scope("10.0.0.1"), **how)


def test_rules_are_never_changed_or_removed(bench):
    """The store itself holds to it."""
    bench.add(Scope("10.0.0.1"))
    bench.end(1)
    for statement in (
        "UPDATE suppressions SET until_ms = 0",
        "DELETE FROM suppressions",
        "UPDATE suppression_ends SET how = 'undo'",
        "DELETE FROM suppression_ends",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            bench.store.write_now(lambda db, statement=statement: db.execute(statement))


def test_every_deed_is_in_the_audit_log(bench):
    """With who did it."""
    bench.add(Scope("10.0.0.1"))
    bench.end(1)
    bench.end(1, undo=True)
    entries = bench.store.read(lambda db: audit.find(db, limit=10)).items
    done = [(entry.actor, entry.action) for entry in entries if entry.action.startswith("suppression.")]
    assert done == [("bob", "suppression.undo"), ("bob", "suppression.end"), ("ada", "suppression.add")]


def test_the_oldest_rule_that_holds_is_the_one_named(bench):
    """So undoing it hands its alerts to the next."""
    bench.arrive()
    bench.add(Scope("10.0.0.1"))
    bench.add(Scope("10.0.0.0/24", "10.0.0.9"))
    assert (bench.rule(1).alerts, bench.rule(2).alerts) == (1, 0)
    bench.end(1, undo=True)
    assert (bench.rule(1).alerts, bench.rule(2).alerts) == (0, 1)


def test_the_list_narrows_by_state(bench):
    """Newest first."""
    bench.add(Scope("10.0.0.1"))
    bench.add(Scope("10.0.0.2"))
    bench.end(1)

    def listed(state=None):
        now = bench.clock.now_ms()
        page = bench.store.read(lambda db: suppressions.find(db, state=state, now_ms=now, limit=10))
        return [rule.id for rule in page.items]

    assert (listed(), listed("in force"), listed("ended"), listed("undone")) == ([2, 1], [2], [1], [])
    with pytest.raises(Invalid, match="no state"):
        listed("asleep")
    with pytest.raises(NotFound):
        bench.rule(9)
