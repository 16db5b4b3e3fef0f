"""Alerts of one incident as conversations, and the conversations as figures. Pure.

A meter cuts a long flow into records, and each record may raise an alert of its own. Records of one five-tuple that
follow each other are one conversation here, whichever side the record calls its source. Everything that is counted
about an incident is counted in conversations, unless it says alerts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, hypot, pi, sin
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING, Final

from aggregator.triage.points import ADMINISTRATION, AMPLIFIERS, ICMP, TCP, UDP, Point, answers, is_group, probes

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

RECORD_GAP_MS: Final = 600_000
"""A longer pause between two records of one five-tuple: the port was used again."""

REST_MS: Final = 5_000
"""After a longer rest within a conversation its side speaks anew; a shorter one is where a meter cut."""

CLOSE: Final = 0.25
EQUAL: Final = 0.05
"""Distances, and loads, that differ from their median by at most so much of it are taken as equal."""

BURST_MS: Final = 60_000
DYNAMIC: Final = 49_152
"""First of the ports that a system hands out by itself (RFC 6335)."""

LONG_MS: Final = 10_000
THIN_BYTES: Final = 4_000
"""A connection held open and starved carries at most so much from its client,"""

THIN_RATE: Final = 200
"""and at most so many bytes a second."""


@dataclass(slots=True)
class Conversation:
    """One five-tuple's records together. Times in milliseconds, sizes in bytes; `out` is from the client."""

    client: str
    server: str
    protocol: int
    port: int
    client_port: int
    first_ms: int
    last_ms: int
    records: int = 0
    packets: int = 0
    out_packets: int = 0
    out_bytes: int = 0
    in_bytes: int = 0
    answered: bool = False
    probe: bool = True
    answering: bool = True
    deviation: float = 0.0
    starts: list[int] = field(default_factory=list)

    @property
    def service(self) -> tuple[int, int]:
        """Protocol and port of the server."""
        return self.protocol, self.port

    @property
    def thin(self) -> bool:
        """Long, and next to nothing was sent."""
        length_ms = self.last_ms - self.first_ms
        return (
            self.protocol == TCP
            and length_ms >= LONG_MS
            and self.out_bytes <= THIN_BYTES
            and self.out_bytes + self.in_bytes <= THIN_RATE * length_ms / 1000
        )

    def add(self, point: Point) -> None:
        """Take in one more record."""
        turned = (answers(point) and point.src_ip == self.server) or (
            not answers(point) and point.src_ip != self.client
        )
        if not self.starts or point.first_seen_ms - self.last_ms > REST_MS:
            self.starts.append(point.first_seen_ms)
        sent, received = (point.dst_bytes, point.src_bytes) if turned else (point.src_bytes, point.dst_bytes)
        self.first_ms, self.last_ms = min(self.first_ms, point.first_seen_ms), max(self.last_ms, point.last_seen_ms)
        self.records += 1
        self.packets += point.packets
        self.out_packets += point.packets - point.src_packets if turned else point.src_packets
        self.out_bytes += sent
        self.in_bytes += received
        self.answered |= not point.silent and not point.refused
        self.probe &= probes(point)
        self.answering &= answers(point)
        self.deviation = max(self.deviation, point.deviation)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How regularly one client came back to one service: starts, their mean distance, its variation, and fit.

    A start is that of a conversation, or that of a new turn in one that rests in between.

    `fit` is 1 when every distance is a multiple of one period and 0 when none is: only a part of the connections may
    have raised alerts. `period_ms` is that period. `steadiness` is the share of distances close to the median, which a
    few calls out of turn hardly change.
    """

    client: str = ""
    server: str = ""
    starts: int = 0
    span_ms: int = 0
    mean_ms: float = 0.0
    variation: float = 0.0
    period_ms: float = 0.0
    fit: float = 0.0
    steadiness: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """An incident in figures. Shares are 0 to 1; `main_*` is of the service with the most conversations."""

    rule: str = "pair"
    alerts: int = 0
    conversations: int = 0
    clients: int = 0
    servers: int = 0
    senders: int = 0
    others: int = 0
    endpoints: int = 0
    ports: int = 0
    client: str | None = None
    server: str | None = None
    victim: str = ""
    first_ms: int = 0
    last_ms: int = 0
    probes: float = 0.0
    unanswered: float = 0.0
    answering: float = 0.0
    peak_per_minute: int = 0
    packets: int = 0
    out_packets: int = 0
    out_bytes: int = 0
    in_bytes: int = 0
    protocol: int = TCP
    port: int = 0
    main_share: float = 0.0
    main_packets: int = 0
    main_out_packets: int = 0
    main_out_bytes: int = 0
    main_in_bytes: int = 0
    main_servers: int = 0
    main_answered: int = 0
    services: frozenset[tuple[int, int]] = frozenset()
    commands: float = 0.0
    longest_ms: int = 0
    biggest_packets: int = 0
    open_at_once: int = 0
    query_bytes: float = 0.0
    probe_bytes: float = 0.0
    reply_bytes: float = 0.0
    alike: float = 0.0
    deviation: float = 0.0
    reflected: float = 0.0
    rhythm: Rhythm = Rhythm()

    @property
    def span_ms(self) -> int:
        """From the first packet to the last."""
        return self.last_ms - self.first_ms

    @property
    def per_minute(self) -> float:
        """Conversations a minute over the whole span, at least one minute."""
        return self.conversations / max(self.span_ms / 60_000, 1.0)

    @property
    def packets_per_second(self) -> float:
        """Over the whole span, at least one second."""
        return self.packets / max(self.span_ms / 1000, 1.0)


def conversations(points: Iterable[Point]) -> tuple[Conversation, ...]:
    """The conversations of `points`, by their first packet."""
    running: dict[tuple[object, ...], Conversation] = {}
    found: list[Conversation] = []
    for point in sorted(points, key=lambda one: (one.first_seen_ms, one.last_seen_ms, one.id)):
        ends = sorted(((point.src_ip, point.src_port), (point.dst_ip, point.dst_port)))
        numbered = point.src_port or point.protocol not in {TCP, UDP}
        key = (point.protocol, *ends) if numbered else (point.id,)
        held = running.get(key)
        if held is None or point.first_seen_ms - held.last_ms > RECORD_GAP_MS:
            turned = answers(point)
            client, server = (point.dst_ip, point.src_ip) if turned else (point.src_ip, point.dst_ip)
            near, far = (point.dst_port, point.src_port) if turned else (point.src_port, point.dst_port)
            held = running[key] = Conversation(
                client, server, point.protocol, far, near, point.first_seen_ms, point.last_seen_ms
            )
            found.append(held)
        held.add(point)
    return tuple(found)


def weigh(points: Sequence[Point], rule: str) -> Facts:
    """The figures of an incident with these alerts (at least one)."""
    every = conversations(points)
    # ICMP that came back for other packets says how those fared; it is no conversation of its own.
    asked = {(one.client, one.server) for one in every if one.protocol not in ICMP}
    found = [one for one in every if one.protocol not in ICMP or (one.server, one.client) not in asked] or every
    found, others = _principal(found, rule)
    by_service = Counter(one.service for one in found)
    (main, most) = max(by_service.items(), key=lambda item: (item[1], item[0]))
    of_main = [one for one in found if one.service == main]
    clients, servers = {one.client for one in found}, {one.server for one in found}
    amplified = [one for one in found if one.protocol == UDP and (one.port in AMPLIFIERS) and one.answering]
    out_packets = sum(one.out_packets for one in of_main)
    in_packets = sum(one.packets for one in of_main) - out_packets
    hosts = Counter(host for one in found for host in {one.client, one.server})
    victim = max(hosts, key=lambda host: (hosts[host], host))
    return Facts(
        rule=rule,
        alerts=len(points),
        conversations=len(found),
        clients=len(clients),
        servers=len(servers),
        endpoints=len({(one.server, one.service) for one in found}),
        ports=len(by_service),
        client=min(clients) if len(clients) == 1 else None,
        server=min(servers) if len(servers) == 1 else None,
        senders=len(hosts) - 1,
        others=others,
        victim=victim,
        first_ms=min(one.first_ms for one in every),
        last_ms=max(one.last_ms for one in every),
        probes=_share(one.probe for one in found),
        unanswered=_share(not one.answered for one in found),
        answering=_share(one.answering for one in found),
        peak_per_minute=_peak([one.first_ms for one in found]),
        packets=sum(one.packets for one in found),
        out_packets=sum(one.out_packets for one in found),
        out_bytes=sum(one.out_bytes for one in found),
        in_bytes=sum(one.in_bytes for one in found),
        protocol=main[0],
        port=main[1],
        main_share=most / len(found),
        main_packets=out_packets + in_packets,
        main_out_packets=out_packets,
        main_out_bytes=sum(one.out_bytes for one in of_main),
        main_in_bytes=sum(one.in_bytes for one in of_main),
        main_servers=len({one.server for one in of_main}),
        main_answered=sum(one.answered and not one.probe for one in of_main),
        services=frozenset(by_service),
        commands=_share(_commands(one, by_service) for one in found),
        longest_ms=max(one.last_ms - one.first_ms for one in found),
        biggest_packets=max(one.packets for one in of_main),
        open_at_once=_open_at_once([one for one in of_main if one.thin]),
        query_bytes=sum(one.out_bytes for one in of_main) / max(out_packets, 1),
        probe_bytes=_mean_packet([one for one in found if not one.answered]),
        reply_bytes=sum(one.in_bytes for one in of_main) / max(in_packets, 1),
        alike=_around_median([float(one.out_bytes) for one in of_main], EQUAL),
        deviation=max(one.deviation for one in of_main),
        reflected=len(amplified) / len(found),
        rhythm=_rhythm(found),
    )


def _principal(found: Sequence[Conversation], rule: str) -> tuple[list[Conversation], int]:
    """The conversations of the client that has most of them, and how many others there are. A flood has no such client.

    Between two hosts some conversations go the other way, and what a scanned host sends itself is no part of the scan.
    """
    if rule == "target":
        return list(found), 0
    asked = Counter(one.client for one in found)
    loads: Counter[str] = Counter()
    for one in found:
        loads[one.client] += one.out_bytes + one.in_bytes
    many = max(asked.values())
    # Among those with about as many, the one whose conversations carried most.
    most = max((client for client in asked if 2 * asked[client] >= many), key=lambda client: (loads[client], client))
    held = [one for one in found if one.client == most]
    return held, len(found) - len(held)


def _commands(one: Conversation, beside: Container[tuple[int, int]]) -> bool:
    """A service that runs commands, or a port of RPC's own choosing beside RPC or SMB."""
    if one.protocol != TCP:
        return False
    rpc = (TCP, 135) in beside or (TCP, 445) in beside
    return one.port in ADMINISTRATION or (one.port >= DYNAMIC and rpc)


