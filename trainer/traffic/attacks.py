"""Attacks, one function each: `(stage, party, start_us)` and settings with defaults give the flows of one campaign.

The scans are in `scans.py`; `ATTACKS` names them all. What an attack is called is the `kind` of its flows. All end with
the scenario at the latest.
"""

from __future__ import annotations

import base64
import heapq
from typing import TYPE_CHECKING, Protocol

from trainer.traffic import messages, protocols
from trainer.traffic.flows import Flow, Party, Source, ends_of
from trainer.traffic.machines import inbound
from trainer.traffic.network import Host, Role
from trainer.traffic.packets import ACK, RST, SYN, TcpSender
from trainer.traffic.protocols import MILLISECOND, SECOND, about
from trainer.traffic.scans import connect_scan, horizontal_scan, intruder, udp_scan, vertical_scan, way
from trainer.traffic.templates import TCP, Endpoint

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.conversation import Connection, Datagrams
    from trainer.traffic.packets import Packet, Wire
    from trainer.traffic.stage import Stage


class Attack(Protocol):
    """What all of them look like from here."""

    def __call__(self, stage: Stage, party: Party, start_us: int) -> Source:
        """The flows of one campaign that begins at `start_us`."""


def syn_flood(
    stage: Stage, party: Party, start_us: int, *, rate: float = 300, seconds: float = 10, port: int = 443
) -> Source:
    """SYNs from addresses that never sent them, to the server; it answers into the void as long as its queue lasts."""
    rng, server, gateway = party.rng, stage.network.server, stage.network.gateway
    end = min(float(stage.until_us), start_us + seconds * SECOND)
    now, arrived = float(start_us), 0
    while now < end:
        first = rng.choice((5, 23, 31, 46, 62, 77, 81, 93, 109, 121, 151, 176, 185, 201))
        source = Endpoint(gateway.v4.mac, bytes((first,)) + rng.randbytes(3), rng.randrange(40, 120))
        ends = (source, rng.randrange(1_024, 65_536), server.v4, port)
        arrived += 1
        answered = arrived <= 256 or rng.random() < 0.35
        packets = _flood_packets(party.wire, rng, ends, int(now), answered)
        yield Flow("syn_flood", ends, TCP, int(now), packets, party.campaign)
        now += rng.expovariate(rate) * SECOND


def _flood_packets(
    wire: Wire, rng: random.Random, ends: tuple[Endpoint, int, Endpoint, int], now: int, answered: bool
) -> Iterator[Packet]:
    source, sport, target, dport = ends
    seq = rng.getrandbits(32)
    yield now, *TcpSender(wire, "syn_bare", source, target, sport, dport, seq).frame(seq, 0, SYN, 512)
    if not answered:
        return
    theirs, after = rng.getrandbits(32), (seq + 1) & 0xFFFFFFFF
    reply = TcpSender(wire, "syn_bare", target, source, dport, sport, 0)
    now += 120 + rng.randrange(200)
    yield now, *reply.frame(theirs, after, SYN | ACK, 64240)
    if rng.random() < 0.1:  # somebody lives at that address and knows nothing of it
        now += 20 * MILLISECOND + rng.randrange(90 * MILLISECOND)
        yield now, *TcpSender(wire, "tcp", source, target, sport, dport, seq).frame(after, 0, RST, 0)
        return
    for attempt in range(rng.randrange(3)):
        now += SECOND << attempt
        yield now, *reply.frame(theirs, after, SYN | ACK, 64240)


