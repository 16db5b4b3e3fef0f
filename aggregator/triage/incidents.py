"""Alerts that belong together: a pure function of the set of alerts. The order of arrival does not matter.

Six rules, strongest first; an alert falls under the first that holds for it. A *chain* is a run of alerts, sorted by
time, in which no pause is longer than `GAP_MS`.

1. `source`: in a chain of alerts of one source, its probes reach many different targets on several hosts. One scan,
   one incident. Probes belong to it, and everything else with a host of which it tried many ports.
2. `target`: within `CROWD_MS` many different hosts send to one host. One flood, one incident, with spoofed sources and
   reflectors too. What the victim answers to them belongs to it.
3. `logins`: one source converses with services that take passwords or commands, on several hosts.
4. `lasting`: two hosts with much between them: several alerts on one service that are no probes, several ports tried,
   many alerts or many packets. A beacon, a brute force, a scan of one host, a tunnel stays by itself, whatever else its
   hosts do.
5. `roaming`: one source, many hosts: what is left of its alerts.
6. `pair`: what is left between two hosts, whoever spoke first.

Between two hosts, alerts on the same service belong together over pauses of up to `SLOW_GAP_MS`: a beacon may be slow.
ICMP messages that a host sends back for other packets follow the alerts of those packets.

Whether a rule holds depends on counts that adding alerts only makes larger. So an alert only ever moves to a stronger
rule, alerts of one incident that stay under its rule stay together, and incidents grow and merge: that is what lets
grouping.py keep their ids while it looks only at the neighbourhood of what is new.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from aggregator.triage.kinds import (
    BEACON,
    EXFILTRATION,
    FLOOD,
    HOST_SWEEP,
    KINDS,
    NETWORK_SCAN,
    PASSWORD_GUESSING,
    PORT_SCAN,
    REMOTE_ADMINISTRATION,
    SINGLE_FLOW,
    TUNNEL,
    UNUSUAL_EXCHANGE,
    WEB_SCAN,
    Summary,
    summarise,
)
from aggregator.triage.points import (
    ADMINISTRATION,
    ICMP,
    PASSWORDS,
    TRAITS,
    Point,
    answers,
    is_group,
    of_flows,
    probes,
    service,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "BEACON", "EXFILTRATION", "FLOOD", "GAP_MS", "HOST_SWEEP", "KINDS", "NETWORK_SCAN", "PASSWORD_GUESSING",
    "PORT_SCAN", "REMOTE_ADMINISTRATION", "RULES", "SINGLE_FLOW", "SLOW_GAP_MS", "TRAITS", "TUNNEL", "UNUSUAL_EXCHANGE",
    "WEB_SCAN", "Group", "Point", "Summary", "group", "of_flows", "summarise",
]  # fmt: skip

Key = TypeVar("Key")

Rule = Literal["source", "target", "logins", "lasting", "roaming", "pair"]

RULES: Final[tuple[Rule, ...]] = ("source", "target", "logins", "lasting", "roaming", "pair")
"""Strongest first."""

GAP_MS: Final = 3_600_000
"""A longer silence ends an incident,"""

SLOW_GAP_MS: Final = 12 * GAP_MS
"""unless it is between two hosts and on the same service."""

CROWD_MS: Final = 60_000
"""`MANY_SOURCES` within so long are one doing."""

MANY_TARGETS: Final = 5
"""Different (host, port) that probes of one source reach before they are taken as one doing."""

SEVERAL_HOSTS: Final = 2
"""Hosts a scan must touch to be more than an exchange between two."""

MANY_SOURCES: Final = 5
MANY_HOSTS: Final = 5
SEVERAL_LOGINS: Final = 3
"""Hosts whose services for passwords or commands one source uses before that is taken as one doing."""

MANY_FLOWS: Final = 5
"""Alerts that are no probes, between two hosts on one service, before they stand by themselves,"""

MANY_ALERTS: Final = 20
"""or of alerts of any sort,"""

MANY_PACKETS: Final = 100
"""or packets in all of them."""


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts of one incident. `anchor` is the source, the target, or `host>host`; members are sorted by time."""

    rule: Rule
    anchor: str
    members: tuple[Point, ...]


