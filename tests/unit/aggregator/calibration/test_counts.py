"""Counted scores in the store: once whoever restarts, without attacks, never without what was called benign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from aggregator.calibration import counts
from aggregator.storage.store import Store
from aggregator.triage import kinds
from protos import histogram
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = counts.HOUR_MS
NOW = 1_790_000_000_000 // HOUR * HOUR
MODEL = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "a.db").open()
    for name, group in (("one", "default"), ("two", "default"), ("three", "lab")):
        opened.write_now(
            lambda db, name=name, group=group: db.execute(
                'INSERT INTO agents (agent_id, first_seen_ms, last_seen_ms, "group") VALUES (?, 1, 1, ?)', (name, group)
            )
        )
    yield opened
    opened.close()


def message(*scores: float, hour_ms: int = NOW, run: str = "ab12", model: str = MODEL) -> batch_pb2.ScoreCounts:
    """Flows with these scores, each of a host of its own."""
    bins, numbers = histogram.pack(histogram.count(np.array(scores, dtype=np.float32)))
    made = batch_pb2.ScoreCounts(run=run, hour_ms=hour_ms, model_digest=model)
    for part in (made.flows, made.weighed, made.sources, made.targets):
        part.bins.extend(bins)
        part.counts.extend(numbers)
    return made


def put(store: Store, agent: str, sent: batch_pb2.ScoreCounts, now_ms: int = NOW + 60_000) -> bool:
    return store.write_now(lambda db: counts.store(db, agent, sent, now_ms=now_ms))


def quiet(store: Store, group: str = "default", since_ms: int = 0) -> counts.Quiet:
    return counts.together(
        store.read(lambda db: counts.quiet_hours(db, group=group, model_digest=MODEL, since_ms=since_ms))
    )


def alert(store: Store, score: float, *, kind: str, verdict: str | None = None, **how: Any) -> None:
    """An alert that was counted, in an incident of `kind`."""
    row = {
        "agent_id": "one", "epoch": "e", "sequence": 1, "row": 0, "inbox_id": 1, "src_ip": "10.0.0.1", "src_port": 1,
        "dst_ip": "10.0.0.2", "dst_port": 2, "protocol": 6, "ip_version": 4, "vlan_id": 0, "end": 1,
        "first_seen_ms": NOW, "last_seen_ms": NOW, "received_ms": NOW, "packets": 1, "bytes": 1, "score": score,
        "threshold": 3.0, "model_digest": MODEL, "policy_version": 1, "reasons": "[]", "health": "{}", "features": b"",
        "counted_ms": NOW, "weighed": 1, "verdict": verdict, **how,
    }  # fmt: skip

    def insert(db: Any) -> None:
        found = db.execute("SELECT id FROM incidents WHERE kind = ?", (kind,)).fetchone()
        incident = (
            found[0]
            if found
            else db.execute(
                "INSERT INTO incidents (rule, anchor, kind, updated_ms) VALUES ('pair', ?, ?, 1)", (kind, kind)
            ).lastrowid
        )
        row["incident_id"] = incident
        row["flow_id"] = f"f{db.execute('SELECT count(*) FROM alerts').fetchone()[0]}"
        names = ", ".join(f'"{name}"' for name in row)
        db.execute(f"INSERT INTO alerts ({names}) VALUES ({', '.join('?' for _ in row)})", list(row.values()))

    store.write_now(insert)


def test_sending_again_counts_nothing_twice(store: Store) -> None:
    """The latest counts of a run and hour replace earlier ones; late ones change nothing."""
    for sent in (message(1), message(1, 2), message(1, 2), message(1)):
        assert put(store, "one", sent)
    assert quiet(store).flows.sum() == 2


def test_runs_hours_and_agents_add_up(store: Store) -> None:
    """A sensor that lost its file begins a new run: both count."""
    put(store, "one", message(1))
    put(store, "one", message(1, 2, run="cd34"))
    put(store, "one", message(5, hour_ms=NOW - HOUR))
    put(store, "two", message(7))
    put(store, "three", message(9, 9))
    assert quiet(store).flows.sum() == 5
    assert quiet(store).hours == 2
    assert quiet(store, since_ms=NOW).flows.sum() == 4
    assert quiet(store, "lab").flows.sum() == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"run": "UPPER"}, "no digest"),
        ({"model_digest": "x"}, "no digest"),
        ({"hour_ms": NOW + 1}, "is none"),
        ({"hour_ms": NOW + 48 * HOUR}, "future"),
        ({"weighed": batch_pb2.Counts(bins=[3], counts=[9])}, "more weigh"),
        ({"sources": batch_pb2.Counts(bins=[9, 3], counts=[1, 1])}, "do not rise"),
    ],
)
def test_counts_that_cannot_be_are_refused_and_logged(
    store: Store, change: dict[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of an agent is trusted, and its stream goes on."""
    sent = message(1, 2)
    for name, value in change.items():
        sent.ClearField(name)
        getattr(sent, name).CopyFrom(value) if isinstance(value, batch_pb2.Counts) else setattr(sent, name, value)
    assert not put(store, "one", sent)
    assert problem in caplog.text
    assert quiet(store).flows.sum() == 0


