"""Alerts that belong together: a pure function of the set of alerts. The order of arrival does not matter.

Three rules, tried in this order for every alert. An *episode* is a run of alerts, sorted by time, in which no pause is
longer than `GAP_MS`.

1. `source`: the episode of alerts from the same source reaches many different targets (host and port). One scan, one
   incident, however many ports or hosts it touches.
2. `target`: the episode of alerts to the same responder comes from many different sources. One flood, one incident.
3. `pair`: the episode of alerts from one host to another.

Which rule an alert falls under depends only on its source's episode and its target's episode, and adding alerts only
ever makes episodes longer and rules 1 and 2 more true. So incidents grow and merge, and never fall apart: that is what
lets grouping.py keep their ids while it looks only at the neighbourhood of what is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal

from aggregator.rows import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Rule = Literal["source", "target", "pair"]

GAP_MS: Final = 600_000
"""A longer silence ends an episode."""

MANY_TARGETS: Final = 5
"""Different (host, port) one source reaches in an episode before it is taken as one doing."""

MANY_SOURCES: Final = 5
"""Different sources that reach one host in an episode before they are taken as one doing."""

FEW_PACKETS: Final = 6
"""A flow of at most so many packets carried no conversation: a probe, or a failed one."""


@dataclass(frozen=True, slots=True)
class Point:
    """What grouping needs of an alert. `rule` is that of the incident it is in already, if any."""

    id: int
    src_ip: str
    dst_ip: str
    dst_port: int
    first_seen_ms: int
    last_seen_ms: int
    incident_id: int | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts of one incident. `anchor` is the source, the target, or `source>target`; members are sorted."""

    rule: Rule
    anchor: str
    members: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """An incident in numbers. `probes` are alerts of flows with few packets; single values are None when several."""

    rule: str
    alerts: int
    probes: int
    sources: int
    targets: int
    ports: int
    src_ip: str | None
    dst_ip: str | None
    dst_port: int | None


def group(points: Iterable[Point]) -> tuple[Group, ...]:
    """The incidents formed by `points`, ordered by their first alert."""
    ordered = sorted(points, key=lambda point: (point.first_seen_ms, point.last_seen_ms, point.id))
    scanning = {
        point.id
        for episode in _episodes(ordered, attrgetter("src_ip"))
        if any(point.rule == "source" for point in episode)
        or len({(point.dst_ip, point.dst_port) for point in episode}) >= MANY_TARGETS
        for point in episode
    }
    flooded = {
        point.id
        for episode in _episodes(ordered, attrgetter("dst_ip"))
        if any(point.rule == "target" for point in episode) or len({point.src_ip for point in episode}) >= MANY_SOURCES
        for point in episode
    }
    flooded -= scanning
    by_source = [point for point in ordered if point.id in scanning]
    by_target = [point for point in ordered if point.id in flooded]
    by_pair = [point for point in ordered if point.id not in scanning and point.id not in flooded]
    groups = [
        *(Group("source", members[0].src_ip, members) for members in _episodes(by_source, attrgetter("src_ip"))),
        *(Group("target", members[0].dst_ip, members) for members in _target_episodes(ordered, by_target)),
        *(Group("pair", pair(members[0]), members) for members in _episodes(by_pair, pair)),
    ]
    return tuple(sorted(groups, key=lambda found: (found.members[0].first_seen_ms, found.members[0].id)))


def pair(point: Point) -> str:
    """The anchor of rule `pair`."""
    return f"{point.src_ip}>{point.dst_ip}"


def describe(facts: Facts) -> tuple[str, str]:
    """The kind of an incident, and one plain sentence for its title."""
    src, dst = facts.src_ip or f"{facts.sources} sources", facts.dst_ip or f"{facts.targets} hosts"
    probing = facts.probes * 2 >= facts.alerts
    if facts.rule == "target":
        if probing:
            return "flood", f"{facts.sources} sources sent a flood of short flows to {dst}"
        return "many sources, one target", f"{facts.sources} sources sent strange flows to {dst}"
    if facts.rule == "source" or facts.ports >= MANY_TARGETS:
        if facts.targets == 1:
            verb = "tried" if probing else "used"
            return "port scan" if probing else "many ports, one host", f"{src} {verb} {facts.ports} ports of {dst}"
        if not probing:
            return "one source, many targets", f"{src} had strange exchanges with {facts.targets} hosts"
        if facts.ports == 1:
            how = f"tried port {facts.dst_port} of" if facts.dst_port else "tried to reach"
            return "host sweep", f"{src} {how} {facts.targets} hosts"
        return "network scan", f"{src} tried {facts.ports} ports on {facts.targets} hosts"
    where = f"{dst} port {facts.dst_port}" if facts.dst_port else dst
    if facts.alerts == 1:
        return "single flow", f"One strange flow from {src} to {where}"
    if facts.alerts >= 10 and facts.ports == 1:
        return "repeated connections", f"{src} connected {facts.alerts} times to {where}"
    return "unusual exchange", f"{facts.alerts} strange flows from {src} to {where}"


def strongest_reasons(alerts: Sequence[tuple[Reason, ...]], *, limit: int = 5) -> tuple[Reason, ...]:
    """The features that matter most over several alerts (given strongest first): mean share, words of the strongest."""
    shares: dict[str, float] = {}
    words: dict[str, Reason] = {}
    for reasons in alerts:
        for reason in reasons:
            shares[reason.feature] = shares.get(reason.feature, 0.0) + reason.share / len(alerts)
            words.setdefault(reason.feature, reason)
    best = sorted(shares, key=lambda feature: (-shares[feature], feature))[:limit]
    return tuple(
        Reason(feature, words[feature].observed, words[feature].expected, shares[feature], words[feature].text)
        for feature in best
    )


def _episodes(ordered: Sequence[Point], key: Callable[[Point], str]) -> Iterator[tuple[Point, ...]]:
    """Runs without a pause longer than `GAP_MS` among the points with the same key. `ordered` is sorted by time."""
    for _, same in groupby(sorted(ordered, key=key), key=key):  # sorted() is stable: time order stays
        run: list[Point] = []
        until = 0
        for point in same:
            if run and point.first_seen_ms - until > GAP_MS:
                yield tuple(run)
                run = []
            until = max(until, point.last_seen_ms) if run else point.last_seen_ms
            run.append(point)
        if run:
            yield tuple(run)


def _target_episodes(ordered: Sequence[Point], by_target: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    """What scans left of each target's episodes.

    The episode is that of all alerts to the target: a scan that touched it too must not tear its incident in two.
    """
    left = {point.id for point in by_target}
    hosts = {point.dst_ip for point in by_target}
    for episode in _episodes([point for point in ordered if point.dst_ip in hosts], attrgetter("dst_ip")):
        members = tuple(point for point in episode if point.id in left)
        if members:
            yield members