Claims = dict[int, tuple[Rule, str, int]]
"""The rule, anchor and chain of a point, by its id."""


def group(points: Iterable[Point]) -> tuple[Group, ...]:
    """The incidents formed by `points`, ordered by their first alert."""
    ordered = sorted(points, key=lambda point: (point.first_seen_ms, point.last_seen_ms, point.id))
    exchanges = _exchanges(ordered)
    claims: Claims = {}
    by_source = _by(ordered, lambda point: None if answers(point) else point.src_ip)
    for step in (
        _scans(by_source),
        _floods(ordered),
        _logins(by_source),
        _lasting(exchanges),
        _roaming(by_source),
        (("pair", pair(members[0]), members) for members in exchanges),
    ):
        for number, (rule, anchor, members) in enumerate(step):
            for point in members:
                claims.setdefault(point.id, (rule, anchor, number))
    _follow(exchanges, claims)
    groups: dict[tuple[Rule, str, int], list[Point]] = defaultdict(list)
    for point in ordered:
        groups[claims[point.id]].append(point)
    return tuple(Group(rule, anchor, tuple(members)) for (rule, anchor, _), members in groups.items())


def pair(point: Point) -> str:
    """The anchor of two hosts, whoever spoke first."""
    return ">".join(sorted((point.src_ip, point.dst_ip)))


Claim = tuple[Rule, str, "list[Point]"]


def _scans(by_source: dict[str, list[Point]]) -> Iterator[Claim]:
    for source, points in by_source.items():
        for chain in _chains(points):
            tried = [point for point in chain if probes(point)]
            ports = _ports_tried(tried)
            known = any(_was(point, "source", source) for point in chain)
            if not known and (len(ports) < SEVERAL_HOSTS or sum(map(len, ports.values())) < MANY_TARGETS):
                continue
            searched = {host for host, tries in ports.items() if len(tries) >= MANY_TARGETS}
            found = [p for p in chain if probes(p) or p.dst_ip in searched or _was(p, "source", source)]
            yield "source", source, found


def _ports_tried(tried: Sequence[Point]) -> dict[str, set[tuple[int, int]]]:
    ports: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for point in tried:
        ports[point.dst_ip].add((point.protocol, point.dst_port))
    return ports


def _floods(ordered: Sequence[Point]) -> Iterator[Claim]:
    """Crowds at a victim. An answer counts with its server first, which a flood makes answer, then with its client."""
    to_server = _by(ordered, lambda point: point.src_ip if answers(point) else _single(point.dst_ip))
    to_client = _by(ordered, lambda point: _single(point.dst_ip))
    crowds: dict[int, str] = {}
    for roles, peer in ((to_server, _peer), (to_client, _source)):
        for host, points in roles.items():
            for point in _crowd(points, host, peer):
                crowds.setdefault(point.id, host)
    victims: dict[str, list[Point]] = defaultdict(list)
    for point in ordered:
        if point.id in crowds:
            victims[crowds[point.id]].append(point)
    for host, members in victims.items():
        wanted = {point.id for point in members}
        around = {point.id: point for point in (*to_server.get(host, ()), *to_client.get(host, ()))}
        for chain in _chains(sorted(around.values(), key=lambda p: (p.first_seen_ms, p.last_seen_ms, p.id))):
            found = [point for point in chain if point.id in wanted]
            if found:
                yield "target", host, found


def _crowd(points: Sequence[Point], host: str, peer: Callable[[Point], str]) -> Iterator[Point]:
    """Points of every `CROWD_MS` in which many different peers appear; `points` are sorted by time."""
    inside: dict[str, int] = defaultdict(int)
    first = marked = 0
    for last, point in enumerate(points):
        inside[peer(point)] += 1
        while point.first_seen_ms - points[first].first_seen_ms > CROWD_MS:
            gone = peer(points[first])
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        if len(inside) >= MANY_SOURCES:
            yield from points[max(first, marked) : last + 1]
            marked = last + 1
        elif _was(point, "target", host):
            yield point