@pytest.mark.parametrize("kind", counts.ATTACKS)
def test_attacks_are_taken_out_exactly(store: Store, kind: str) -> None:
    """The flow, its weight if it had one, and its host-window with the strongest alert."""
    put(store, "one", message(0.5, 0.7, 6.0, 6.5))
    alert(store, 6.0, kind=kind)
    alert(store, 6.5, kind=kind, weighed=0)
    left = quiet(store)
    assert histogram.at_least(left.flows, 3) == 0
    assert histogram.at_least(left.weighed, 3) == 1
    assert histogram.at_least(left.sources, 3) == 1  # both alerts are of one host in ten minutes
    assert left.flows.sum() == 2


def test_what_looks_like_a_backup_stays_until_somebody_calls_it_malicious(store: Store) -> None:
    """A rule cannot tell a time server from a beacon; a person can, and one alert speaks for its incident."""
    put(store, "one", message(6.0, 6.5))
    alert(store, 6.0, kind=kinds.BEACON)
    alert(store, 6.5, kind=kinds.BEACON, src_ip="10.0.0.7")
    assert quiet(store).flows.sum() == 2
    store.write_now(lambda db: db.execute("UPDATE alerts SET verdict = 'malicious' WHERE score = 6.0"))
    assert quiet(store).flows.sum() == 0


def test_what_was_called_benign_is_never_taken_out(store: Store) -> None:
    """A scanner of our own is normal here: its flows count towards the threshold."""
    put(store, "one", message(6.0, 6.5))
    alert(store, 6.0, kind=kinds.PORT_SCAN, verdict="benign")
    alert(store, 6.5, kind=kinds.PORT_SCAN)
    assert quiet(store).flows.sum() == 1
    store.write_now(lambda db: db.execute("UPDATE incidents SET verdict = 'benign'"))
    assert quiet(store).flows.sum() == 2


def test_a_day_is_extrapolated_from_the_traffic_that_was_counted(store: Store) -> None:
    """A hundred flows in ten minutes are 14,400 a day, however fast a capture was replayed."""
    put(store, "one", covering(message(*[0.5] * 50), 300_000))
    put(store, "one", covering(message(*[0.5] * 100), 600_000))
    assert quiet(store).flows_per_day == pytest.approx(14_400)
    put(store, "two", covering(message(*[0.5] * 20, hour_ms=NOW - 5 * HOUR), 6 * HOUR))
    assert quiet(store).covered_ms == 600_000 + 6 * HOUR
    put(store, "three", message(0.5))
    assert quiet(store, "lab").covered_ms == counts.LEAST_MS


def test_a_flood_makes_no_busy_day(store: Store) -> None:
    """Flows beyond a host's share count where they look like any other, and not where they are strange."""
    busy = covering(message(*[0.5] * 100), 600_000)
    busy.flows.counts[0] = 300  # a resolver: two of three flows are beyond its share
    put(store, "one", busy)
    assert quiet(store).flows_per_day == pytest.approx(3 * 14_400)
    flooded = covering(message(*[0.5] * 100, 6.0), 600_000)
    flooded.flows.counts[:] = [300, 40_000]
    put(store, "one", flooded)
    assert quiet(store).flows_per_day == pytest.approx(3 * 14_400, rel=0.02)
    assert quiet(store).strange(3.0) == 1


def covering(sent: batch_pb2.ScoreCounts, milliseconds: int) -> batch_pb2.ScoreCounts:
    """`sent`, over so much traffic."""
    sent.covered_ms = milliseconds
    return sent


def test_old_counts_go(store: Store) -> None:
    """Retention, and a bound on what one agent may fill."""
    for hour in range(3):
        put(store, "one", message(1, hour_ms=NOW - hour * HOUR))
    assert store.write_now(lambda db: counts.forget(db, before_ms=NOW)) == 2
    assert quiet(store).hours == 1


def test_an_agent_cannot_fill_the_store(store: Store) -> None:
    """So many runs and models in an hour are no sensor; those that are known go on."""
    for run in range(counts.MOST_OF_HOUR):
        assert put(store, "one", message(1, run=f"{run:04x}"))
    assert not put(store, "one", message(1, run="ffff"))
    assert put(store, "one", message(1, 2, run="0000"))
    assert put(store, "two", message(1, run="ffff"))
    assert quiet(store).flows.sum() == counts.MOST_OF_HOUR + 2
