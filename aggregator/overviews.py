"""The state of the whole on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator.calibration import policies
from aggregator.models import registry
from aggregator.rows import MinuteCount, Overview

if TYPE_CHECKING:
    import sqlite3

    from aggregator.services import Services

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000


def overview(services: Services) -> Overview:
    """Counts, health, and alerts per minute of the last hour."""
    now_ms = services.clock.now_ms()
    size = services.lake.size()
    jobs = services.jobs.find(limit=1).items
    promises = services.promises.standing()

    def ask(db: sqlite3.Connection) -> Overview:
        hour = now_ms - HOUR_MS
        agents = db.execute(
            "SELECT count(*) AS total, coalesce(sum(connected), 0) AS connected, coalesce(sum(connected AND "
            "coalesce(json_extract(health, '$.state'), '') NOT IN ('running', '')), 0) AS degraded, "
            "coalesce(sum(broken_batches), 0) AS broken, coalesce(sum(lost_flows), 0) AS lost_flows, "
            "coalesce(sum(lost_alerts), 0) AS lost_alerts FROM agents"
        ).fetchone()
        return Overview(
            now_ms=now_ms,
            agents=agents["total"],
            agents_connected=agents["connected"],
            agents_degraded=agents["degraded"],
            alerts=_count(db, "SELECT count(*) FROM alerts"),
            alerts_last_hour=_count(db, "SELECT count(*) FROM alerts WHERE received_ms >= ?", hour),
            alerts_without_verdict=_count(
                db, "SELECT count(*) FROM alerts WHERE verdict IS NULL AND suppression_id IS NULL"
            ),
            incidents=_count(db, "SELECT count(*) FROM incidents WHERE merged_into IS NULL AND alerts > suppressed"),
            incidents_last_hour=_count(
                db,
                "SELECT count(*) FROM incidents WHERE merged_into IS NULL AND alerts > suppressed AND updated_ms >= ?",
                hour,
            ),
            labels=_count(db, "SELECT count(*) FROM labels WHERE undoes IS NULL"),
            flows_staged=size.staged_rows,
            flows_in_lake=size.lake_rows,
            flows_waiting=_count(db, "SELECT coalesce(sum(row_count), 0) FROM inbox"),
            broken_batches=agents["broken"],
            lost_flows=agents["lost_flows"],
            lost_alerts=agents["lost_alerts"],
            champion=registry.champion(db),
            policy=policies.current(db),
            job=jobs[0] if jobs else None,
            alerts_per_minute=alerts_per_minute(db, now_ms=now_ms, minutes=60),
            promises=promises,
        )

    return services.store.read(ask)


def alerts_per_minute(db: sqlite3.Connection, *, now_ms: int, minutes: int) -> tuple[MinuteCount, ...]:
    """Alerts received in each of the last `minutes`, oldest first, minutes without alerts included."""
    last = now_ms // MINUTE_MS * MINUTE_MS
    first = last - (minutes - 1) * MINUTE_MS
    rows = db.execute(
        "SELECT received_ms / ? * ? AS minute_ms, count(*) AS alerts FROM alerts WHERE received_ms >= ? GROUP BY 1",
        (MINUTE_MS, MINUTE_MS, first),
    )
    counts = {row["minute_ms"]: row["alerts"] for row in rows}
    return tuple(MinuteCount(minute, counts.get(minute, 0)) for minute in range(first, last + 1, MINUTE_MS))


def _count(db: sqlite3.Connection, query: str, *values: int) -> int:
    return int(db.execute(query, values).fetchone()[0])
