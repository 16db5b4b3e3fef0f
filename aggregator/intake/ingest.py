"""Records of agents into the store, exactly once. Plain functions; rpc.py is the skin.

The identity of a record is (agent, epoch, sequence). `store_records` puts the batch as it came (the inbox), its alerts,
the agent's figures and the cursor into one transaction: either all of a record is stored and its sequence is covered by
the cursor, or nothing is. A record at or below the cursor was stored before and is acknowledged again, nothing more.

A record that screening.py finds broken is set aside in `broken/`, counted and declared as a gap, and the cursor moves
past it: one bad record must not hold up the alerts behind it for ever.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aggregator.config import DIGEST
from aggregator.intake.screening import (
    BIGGEST,
    Broken,
    Declared,
    Examined,
    Sender,
    Sound,
    clean,
    health_text,
    read_health,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from aggregator.config import AggregatorConfig
    from aggregator.storage.store import Store
    from protos.v1 import fleet_pb2, models_pb2

log = logging.getLogger(__name__)

_MODEL_STATES: Final = {1: "installed", 2: "running", 3: "refused"}


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of some records."""

    cursor: int
    flows: int
    alert_ids: tuple[int, ...]
    broken: tuple[Broken, ...]


async def push(
    store: Store, config: AggregatorConfig, sender: Sender, records: Sequence[Examined], *, now_ms: int
) -> Stored:
    """Store records; when this returns they are on disk and may be acknowledged.

    Raises `StateError` when the disk does not take them: nothing was stored, and the agent keeps them.
    """
    for record in records:
        if isinstance(record, Broken):  # kept before the cursor passes it
            await asyncio.to_thread(set_aside, record, sender, config.broken_dir, room_mib=config.max_broken_mib)
    return await store.write(lambda db: store_records(db, sender, records, now_ms=now_ms))


def store_hello(db: sqlite3.Connection, hello: fleet_pb2.Hello, *, now_ms: int) -> int:
    """Note who came; returns the cursor of its epoch, 0 for a new one."""
    model = hello.model_digest if DIGEST.fullmatch(hello.model_digest) else ""
    values = {
        "agent_id": hello.agent_id,
        "hostname": clean(hello.hostname),
        "version": clean(hello.version),
        "source": clean(hello.source),
        "epoch": hello.epoch,
        "feature_digest": hello.feature_digest,
        "model_digest": model,
        "policy_version": min(hello.policy_version, BIGGEST),
        "now_ms": now_ms,
    }
    db.execute(
        """
        INSERT INTO agents (agent_id, hostname, version, source, epoch, feature_digest, model_digest, policy_version,
                            connected, first_seen_ms, last_seen_ms)
        VALUES (:agent_id, :hostname, :version, :source, :epoch, :feature_digest, :model_digest, :policy_version,
                1, :now_ms, :now_ms)
        ON CONFLICT (agent_id) DO UPDATE SET
            hostname = excluded.hostname, version = excluded.version, source = excluded.source,
            epoch = excluded.epoch, feature_digest = excluded.feature_digest, model_digest = excluded.model_digest,
            policy_version = excluded.policy_version, connected = 1, last_seen_ms = excluded.last_seen_ms
        """,
        values,
    )
    return cursor(db, Sender(hello.agent_id, hello.epoch))


def store_goodbye(db: sqlite3.Connection, sender: Sender, *, now_ms: int) -> None:
    """The agent's stream ended."""
    db.execute(
        "UPDATE agents SET connected = 0, last_seen_ms = ? WHERE agent_id = ? AND epoch = ?",
        (now_ms, sender.agent_id, sender.epoch),
    )


def store_heartbeat(db: sqlite3.Connection, sender: Sender, beat: fleet_pb2.Heartbeat, *, now_ms: int) -> None:
    """Note how the agent is."""
    health = read_health(beat.health)
    db.execute(
        "UPDATE agents SET health = ?, spool_bytes = ?, spool_records = ?, model_digest = ?, policy_version = ?, "
        "last_seen_ms = ?, connected = 1 WHERE agent_id = ?",
        (
            health_text(health),
            min(beat.spool_bytes, BIGGEST),
            min(beat.spool_records, BIGGEST),
            beat.model_digest if DIGEST.fullmatch(beat.model_digest) else "",
            min(beat.policy_version, BIGGEST),
            now_ms,
            sender.agent_id,
        ),
    )


def store_model_report(db: sqlite3.Connection, sender: Sender, report: models_pb2.ModelReport, *, now_ms: int) -> None:
    """Note what became of a model on an agent."""
    state = _MODEL_STATES.get(report.state, "")
    digest = report.digest if DIGEST.fullmatch(report.digest) else ""
    db.execute(
        "UPDATE agents SET reported_digest = ?, model_state = ?, model_detail = ?, last_seen_ms = ?, "
        "model_digest = CASE WHEN ? = 'running' THEN ? ELSE model_digest END WHERE agent_id = ?",
        (digest, state, clean(report.detail), now_ms, state, digest, sender.agent_id),
    )


