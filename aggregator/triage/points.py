"""An alert as grouping sees it, and what the ports, directions and sizes of one flow say about it. Pure.

Everything here depends on one alert alone, which is what lets incidents.py promise that incidents only grow. Knowledge
of well-known ports and of address ranges is general (IANA registries, RFC 1112, RFC 4291); nothing is of one network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from protos import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TCP: Final = 6
UDP: Final = 17
ICMP: Final = frozenset({1, 58})

FEW_PACKETS: Final = 6
"""A TCP flow of at most so many packets carried no conversation: a probe, or a failed one."""

PASSWORDS: Final[dict[int, str]] = {
    21: "FTP", 22: "SSH", 23: "Telnet", 25: "SMTP", 110: "POP3", 139: "NetBIOS", 143: "IMAP", 389: "LDAP", 445: "SMB",
    465: "SMTP", 512: "rexec", 513: "rlogin", 587: "SMTP", 636: "LDAP", 993: "IMAP", 990: "FTP", 995: "POP3",
    1433: "SQL Server", 1521: "Oracle", 1883: "MQTT", 2121: "FTP", 2222: "SSH", 2323: "Telnet", 3306: "MySQL",
    3389: "RDP", 5060: "SIP", 5432: "PostgreSQL", 5900: "VNC", 5901: "VNC", 5985: "WinRM", 5986: "WinRM",
    6379: "Redis", 8291: "Winbox", 8883: "MQTT", 27017: "MongoDB",
}  # fmt: skip
"""Services that ask for a password."""

ADMINISTRATION: Final[dict[int, str]] = {
    22: "SSH", 23: "Telnet", 135: "RPC", 139: "NetBIOS", 445: "SMB", 593: "RPC", 2222: "SSH", 3389: "RDP", 5900: "VNC",
    5985: "WinRM", 5986: "WinRM",
}  # fmt: skip
"""Services through which one host runs commands on another."""

AMPLIFIERS: Final[dict[int, str]] = {
    17: "QOTD", 19: "CharGEN", 53: "DNS", 69: "TFTP", 111: "portmapper", 123: "NTP", 137: "NetBIOS", 161: "SNMP",
    389: "CLDAP", 427: "SLP", 500: "ISAKMP", 520: "RIP", 1194: "OpenVPN", 1434: "SQL resolution", 1900: "SSDP",
    3283: "ARD", 3478: "STUN", 3702: "WS-Discovery", 4500: "ISAKMP", 5060: "SIP", 5093: "Sentinel", 5351: "NAT-PMP",
    5353: "mDNS", 5683: "CoAP", 10001: "Ubiquiti", 11211: "memcached", 27015: "Steam", 37810: "DVR",
}  # fmt: skip
"""UDP services that answer a small question at length, and so are misused to flood whoever is named as the asker."""

WEB: Final[dict[int, str]] = {
    80: "HTTP", 443: "HTTPS", 8000: "HTTP", 8008: "HTTP", 8080: "HTTP", 8443: "HTTPS", 8888: "HTTP",
}  # fmt: skip

SERVICES: Final[dict[int, str]] = {
    **AMPLIFIERS, **PASSWORDS, **ADMINISTRATION, **WEB, 67: "DHCP", 68: "DHCP", 88: "Kerberos", 514: "syslog",
    853: "DNS over TLS", 5222: "XMPP", 5355: "LLMNR", 6667: "IRC", 9200: "Elasticsearch",
}  # fmt: skip

_LAST_WELL_KNOWN: Final = 1023


TRAITS: Final = (
    "src2dst_packets",
    "src2dst_bytes",
    "dst2src_bytes",
    "dst2src_packets",
    "src2dst_syn_packets",
    "src2dst_ack_packets",
    "dst2src_syn_packets",
    "dst2src_rst_packets",
    "bidirectional_stddev_ps",
)
"""Features of a flow that grouping reads."""

MOST: Final = 2.0**53
"""More than any counter of a flow."""


@dataclass(frozen=True, slots=True)
class Point:
    """What grouping needs of an alert. Times are UTC milliseconds, sizes bytes; `src` is the side that spoke first.

    `opened` is false for a TCP flow without a connection request (SYN without ACK) of its source: an answer, a probe
    with other flags, or a later part of a connection. `refused`: the responder reset it. `deviation` is the sample
    standard deviation of the packet sizes. `incident_id`, `rule` and `anchor` are those of the incident it is in
    already, if any.
    """

    id: int
    src_ip: str
    dst_ip: str
    dst_port: int
    protocol: int
    first_seen_ms: int
    last_seen_ms: int
    packets: int
    bytes: int
    src_bytes: int
    dst_bytes: int
    score: float
    incident_id: int | None = None
    rule: str = ""
    anchor: str = ""
    src_port: int = 0
    src_packets: int = 0
    opened: bool = True
    refused: bool = False
    unanswered: bool = False
    deviation: float = 0.0

    @property
    def silent(self) -> bool:
        """Nobody answered, or the connection was not accepted."""
        return self.unanswered or not self.dst_bytes


def answers(point: Point) -> bool:
    """Its source is the server: it goes from a service's port to one that is none, and asks for no connection."""
    if not is_service(point.src_port) or is_service(point.dst_port) or not point.dst_port:
        return False
    return point.protocol == UDP or (point.protocol == TCP and not point.opened)


