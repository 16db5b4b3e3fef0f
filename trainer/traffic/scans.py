"""Scans: looking for what listens, the fast way.

Every function is an attack: `(stage, party, start_us)` and settings with defaults give the flows of one campaign in the
order of their starts. A scanner sits inside (a workstation that was taken over) or outside; targets answer as their
roles would: open, closed, or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.traffic import messages
from trainer.traffic.conversation import Path
from trainer.traffic.flows import Flow, Party, Source, ends_of
from trainer.traffic.machines import inbound
from trainer.traffic.network import Host, Peer, Role
from trainer.traffic.packets import ACK, RST, SYN, IcmpSender, TcpSender, UdpSender
from trainer.traffic.protocols import MILLISECOND, SECOND
from trainer.traffic.templates import ICMP, TCP, Endpoint

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.conversation import Connection
    from trainer.traffic.flows import Ends
    from trainer.traffic.packets import Packet, Wire
    from trainer.traffic.stage import Stage

OPEN_PORTS: dict[Role, frozenset[int]] = {
    Role.GATEWAY: frozenset((22, 53, 80, 443)),
    Role.SERVER: frozenset((22, 25, 53, 80, 88, 135, 139, 389, 443, 445, 464, 636, 3268, 5985)),
    Role.NAS: frozenset((21, 22, 80, 139, 443, 445, 548, 2049, 5000)),
    Role.PRINTER: frozenset((80, 443, 515, 631, 9100)),
    Role.WORKSTATION: frozenset((135, 139, 445)),
    Role.PHONE: frozenset(),
    Role.IOT: frozenset((80,)),
}
"""What listens on hosts of each role."""

_COMMON = (
    21,
    22,
    23,
    25,
    53,
    80,
    88,
    110,
    111,
    135,
    139,
    143,
    389,
    443,
    445,
    515,
    548,
    587,
    631,
    993,
    1433,
    2049,
    3306,
)
_COMMON_MORE = (3389, 5000, 5432, 5900, 5985, 6379, 8000, 8080, 8443, 9100, 9200, 27017)
_DARK = Path(client_us=100, server_us=400, gap_us=20)


def intruder(stage: Stage, party: Party, *, inside: bool | None = None) -> Peer:
    """The attacker: a workstation that was taken over, or a stranger; decided by chance unless told."""
    if inside is None:
        inside = party.rng.random() < 0.6
    workstations = stage.network.having(Role.WORKSTATION)
    return party.rng.choice(workstations) if inside else stage.network.stranger(party.rng)


def way(attacker: Peer, target: Host) -> Path:
    """The path between them as the office's sensor sees it."""
    return target.path if isinstance(attacker, Host) else inbound(attacker, target)


def horizontal_scan(
    stage: Stage, party: Party, start_us: int, *, port: int = 0, addresses: int = 250, rate: float = 60
) -> Source:
    """One port on every address of the office's ranges: hosts that are there, and many that are not."""
    rng = party.rng
    attacker = intruder(stage, party, inside=True)
    port = port or rng.choice((22, 23, 445, 3389, 8080))
    there = [host for host in stage.network.hosts if host is not attacker]
    targets: list[Host | Endpoint] = [*there, *stage.network.unused(rng, max(0, addresses - len(there)))]
    rng.shuffle(targets)
    now = float(start_us)
    for target in targets:
        sport = _scan_port(rng)
        if isinstance(target, Host):
            state = "open" if port in OPEN_PORTS[target.role] else rng.choice(("closed", "closed", "silent"))
            ends = ends_of(attacker, sport, target, port)
            yield _probe("horizontal_scan", party, ends, way(attacker, target), now, state)
        else:
            yield _probe("horizontal_scan", party, (attacker.v4, sport, target, port), _DARK, now, "silent")
        now += rng.expovariate(rate) * SECOND


def vertical_scan(stage: Stage, party: Party, start_us: int, *, ports: int = 1000, rate: float = 250) -> Source:
    """Many ports of one host with half-open connections."""
    rng = party.rng
    attacker = intruder(stage, party)
    target = rng.choice([host for host in stage.network.having(Role.SERVER, Role.NAS) if host is not attacker])
    common = [*_COMMON, *_COMMON_MORE]
    numbers = common + rng.sample(
        [port for port in range(1, 20_000) if port not in common], max(0, ports - len(common))
    )
    numbers = numbers[:ports]
    rng.shuffle(numbers)
    filtered = rng.random() < 0.3
    now = float(start_us)
    for port in numbers:
        closed = "silent" if filtered and rng.random() < 0.9 else "closed"
        state = "open" if port in OPEN_PORTS[target.role] else closed
        yield _probe(
            "vertical_scan", party, ends_of(attacker, _scan_port(rng), target, port), way(attacker, target), now, state
        )
        now += rng.expovariate(rate) * SECOND


def connect_scan(stage: Stage, party: Party, start_us: int, *, targets: int = 8, rate: float = 40) -> Source:
    """Common ports of several hosts with whole connections, as a program without privileges scans."""
    rng = party.rng
    attacker = intruder(stage, party, inside=True)
    hosts = [host for host in stage.network.hosts if host is not attacker]
    pairs = [(host, port) for host in rng.sample(hosts, min(targets, len(hosts))) for port in (*_COMMON, *_COMMON_MORE)]
    rng.shuffle(pairs)
    now = float(start_us)
    for host, port in pairs:
        ends = ends_of(attacker, attacker.port() if isinstance(attacker, Host) else _scan_port(rng), host, port)
        yield party.tcp("connect_scan", ends, way(attacker, host), now, _knock, port in OPEN_PORTS[host.role])
        now += rng.expovariate(rate) * SECOND