def store_records(db: sqlite3.Connection, sender: Sender, records: Sequence[Examined], *, now_ms: int) -> Stored:
    """Store records in their order, exactly once; returns the cursor they reach."""
    reached = cursor(db, sender)
    before = reached
    flows = alerts = lost_flows = lost_alerts = batches = 0
    ids: list[int] = []
    broken: list[Broken] = []
    latest: Sound | None = None
    for record in records:
        if record.sequence <= reached:
            continue
        if isinstance(record, Sound):
            ids += _store_batch(db, sender, record, now_ms=now_ms)
            flows, alerts, batches, latest = flows + record.rows, alerts + len(record.alerts), batches + 1, record
        elif isinstance(record, Declared):
            _store_gap(db, sender, record, now_ms=now_ms)
            lost_flows, lost_alerts = lost_flows + record.flows, lost_alerts + record.alerts
        else:
            problem = Declared(record.sequence, record.sequence, record.sequence, 0, 0, f"set aside: {record.problem}")
            _store_gap(db, sender, problem, now_ms=now_ms)
            broken.append(record)
        reached = record.sequence
    if reached > before:
        db.execute(
            "INSERT INTO cursors VALUES (?, ?, ?, ?) ON CONFLICT (agent_id, epoch) "
            "DO UPDATE SET sequence = excluded.sequence, updated_ms = excluded.updated_ms",
            (sender.agent_id, sender.epoch, reached, now_ms),
        )
        figures = (batches, flows, alerts, lost_flows, lost_alerts, len(broken), now_ms, sender.agent_id)
        db.execute(
            "UPDATE agents SET batches = batches + ?, flows = flows + ?, alerts = alerts + ?, "
            "lost_flows = lost_flows + ?, lost_alerts = lost_alerts + ?, broken_batches = broken_batches + ?, "
            "last_seen_ms = ? WHERE agent_id = ?",
            figures,
        )
    if latest is not None:
        db.execute(
            "UPDATE agents SET health = ?, model_digest = ?, policy_version = ? WHERE agent_id = ?",
            (
                health_text(latest.health),
                latest.model_digest,
                latest.policy_version,
                sender.agent_id,
            ),
        )
    return Stored(reached, flows, tuple(ids), tuple(broken))


def cursor(db: sqlite3.Connection, sender: Sender) -> int:
    """The highest sequence of the sender's epoch that is stored."""
    row = db.execute(
        "SELECT sequence FROM cursors WHERE agent_id = ? AND epoch = ?", (sender.agent_id, sender.epoch)
    ).fetchone()
    return 0 if row is None else int(row["sequence"])


def _store_batch(db: sqlite3.Connection, sender: Sender, record: Sound, *, now_ms: int) -> list[int]:
    if not record.rows:  # health alone: there is nothing to put in a file
        return []
    inbox_id = db.execute(
        "INSERT INTO inbox (agent_id, epoch, sequence, received_ms, row_count, batch) VALUES (?, ?, ?, ?, ?, ?)",
        (sender.agent_id, sender.epoch, record.sequence, now_ms, record.rows, record.data),
    ).lastrowid
    common = {
        "agent_id": sender.agent_id,
        "epoch": sender.epoch,
        "sequence": record.sequence,
        "inbox_id": inbox_id,
        "received_ms": now_ms,
    }
    return [int(db.execute(_INSERT_ALERT, {**common, **alert}).lastrowid or 0) for alert in record.alerts]


def _store_gap(db: sqlite3.Connection, sender: Sender, gap: Declared, *, now_ms: int) -> None:
    db.execute(
        "INSERT INTO gaps (agent_id, epoch, first_sequence, last_sequence, flows, alerts, reason, received_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (sender.agent_id, sender.epoch, gap.first, gap.last, gap.flows, gap.alerts, gap.reason, now_ms),
    )


_ALERT_COLUMNS: Final = (
    "agent_id", "epoch", "sequence", "row", "inbox_id", "flow_id", "src_ip", "src_port", "dst_ip", "dst_port",
    "protocol", "ip_version", "vlan_id", "end", "first_seen_ms", "last_seen_ms", "received_ms", "packets", "bytes",
    "score", "threshold", "model_digest", "policy_version", "reasons", "health", "features",
    "src_packets", "src_bytes", "dst_bytes", "opened", "refused", "unanswered", "deviation",
    "counted_ms", "weighed", "family", "family_share",
)  # fmt: skip
_INSERT_ALERT: Final = (
    f"INSERT INTO alerts ([{'], ['.join(_ALERT_COLUMNS)}]) "  # noqa: S608 - our own names
    f"VALUES ({', '.join(f':{name}' for name in _ALERT_COLUMNS)})"
)


def set_aside(broken: Broken, sender: Sender, folder: Path, *, room_mib: int) -> Path | None:
    """Keep the bytes of a broken record for whoever looks into it; None when `room_mib` is used up.

    The file is named after the record's identity, so a record that comes twice is kept once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    used = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    if used + len(broken.data) > room_mib << 20:
        log.warning("broken_record_not_kept agent=%s sequence=%d reason=room", sender.agent_id, broken.sequence)
        return None
    path = folder / f"{sender.agent_id}.{sender.epoch}.{broken.sequence}.broken"
    path.write_bytes(broken.data)
    log.warning("broken_record_set_aside path=%s problem=%s", path, broken.problem)
    return path


def inbox_depth(db: sqlite3.Connection) -> int:
    """About how many records wait for a Parquet file. Ids are consecutive, so their range tells without counting."""
    row = db.execute("SELECT coalesce(max(id) - min(id) + 1, 0) AS depth FROM inbox").fetchone()
    return int(row["depth"])
