"""Alerts into incidents as they arrive: the effects around the pure rules of incidents.py.

An alert is stored without an incident and joins one moments later. One round: read the new alerts and their
neighbourhood, decide (on a read connection, so that ingest is not held up), write the new memberships, then refresh the
figures of the incidents that changed. After a crash, alerts left without an incident and incidents left with stale
figures are taken up at the next start.

The neighbourhood is exact: an alert changes only the episodes of its own source and target, so the alerts whose group
may change are those from a new alert's source or to its target, and judging them takes the alerts of *their* sources
and targets. Episodes are followed back `REACH_MS`; an incident that is older keeps its rule through its members.

An incident's id stays while it grows: a group takes the oldest incident of its own rule and anchor among its members,
else the oldest that is wholly absorbed in it, else a new id. Incidents that were absorbed point to the one they joined.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator import alerts, labels
from aggregator.incidents import FEW_PACKETS, GAP_MS, Facts, Group, Point, describe, group, strongest_reasons

if TYPE_CHECKING:
    import sqlite3

    from aggregator.clock import Clock
    from aggregator.events import Events
    from aggregator.store import Store

log = logging.getLogger(__name__)

REACH_MS: Final = 6 * GAP_MS
ROUND: Final = 5_000
"""New alerts of one round."""

PAUSE_S: Final = 0.3
"""Rounds are at least so far apart: alerts that arrive together are grouped together."""

HOSTS_SHOWN: Final = 50

_POINT: Final = (
    "SELECT alerts.id, alerts.src_ip, alerts.dst_ip, dst_port, alerts.first_seen_ms, alerts.last_seen_ms, "
    "incident_id, coalesce(rule, '') AS rule FROM alerts LEFT JOIN incidents ON incidents.id = incident_id "
)
_NEAR: Final = (
    "SELECT id FROM alerts WHERE src_ip IN (SELECT value FROM json_each(:sources)) AND last_seen_ms >= :since "
    "AND first_seen_ms <= :until UNION SELECT id FROM alerts WHERE dst_ip IN (SELECT value FROM json_each(:targets)) "
    "AND last_seen_ms >= :since AND first_seen_ms <= :until"
)


@dataclass(frozen=True, slots=True)
class Move:
    """One group's fate: its incident (None for a new one), who joins, and which incidents are absorbed whole."""

    incident_id: int | None
    rule: str
    anchor: str
    joining: tuple[int, ...]
    absorbed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What an incident's row shows, worked out from its alerts."""

    incident_id: int
    values: dict[str, Any]


class Grouper:
    """Runs rounds: `nudge` it after alerts were stored, and let `run` turn on the event loop."""

    def __init__(self, store: Store, clock: Clock, events: Events) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._wanted = asyncio.Event()

    def nudge(self) -> None:
        """Alerts were stored."""
        self._wanted.set()

    async def run(self) -> None:
        """Group until cancelled."""
        self._wanted.set()  # what an earlier life left over
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            began_s = self._clock.monotonic_s()
            try:
                while await self.round():
                    pass
            except Exception:
                log.exception("grouping_failed")
                self._wanted.set()
                await self._clock.sleep(5.0)
            # In a storm of alerts a round takes longer; twice its time goes to everything else.
            await self._clock.sleep(max(PAUSE_S, 2 * (self._clock.monotonic_s() - began_s)))

    async def round(self) -> int:
        """Group the alerts that have no incident yet; returns how many there were."""
        fresh, moves = await asyncio.to_thread(self._store.read, plan)
        now_ms = self._clock.now_ms()
        if fresh:
            await self._store.write(lambda db: apply(db, moves, now_ms=now_ms))
        figures = await asyncio.to_thread(self._store.read, stale_figures)
        if figures:
            await self._store.write(lambda db: refresh(db, figures, now_ms=now_ms))
            self._events.publish("incident", ids=[one.incident_id for one in figures])
        return fresh


