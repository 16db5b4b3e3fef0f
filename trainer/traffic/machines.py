"""Habits of machines: what happens in an office without anybody doing anything, and what servers do for others.

Among it is what attacks are easily mistaken for: regular reports to the same place, a monitor that walks along all
hosts, uploads, failed look-ups, addresses that no longer answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.traffic import messages, protocols, templates
from trainer.traffic.conversation import Path
from trainer.traffic.flows import Flow, Party, Source, ends_of
from trainer.traffic.network import Host, Peer, Role
from trainer.traffic.packets import IcmpSender, Packet, even
from trainer.traffic.protocols import MILLISECOND, SECOND, about
from trainer.traffic.stage import Stage, pauses, resolve
from trainer.traffic.templates import ICMP, ICMPV6, Endpoint

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.conversation import Datagrams

_NOWHERE = Path(client_us=100, server_us=300, gap_us=20)

MDNS4 = Endpoint(b"\x01\x00\x5e\x00\x00\xfb", bytes((224, 0, 0, 251)), 255)
MDNS6 = Endpoint(b"\x33\x33\x00\x00\x00\xfb", b"\xff\x02" + bytes(13) + b"\xfb", 255)
SSDP4 = Endpoint(b"\x01\x00\x5e\x7f\xff\xfa", bytes((239, 255, 255, 250)), 4)
LLMNR4 = Endpoint(b"\x01\x00\x5e\x00\x00\xfc", bytes((224, 0, 0, 252)), 1)


def keep_time(stage: Stage, host: Host, party: Party) -> Source:
    """NTP every minute or so to one of a few servers."""
    rng = party.rng
    servers = rng.sample(stage.network.outside.times, 2)
    for now in pauses(stage, host, rng, 70, 0.15):
        server = rng.choice(servers)
        sport = 123 if host.role in (Role.SERVER, Role.NAS, Role.PRINTER) else host.port()
        yield party.udp("ntp", ends_of(host, sport, server, 123), server.path, now, _ntp)


def _ntp(talk: Datagrams, rng: random.Random) -> Iterator[Packet]:
    yield talk.send(48, messages.ntp(server=False))
    if rng.random() < 0.97:
        yield talk.answer(48, messages.ntp(server=True))


def announce(stage: Stage, host: Host, party: Party) -> Source:
    """Multicast and broadcast discovery: mDNS over both families, SSDP, LLMNR, NetBIOS names."""
    rng = party.rng
    subnet = next(
        net
        for net in stage.network.subnets
        if int.from_bytes(host.v4.ip, "big") in range(int(net.network_address), int(net.broadcast_address))
    )
    everyone = Endpoint(b"\xff" * 6, subnet.broadcast_address.packed, 64)
    for now in pauses(stage, host, rng, 75 if host.role is not Role.SERVER else 200):
        draw = rng.random()
        service = rng.choice(("_ipp._tcp.local", "_airplay._tcp.local", "_smb._tcp.local", "_http._tcp.local"))
        if draw < 0.45:
            record = b"" if rng.random() < 0.6 else messages.encode_name(f"{host.name}.{service}")
            head = messages.mdns(service, record=record)
            pairs = [(host.v4, MDNS4), (host.link, MDNS6)] if rng.random() < 0.4 else [(host.v4, MDNS4)]
            for source, target in pairs:
                yield party.udp("discovery", (source, 5353, target, 5353), _NOWHERE, now, _call, head, 0)
        elif draw < 0.65:
            search = host.role in (Role.WORKSTATION, Role.PHONE)
            head = messages.SSDP_SEARCH if search else messages.SSDP_NOTIFY
            sport = host.port()
            yield party.udp("discovery", (host.v4, sport, SSDP4, 1900), _NOWHERE, now, _call, head, 3)
            if search:
                things = stage.network.having(Role.NAS, Role.PRINTER, Role.IOT)
                for thing in rng.sample(things, min(2, len(things))):
                    delay = rng.randrange(80, 2_500) * MILLISECOND
                    ends = (thing.v4, 1900, host.v4, sport)
                    yield party.udp("discovery", ends, _NOWHERE, now + delay, _call, b"HTTP/1.1 200 OK\r\n", 0, 320)
        elif draw < 0.82 and host.role is Role.WORKSTATION:
            head = messages.dns_query(rng.getrandbits(16), rng.choice(("wpad", "fileserver", "printer", "isatap")))
            yield party.udp("discovery", (host.v4, host.port(), LLMNR4, 5355), _NOWHERE, now, _call, head, 1)
        elif host.role in (Role.WORKSTATION, Role.NAS, Role.SERVER):
            yield party.udp("discovery", (host.v4, 137, everyone, 137), _NOWHERE, now, _call, b"", 2, 50)


def _call(talk: Datagrams, rng: random.Random, head: bytes, again: int, size: int = 0) -> Iterator[Packet]:
    """A datagram nobody has to answer, repeated up to `again` times."""
    for _ in range(1 + (rng.randrange(again + 1) if again else 0)):
        if size:
            yield talk.send(size, even(head))
        else:
            yield talk.send(len(head), head)
        talk.wait(700 * MILLISECOND + rng.randrange(400 * MILLISECOND))


def find_neighbours(stage: Stage, host: Host, party: Party) -> Source:
    """ARP, which no flow meter counts, and IPv6 neighbour discovery; sometimes a ping or a renewed DHCP lease."""
    rng, gateway = party.rng, stage.network.gateway
    for now in pauses(stage, host, rng, 40):
        other = rng.choice(stage.network.hosts) if rng.random() < 0.4 else gateway
        if other is host:
            continue
        draw = rng.random()
        if draw < 0.72:
            ends = (host.v4, 0, other.v4, 0)
            yield Flow("arp", ends, 0, now, _pair(now, rng, templates.arp(host.v4, other.v4)))
        elif draw < 0.87:
            frames = templates.neighbour(host.link, other.link)
            yield Flow("discovery", (host.link, 0, other.link, 0), ICMPV6, now, _pair(now, rng, frames))
        elif draw < 0.95:
            yield ping(stage, host, other, party, now, rng.choice((1, 1, 4)))
        else:
            yield party.udp("dhcp", ends_of(host, 68, gateway, 67), gateway.path, now, _lease)


def _pair(now: int, rng: random.Random, frames: tuple[bytes, bytes]) -> Iterator[Packet]:
    yield now, frames[0], len(frames[0])
    yield now + 150 + rng.randrange(900), frames[1], len(frames[1])


def _lease(talk: Datagrams, rng: random.Random) -> Iterator[Packet]:
    yield talk.send(300 + rng.randrange(40), b"\x01\x01\x06\x00")
    yield talk.answer(300 + rng.randrange(40), b"\x02\x01\x06\x00")


def ping(stage: Stage, host: Host, other: Peer, party: Party, at_us: int, count: int) -> Flow:
    """Echo requests, one a second, and their replies."""
    ends = (host.v4, 0, other.v4, 0)
    return Flow("ping", ends, ICMP, at_us, _echoes(stage, party.rng, host.v4, other, at_us, count), party.campaign)


def _echoes(stage: Stage, rng: random.Random, source: Endpoint, other: Peer, now: int, count: int) -> Iterator[Packet]:
    ask = IcmpSender(stage.wire, "echo_request", source, other.v4, rng.getrandbits(16))
    reply = IcmpSender(stage.wire, "echo_reply", other.v4, source, rng.getrandbits(16))
    ident, size = rng.getrandbits(16), rng.choice((32, 56))
    for number in range(count):
        yield now, *ask.frame(ident, number, size)
        delay = int(other.path.server_us * (0.9 + 0.3 * rng.random()))
        yield now + delay, *reply.frame(ident, number, size)
        now += max(SECOND, delay + 1)


def report(stage: Stage, host: Host, party: Party) -> Source:
    """Telemetry: small uploads over TLS to the makers of everything, at nearly regular times."""
    rng, outside = party.rng, stage.network.outside
    place = rng.choice(outside.things if host.role in (Role.IOT, Role.PHONE) else outside.telemetry)
    every = rng.choice((30, 60, 60, 120, 180))
    for now in pauses(stage, host, rng, every, 0.12):
        if rng.random() < 0.3:
            yield resolve(stage, host, party, place.name, now)
        exchanges = [(0.0, about(rng, 1_400, 0.8, 60_000), 180 + rng.randrange(400))]
        ends = ends_of(host, host.port(), place, 443)
        yield party.tcp("telemetry", ends, place.path, now + 20 * MILLISECOND, protocols.tls, exchanges)


def update(stage: Stage, host: Host, party: Party) -> Source:
    """A look for updates; sometimes there is one, and it is large."""
    rng, outside = party.rng, stage.network.outside
    for now in pauses(stage, host, rng, 600):
        place = rng.choice(outside.updates)
        yield resolve(stage, host, party, place.name, now)
        exchanges = [(0.0, 600, about(rng, 4_000, 0.8, 60_000))]
        if rng.random() < 0.3:
            exchanges += [(50_000.0, 380, about(rng, 500_000, 0.9, 3_000_000)) for _ in range(rng.randrange(1, 4))]
        ends = ends_of(host, host.port(), place, 443)
        yield party.tcp("update", ends, place.path, now + 60 * MILLISECOND, protocols.tls, exchanges)


def stay_reachable(stage: Stage, host: Host, party: Party) -> Source:
    """The long connection over which phones and devices wait for messages."""
    rng = party.rng
    place = rng.choice(stage.network.outside.things)
    port = 5223 if host.role is Role.PHONE else 8883
    now = rng.random() * 25 * SECOND
    while now < stage.until_us:
        end = int(min(float(stage.until_us), now + about(rng, 400 * SECOND, 0.6, 7_200 * SECOND)))
        yield party.tcp(
            "keepalive",
            ends_of(host, host.port(), place, port),
            place.path,
            now,
            protocols.held,
            pause_us=rng.choice((12, 25, 40)) * SECOND,
            request=60,
            answer=70,
            until_us=end,
            push=0.3,
        )
        now = end + 2 * SECOND


def show(stage: Stage, host: Host, party: Party) -> Source:
    """A camera or sensor hub: pictures to the NAS every few seconds, as regular as a beacon and as heavy as a leak."""
    rng = party.rng
    nas = stage.network.having(Role.NAS)[0]
    for now in pauses(stage, host, rng, rng.choice((10, 15, 30)), 0.08):
        size = about(rng, 24_000, 0.3, 120_000)
        ends = ends_of(host, host.port(), nas, 443)
        yield party.tcp("snapshot", ends, nas.path, now, protocols.short_request, size, 210)


def look_up_directory(stage: Stage, host: Host, party: Party) -> Source:
    """Directory and ticket look-ups at the server."""
    rng, server = party.rng, stage.network.server
    for now in pauses(stage, host, rng, 110):
        port, request, answer = rng.choice(((88, 290, 1_500), (389, 380, 900), (389, 380, 900), (135, 160, 240)))
        ends = ends_of(host, host.port(), server, port)
        yield party.tcp("directory", ends, server.path, now, protocols.short_request, request, answer)


def monitor(stage: Stage, host: Host, party: Party) -> Source:
    """The server walks along the machines once a minute: SNMP, a ping, a connection to what should be listening."""
    rng = party.rng
    watched = stage.network.having(Role.NAS, Role.PRINTER, Role.GATEWAY, Role.IOT)
    now = rng.randrange(60 * SECOND)
    while now < stage.until_us:
        at = now
        for other in watched:
            draw = rng.random()
            if other.role is not Role.IOT:
                ends = ends_of(host, host.port(), other, 161)
                yield party.udp("monitor", ends, other.path, at, _snmp, rng.randrange(2, 9))
            if draw < 0.5:
                yield ping(stage, host, other, party, at + 3 * MILLISECOND, 1)
            elif draw < 0.9:
                ends = ends_of(host, host.port(), other, 80)
                yield party.tcp("monitor", ends, other.path, at + 5 * MILLISECOND, protocols.short_request, 160, 700)
            else:
                ends = ends_of(host, host.port(), other, 80)
                yield party.tcp("monitor", ends, other.path, at + 5 * MILLISECOND, protocols.refused)
            at += 60 * MILLISECOND + rng.randrange(300 * MILLISECOND)
        now += 60 * SECOND + rng.randrange(-400, 400) * MILLISECOND


def _snmp(talk: Datagrams, rng: random.Random, count: int) -> Iterator[Packet]:
    for _ in range(count):
        yield talk.send(43 + rng.randrange(40), even(messages.SNMP))
        yield talk.answer(48 + rng.randrange(120), even(messages.SNMP))
        talk.wait(rng.randrange(20 * MILLISECOND))


def recurse(stage: Stage, host: Host, party: Party) -> Source:
    """What the office's resolver asks the outside itself."""
    rng, outside = party.rng, stage.network.outside
    for now in pauses(stage, host, rng, 3):
        yield resolve(stage, host, party, f"www.{rng.choices(outside.web, outside.weights)[0].name}", now)


