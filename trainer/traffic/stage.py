"""The stage on which habits and attacks play: where, until when, and the two things everybody does there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from trainer.traffic import messages, protocols
from trainer.traffic.flows import Flow, Party, Source, ends_of
from trainer.traffic.network import Host, Network
from trainer.traffic.protocols import MILLISECOND, SECOND, about

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.packets import Wire


@dataclass(frozen=True, slots=True)
class Stage:
    """Where and until when things happen."""

    network: Network
    wire: Wire
    until_us: int


Habit: TypeAlias = Callable[[Stage, Host, Party], Source]


def pauses(stage: Stage, host: Host, rng: random.Random, median_s: float, spread: float = 0.8) -> Iterator[int]:
    """The moments at which a host does something, in microseconds, until the end."""
    now = rng.random() * median_s * SECOND * host.pace
    while now < stage.until_us:
        yield int(now)
        now += about(rng, median_s * SECOND * host.pace, spread, 20 * median_s * SECOND) + 10 * MILLISECOND


def resolve(stage: Stage, host: Host, party: Party, name: str, at_us: float, kind: int = messages.A) -> Flow:
    """A look-up at the office's resolver, or at an outside one by the resolver itself."""
    network = stage.network
    resolver = network.outside.resolver if network.resolver is host else network.resolver
    rng = party.rng
    length = 16 if kind == messages.AAAA else 4
    records = [rng.randbytes(length) for _ in range(rng.choice((1, 1, 2, 2, 4)))]
    fate = rng.random()
    return party.udp(
        "dns",
        ends_of(host, host.port(), resolver, 53, v6=rng.random() < 0.04),
        resolver.path,
        at_us,
        protocols.dns,
        name,
        kind,
        records,
        fate,
    )