def _knock(talk: Connection, rng: random.Random, listening: bool) -> Iterator[Packet]:
    if not listening:
        yield from talk.refused()
    else:
        yield from talk.open()
        yield from talk.reset() if rng.random() < 0.6 else talk.close()


def udp_scan(stage: Stage, party: Party, start_us: int, *, ports: int = 250, rate: float = 25) -> Source:
    """Ports of one host with mostly empty datagrams; the host answers what it may with port-unreachable messages."""
    rng = party.rng
    attacker = intruder(stage, party)
    target = rng.choice([host for host in stage.network.having(Role.SERVER, Role.NAS) if host is not attacker])
    path = way(attacker, target)
    known = [53, 67, 69, 111, 123, 137, 138, 161, 500, 514, 1434, 1900, 5353]
    numbers = known + rng.sample([port for port in range(1, 50_000) if port not in known], max(0, ports - len(known)))
    numbers = numbers[:ports]
    rng.shuffle(numbers)
    flows: list[Flow] = []
    unreachable: list[tuple[int, bytes]] = []
    now, next_allowed = float(start_us), 0.0
    for port in numbers:
        ends = ends_of(attacker, _scan_port(rng), target, port)
        head = messages.dns_query(rng.getrandbits(16), "version.bind") if port in known else b""
        replies = 0 if port not in (53, 123) else 60
        silent = not replies
        if silent and now >= next_allowed:
            # Systems answer about one closed port a second (RFC 1812, 4.3.2.8), the rest in silence.
            probe, _ = UdpSender(party.wire, ends[0], ends[2], ends[1], port, 0).frame(len(head), head)
            unreachable.append((int(now) + path.server_us, probe[14:42]))
            next_allowed = now + SECOND * (0.9 + 0.2 * rng.random())
            silent = False
        packets = _datagrams(party, ends, path, int(now), head, replies, 2 if silent else 1)
        flows.append(Flow("udp_scan", ends, 17, int(now), packets, party.campaign))
        now += rng.expovariate(rate) * SECOND
    if unreachable:
        back = (target.v4, 0, attacker.v4, 0)
        packets = _unreachables(party, back, unreachable)
        flows.append(Flow("udp_scan", back, ICMP, unreachable[0][0], packets, party.campaign))
    yield from sorted(flows, key=lambda flow: flow.start_us)


def _datagrams(party: Party, ends: Ends, path: Path, now: int, head: bytes, reply: int, tries: int) -> Iterator[Packet]:
    source, sport, target, dport = ends
    ask = UdpSender(party.wire, source, target, sport, dport, party.rng.getrandbits(16))
    for _ in range(tries):
        yield now, *ask.frame(len(head), head)
        now += SECOND + party.rng.randrange(60 * MILLISECOND)
    if reply:
        answer = UdpSender(party.wire, target, source, dport, sport, party.rng.getrandbits(16))
        yield now - SECOND + path.server_us, *answer.frame(reply)


def _unreachables(party: Party, ends: Ends, answered: list[tuple[int, bytes]]) -> Iterator[Packet]:
    source, _, target, _ = ends
    sender = IcmpSender(party.wire, "unreachable", source, target, party.rng.getrandbits(16))
    for at, quoted in answered:
        yield at, *sender.frame(0, 0, len(quoted), quoted)


def _scan_port(rng: random.Random) -> int:
    return rng.randrange(32_768, 65_536)


def _probe(kind: str, party: Party, ends: Ends, path: Path, at_us: float, state: str) -> Flow:
    now = int(at_us)
    return Flow(kind, ends, TCP, now, half_open(party.wire, party.rng, ends, path, now, state), party.campaign)


def half_open(wire: Wire, rng: random.Random, ends: Ends, path: Path, now: int, state: str) -> Iterator[Packet]:
    """A crafted SYN, then by `state`: SYN/ACK and the surprised RST (`open`), RST (`closed`), nothing (`silent`)."""
    source, sport, target, dport = ends
    seq, salt = rng.getrandbits(32), rng.getrandbits(16)
    yield now, *TcpSender(wire, "syn_bare", source, target, sport, dport, salt).frame(seq, 0, SYN, 1024)
    if state == "silent":
        return
    now += int(path.server_us * (0.8 + 0.4 * rng.random())) + 1
    after = (seq + 1) & 0xFFFFFFFF
    if state == "closed":
        reply = TcpSender(wire, "tcp", target, source, dport, sport, 0)
        yield now, *reply.frame(0, after, RST | ACK, 0)
        return
    theirs = rng.getrandbits(32)
    yield now, *TcpSender(wire, "syn_bare", target, source, dport, sport, 0).frame(theirs, after, SYN | ACK, 64240)
    now += int(path.client_us * (0.8 + 0.4 * rng.random())) + 1
    yield now, *TcpSender(wire, "tcp", source, target, sport, dport, salt + 1).frame(after, 0, RST, 0)
