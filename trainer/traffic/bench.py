"""The bench scenario: an exact number of short flows with a steady mean, for measuring meters.

Flows begin at random moments of the scenario, last about a second at most and have five-tuples of their own, so any
meter counts exactly as many as were asked for. Per 1,000 flows there are about 5,500 packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.traffic import messages, protocols
from trainer.traffic.flows import Party, Source, ends_of
from trainer.traffic.network import Role
from trainer.traffic.packets import TrafficError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.conversation import Connection
    from trainer.traffic.packets import Packet
    from trainer.traffic.stage import Stage

LARGEST = 2_000_000


def bench(stage: Stage, party: Party, flows: int) -> Source:
    """`flows` flows, spread over the time until the end of the stage. Raises `TrafficError` for too many or none."""
    if not 1 <= flows <= LARGEST:
        raise TrafficError(f"{flows} flows cannot be made; choose 1 to {LARGEST:,}")
    rng, network = party.rng, stage.network
    people = network.having(Role.WORKSTATION, Role.PHONE, Role.IOT)
    web = network.outside.web
    rate = flows / max(1, stage.until_us)
    now = 0.0
    for number in range(flows):
        # Addresses and ports count through all pairs, so that no five-tuple comes twice in one capture.
        host, rest = people[number % len(people)], number // len(people)
        site, port = web[rest % len(web)], 1_024 + rest // len(web)
        draw = rng.random()
        now += rng.expovariate(rate)
        if draw < 0.42:
            ends = ends_of(host, port, site, 53)
            records = [rng.randbytes(4)]
            yield party.udp("dns", ends, site.path, now, protocols.dns, f"www.{site.name}", messages.A, records, 0.5)
        elif draw < 0.495:
            yield party.tcp("web", ends_of(host, port, site, 443), site.path, now, _turned_away)
        else:
            yield party.tcp("web", ends_of(host, port, site, 443), site.path, now, _page)


def _turned_away(talk: Connection, _: random.Random) -> Iterator[Packet]:
    yield from talk.refused()


def _page(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    yield from talk.open()
    yield from talk.send(300 + rng.randrange(300))
    yield from talk.answer(rng.choice((400, 900, 1_300)))
    yield from talk.close() if rng.random() < 0.8 else talk.reset()
