"""Who is there: the address plan of one small office, its hosts, and the services it uses outside.

Promises:

- A network is drawn from a seed: private ranges, subnets, where the gateway and the resolver sit, MAC addresses, IPv6
  prefixes, names and outside addresses all differ, so that nothing can be learnt from an address.
- Two scenarios with the same network seed are the same office on two days.
- Outside addresses are public unicast ones. They are only ever written to a file.
"""

from __future__ import annotations

import ipaddress
import math
import random
from dataclasses import dataclass, field
from enum import StrEnum

from trainer.traffic.conversation import Path
from trainer.traffic.packets import TrafficError
from trainer.traffic.templates import Endpoint

SMALLEST_OFFICE = 8
LARGEST_OFFICE = 200

_SYLLABLES = [
    "ba",
    "be",
    "bo",
    "ca",
    "co",
    "da",
    "de",
    "do",
    "fa",
    "fe",
    "fi",
    "ga",
    "go",
    "ka",
    "ke",
    "ki",
    "la",
    "le",
    "lo",
    "ma",
    "me",
    "mi",
    "na",
    "ne",
    "no",
    "pa",
    "po",
    "ra",
    "re",
    "ri",
    "sa",
    "se",
    "so",
    "ta",
    "te",
    "vi",
]
_ENDINGS = ("com", "com", "com", "net", "org", "io", "de", "eu")
_FIRST_PORT, _LAST_PORT = 49_152, 65_535


class Role(StrEnum):
    """What a host is, and so what it does."""

    GATEWAY = "gateway"
    SERVER = "server"
    NAS = "nas"
    PRINTER = "printer"
    WORKSTATION = "workstation"
    PHONE = "phone"
    IOT = "iot"


@dataclass(slots=True, eq=False)
class Peer:
    """Somebody to talk to: a name, an address of each family, and the way there from inside the office."""

    name: str
    v4: Endpoint
    v6: Endpoint
    path: Path


@dataclass(slots=True, eq=False)
class Host(Peer):
    """A host of the office. `pace` scales how often its user does things; `link` is its link-local address."""

    role: Role
    link: Endpoint
    pace: float
    next_port: int = _FIRST_PORT

    def port(self) -> int:
        """A fresh ephemeral port; they come round after 16,384."""
        port = self.next_port
        self.next_port = _FIRST_PORT if port == _LAST_PORT else port + 1
        return port


@dataclass(slots=True)
class Outside:
    """Services on the internet, by what the office needs them for."""

    web: list[Peer]
    weights: list[float]
    """How popular each web site is: Zipf's law."""
    mail: Peer
    chat: Peer
    cloud: Peer
    telemetry: list[Peer]
    updates: list[Peer]
    times: list[Peer]
    things: list[Peer]
    """What phones and devices report to."""
    resolver: Peer


@dataclass(slots=True)
class Network:
    """One office. `subnets` are its /24s; `resolver` answers its DNS, from inside or outside."""

    seed: int
    subnets: list[ipaddress.IPv4Network]
    domain: str
    hosts: list[Host]
    outside: Outside
    resolver: Peer
    backup_port: int
    _drawn: set[int] = field(default_factory=set)

    def having(self, *roles: Role) -> list[Host]:
        """The hosts of these roles, in the order of the address plan."""
        return [host for host in self.hosts if host.role in roles]

    @property
    def gateway(self) -> Host:
        """The router to the outside."""
        return self.having(Role.GATEWAY)[0]

    @property
    def server(self) -> Host:
        """The office's main server: files, directory, web and mail."""
        return self.having(Role.SERVER)[0]

    def stranger(self, rng: random.Random, name: str = "") -> Peer:
        """Somebody outside nobody has met yet."""
        return _outside_peer(rng, self.gateway.v4.mac, name or _name(rng), self._drawn)

    def unused(self, rng: random.Random, count: int) -> list[Endpoint]:
        """Addresses of the office's ranges where no host answers, behind the gateway. All differ."""
        taken = {host.v4.ip for host in self.hosts}
        free = [
            address.packed
            for subnet in (*self.subnets, *(_neighbour(subnet, step) for subnet in self.subnets for step in (1, 2)))
            for address in subnet.hosts()
        ]
        free = [packed for packed in dict.fromkeys(free) if packed not in taken]
        chosen = rng.sample(free, min(count, len(free)))
        return [Endpoint(self.gateway.v4.mac, packed) for packed in chosen]


def draw(seed: int, hosts: int) -> Network:
    """The office of this seed with this many hosts, gateway and servers included.

    Raises `TrafficError` for fewer than 8 or more than 200 hosts.
    """
    if not SMALLEST_OFFICE <= hosts <= LARGEST_OFFICE:
        raise TrafficError(f"an office of {hosts} hosts cannot be made; choose {SMALLEST_OFFICE} to {LARGEST_OFFICE}")
    rng = random.Random(f"network/{seed}")
    subnets = _subnets(rng)
    domain = f"{_word(rng)}.{rng.choice(('lan', 'local', 'office', 'intra'))}"
    prefix6 = ipaddress.IPv6Network((rng.randrange(0x2A00, 0x2A10) << 112 | rng.getrandbits(48) << 64, 64))
    makers = [bytes((rng.getrandbits(8) & 0xFC, rng.getrandbits(8), rng.getrandbits(8))) for _ in range(6)]
    everyone: list[Host] = []
    taken: set[bytes] = set()
    for role in _roles(rng, hosts):
        subnet = subnets[_subnet_of(role) % len(subnets)]
        everyone.append(_host(rng, role, len(everyone), subnet, prefix6, rng.choice(makers), taken))
    mac = everyone[0].v4.mac
    drawn: set[int] = set()

    def group(kind: str, count: int) -> list[Peer]:
        return [_outside_peer(rng, mac, f"{kind}.{_name(rng)}" if kind else _name(rng), drawn) for _ in range(count)]

    web = group("", rng.randrange(50, 110))
    exponent = 0.8 + 0.4 * rng.random()
    outside = Outside(
        web=web,
        weights=[1 / (rank + 1) ** exponent for rank in range(len(web))],
        mail=group("mail", 1)[0],
        chat=group("chat", 1)[0],
        cloud=group("sync", 1)[0],
        telemetry=group("events", 4),
        updates=group("dl", 3),
        times=group("ntp", 4),
        things=group("api", 6),
        resolver=group("dns", 1)[0],
    )
    inside = everyone[rng.choice((0, 1))]  # the gateway or the server
    resolver: Peer = inside if rng.random() < 0.7 else outside.resolver
    port = rng.choice((1500, 6502, 8730, 9387, 10_080, 13_724, 17_500))
    return Network(seed, subnets, domain, everyone, outside, resolver, port, drawn)


