"""What an incident is, in plain words: a table of rules over its figures, first match wins. Pure.

A kind is decided from the flows that raised alerts, which may be a part of what happened: thresholds are low enough for
a third of an attack's flows. The kinds that alarm a person ask for much evidence, and what fits none of them is an
"unusual exchange", or a "single flow". docs/incidents.md explains every rule; a test holds it to this table.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aggregator.triage.conversations import Facts, weigh
from aggregator.triage.evidence import beside, sentences, title
from aggregator.triage.points import ADMINISTRATION, AMPLIFIERS, ICMP, PASSWORDS, TCP, UDP, WEB, is_group, service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aggregator.triage.points import Point

PORT_SCAN: Final = "port scan"
HOST_SWEEP: Final = "host sweep"
NETWORK_SCAN: Final = "network scan"
WEB_SCAN: Final = "web scan"
PASSWORD_GUESSING: Final = "password guessing"  # noqa: S105 - the name of a kind
FLOOD: Final = "flood"
BEACON: Final = "beacon"
TUNNEL: Final = "tunnel"
EXFILTRATION: Final = "exfiltration"
REMOTE_ADMINISTRATION: Final = "remote administration"
UNUSUAL_EXCHANGE: Final = "unusual exchange"
SINGLE_FLOW: Final = "single flow"

KINDS: Final = (
    PORT_SCAN, HOST_SWEEP, NETWORK_SCAN, WEB_SCAN, PASSWORD_GUESSING, FLOOD, BEACON, TUNNEL, EXFILTRATION,
    REMOTE_ADMINISTRATION, UNUSUAL_EXCHANGE, SINGLE_FLOW,
)  # fmt: skip
"""Every kind."""

HOSTS_SHOWN: Final = 50

EVERYDAY: Final = frozenset({*WEB, 53, 123, 853})
"""Services that every host uses of many others."""

MOST_PARTS: Final = 200
"""Parts of an incident that are judged one by one."""

MANY: Final = 5
DNS: Final = 53


@dataclass(frozen=True, slots=True)
class KindRule:
    """`kind` when `holds`; `name` tells the rules of one kind apart and chooses the words of the title."""

    name: str
    kind: str
    holds: Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Summary:
    """An incident in words and figures. `src_ip` and `dst_ip` are None when there are several."""

    kind: str
    title: str
    src_ip: str | None
    dst_ip: str | None
    sources: int
    targets: int
    ports: int
    alerts: int
    conversations: int
    first_seen_ms: int
    last_seen_ms: int
    hosts: tuple[str, ...]
    evidence: tuple[str, ...]


def _amplified(facts: Facts) -> bool:
    """Many hosts answer one that most likely never asked: from amplifiers, unasked."""
    return facts.rule == "target" and facts.servers >= MANY and facts.reflected >= 0.5


def _reflector(facts: Facts) -> bool:
    """A service gives far more than it is asked for, again and again: somebody else is named as the asker."""
    return (
        facts.protocol == UDP
        and facts.port in AMPLIFIERS
        and facts.servers == 1
        and facts.answering == 0
        and facts.main_packets >= 400
        and facts.main_in_bytes >= max(10 * facts.main_out_bytes, 300_000)
    )


def _unasked(facts: Facts) -> bool:
    """One service sends answers by the hundred to a host that was not seen asking."""
    return (
        facts.protocol == UDP
        and facts.port in AMPLIFIERS
        and facts.answering >= 0.9
        and facts.main_out_bytes == 0
        and facts.main_packets >= 400
    )


def _together(facts: Facts) -> bool:
    """Several sources try the same ports of one host: a scan with helpers, or behind decoys."""
    return (
        facts.rule == "target"
        and facts.servers == 1
        and facts.protocol == TCP
        and facts.clients <= 64
        and facts.ports >= 20
        and facts.probes >= 0.5
        and facts.conversations >= 1.3 * facts.ports
    )


def _backscatter(facts: Facts) -> bool:
    return facts.rule == "target" and facts.servers == 1 and facts.clients >= 20 and facts.answering >= 0.5


def _crowd(facts: Facts) -> bool:
    if facts.rule != "target":
        return False
    thin = facts.probes >= 0.5 or facts.unanswered >= 0.5
    return (facts.clients >= 20 and (thin or facts.peak_per_minute >= 100)) or (
        facts.clients >= MANY and facts.peak_per_minute >= 60 and (thin or facts.peak_per_minute >= 300)
    )


def _one_sided(facts: Facts) -> bool:
    """One sender, one receiver, and packets by the thousand that are hardly answered."""
    in_packets = facts.main_packets - facts.main_out_packets
    return (
        facts.servers == 1
        and not is_group(facts.server or "")
        and facts.protocol != TCP
        and facts.main_packets >= 5_000
        and facts.packets_per_second >= 200
        and in_packets <= 0.1 * facts.main_out_packets
    )


def _echo_flood(facts: Facts) -> bool:
    return facts.protocol in ICMP and facts.packets >= 3_000 and facts.packets_per_second >= 100


def _heavy_probes(facts: Facts) -> bool:
    """Many ports of one host, but with loads no scanner sends."""
    return (
        facts.servers == 1
        and facts.conversations >= 50
        and facts.probe_bytes >= 300
        and facts.unanswered >= 0.8
        and facts.peak_per_minute >= 50
    )


def _hammering(facts: Facts) -> bool:
    """One service of one host, so often that no client would."""
    if facts.servers != 1 or facts.main_share < 0.9:
        return False
    refused = facts.unanswered >= 0.5 or facts.probes >= 0.5
    alike = facts.alike >= 0.9 and facts.peak_per_minute >= 300
    return (refused and facts.peak_per_minute >= 100) or alike or facts.peak_per_minute >= 3_000


def _held_open(facts: Facts) -> bool:
    return facts.main_servers == 1 and facts.protocol == TCP and facts.open_at_once >= 15


def _scan_of_one(facts: Facts) -> bool:
    return facts.servers == 1 and facts.ports >= MANY and facts.probes >= 0.5 and facts.main_share <= 0.5


def _sweep(facts: Facts) -> bool:
    if facts.servers < MANY or facts.main_share < 0.5 or facts.clients != 1:
        return False
    if facts.port in WEB and facts.servers < 10:
        return False  # a browser gives up on so many
    tried = facts.main_share >= 0.8 and facts.probes >= 0.5
    asked = facts.main_servers >= 10 and facts.port not in EVERYDAY
    return tried or (asked and facts.main_packets <= 6 * facts.main_servers + 6 * facts.main_answered)


def _scan_of_many(facts: Facts) -> bool:
    if facts.servers < 10 and all(port in WEB for _, port in facts.services):
        return False  # as above
    return facts.clients == 1 and facts.servers > 1 and facts.endpoints >= MANY and facts.probes >= 0.5


def _guessing(facts: Facts) -> bool:
    """Conversation after conversation with a service that asks for a password."""
    return (
        facts.protocol == TCP
        and facts.port in PASSWORDS
        and facts.main_share >= 0.5
        and facts.main_answered >= 10
        and facts.main_answered >= 3 * facts.main_servers
        and facts.peak_per_minute >= 5
    )


def _spraying(facts: Facts) -> bool:
    """A few attempts each on many hosts."""
    return (
        facts.protocol == TCP
        and facts.clients == 1
        and facts.port in PASSWORDS
        and facts.main_share >= 0.8
        and facts.main_servers >= MANY
        and facts.main_answered >= 10
    )


def _web_requests(facts: Facts) -> bool:
    """More requests of one web server than a person makes."""
    return (
        facts.protocol == TCP
        and facts.clients == 1
        and facts.main_servers == 1
        and facts.port in WEB
        and facts.main_share >= 0.8
        and facts.main_answered >= 60
        and facts.peak_per_minute >= 60
    )


def _dns_tunnel(facts: Facts) -> bool:
    """One client and one resolver: large questions, or one long stream of them, or far too many."""
    if facts.port != DNS or facts.servers != 1 or facts.clients != 1 or facts.main_share < 0.8:
        return False
    large = facts.main_out_packets >= 10 and facts.query_bytes >= 110
    stream = facts.biggest_packets >= 60
    many = facts.conversations >= 50 and facts.per_minute >= 30 and facts.span_ms >= 30_000
    return large or stream or many


def _echo_tunnel(facts: Facts) -> bool:
    """Echoes that differ in size, or are larger than those of a ping."""
    if facts.protocol not in ICMP or facts.servers != 1 or facts.main_share < 0.8 or facts.unanswered > 0.5:
        return False
    return facts.main_packets >= 20 and (facts.deviation >= 10 or facts.query_bytes >= 200)


def _outflow(facts: Facts) -> bool:
    return (
        facts.servers == 1
        and facts.main_out_bytes >= 5_000_000
        and facts.main_out_bytes >= 8 * facts.main_in_bytes
        and facts.main_in_bytes > 0
    )


def _beat(facts: Facts) -> bool:
    """The same client to the same service at regular distances, or at multiples of one, or evenly with equal loads."""
    rhythm = facts.rhythm
    if facts.servers > 2 or rhythm.starts < 6 or rhythm.starts < 0.5 * facts.main_share * facts.conversations:
        return False
    if rhythm.mean_ms < 2_000 or rhythm.span_ms < 30_000:
        return False
    steady = rhythm.variation <= 0.35 or (rhythm.starts >= 8 and rhythm.steadiness >= 0.65)
    multiples = rhythm.starts >= 8 and rhythm.fit >= 0.85 and rhythm.period_ms >= 2_000
    slow = rhythm.starts >= 10 and rhythm.mean_ms >= 20_000 and rhythm.variation <= 0.6
    alike = (
        rhythm.starts >= 10
        and facts.conversations >= 10
        and rhythm.span_ms >= 1_800_000
        and facts.alike >= 0.9
        and rhythm.variation <= 1.2
        and rhythm.mean_ms >= 20_000
    )
    return steady or multiples or slow or alike


def _remote(facts: Facts) -> bool:
    """Several conversations, mostly with services that run commands, RPC's own ports beside them included.

    Among the many services of a domain controller, two that run commands are enough.
    """
    if facts.conversations < 2 or facts.probes > 0.5:
        return False
    kinds = {ADMINISTRATION[port] for protocol, port in facts.services if protocol == TCP and port in ADMINISTRATION}
    return facts.commands >= 0.5 or (len(kinds) > 1 and facts.commands >= 0.25)


RULES: Final[tuple[KindRule, ...]] = (
    KindRule("amplified", FLOOD, _amplified),
    KindRule("backscatter", FLOOD, _backscatter),
    KindRule("reflector", FLOOD, _reflector),
    KindRule("unasked", FLOOD, _unasked),
    KindRule("together", PORT_SCAN, _together),
    KindRule("crowd", FLOOD, _crowd),
    KindRule("one-sided", FLOOD, _one_sided),
    KindRule("echoes", FLOOD, _echo_flood),
    KindRule("heavy", FLOOD, _heavy_probes),
    KindRule("ports", PORT_SCAN, _scan_of_one),
    KindRule("sweep", HOST_SWEEP, _sweep),
    KindRule("network", NETWORK_SCAN, _scan_of_many),
    KindRule("guessing", PASSWORD_GUESSING, _guessing),
    KindRule("spraying", PASSWORD_GUESSING, _spraying),
    KindRule("held open", FLOOD, _held_open),
    KindRule("hammering", FLOOD, _hammering),
    KindRule("questions", TUNNEL, _dns_tunnel),
    KindRule("echo tunnel", TUNNEL, _echo_tunnel),
    KindRule("outflow", EXFILTRATION, _outflow),
    KindRule("requests", WEB_SCAN, _web_requests),
    KindRule("beat", BEACON, _beat),
    KindRule("remote", REMOTE_ADMINISTRATION, _remote),
    KindRule("single", SINGLE_FLOW, lambda facts: facts.conversations + facts.others == 1),
    KindRule("unusual", UNUSUAL_EXCHANGE, lambda _: True),
)
"""First match wins; the last always matches."""


def judge(facts: Facts) -> KindRule:
    """The rule that names an incident."""
    return next(rule for rule in RULES if rule.holds(facts))


def summarise(members: Sequence[Point], rule: str) -> Summary:
    """An incident (at least one alert) in words and figures; `rule` is that of its `Group`.

    An exchange that is unusual as a whole is named after the part of it that has a name: one host, or one service.
    """
    whole = weigh(members, rule)
    facts, found = whole, judge(whole)
    if found.kind == UNUSUAL_EXCHANGE:
        named = [(part, judge(part)) for part in _parts(members)]
        named = [one for one in named if one[1].kind not in {UNUSUAL_EXCHANGE, SINGLE_FLOW}]
        facts, found = min(named, key=lambda one: RULES.index(one[1]), default=(facts, found))
    hosts = sorted({point.src_ip for point in members} | {point.dst_ip for point in members})
    flooded = rule == "target"
    client, server = (None, facts.victim) if flooded else (facts.client, facts.server)
    first = [host for host in (client, server) if host]
    return Summary(
        kind=found.kind,
        title=title(found.name, facts),
        src_ip=client,
        dst_ip=server,
        sources=whole.senders if flooded else whole.clients,
        targets=1 if flooded else whole.servers,
        ports=whole.ports,
        alerts=whole.alerts,
        conversations=whole.conversations + whole.others,
        first_seen_ms=whole.first_ms,
        last_seen_ms=whole.last_ms,
        hosts=(*first, *(host for host in hosts if host not in first))[:HOSTS_SHOWN],
        evidence=(*sentences(found.name, facts), *beside(whole.alerts - facts.alerts)),
    )


def _parts(members: Sequence[Point]) -> list[Facts]:
    """Figures of what two hosts had with each other, and of each service between them; the largest parts first."""
    parts: dict[tuple[object, ...], list[Point]] = defaultdict(list)
    for point in members:
        hosts = sorted((point.src_ip, point.dst_ip))
        parts[tuple(hosts)].append(point)
        parts[*hosts, *service(point)].append(point)
    some = sorted((part for part in parts.values() if len(part) < len(members)), key=len, reverse=True)
    return [weigh(part, "pair") for part in some[:MOST_PARTS]]
