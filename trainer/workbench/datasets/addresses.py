"""Which hosts may be asked for data: a server that fetches what people name must not fetch what only it can reach.

Refused are the addresses of cloud metadata services, link-local, multicast and unspecified ones, and this very host
unless that is allowed. Private networks are allowed: that is where the data of most installations lies.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from trainer.errors import SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA: Final = frozenset(
    ipaddress.ip_address(one)
    for one in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
_WRAPPED: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))


def lookup(host: str, port: int) -> list[str]:
    """Every address a name has. Raises `OSError`."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def resolve(
    host: str, port: int, *, allow_loopback: bool, lookup: Callable[[str, int], list[str]] = lookup
) -> list[str]:
    """The addresses of `host`, all of which may be asked. Raises `SourceUnreachable`."""
    try:
        found = lookup(host, port)
    except (OSError, UnicodeError) as error:
        raise SourceUnreachable(f"fetching from {host}: the name is not known ({error}); check the address") from error
    for text in found:
        why = refused(ipaddress.ip_address(text.partition("%")[0]), allow_loopback=allow_loopback)
        if why is not None:
            raise SourceUnreachable(
                f"fetching from {host}: {text} is {why}, which is never asked for data; give the address of a file server"
            )
    if not found:
        raise SourceUnreachable(f"fetching from {host}: the name has no address; check it")
    return found


def refused(address: Address, *, allow_loopback: bool) -> str | None:
    """Why an address may not be asked; None if it may."""
    inner = _inner(address)
    if inner in METADATA:
        return "a cloud's metadata service"
    if inner.is_link_local:
        return "a link-local address"
    if inner.is_multicast or inner.is_unspecified or inner == ipaddress.ip_address("255.255.255.255"):
        return "no address of one host"
    if inner.is_loopback and not allow_loopback:
        return "this very host"
    return None


def _inner(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _WRAPPED[0]:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address