def _logins(by_source: dict[str, list[Point]]) -> Iterator[Claim]:
    for source, points in by_source.items():
        asking = [
            point
            for point in points
            if not probes(point) and (point.dst_port in PASSWORDS or point.dst_port in ADMINISTRATION)
        ]
        for chain in _chains(asking):
            known = any(_was(point, "logins", source) for point in chain)
            if known or len({point.dst_ip for point in chain}) >= SEVERAL_LOGINS:
                yield "logins", source, chain


def _lasting(exchanges: Iterable[list[Point]]) -> Iterator[Claim]:
    for members in exchanges:
        counts: dict[tuple[int, int], int] = defaultdict(int)
        for point in members:
            if not probes(point):
                counts[service(point)] += 1
        anchor = pair(members[0])
        if (
            max(counts.values(), default=0) >= MANY_FLOWS
            or len(members) >= MANY_ALERTS
            or sum(point.packets for point in members) >= MANY_PACKETS
            or len({(point.dst_ip, *service(point)) for point in members if probes(point)}) >= MANY_TARGETS
            or any(_was(point, "lasting", anchor) for point in members)
        ):
            yield "lasting", anchor, members


def _roaming(by_source: dict[str, list[Point]]) -> Iterator[Claim]:
    for source, points in by_source.items():
        for chain in _chains(points):
            known = any(_was(point, "roaming", source) for point in chain)
            if known or len({point.dst_ip for point in chain}) >= MANY_HOSTS:
                yield "roaming", source, chain


def _exchanges(ordered: Sequence[Point]) -> list[list[Point]]:
    """What two hosts had with each other: no pause over `GAP_MS`, or on one service over `SLOW_GAP_MS`."""
    found: list[list[Point]] = []
    for points in _by(ordered, pair).values():
        if len(points) == 1:
            found.append(points)
            continue
        parts = list(_chains(points))
        place = {point.id: number for number, part in enumerate(parts) for point in part}
        joined = list(range(len(parts)))

        def root(number: int, joined: list[int] = joined) -> int:
            while joined[number] != number:
                number = joined[number]
            return number

        if len(parts) > 1:
            for same in _by(points, service).values():
                for chain in _chains(same, SLOW_GAP_MS):
                    for one, other in pairwise(chain):
                        low, high = sorted((root(place[one.id]), root(place[other.id])))
                        joined[high] = low
        together: dict[int, list[Point]] = defaultdict(list)
        for point in points:
            together[root(place[point.id])].append(point)
        found.extend(together.values())
    return found


def _follow(exchanges: Iterable[list[Point]], claims: Claims) -> None:
    """ICMP that came back for other packets of an exchange goes where those went: the strongest, then the earliest."""
    for members in exchanges:
        if len(members) == 1 or not any(point.protocol in ICMP for point in members):
            continue
        asked: dict[str, tuple[Rule, str, int]] = {}
        for point in members:
            if point.protocol in ICMP:
                continue
            claim, held = claims[point.id], asked.get(point.dst_ip)
            if held is None or RULES.index(claim[0]) < RULES.index(held[0]):
                asked[point.dst_ip] = claim
        for point in members:
            if point.protocol in ICMP and point.silent and point.src_ip in asked:
                claims[point.id] = asked[point.src_ip]


def _chains(points: Sequence[Point], gap_ms: int = GAP_MS) -> Iterator[list[Point]]:
    """Runs without a pause longer than `gap_ms` among `points`, which are sorted by time."""
    run: list[Point] = []
    until = 0
    for point in points:
        if run and point.first_seen_ms - until > gap_ms:
            yield run
            run = []
        until = max(until, point.last_seen_ms) if run else point.last_seen_ms
        run.append(point)
    if run:
        yield run


def _by(points: Iterable[Point], key: Callable[[Point], Key | None]) -> dict[Key, list[Point]]:
    found: dict[Key, list[Point]] = defaultdict(list)
    for point in points:
        where = key(point)
        if where is not None:
            found[where].append(point)
    return found


def _was(point: Point, rule: Rule, anchor: str) -> bool:
    """It is in an incident of that rule already: part of what made it one may be out of sight by now."""
    return point.rule == rule and point.anchor == anchor


def _single(address: str) -> str | None:
    return None if is_group(address) else address


def _peer(point: Point) -> str:
    return point.dst_ip if answers(point) else point.src_ip


def _source(point: Point) -> str:
    return point.src_ip