def _subnets(rng: random.Random) -> list[ipaddress.IPv4Network]:
    """One to three /24s of one of the private ranges, next to each other."""
    count = rng.choice((1, 1, 2, 3))
    base = rng.choice(
        (
            f"10.{rng.randrange(256)}.{rng.randrange(0, 240)}.0",
            f"172.{rng.randrange(16, 32)}.{rng.randrange(0, 240)}.0",
            f"192.168.{rng.randrange(0, 240)}.0",
        )
    )
    first = ipaddress.IPv4Network(f"{base}/24")
    return [_neighbour(first, step) for step in range(count)]


def _neighbour(subnet: ipaddress.IPv4Network, step: int) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network((int(subnet.network_address) + step * 256, 24))


def _subnet_of(role: Role) -> int:
    """People, servers and things are kept apart where there is more than one subnet."""
    return {Role.SERVER: 1, Role.NAS: 1, Role.PRINTER: 2, Role.IOT: 2}.get(role, 0)


def _roles(rng: random.Random, hosts: int) -> list[Role]:
    """Gateway and server first; then a NAS, printers, and people and their devices in the remaining places."""
    fixed = [Role.GATEWAY, Role.SERVER, Role.NAS, Role.PRINTER]
    if hosts >= 20:
        fixed.append(rng.choice((Role.PRINTER, Role.SERVER)))
    rest = hosts - len(fixed)
    phones = round(rest * (0.12 + 0.1 * rng.random()))
    things = round(rest * (0.12 + 0.1 * rng.random()))
    return fixed + [Role.WORKSTATION] * (rest - phones - things) + [Role.PHONE] * phones + [Role.IOT] * things


def _host(
    rng: random.Random,
    role: Role,
    number: int,
    subnet: ipaddress.IPv4Network,
    prefix6: ipaddress.IPv6Network,
    maker: bytes,
    taken: set[bytes],
) -> Host:
    first = int(subnet.network_address)
    while True:
        last = rng.choice((1, 254)) if role is Role.GATEWAY else rng.randrange(2, 254)
        ip = ipaddress.IPv4Address(first + last).packed
        if ip not in taken:
            taken.add(ip)
            break
    mac = maker + rng.randbytes(3)
    interface = int.from_bytes(bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:], "big")
    v6 = ipaddress.IPv6Address(int(prefix6.network_address) | interface).packed
    link = ipaddress.IPv6Address(0xFE80 << 112 | interface).packed
    # Windows does not send TCP timestamps by default and starts at a TTL of 128; about half the workstations are that.
    windows = role is Role.WORKSTATION and rng.random() < 0.55
    ttl, stamps = (128, False) if windows else (64, role not in (Role.PRINTER, Role.IOT))
    answer = {Role.PRINTER: 900, Role.IOT: 1500, Role.PHONE: 2500, Role.NAS: 350}.get(role, 220)
    path = Path(
        client_us=rng.randrange(60, 200),
        server_us=int(answer * (0.7 + 0.6 * rng.random())),
        gap_us=rng.randrange(12, 30) if role in (Role.SERVER, Role.NAS) else rng.randrange(25, 130),
    )
    return Host(
        name=f"{role.value}{number}",
        v4=Endpoint(mac, ip, ttl, stamps),
        v6=Endpoint(mac, v6, ttl, stamps),
        path=path,
        role=role,
        link=Endpoint(mac, link, 255, stamps),
        pace=rng.lognormvariate(0, 0.35),
        next_port=rng.randrange(_FIRST_PORT, _LAST_PORT),
    )


def _outside_peer(rng: random.Random, mac: bytes, name: str, drawn: set[int]) -> Peer:
    while True:
        number = rng.getrandbits(32)
        address = ipaddress.IPv4Address(number)
        if address.is_global and not address.is_multicast and number not in drawn:
            drawn.add(number)
            break
    v6 = ipaddress.IPv6Address(rng.randrange(0x2600, 0x2610) << 112 | rng.getrandbits(100)).packed
    ttl = rng.choice((46, 49, 52, 54, 56, 57, 113, 118))
    stamps = rng.random() < 0.7
    server_us = int(1000 * min(260.0, math.exp(rng.gauss(2.9, 0.7))) + 2500)
    path = Path(
        client_us=rng.randrange(80, 260),
        server_us=server_us,
        gap_us=int(math.exp(rng.gauss(5.2, 0.5))),
        loss=rng.choice((0.0, 0.0002, 0.0005, 0.001, 0.002)),
    )
    return Peer(name, Endpoint(mac, address.packed, ttl, stamps), Endpoint(mac, v6, ttl, stamps), path)


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 3, 3, 4))))


def _name(rng: random.Random) -> str:
    return f"{_word(rng)}.{rng.choice(_ENDINGS)}"