def password_guessing(
    stage: Stage, party: Party, start_us: int, *, service: str = "", connections: int = 120, workers: int = 4
) -> Source:
    """Log-ins with one password after the other, some at a time, by `ssh` or `ftp`."""
    rng = party.rng
    attacker = intruder(stage, party)
    service = service or rng.choice(("ssh", "ftp"))
    target = rng.choice([host for host in stage.network.having(Role.SERVER, Role.NAS) if host is not attacker])
    port, script = (22, _guess_shell) if service == "ssh" else (21, _guess_ftp)
    free = [start_us + rng.randrange(300 * MILLISECOND) for _ in range(workers)]
    heapq.heapify(free)
    for _ in range(connections):
        now = free[0]
        if now >= stage.until_us:
            return
        sport = attacker.port() if isinstance(attacker, Host) else rng.randrange(32_768, 61_000)
        tries = rng.choice((1, 2, 3))
        ends = ends_of(attacker, sport, target, port)
        yield party.tcp("password_guessing", ends, way(attacker, target), now, script, tries)
        heapq.heapreplace(free, now + int(tries * 2.3 * SECOND) + about(rng, 300 * MILLISECOND, 0.5, 3 * SECOND))


def _guess_shell(talk: Connection, rng: random.Random, tries: int) -> Iterator[Packet]:
    yield from protocols.shell_greeting(talk, rng)
    yield from talk.send(64)
    yield from talk.answer(52)
    for _ in range(tries):
        yield from talk.send(148, think_us=rng.randrange(4 * MILLISECOND))
        yield from talk.answer(52, think_us=about(rng, 2 * SECOND, 0.15, 4 * SECOND))
    yield from talk.close(up=rng.random() < 0.6)


def _guess_ftp(talk: Connection, rng: random.Random, tries: int) -> Iterator[Packet]:
    yield from talk.open()
    yield from talk.answer(20 + rng.randrange(30), b"220 FTP ready\r\n", about(rng, 3_000, 0.8, SECOND))
    for _ in range(tries):
        yield from talk.send(12 + rng.randrange(8), b"USER ")
        yield from talk.answer(34, b"331 Password\r\n")
        yield from talk.send(12 + rng.randrange(12), b"PASS ")
        yield from talk.answer(22, b"530 Login incorrect.\r\n", about(rng, 1.8 * SECOND, 0.2, 4 * SECOND))
    yield from talk.close(up=True)


def exfiltration(
    stage: Stage, party: Party, start_us: int, *, megabytes: float = 20, seconds: float = 120, port: int = 443
) -> Source:
    """One long heavy upload from a workstation to somebody nobody met before."""
    rng = party.rng
    thief = rng.choice(stage.network.having(Role.WORKSTATION))
    drop = stage.network.stranger(rng)
    pieces = max(1, int(megabytes * 1_000_000 / 160_000))
    ends = ends_of(thief, thief.port(), drop, port)
    pause = seconds * SECOND / pieces
    yield party.tcp("exfiltration", ends, drop.path, start_us, _leak, pieces, 160_000, pause)


def _leak(talk: Connection, rng: random.Random, pieces: int, size: int, pause_us: float) -> Iterator[Packet]:
    yield from protocols.tls_greeting(talk, rng)
    due = float(talk.now)
    for _ in range(pieces):
        yield from talk.send(about(rng, size, 0.3, 4 * size), messages.tls_record(23, size))
        due += about(rng, pause_us, 0.4, 6 * pause_us)
        talk.wait(max(0.0, due - talk.now))
    yield from talk.answer(300)
    yield from talk.close()


def dns_tunnel(stage: Stage, party: Party, start_us: int, *, rate: float = 5, seconds: float = 100) -> Source:
    """Data in the names of queries and in the texts of answers, each exchange from a port of its own."""
    rng, network = party.rng, stage.network
    host = rng.choice(network.having(Role.WORKSTATION))
    zone = f"t{rng.randrange(100)}.{network.stranger(rng).name}"
    kind = rng.choice((messages.TXT, messages.NULL))
    end = min(float(stage.until_us), start_us + seconds * SECOND)
    now = float(start_us)
    while now < end:
        labels = [_letters(rng, rng.randrange(44, 60)) for _ in range(rng.choice((1, 2, 3)))]
        name = ".".join((*labels, zone))
        data = rng.randbytes(rng.choice((24, 60, 140, 220)))
        records = [messages.txt(data) if kind == messages.TXT else data]
        ends = ends_of(host, host.port(), network.resolver, 53)
        yield party.udp("dns_tunnel", ends, network.resolver.path, now, _tunnelled, name, kind, records)
        now += rng.expovariate(rate) * SECOND


