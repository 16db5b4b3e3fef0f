"""Alerts into incidents as they arrive: the effects around the pure rules of incidents.py.

An alert is stored without an incident and joins one moments later. One round: read the new alerts and their
neighbourhood, decide (on a read connection, so that ingest is not held up), write the new memberships, then refresh the
figures of the incidents that changed. After a crash, alerts left without an incident and incidents left with stale
figures are taken up at the next start.

The neighbourhood is exact: what becomes of an alert depends on the alerts that share a host with it. So those that
share one with a new alert may move, and judging them takes the alerts that share a host with *them*. Alerts are looked
for `REACH_MS` back and ahead; an incident that is older keeps its rule through its members.

A storm of alerts must not be read again in every round. An incident of more than `LARGE` alerts is looked at through
some thousand of them, newest and oldest, and moves as a whole or not at all; its figures are worked out anew when it
has grown by a quarter, or after `FIGURES_S`.

An incident's id stays while it grows: a group takes the oldest incident of its own rule and anchor among its members,
else the oldest that is wholly in it, else a new id. Incidents that were absorbed point to the one they joined.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator.learning import labels
from aggregator.triage import alerts, cases, steps, suppressions
from aggregator.triage.alerts import strongest_reasons
from aggregator.triage.evidence import likenesses
from aggregator.triage.incidents import GAP_MS, SLOW_GAP_MS, Group, Point, group, summarise

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Container, Iterable, Sequence

    from aggregator.clock import Clock
    from aggregator.events import Events
    from aggregator.storage.store import Store

log = logging.getLogger(__name__)

REACH_MS: Final = SLOW_GAP_MS + GAP_MS
LARGE: Final = 5_000
SEEN_OF_LARGE: Final = 1_000
"""Newest alerts of a large incident that are looked at, and about as many evenly from the others."""

FIGURES_S: Final = 30.0
"""Figures of a large incident are at most so old,"""

GROWTH: Final = 1.25
"""or as old as the time in which it grew by a quarter."""

ROUND: Final = 5_000
"""New alerts of one round."""

PAUSE_S: Final = 0.3
"""Rounds are at least so far apart: alerts that arrive together are grouped together."""

_POINT: Final = (
    "SELECT alerts.id, alerts.src_ip, alerts.dst_ip, src_port, dst_port, protocol, alerts.first_seen_ms, "
    "alerts.last_seen_ms, packets, bytes, src_packets, src_bytes, dst_bytes, opened, refused, unanswered, deviation, "
    "score, incident_id, coalesce(rule, '') AS rule, coalesce(anchor, '') AS anchor "
    "FROM alerts LEFT JOIN incidents ON incidents.id = incident_id "
)
_NEAR: Final = (
    "SELECT id FROM alerts WHERE src_ip IN (SELECT value FROM json_each(:hosts)) AND last_seen_ms >= :since "
    "AND first_seen_ms <= :until UNION SELECT id FROM alerts WHERE dst_ip IN (SELECT value FROM json_each(:hosts)) "
    "AND last_seen_ms >= :since AND first_seen_ms <= :until"
)
_SIZES: Final = (
    "SELECT alerts.id, incident_id, coalesce(incidents.alerts, 0) AS size FROM alerts "  # noqa: S608 - our own text
    f"LEFT JOIN incidents ON incidents.id = incident_id WHERE alerts.id IN ({_NEAR}) ORDER BY alerts.id DESC"
)


@dataclass(frozen=True, slots=True)
class Move:
    """One group's fate: its incident (None for a new one), who joins, which incidents are absorbed whole.

    `fresh` counts those who join without having been in any incident.
    """

    incident_id: int | None
    rule: str
    anchor: str
    joining: tuple[int, ...]
    absorbed: tuple[int, ...]
    fresh: int = 0


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
        self._owed = False

    def nudge(self) -> None:
        """Alerts were stored."""
        self._wanted.set()

    async def run(self) -> None:
        """Group until cancelled."""
        self._wanted.set()  # what an earlier life left over
        while True:
            await self._waited()
            self._wanted.clear()
            began_s = self._clock.monotonic_s()
            try:
                while await self.round():
                    pass
            except Exception:  # alerts wait in the store for the next try; who ends leaves them there
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
        figures, self._owed = await asyncio.to_thread(self._store.read, lambda db: stale_figures(db, now_ms=now_ms))
        if figures:
            await self._store.write(lambda db: refresh(db, figures, now_ms=now_ms))
            self._events.publish("incident", ids=[one.incident_id for one in figures])
        return fresh

    async def _waited(self) -> None:
        """Until there are alerts, or figures that were put off are due."""
        if not self._owed:
            await self._wanted.wait()
            return
        waits = [asyncio.ensure_future(self._wanted.wait()), asyncio.ensure_future(self._clock.sleep(FIGURES_S))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def plan(db: sqlite3.Connection) -> tuple[int, list[Move]]:
    """How many alerts are new, and what must move where so that every one of them has its incident."""
    fresh = _points(db, "WHERE incident_id IS NULL ORDER BY alerts.id LIMIT ?", ROUND)
    if not fresh:
        return 0, []
    window = {
        "since": min(point.first_seen_ms for point in fresh) - REACH_MS,
        "until": max(point.last_seen_ms for point in fresh) + REACH_MS,
    }
    hosts = _hosts(fresh)
    near = _near(db, hosts, window)
    beyond = _hosts(near.values()) - hosts
    around = {**_near(db, beyond, window), **near}
    sizes = {
        row["id"]: row["alerts"]
        for row in db.execute(
            "SELECT id, alerts FROM incidents WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted({point.incident_id for point in around.values() if point.incident_id is not None})),),
        )
    }
    return len(fresh), _moves(group(around.values()), near.keys(), sizes)


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
            again = f"active_ms > 0 AND :now_ms - active_ms > {cases.PAUSE} AND :fresh > 0"
            db.execute(
                f"UPDATE incidents SET rule = :rule, anchor = :anchor, reopened = reopened + ({again}), "  # noqa: S608 - our own text
                f"reopened_ms = CASE WHEN {again} THEN :now_ms ELSE reopened_ms END WHERE id = :id",
                {"rule": move.rule, "anchor": move.anchor, "fresh": move.fresh, "now_ms": now_ms, "id": incident_id},
            )
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


def stale_figures(db: sqlite3.Connection, *, now_ms: int) -> tuple[list[Figures], bool]:
    """The figures of every incident that needs new ones, and whether those of a large one were put off."""
    stale = db.execute(
        "SELECT id, alerts > ? AND alerts < ? * figured AND updated_ms > ? AS waits "
        "FROM incidents WHERE figures_stale = 1 AND merged_into IS NULL ORDER BY id",
        (LARGE, GROWTH, now_ms - round(FIGURES_S * 1000)),
    ).fetchall()
    return [figures_of(db, row["id"]) for row in stale if not row["waits"]], any(row["waits"] for row in stale)


def figures_of(db: sqlite3.Connection, incident_id: int) -> Figures:
    """The figures of an incident from its alerts."""
    members = _points(db, "WHERE incident_id = ? ORDER BY alerts.id", incident_id)
    summary = summarise(members, members[0].rule)
    row = db.execute(
        "SELECT max(received_ms) AS active_ms, max(score) AS max_score FROM alerts WHERE incident_id = ?",
        (incident_id,),
    ).fetchone()
    agents = db.execute(
        "SELECT DISTINCT agent_id FROM alerts WHERE incident_id = ? ORDER BY 1 LIMIT 50", (incident_id,)
    )
    strongest = [alert.reasons for alert in alerts.strongest(db, incident_id, limit=50)]
    reasons = strongest_reasons(strongest)
    return Figures(
        incident_id,
        {
            "kind": summary.kind,
            "title": summary.title,
            "src_ip": summary.src_ip,
            "dst_ip": summary.dst_ip,
            "sources": summary.sources,
            "targets": summary.targets,
            "ports": summary.ports,
            "hosts": json.dumps(summary.hosts),
            "agents": json.dumps([found["agent_id"] for found in agents]),
            "first_seen_ms": summary.first_seen_ms,
            "last_seen_ms": summary.last_seen_ms,
            "alerts": summary.alerts,
            "figured": summary.alerts,
            "conversations": summary.conversations,
            "evidence": json.dumps((*summary.evidence, *likenesses(alerts.families(db, incident_id), summary.alerts))),
            "active_ms": row["active_ms"],
            "max_score": row["max_score"],
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
        steps.settle(db, one.incident_id)
    suppressions.settle(db, [one.incident_id for one in figures])


def _moves(groups: Sequence[Group], near: Container[int], sizes: dict[int, int]) -> list[Move]:
    """What must move. Only alerts in `near` may; `sizes` has the alerts of every incident in sight."""
    seen = Counter(point.incident_id for found in groups for point in found.members)
    moves: list[Move] = []
    taken: set[int] = set()
    for found in groups:
        members = [point for point in found.members if point.id in near]
        if not members:
            continue
        held = Counter(point.incident_id for point in found.members)
        kin = {
            point.incident_id
            for point in found.members
            if point.incident_id is not None and point.anchor == found.anchor and _same_doing(point.rule, found.rule)
        }
        large = {one for one in held if one is not None and sizes[one] > LARGE}
        kin |= {one for one in large if 2 * held[one] > seen[one]}
        whole = {one for one, count in held.items() if one is not None and count == sizes[one]}
        candidates = [one for one in (*sorted(kin), *sorted(whole - kin)) if one not in taken]
        keep = candidates[0] if candidates else None
        absorbed = tuple(one for one in candidates if one in kin and one != keep)
        joining = tuple(
            point.id for point in members if point.incident_id not in large and point.incident_id != (keep or 0)
        )
        taken.update(candidates[:1], absorbed)
        renamed = any(
            point.incident_id == keep and (point.rule, point.anchor) != (found.rule, found.anchor)
            for point in found.members
        )
        if keep is not None and not (joining or absorbed or renamed):
            continue  # nothing joins and nothing changes
        if joining or keep is not None:
            fresh = sum(point.incident_id is None for point in members)
            moves.append(Move(keep, found.rule, found.anchor, joining, absorbed, fresh))
    return moves


def _same_doing(one: str, other: str) -> bool:
    """The same rule, or two hosts' exchange that has become a lasting one: all of it did."""
    return one == other or (one, other) == ("pair", "lasting")


def _hosts(points: Iterable[Point]) -> set[str]:
    return {host for point in points for host in (point.src_ip, point.dst_ip)}


def _near(db: sqlite3.Connection, hosts: set[str], window: dict[str, int]) -> dict[int, Point]:
    """The alerts of some hosts, and of a large incident some of them."""
    if not hosts:
        return {}
    found = db.execute(_SIZES, {"hosts": json.dumps(sorted(hosts)), **window})
    wanted: list[int] = []
    newest: Counter[int] = Counter()
    for alert_id, incident_id, size in found:
        if size > LARGE:
            newest[incident_id] += 1
            if newest[incident_id] > SEEN_OF_LARGE and alert_id % (size // SEEN_OF_LARGE):
                continue
        wanted.append(alert_id)
    rows = _points(db, "WHERE alerts.id IN (SELECT value FROM json_each(?))", json.dumps(wanted))
    return {point.id: point for point in rows}


def _points(db: sqlite3.Connection, condition: str, *values: Any) -> list[Point]:
    return [_point(row) for row in db.execute(_POINT + condition, values)]


def _point(row: sqlite3.Row) -> Point:
    return Point(**dict(row))
