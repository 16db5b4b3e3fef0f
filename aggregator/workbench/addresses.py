"""Which addresses a table may be fetched from. The decision is pure; only looking a name up is not.

Who may name an address must not reach through this machine into its network: kinds of address and database are those
of the settings, and a host must be public, or be named in the settings. The trainer fetches in its own process and
follows what the server answers; the settings' list of hosts is the boundary to rely on, not this look-up alone.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from aggregator.errors import Forbidden, Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST: Final = 4_096
STORAGE: Final = frozenset({"s3", "gs", "gcs", "abfs", "az"})
"""Kinds whose address names a bucket; the host is the provider's, or the option `endpoint_url`."""

PARAMETERS: Final = frozenset(
    {"sslmode", "ssl", "charset", "connect_timeout", "application_name", "driver", "encrypt", "trustservercertificate",
     "service_name"}
)  # fmt: skip
"""Of a database's address. Others could name another host than the one that was looked at."""

SIGNED: Final = ("sig", "token", "secret", "password", "key", "credential", "auth")


def require_database(url: str, databases: Sequence[str]) -> SplitResult:
    """The parts of a database's address. Raises `Invalid`, `Forbidden`; the message never repeats the address."""
    parts = _parts(url)
    kind = parts.scheme.partition("+")[0]
    _require_kind(kind, databases, "workbench_databases", "SQL database")
    _require_host(parts)
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name.lower() not in PARAMETERS:
            raise Invalid(f"the database's address may not set {name[:40]!r}; leave it out")
    return parts


def require_remote(url: str, schemes: Sequence[str]) -> SplitResult:
    """The parts of a remote file's address, which holds no secret. Raises `Invalid`, `Forbidden`."""
    parts = _parts(url)
    _require_kind(parts.scheme, schemes, "workbench_schemes", "remote file")
    _require_host(parts)
    signed = [name for name, _ in parse_qsl(parts.query) if any(word in name.lower() for word in SIGNED)]
    if parts.username or parts.password or signed:
        raise Invalid(
            "this address holds a name, a password or a signature; give those as options, or download the file and "
            "upload it here"
        )
    return parts


def shown(parts: SplitResult) -> str:
    """An address without names, passwords and parameters: what rows, lists and the audit log show."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))[:200]


def require_reachable(host: str, allowed: Sequence[str], look_up: Callable[[str], list[str]]) -> None:
    """Raise `Forbidden` unless a host is one of `allowed`, or any public one while that is empty. Blocks."""
    name = host.lower().rstrip(".")
    if name in {one.lower() for one in allowed}:
        return
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in look_up(name)]
    networks = [network for one in allowed if (network := _network(one)) is not None]
    for address in addresses:
        inside = any(address.version == network.version and address in network for network in networks)
        if not inside and (allowed or not address.is_global or address.is_multicast):
            why = "it is not in workbench_hosts" if allowed else "it is inside a private network"
            raise Forbidden(
                f"the host {name[:100]} may not be asked: {why}; an administrator can name it in workbench_hosts"
            )


def look_up(host: str) -> list[str]:
    """All addresses of a host. Raises `Invalid` for one that nobody knows. Blocks."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        raise Invalid(f"the host {host[:100]} is not known ({error}); check the address") from error


def _parts(url: str) -> SplitResult:
    wrong = Invalid("this is no address such as postgresql://host/database or s3://bucket/file.csv")
    if not 1 <= len(url) <= LONGEST or not url.isprintable() or "\\" in url or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        raise wrong from None
    if not parts.scheme:
        raise wrong
    return parts


def _require_kind(kind: str, allowed: Sequence[str], setting: str, what: str) -> None:
    if kind not in allowed:
        there = f"{', '.join(allowed)} can" if allowed else "none can"
        raise Forbidden(f"a {what} of kind {kind[:20]!r} cannot be imported from here; {there} ({setting})")


def _require_host(parts: SplitResult) -> None:
    if not parts.hostname or "," in parts.netloc:
        raise Invalid("the address names no host, or several; name one")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
