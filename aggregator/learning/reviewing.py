"""The review queue: what is asked of people now. Reads candidates, lets review.py choose, remembers the answer shortly.

Candidates are the alerts of the last `review_hours` without a verdict, at most `PER_INCIDENT` of one incident, the
disputed ones, and a sample of quiet flows from staging and lake. What was judged or suppressed is none.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from aggregator.errors import Invalid
from aggregator.learning import review
from aggregator.learning.lessons import Question, Queue
from aggregator.storage.flows import SAMPLED
from protos import contract

if TYPE_CHECKING:
    import sqlite3

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.storage.lake import Lake
    from aggregator.storage.store import Store

log = logging.getLogger(__name__)

HOUR_MS: Final = 3_600_000
PER_INCIDENT: Final = 12
MOST_ALERTS: Final = 1500
MOST_FLOWS: Final = 1200
MOST_JUDGED: Final = 400
FRESH_S: Final = 20.0
"""A queue is chosen anew when something was said since, or after so long."""

_ALERT: Final = (
    "flow_id", "id", "incident_id", "agent_id", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "last_seen_ms",
    "packets", "bytes", "score", "threshold", "disputed", "features", "model_digest",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kept:
    queue: Queue
    state: tuple[Any, ...]
    at_s: float


class Reviewing:
    """The queue of one aggregator. `queue` may be asked from any thread; it takes some tenths of a second."""

    def __init__(self, store: Store, lake: Lake, config: AggregatorConfig, clock: Clock) -> None:
        self._store = store
        self._lake = lake
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def queue(self) -> Queue:
        """What is asked now."""
        with self._lock:
            state, now_s = self._store.read(_state), self._clock.monotonic_s()
            if self._kept is None or self._kept.state != state or now_s - self._kept.at_s > FRESH_S:
                self._kept = _Kept(self._choose(), state, now_s)
            return self._kept.queue

    def _choose(self) -> Queue:
        now_ms = self._clock.now_ms()
        since_ms = now_ms - round(self._config.review_hours * HOUR_MS)
        alerts = self._store.read(lambda db: _alerts(db, since_ms))
        judged = self._store.read(_judged_alerts)
        flows: list[dict[str, Any]] = []
        if self._config.review_flows:
            said = self._store.read(_judged_flows)
            floors = self._store.read(_thresholds)
            flows = [
                flow
                for flow in _sampled(self._sample(since_ms))
                # At or above the threshold, a quiet flow is an alert that the cap turned down.
                if flow["flow_id"] not in said and flow["score"] < floors.get(flow["agent_id"], floors[""])
            ]
            for flow in flows:
                flow["threshold"] = floors.get(flow["agent_id"], floors[""])
        rows = [*alerts, *flows]
        if not rows:
            return Queue(now_ms, (), 0)
        kinds = self._store.read(lambda db: _kinds(db, {row["incident_id"] for row in alerts}))
        candidates = review.Candidates(
            features=np.stack([row["features"] for row in rows]),
            score=np.array([row["score"] for row in rows], dtype=np.float64),
            threshold=np.array([row["threshold"] for row in rows], dtype=np.float64),
            raised=np.array([row["id"] is not None for row in rows], dtype=np.bool_),
            disputed=np.array([bool(row["disputed"]) for row in rows], dtype=np.bool_),
            # A flow, or an alert that has no incident yet, is a group of its own.
            group=np.array([row["incident_id"] or -1 - at for at, row in enumerate(rows)], dtype=np.int64),
            kind=tuple(kinds.get(row["incident_id"], "") for row in rows),
        )
        picks = review.choose(candidates, judged, alerts=self._config.review_alerts, flows=self._config.review_flows)
        return Queue(now_ms, tuple(_question(rows[pick.place], candidates, pick) for pick in picks), len(rows))

    def _sample(self, since_ms: int) -> list[tuple[Any, ...]]:
        try:
            return self._lake.sample(since_ms=since_ms, rows=MOST_FLOWS)
        except Invalid as error:  # it took too long: alerts can still be asked about
            log.warning("review_without_flows reason=%s", error)
            return []


def _question(row: dict[str, Any], candidates: review.Candidates, pick: review.Pick) -> Question:
    shown = {name: row[name] for name in SAMPLED if name != "model_digest"}
    return Question(
        alert_id=row["id"],
        incident_id=row["incident_id"],
        kind=candidates.kind[pick.place],
        why=pick.why,
        reason=pick.reason,
        stands_for=pick.stands_for,
        **shown,
    )


def _alerts(db: sqlite3.Connection, since_ms: int) -> list[dict[str, Any]]:
    """Alerts that may be asked about: the strongest and the weakest of every incident."""
    columns = ", ".join(f"alerts.{name}" for name in _ALERT)
    rows = db.execute(
        f"""
        SELECT * FROM (
            SELECT {columns},
                   row_number() OVER (PARTITION BY coalesce(incident_id, -id) ORDER BY score DESC, id) AS strongest,
                   row_number() OVER (PARTITION BY coalesce(incident_id, -id) ORDER BY score, id) AS weakest
            FROM alerts WHERE received_ms >= ? AND (verdict IS NULL OR disputed) AND suppression_id IS NULL
        ) WHERE disputed OR strongest <= ? OR weakest <= ? ORDER BY disputed DESC, id DESC LIMIT ?
        """,  # noqa: S608 - our own names
        (since_ms, PER_INCIDENT // 2, PER_INCIDENT // 2, MOST_ALERTS),
    ).fetchall()
    return [{**dict(row), "features": features} for row in rows if (features := _features(row["features"])) is not None]


def _judged_alerts(db: sqlite3.Connection) -> review.Judged:
    rows = db.execute(
        "SELECT features, verdict = 'malicious' AS malicious FROM alerts WHERE verdict IN ('benign', 'malicious') "
        "AND NOT disputed ORDER BY verdict_ms DESC LIMIT ?",
        (MOST_JUDGED,),
    ).fetchall()
    known = [(features, row["malicious"]) for row in rows if (features := _features(row["features"])) is not None]
    return review.Judged(
        np.stack([features for features, _ in known]) if known else np.empty((0, len(contract.FEATURES)), np.float32),
        np.array([malicious for _, malicious in known], dtype=np.bool_),
    )


def _judged_flows(db: sqlite3.Connection) -> set[str]:
    return {row["flow_id"] for row in db.execute("SELECT flow_id FROM judged_flows WHERE verdict IS NOT NULL")}


def _thresholds(db: sqlite3.Connection) -> dict[str, float]:
    """The threshold in force by agent, as its last alert tells it; under the empty name, that of the policy."""
    current = db.execute("SELECT threshold FROM policies ORDER BY version DESC LIMIT 1").fetchone()
    rows = db.execute("SELECT agent_id, threshold, max(id) FROM alerts GROUP BY agent_id")
    return {"": float("inf") if current is None else current["threshold"]} | {
        row["agent_id"]: row["threshold"] for row in rows
    }


def _kinds(db: sqlite3.Connection, incidents: set[int | None]) -> dict[int | None, str]:
    wanted = ", ".join(str(int(one)) for one in incidents if one is not None)
    rows = db.execute(f"SELECT id, kind FROM incidents WHERE id IN ({wanted})")  # noqa: S608 - numbers
    return {row["id"]: row["kind"] for row in rows}


def _sampled(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        if None in row:
            continue  # a file of another contract slipped in
        flow = dict(zip(SAMPLED, row, strict=False))
        features = np.array(row[len(SAMPLED) :], dtype=np.float32)
        found.append({**flow, "id": None, "incident_id": None, "disputed": False, "features": features})
    return found


def _features(data: bytes) -> np.ndarray | None:
    """A row of this installation's contract, or None for one of another length."""
    row = np.frombuffer(data, dtype="<f4")
    return row if len(row) == len(contract.FEATURES) else None


def _state(db: sqlite3.Connection) -> tuple[Any, ...]:
    """What changes when something was said or came."""
    row = db.execute("SELECT (SELECT max(id) FROM labels), (SELECT count(*) FROM suppressions)").fetchone()
    return tuple(row)