def _letters(rng: random.Random, count: int) -> str:
    return base64.b32encode(rng.randbytes(40)).decode("ascii").lower()[:count]


def _tunnelled(talk: Datagrams, rng: random.Random, name: str, kind: int, records: list[bytes]) -> Iterator[Packet]:
    ident = rng.getrandbits(16)
    query = messages.dns_query(ident, name, kind)
    yield talk.send(len(query), query)
    # The resolver asks the tunnel's far end every time: nothing of this is ever in a cache.
    answer = messages.dns_answer(ident, name, kind, records)
    yield talk.answer(len(answer), answer, about(rng, 45 * MILLISECOND, 0.4, SECOND))


def beacon(
    stage: Stage, party: Party, start_us: int, *, every_s: float = 15, jitter: float = 0.2, seconds: float = 3600
) -> Source:
    """A short call home over TLS again and again, at nearly regular times."""
    rng, network = party.rng, stage.network
    host = rng.choice(network.having(Role.WORKSTATION))
    home = network.stranger(rng)
    request, answer = rng.randrange(180, 420), rng.randrange(90, 260)
    end = min(float(stage.until_us), start_us + seconds * SECOND)
    now = float(start_us)
    while now < end:
        ends = ends_of(host, host.port(), home, 443)
        yield party.tcp("beacon", ends, home.path, now, _call_home, request, answer)
        now += every_s * SECOND * (1 + jitter * (2 * rng.random() - 1))


def _call_home(talk: Connection, rng: random.Random, request: int, answer: int) -> Iterator[Packet]:
    yield from protocols.tls_greeting(talk, rng)
    yield from talk.send(request, messages.tls_record(23, request))
    yield from talk.answer(answer, messages.tls_record(23, answer), about(rng, 20 * MILLISECOND, 0.4, SECOND))
    yield from talk.close()


def slowloris(
    stage: Stage, party: Party, start_us: int, *, connections: int = 150, every_s: float = 10, seconds: float = 150
) -> Source:
    """Many connections to the web server that never finish their requests, fed a header line now and then."""
    rng, server = party.rng, stage.network.server
    attacker = intruder(stage, party)
    path = way(attacker, server) if isinstance(attacker, Host) else inbound(attacker, server)
    end = int(min(stage.until_us, start_us + seconds * SECOND))
    now = float(start_us)
    for _ in range(connections):
        if now >= end:
            return
        sport = attacker.port() if isinstance(attacker, Host) else rng.randrange(32_768, 61_000)
        ends = ends_of(attacker, sport, server, 80)
        yield party.tcp("slowloris", ends, path, now, _dawdle, every_s, end)
        now += rng.expovariate(12) * SECOND


def _dawdle(talk: Connection, rng: random.Random, every_s: float, end: int) -> Iterator[Packet]:
    yield from talk.open()
    yield from talk.send(200 + rng.randrange(60), b"GET / HTTP/1.1\r\nHost: ")
    while talk.now < end:
        talk.wait(every_s * SECOND * (0.9 + 0.2 * rng.random()))
        yield from talk.send(10 + rng.randrange(8), b"X-a: ")
        if rng.random() < 0.02:
            yield from talk.close(up=False)
            return
    yield from talk.reset()


ATTACKS: dict[str, Attack] = {
    "beacon": beacon,
    "horizontal_scan": horizontal_scan,
    "vertical_scan": vertical_scan,
    "connect_scan": connect_scan,
    "udp_scan": udp_scan,
    "syn_flood": syn_flood,
    "password_guessing": password_guessing,
    "exfiltration": exfiltration,
    "dns_tunnel": dns_tunnel,
    "slowloris": slowloris,
}
"""All attacks by name, in the order in which a mixed scenario plays them: the one that needs most time comes first."""
