"""What is called normal here: the scope of a suppression rule, how it meets an alert, when it is too broad. Pure.

An alert is met from either side: a flow whose source is the server (an answer, or a later part of a connection) is the
client's business with that server, and a rule about the two holds for it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from aggregator.errors import Invalid
from aggregator.triage.incidents import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_MS: Final = 86_400_000
LONGEST_DAYS: Final = 365
"""A rule ends by itself after at most a year: what is normal changes."""

PREVIEW_DAYS: Final = 7
MOST_SHARE: Final = 0.5
"""A rule that would have hidden more of the recent alerts is refused,"""

FEW_ALERTS: Final = 20
"""unless it is so few."""

WARN_SHARE: Final = 0.1
BROADEST: Final = {4: 8, 6: 32}
"""Shortest prefix of a network a rule may name."""

WIDE: Final = {4: 16, 6: 48}
"""A shorter prefix earns a warning."""

PORTS: Final = 65_535
PROTOCOLS: Final = 255


@dataclass(frozen=True, slots=True)
class Met:
    """An alert as a rule looks at it. `turned`: its source is the server."""

    id: int
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    kind: str
    agent_id: str
    received_ms: int
    group: str = ""
    turned: bool = False
    incident_id: int | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is about; None is any. Networks in the notation of CIDR, `port` is the service's."""

    source: str | None = None
    destination: str | None = None
    port: int | None = None
    protocol: int | None = None
    kind: str | None = None
    agent_id: str | None = None
    group: str | None = None  # of agents

    def checked(self) -> Scope:
        """The same scope in one notation. Raises `Invalid` for what cannot be, or for a scope about no host."""
        if self.source is None and self.destination is None:
            raise Invalid("a suppression needs a source or a destination: without one it would hide everybody's alerts")
        for noun, value, most in (("port", self.port, PORTS), ("protocol", self.protocol, PROTOCOLS)):
            if value is not None and not 0 <= value <= most:
                raise Invalid(f"{noun} {value} must be between 0 and {most}")
        if self.kind is not None and self.kind not in KINDS:
            raise Invalid(f"no kind of incident named {self.kind[:40]!r}; use {', '.join(KINDS)}")
        return Scope(
            _network_text(self.source, "source"),
            _network_text(self.destination, "destination"),
            self.port,
            self.protocol,
            self.kind,
            self.agent_id,
            self.group,
        )

    def holds(self, alert: Met) -> bool:
        """Whether the rule is about this alert."""
        if self.kind not in {None, alert.kind} or self.agent_id not in {None, alert.agent_id}:
            return False
        if self.protocol not in {None, alert.protocol} or self.group not in {None, alert.group}:
            return False
        return self._meets(alert.src_ip, alert.dst_ip, alert.dst_port) or (
            alert.turned and self._meets(alert.dst_ip, alert.src_ip, alert.src_port)
        )

    def _meets(self, source: str, destination: str, port: int) -> bool:
        if self.port not in {None, port}:
            return False
        return _inside(self.source, source) and _inside(self.destination, destination)


@dataclass(frozen=True, slots=True)
class Suppression:
    """A rule about what is normal here: until when, who says so and why. Rules are never changed or removed."""

    id: int
    source: str | None  # address or network; None is any, as below
    destination: str | None
    port: int | None  # of the service
    protocol: int | None
    kind: str | None  # of the incident
    agent_id: str | None
    group: str | None  # of agents
    reason: str
    by: str
    at_ms: int
    since_ms: int  # alerts received from then on
    until_ms: int
    state: str  # in force | expired | ended | undone
    ended_ms: int | None
    ended_by: str | None
    share: float  # of the alerts of the days before it was made, what it would have hidden
    forced: bool  # made in spite of a warning that refuses
    alerts: int  # it has hidden
    latest_ms: int | None  # arrival of the latest of them


@dataclass(frozen=True, slots=True)
class SuppressionPreview:
    """What a rule would have hidden. With `refusals`, only an operator who insists can make it."""

    days: int
    alerts: int  # received in those days
    hidden: int
    share: float
    incidents: int  # that would be hidden whole
    judged_malicious: int  # hidden alerts that were judged an attack
    kinds: dict[str, int]  # of incidents, and hidden alerts of each
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def objections(scope: Scope, alerts: int, met: Iterable[Met], whole_incidents: int) -> SuppressionPreview:
    """What a rule would have hidden of `alerts` recent ones, and what speaks against it.

    `met` are those it holds for; `whole_incidents` the incidents they are all of.
    """
    found = list(met)
    share = len(found) / alerts if alerts else 0.0
    malicious = sum(alert.verdict == "malicious" for alert in found)
    kinds: dict[str, int] = {}
    for alert in found:
        kinds[alert.kind] = kinds.get(alert.kind, 0) + 1
    refusals: list[str] = []
    warnings: list[str] = []
    for noun, text in (("source", scope.source), ("destination", scope.destination)):
        if text is None:
            continue
        network = ipaddress.ip_network(text)
        if network.prefixlen < BROADEST[network.version]:
            refusals.append(f"the {noun} {text} is broader than /{BROADEST[network.version]}")
        elif network.prefixlen < WIDE[network.version]:
            warnings.append(f"the {noun} {text} has {network.num_addresses} addresses")
    if len(found) > FEW_ALERTS and share > MOST_SHARE:
        refusals.append(f"it would have hidden {share:.0%} of the alerts of the last {PREVIEW_DAYS} days")
    elif share > WARN_SHARE:
        warnings.append(f"it would have hidden {share:.0%} of the alerts of the last {PREVIEW_DAYS} days")
    if malicious:
        refusals.append(f"{malicious} of the alerts it would have hidden were judged an attack")
    return SuppressionPreview(
        PREVIEW_DAYS,
        alerts,
        len(found),
        share,
        whole_incidents,
        malicious,
        dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0]))),
        tuple(refusals),
        tuple(warnings),
    )


def _network_text(text: str | None, noun: str) -> str | None:
    if text is None:
        return None
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Invalid(f"{noun} {text[:60]!r} is no address or network; write it like 10.1.2.3 or 10.1.0.0/16") from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _inside(network: str | None, address: str) -> bool:
    return network is None or network == address or ("/" in network and _contains(network, address))


@lru_cache(maxsize=65_536)
def _contains(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)
