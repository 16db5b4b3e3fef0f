"""Score histograms as agents count them: kept by agent, run, hour and model, and read without the attacks in them.

An agent sends the counts of an hour as often as it likes: they are cumulative for its run, so the latest ones replace
what was kept, and nothing is counted twice whoever restarts. Counts that shrank are late and are left alone.

**Quiet** means: without the alerts of incidents that an attack made. Those are the incidents somebody called malicious,
and those of a kind that no machine at peace makes (`ATTACKS`); beacons, tunnels and large transfers are not among them,
because time servers and backups look the same to a rule: they count until somebody calls them malicious. What somebody
called benign is never taken out. An alert knows in which hour its flow was counted and whether it weighed
(agent/counting.py), so exactly what was put in is taken out; its host-window goes with the strongest alert of the host
in these ten minutes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from google.protobuf.message import DecodeError

from aggregator.config import DIGEST, EPOCH
from aggregator.triage import kinds
from protos import histogram
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

HOUR_MS: Final = 3_600_000
WINDOW_MS: Final = 600_000
DAY_MS: Final = 24 * HOUR_MS

ATTACKS: Final = (
    kinds.PORT_SCAN,
    kinds.HOST_SWEEP,
    kinds.NETWORK_SCAN,
    kinds.WEB_SCAN,
    kinds.PASSWORD_GUESSING,
    kinds.FLOOD,
)
"""Kinds of incidents whose flows are not quiet, whatever anybody says of them or does not."""

MOST_AGENT_HOURS: Final = 4 * 24 * 31
"""Histograms kept of one agent."""

_PLAIN: Final = int(1 / histogram.STEP)

LEAST_MS: Final = 60_000
"""Traffic time that counts cover at least: a handful of flows at once is no pace."""

MOST_OF_HOUR: Final = 16
"""Runs and models of one agent in one hour: a sensor that starts again goes on with its run."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts `[BINS]` of one hour of one agent: all flows, those that weigh, and host-windows by role."""

    agent_id: str
    hour_ms: int
    covered_ms: int
    """Traffic time that was counted: of a replay it may be more than the hour in which it was counted."""
    flows: NDArray[np.int64]
    weighed: NDArray[np.int64]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a group counted, summed over agents and hours."""

    flows: NDArray[np.int64]
    weighed: NDArray[np.int64]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    hours: int
    covered_ms: int

    @property
    def flows_per_day(self) -> float:
        """Quiet flows that a day brings at this pace.

        A flood is not quiet, and its flows do not all weigh: what weighs is scaled by how many flows there are for each
        that weighs among those that look like any other (score below `_PLAIN`).
        """
        plain = int(self.weighed[:_PLAIN].sum())
        each = int(self.flows[:_PLAIN].sum()) / plain if plain else 1.0
        return each * int(self.weighed.sum()) * DAY_MS / self.covered_ms if self.covered_ms else 0.0

    def strange(self, threshold: float) -> int:
        """Host-windows that hold a flow at or above `threshold`: by initiator or by responder, whichever are fewer."""
        return min(histogram.at_least(self.sources, threshold), histogram.at_least(self.targets, threshold))


def store(db: sqlite3.Connection, agent_id: str, message: batch_pb2.ScoreCounts, *, now_ms: int) -> bool:
    """Keep the counts of an hour. False, and a line in the log, for counts that cannot be ones."""
    problem, flows = _problem(message, now_ms)
    if not problem and _crowded(db, agent_id, message):
        problem = f"more than {MOST_OF_HOUR} runs and models in one hour"
    if problem:
        log.warning("score_counts_refused agent=%s problem=%s", agent_id, problem)
        return False
    db.execute(
        "INSERT INTO score_counts (agent_id, run, hour_ms, model_digest, flows, counts, updated_ms) "
        "VALUES (:agent_id, :run, :hour_ms, :model, :flows, :counts, :now_ms) "
        "ON CONFLICT (agent_id, run, hour_ms, model_digest) DO UPDATE SET "
        "flows = excluded.flows, counts = excluded.counts, updated_ms = excluded.updated_ms "
        "WHERE excluded.flows >= score_counts.flows",
        {
            "agent_id": agent_id,
            "run": message.run,
            "hour_ms": message.hour_ms,
            "model": message.model_digest,
            "flows": flows,
            "counts": message.SerializeToString(),
            "now_ms": now_ms,
        },
    )
    db.execute(
        "DELETE FROM score_counts WHERE agent_id = ? AND hour_ms < "
        "(SELECT hour_ms FROM score_counts WHERE agent_id = ? ORDER BY hour_ms DESC LIMIT 1 OFFSET ?)",
        (agent_id, agent_id, MOST_AGENT_HOURS),
    )
    return True


def forget(db: sqlite3.Connection, *, before_ms: int) -> int:
    """Drop the counts of hours before `before_ms`; how many there were."""
    return db.execute("DELETE FROM score_counts WHERE hour_ms < ?", (before_ms,)).rowcount


def quiet_hours(db: sqlite3.Connection, *, group: str, model_digest: str, since_ms: int) -> tuple[Tally, ...]:
    """What the agents of `group` counted under a model since `since_ms`, without attacks, oldest first."""
    kept: dict[tuple[str, int], list[Tally]] = {}
    for row in db.execute(
        "SELECT * FROM score_counts WHERE model_digest = ? AND hour_ms >= ? AND agent_id IN "
        '(SELECT agent_id FROM agents WHERE "group" = ?) ORDER BY hour_ms, agent_id',
        (model_digest, since_ms, group),
    ):
        try:
            tally = _read(row)
        except (DecodeError, histogram.HistogramError):
            continue
        kept.setdefault((tally.agent_id, tally.hour_ms), []).append(tally)
    known = _attacks(db, group=group, model_digest=model_digest, since_ms=since_ms)
    return tuple(_without(_joined(parts), known.get(key, ())) for key, parts in kept.items())


def together(tallies: Iterable[Tally]) -> Quiet:
    """The sum of `tallies`. An hour that several agents counted is covered as far as one of them did."""
    known = tuple(tallies)
    covered: dict[int, int] = {}
    for tally in known:
        covered[tally.hour_ms] = max(covered.get(tally.hour_ms, 0), tally.covered_ms)
    return Quiet(
        flows=histogram.merge(tally.flows for tally in known),
        weighed=histogram.merge(tally.weighed for tally in known),
        sources=histogram.merge(tally.sources for tally in known),
        targets=histogram.merge(tally.targets for tally in known),
        hours=len(covered),
        covered_ms=sum(covered.values()),
    )


@dataclass(frozen=True, slots=True)
class _Attack:
    """One alert of an attack, as it was counted."""

    place: int
    weighed: bool
    source: tuple[str, int]
    target: tuple[str, int]


def _attacks(
    db: sqlite3.Connection, *, group: str, model_digest: str, since_ms: int
) -> dict[tuple[str, int], list[_Attack]]:
    """Alerts of attacks by the agent and hour they were counted in."""
    marks = ", ".join("?" for _ in ATTACKS)
    found: dict[tuple[str, int], list[_Attack]] = {}
    rows = db.execute(
        "SELECT alerts.agent_id, counted_ms, weighed, score, alerts.src_ip, alerts.dst_ip, alerts.last_seen_ms "  # noqa: S608 - marks only
        "FROM alerts JOIN incidents ON incidents.id = alerts.incident_id "
        "WHERE counted_ms >= ? AND model_digest = ? AND alerts.verdict IS NOT 'benign' "
        'AND alerts.agent_id IN (SELECT agent_id FROM agents WHERE "group" = ?) '
        "AND incidents.verdict IS NOT 'benign' AND (alerts.verdict = 'malicious' "
        f"OR incidents.kind IN ({marks}) OR EXISTS (SELECT 1 FROM alerts AS other "
        "WHERE other.incident_id = incidents.id AND other.verdict = 'malicious'))",
        (since_ms, model_digest, group, *ATTACKS),
    )
    for row in rows:
        window = row["last_seen_ms"] // WINDOW_MS
        place = int(histogram.places(np.array([row["score"]], dtype=np.float32))[0])
        attack = _Attack(place, bool(row["weighed"]), (row["src_ip"], window), (row["dst_ip"], window))
        found.setdefault((row["agent_id"], row["counted_ms"]), []).append(attack)
    return found


def _without(tally: Tally, attacks: Iterable[_Attack]) -> Tally:
    known = tuple(attacks)
    if not known:
        return tally
    return Tally(
        agent_id=tally.agent_id,
        hour_ms=tally.hour_ms,
        covered_ms=tally.covered_ms,
        flows=histogram.subtract(tally.flows, _bins(attack.place for attack in known)),
        weighed=histogram.subtract(tally.weighed, _bins(attack.place for attack in known if attack.weighed)),
        sources=histogram.subtract(tally.sources, _strongest((attack.source, attack.place) for attack in known)),
        targets=histogram.subtract(tally.targets, _strongest((attack.target, attack.place) for attack in known)),
    )


def _strongest(found: Iterable[tuple[tuple[str, int], int]]) -> NDArray[np.int64]:
    highest: dict[tuple[str, int], int] = {}
    for window, place in found:
        highest[window] = max(highest.get(window, 0), place)
    return _bins(highest.values())


def _bins(places: Iterable[int]) -> NDArray[np.int64]:
    return np.bincount(np.fromiter(places, dtype=np.int64), minlength=histogram.BINS).astype(np.int64)


def _joined(parts: list[Tally]) -> Tally:
    """One hour of one agent over several runs of its sensor."""
    if len(parts) == 1:
        return parts[0]
    sums = together(parts)
    covered = sum(part.covered_ms for part in parts)
    return Tally(parts[0].agent_id, parts[0].hour_ms, covered, sums.flows, sums.weighed, sums.sources, sums.targets)


def _read(row: sqlite3.Row) -> Tally:
    message = batch_pb2.ScoreCounts.FromString(row["counts"])
    covered_ms = min(max(int(message.covered_ms), LEAST_MS), 365 * DAY_MS)
    return Tally(row["agent_id"], row["hour_ms"], covered_ms, *_unpacked(message))


def _unpacked(message: batch_pb2.ScoreCounts) -> tuple[NDArray[np.int64], ...]:
    parts = (message.flows, message.weighed, message.sources, message.targets)
    return tuple(histogram.unpack(part.bins, part.counts) for part in parts)


def _crowded(db: sqlite3.Connection, agent_id: str, message: batch_pb2.ScoreCounts) -> bool:
    known = db.execute(
        "SELECT run, model_digest FROM score_counts WHERE agent_id = ? AND hour_ms = ?", (agent_id, message.hour_ms)
    ).fetchall()
    return len(known) >= MOST_OF_HOUR and (message.run, message.model_digest) not in map(tuple, known)


def _problem(message: batch_pb2.ScoreCounts, now_ms: int) -> tuple[str, int]:
    """What is wrong with counts of an agent, or nothing; and how many flows they count."""
    if not EPOCH.fullmatch(message.run) or not DIGEST.fullmatch(message.model_digest):
        return "run or model is no digest", 0
    if message.hour_ms % HOUR_MS or not 0 < message.hour_ms <= now_ms + HOUR_MS:
        return f"hour {message.hour_ms} is none, or lies in the future; set the agent's clock", 0
    try:
        flows, weighed, sources, targets = (int(part.sum()) for part in _unpacked(message))
    except histogram.HistogramError as error:
        return str(error), 0
    if max(weighed, sources, targets) > flows:
        return "more weigh, or more host-windows, than there are flows", 0
    return "", flows