def _mean_packet(found: Sequence[Conversation]) -> float:
    """Mean size of what their clients sent, in bytes."""
    return sum(one.out_bytes for one in found) / max(sum(one.out_packets for one in found), 1)


def _share(truths: Iterable[bool]) -> float:
    held = list(truths)
    return sum(held) / len(held)


def _peak(starts: list[int]) -> int:
    starts.sort()
    most = first = 0
    for last, start in enumerate(starts):
        while start - starts[first] > BURST_MS:
            first += 1
        most = max(most, last - first + 1)
    return most


def _open_at_once(held: Sequence[Conversation]) -> int:
    turns = sorted([(one.first_ms, 1) for one in held] + [(one.last_ms, -1) for one in held])
    most = now = 0
    for _, step in turns:
        now += step
        most = max(most, now)
    return most


def _variation(values: Sequence[float]) -> float:
    """Standard deviation over mean; 0 for a single value."""
    mean = fmean(values)
    return pstdev(values) / mean if mean > 0 and len(values) > 1 else 0.0


def _around_median(values: Sequence[float], within: float) -> float:
    """The share of values that differ from their median by at most a fraction `within` of it."""
    middle = median(values)
    return sum(abs(value - middle) <= within * middle for value in values) / len(values)


def _rhythm(found: Sequence[Conversation]) -> Rhythm:
    starts: dict[tuple[str, str, int, int], list[int]] = defaultdict(list)
    for one in found:
        if one.answered and not is_group(one.server):
            starts[one.client, one.server, one.protocol, one.port] += one.starts
    rhythms = [measure(sorted(times), key[0], key[1]) for key, times in starts.items() if len(times) > 2]
    return max(rhythms, key=lambda one: (one.starts, one.client, one.server), default=Rhythm())


def measure(times: Sequence[int], client: str = "", server: str = "") -> Rhythm:
    """The rhythm of start times in milliseconds, sorted. Starts within a second of each other count once.

    Fit is the resultant length of the distances as angles on a circle of one period (Rayleigh), with the period taken
    as the mean of the distances close to the shortest.
    """
    kept = [times[0]]
    kept += [later for earlier, later in pairwise(times) if later - earlier >= 1000]
    distances = [float(later - earlier) for earlier, later in pairwise(kept)]
    if not distances:
        return Rhythm(client, server, len(kept))
    shortest = min(distances)
    period = fmean(value for value in distances if value <= 1.4 * shortest)
    angles = [2 * pi * value / period for value in distances]
    fit = hypot(fmean(map(cos, angles)), fmean(map(sin, angles)))
    return Rhythm(
        client,
        server,
        len(kept),
        kept[-1] - kept[0],
        fmean(distances),
        _variation(distances),
        period,
        fit,
        _around_median(distances, CLOSE),
    )
