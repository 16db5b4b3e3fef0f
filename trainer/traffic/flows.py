"""A flow on its way: who talks, what kind of talk it is, and the packets still to come.

Activities and attacks are iterators of flows in the order of their starts. A flow's packets are made while they are
written, never before, so memory holds the flows that are under way and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeAlias

from trainer.traffic.conversation import Connection, Datagrams, Path
from trainer.traffic.templates import TCP, UDP, Endpoint

if TYPE_CHECKING:
    import random

    from trainer.traffic.network import Peer
    from trainer.traffic.packets import Packet, Wire

P = ParamSpec("P")

Ends: TypeAlias = tuple[Endpoint, int, Endpoint, int]
"""Initiator, its port, responder, its port."""


@dataclass(slots=True, eq=False)
class Flow:
    """One conversation. `campaign` is 0 for what belongs to the office, else the number of the attack it is part of.

    `protocol` is 0 for what is not IP: it is written, but no meter sees it and it has no label. The last three fields
    are filled in while it is written.
    """

    kind: str
    ends: Ends
    protocol: int
    start_us: int
    packets: Iterator[Packet]
    campaign: int = 0
    first_us: int = -1
    last_us: int = -1
    written: int = 0


Source: TypeAlias = Iterator[Flow]
"""Flows in the order of their starts."""


@dataclass(frozen=True, slots=True)
class Party:
    """In whose name flows are made: the wire they are written to, their chance, and the attack they belong to."""

    wire: Wire
    rng: random.Random
    campaign: int = 0

    def tcp(
        self,
        kind: str,
        ends: Ends,
        path: Path,
        start_us: float,
        script: Callable[Concatenate[Connection, random.Random, P], Iterator[Packet]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Flow:
        """A TCP connection that follows `script`."""
        start = int(start_us)
        packets = script(Connection(self.wire, self.rng, ends, path, start), self.rng, *args, **kwargs)
        return Flow(kind, ends, TCP, start, packets, self.campaign)

    def udp(
        self,
        kind: str,
        ends: Ends,
        path: Path,
        start_us: float,
        script: Callable[Concatenate[Datagrams, random.Random, P], Iterator[Packet]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Flow:
        """A UDP exchange that follows `script`."""
        start = int(start_us)
        packets = script(Datagrams(self.wire, self.rng, ends, path, start), self.rng, *args, **kwargs)
        return Flow(kind, ends, UDP, start, packets, self.campaign)


def ends_of(client: Peer, sport: int, server: Peer, dport: int, *, v6: bool = False) -> Ends:
    """The four of them, over IPv4 or IPv6."""
    return (client.v6, sport, server.v6, dport) if v6 else (client.v4, sport, server.v4, dport)