def welcome_visitors(stage: Stage, host: Host, party: Party) -> Source:
    """Strangers read the office's web site, which the server carries, and deliver its mail."""
    rng = party.rng
    for now in pauses(stage, host, rng, 9):
        visitor = stage.network.stranger(rng, "visitor")
        path = inbound(visitor, host)
        if rng.random() < 0.18:
            ends = ends_of(visitor, rng.randrange(1_024, 65_536), host, 25)
            yield party.tcp("mail", ends, path, now, protocols.submit_mail, about(rng, 9_000, 1.4, 800_000))
            continue
        for _ in range(rng.choice((1, 1, 2, 4))):
            exchanges = [(about(rng, 200_000, 1.2, 9e6), 480, about(rng, 9_000, 1.3, 300_000)) for _ in range(3)]
            ends = ends_of(visitor, rng.randrange(1_024, 65_536), host, 443)
            linger = rng.choice((0, 0, 5 * SECOND))
            yield party.tcp("visit", ends, path, now, protocols.tls, exchanges, linger_us=linger)
            now += rng.randrange(1, 30 * MILLISECOND)  # noqa: PLW2901 - the next connection of the same visitor


def inbound(visitor: Peer, host: Host) -> Path:
    """The way from outside to a host of the office, as a sensor beside that host sees it."""
    return Path(visitor.path.server_us, host.path.server_us, visitor.path.gap_us, visitor.path.loss)