def plan(db: sqlite3.Connection) -> tuple[int, list[Move]]:
    """How many alerts are new, and what must move where so that every one of them has its incident."""
    fresh = _points(db, "WHERE incident_id IS NULL ORDER BY alerts.id LIMIT ?", ROUND)
    if not fresh:
        return 0, []
    sources, targets = {point.src_ip for point in fresh}, {point.dst_ip for point in fresh}
    window = {
        "since": min(point.first_seen_ms for point in fresh) - REACH_MS,
        "until": max(point.last_seen_ms for point in fresh) + REACH_MS,
    }
    near = _near(db, sources, targets, window)
    around = _near(db, {point.src_ip for point in near}, {point.dst_ip for point in near}, window)
    changed = [found for found in group(around) if _may_change(found, sources, targets)]
    return len(fresh), _moves(changed)


def apply(db: sqlite3.Connection, moves: list[Move], *, now_ms: int) -> None:
    """Carry out `moves`. Incidents that gained or lost alerts count them anew and have stale figures otherwise."""
    touched: set[int] = set()
    for move in moves:
        incident_id = move.incident_id
        if incident_id is None:
            created = db.execute(
                "INSERT INTO incidents (rule, anchor, updated_ms) VALUES (?, ?, ?)", (move.rule, move.anchor, now_ms)
            )
            incident_id = int(created.lastrowid or 0)
        else:
            db.execute("UPDATE incidents SET rule = ?, anchor = ? WHERE id = ?", (move.rule, move.anchor, incident_id))
        for loser in move.absorbed:
            db.execute("UPDATE alerts SET incident_id = ? WHERE incident_id = ?", (incident_id, loser))
            db.execute("UPDATE incidents SET merged_into = ?, alerts = 0 WHERE id = ?", (incident_id, loser))
        joining = json.dumps(move.joining)
        donors = db.execute(
            "SELECT DISTINCT incident_id AS id FROM alerts WHERE id IN (SELECT value FROM json_each(?)) "
            "AND incident_id IS NOT NULL AND incident_id <> ?",
            (joining, incident_id),
        ).fetchall()
        db.execute(
            "UPDATE alerts SET incident_id = ? WHERE id IN (SELECT value FROM json_each(?))", (incident_id, joining)
        )
        for donor in donors:
            left = db.execute("SELECT 1 FROM alerts WHERE incident_id = ? LIMIT 1", (donor["id"],)).fetchone()
            if left is None:
                db.execute("UPDATE incidents SET merged_into = ?, alerts = 0 WHERE id = ?", (incident_id, donor["id"]))
                touched.discard(donor["id"])
            else:
                touched.add(donor["id"])
        touched.add(incident_id)
    db.executemany(
        "UPDATE incidents SET figures_stale = 1, "
        "alerts = (SELECT count(*) FROM alerts WHERE incident_id = incidents.id) WHERE id = ?",
        [(incident_id,) for incident_id in touched],
    )


def stale_figures(db: sqlite3.Connection) -> list[Figures]:
    """The figures of every incident that needs new ones."""
    stale = db.execute(
        "SELECT id FROM incidents WHERE figures_stale = 1 AND merged_into IS NULL ORDER BY id"
    ).fetchall()
    return [figures_of(db, row["id"]) for row in stale]