def probes(point: Point) -> bool:
    """It tried a door and did not go through: no answer, a refusal, a connection that carried nothing, a short ping."""
    if answers(point) or is_group(point.dst_ip):
        return False
    if point.silent or point.refused:
        return True
    return point.packets <= FEW_PACKETS and (point.protocol in ICMP or (point.protocol == TCP and point.opened))


def service(point: Point) -> tuple[int, int]:
    """Protocol and port of the serving side."""
    return point.protocol, point.src_port if answers(point) else point.dst_port


def is_service(port: int) -> bool:
    """A port on which something well known listens."""
    return 0 < port <= _LAST_WELL_KNOWN or port in SERVICES


def is_group(address: str) -> bool:
    """An address of many hosts: multicast or broadcast. Nobody need answer there."""
    if ":" in address:
        return address[:2].lower() == "ff"
    head, _, _ = address.partition(".")
    return address.endswith(".255") or (head.isdecimal() and 224 <= int(head) < 240)


def name(protocol: int, port: int) -> str:
    """A service in words: `SSH (port 22)`, `UDP port 6892`, `ICMP`."""
    if protocol in ICMP:
        return "ICMP"
    if not port:
        return {TCP: "TCP", UDP: "UDP"}.get(protocol, f"protocol {protocol}")
    known = SERVICES.get(port)
    if known:
        return f"{known} (port {port})"
    return f"UDP port {port}" if protocol == UDP else f"port {port}"


def of_flows(flows: NDArray[Any], scores: NDArray[Any], first_id: int = 1) -> Iterator[Point]:
    """Points of flow records (`FLOW` of the agent, by field name), numbered from `first_id`."""
    for offset, (flow, score) in enumerate(zip(flows, scores, strict=True)):
        protocol, packets = int(flow["protocol"]), int(flow["bidirectional_packets"])
        yield Point(
            id=first_id + offset,
            src_ip=contract.format_address(flow["src_ip"].tobytes()),
            dst_ip=contract.format_address(flow["dst_ip"].tobytes()),
            first_seen_ms=int(flow["bidirectional_first_seen_ms"]),
            last_seen_ms=int(flow["bidirectional_last_seen_ms"]),
            packets=packets,
            bytes=int(flow["bidirectional_bytes"]),
            score=float(score),
            src_port=int(flow["src_port"]),
            dst_port=int(flow["dst_port"]),
            protocol=protocol,
            **columns_of({trait: float(flow[trait]) for trait in TRAITS}, protocol, packets),
        )


def columns_of(traits: dict[str, float], protocol: int, packets: int) -> dict[str, Any]:
    """The fields of a point that come from features: `traits` has each of `TRAITS`."""
    asked = traits["src2dst_syn_packets"] > 0
    return {
        **{
            field: int(min(max(traits[trait], 0.0), MOST))
            for field, trait in (
                ("src_packets", "src2dst_packets"),
                ("src_bytes", "src2dst_bytes"),
                ("dst_bytes", "dst2src_bytes"),
            )
        },
        "opened": protocol != TCP or (asked and traits["src2dst_ack_packets"] < traits["src2dst_packets"]),
        "refused": traits["dst2src_rst_packets"] > 0 and packets <= FEW_PACKETS,
        "unanswered": traits["dst2src_packets"] <= 0
        or (protocol == TCP and asked and traits["dst2src_syn_packets"] <= 0),
        "deviation": max(traits["bidirectional_stddev_ps"], 0.0),
    }