def figures_of(db: sqlite3.Connection, incident_id: int) -> Figures:
    """The figures of an incident from its alerts."""
    row = db.execute(
        "SELECT rule, count(*) AS alerts, sum(packets <= ?) AS probes, count(DISTINCT alerts.src_ip) AS sources, "
        "count(DISTINCT alerts.dst_ip) AS targets, count(DISTINCT dst_port) AS ports, min(alerts.src_ip) AS src_ip, "
        "min(alerts.dst_ip) AS dst_ip, min(dst_port) AS dst_port, min(alerts.first_seen_ms) AS first_seen_ms, "
        "max(alerts.last_seen_ms) AS last_seen_ms, max(score) AS max_score "
        "FROM alerts JOIN incidents ON incidents.id = incident_id WHERE incident_id = ?",
        (FEW_PACKETS, incident_id),
    ).fetchone()
    facts = Facts(
        rule=row["rule"] or "pair",
        alerts=row["alerts"],
        probes=row["probes"] or 0,
        sources=row["sources"],
        targets=row["targets"],
        ports=row["ports"],
        src_ip=row["src_ip"] if row["sources"] == 1 else None,
        dst_ip=row["dst_ip"] if row["targets"] == 1 else None,
        dst_port=row["dst_port"] if row["ports"] == 1 else None,
    )
    kind, title = describe(facts)
    hosts = db.execute(
        "SELECT host FROM (SELECT DISTINCT src_ip AS host FROM alerts WHERE incident_id = ? "
        "UNION SELECT DISTINCT dst_ip FROM alerts WHERE incident_id = ?) ORDER BY host <> ?, host <> ?, host LIMIT ?",
        (incident_id, incident_id, facts.src_ip, facts.dst_ip, HOSTS_SHOWN),
    )
    agents = db.execute(
        "SELECT DISTINCT agent_id FROM alerts WHERE incident_id = ? ORDER BY 1 LIMIT 50", (incident_id,)
    )
    strongest = [alert.reasons for alert in alerts.strongest(db, incident_id, limit=50)]
    reasons = strongest_reasons(strongest)
    return Figures(
        incident_id,
        {
            "kind": kind,
            "title": title,
            "src_ip": facts.src_ip,
            "dst_ip": facts.dst_ip,
            "sources": facts.sources,
            "targets": facts.targets,
            "ports": facts.ports,
            "hosts": json.dumps([found["host"] for found in hosts]),
            "agents": json.dumps([found["agent_id"] for found in agents]),
            "first_seen_ms": row["first_seen_ms"] or 0,
            "last_seen_ms": row["last_seen_ms"] or 0,
            "alerts": facts.alerts,
            "max_score": row["max_score"] or 0.0,
            "reasons": json.dumps(
                [{name: getattr(reason, name) for name in reason.__dataclass_fields__} for reason in reasons]
            ),
        },
    )


def refresh(db: sqlite3.Connection, figures: list[Figures], *, now_ms: int) -> None:
    """Write the figures of incidents."""
    for one in figures:
        assignments = ", ".join(f"{name} = :{name}" for name in one.values)
        db.execute(
            f"UPDATE incidents SET {assignments}, updated_ms = :now_ms, figures_stale = 0 WHERE id = :id",  # noqa: S608 - our own names
            {**one.values, "now_ms": now_ms, "id": one.incident_id},
        )
        labels.summarise(db, one.incident_id)


def _may_change(found: Group, sources: set[str], targets: set[str]) -> bool:
    first = found.members[0]
    if found.rule == "source":
        return first.src_ip in sources
    if found.rule == "target":
        return first.dst_ip in targets
    return first.src_ip in sources and first.dst_ip in targets


def _moves(groups: list[Group]) -> list[Move]:
    moves: list[Move] = []
    for found in groups:
        held = {point.incident_id: point.rule for point in found.members if point.incident_id is not None}
        # An incident of the same rule shares the anchor: its members do. One of rule `pair` is absorbed whole.
        whole = sorted(one for one, rule in held.items() if rule in {found.rule, "pair"})
        kin = sorted(one for one, rule in held.items() if rule == found.rule)
        keep = next(iter(kin or whole), None)
        absorbed = tuple(one for one in whole if one != keep)
        joining = tuple(point.id for point in found.members if point.incident_id is None or point.incident_id != keep)
        if keep is not None and not joining and held[keep] == found.rule:
            continue  # nothing joins and nothing changes
        moves.append(Move(keep, found.rule, found.anchor, joining, absorbed))
    return moves


def _near(db: sqlite3.Connection, sources: set[str], targets: set[str], window: dict[str, int]) -> list[Point]:
    names = {"sources": json.dumps(sorted(sources)), "targets": json.dumps(sorted(targets))}
    rows = db.execute(_POINT + f"WHERE alerts.id IN ({_NEAR})", {**names, **window})
    return [Point(**dict(row)) for row in rows]


def _points(db: sqlite3.Connection, condition: str, *values: Any) -> list[Point]:
    return [Point(**dict(row)) for row in db.execute(_POINT + condition, values)]
