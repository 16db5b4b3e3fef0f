"""The nightly backup: benign, heavy, and unlike everything else the office does.

Absent by default. Switched on, workstations and the server push archives to the NAS on a port nothing else uses, all at
once every few minutes, with a short control connection before and after. A model that was fitted without it has every
reason to raise alerts; a person knows better and says so, and the retrained model agrees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.traffic import protocols
from trainer.traffic.flows import Party, Source, ends_of
from trainer.traffic.network import Host, Role
from trainer.traffic.protocols import MILLISECOND, SECOND, about

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from trainer.traffic.conversation import Connection
    from trainer.traffic.packets import Packet
    from trainer.traffic.stage import Stage

CLIENTS = 10
ROUNDS = 6
"""At least so many, however short the run: with four flows a client, enough to label some and hold some back."""

_LONGEST_WAIT_US = 300 * SECOND


def backup(stage: Stage, party: Party) -> Source:
    """All clients at nearly the same moment, as their timers say, round after round."""
    rng, network = party.rng, stage.network
    target = network.having(Role.NAS)[0]
    clients = [network.server, *network.having(Role.WORKSTATION)[: CLIENTS - 1]]
    span = stage.until_us * 0.94
    every = min(_LONGEST_WAIT_US, span / ROUNDS)
    now = stage.until_us * 0.02
    while now < span:
        begins = [now + rng.random() * min(4 * SECOND, every / 2) for _ in clients]
        flows = [
            flow
            for client, begin in zip(clients, begins, strict=True)
            for flow in _push(party, client, target, network.backup_port, begin)
        ]
        yield from sorted(flows, key=lambda flow: flow.start_us)
        now += every


def _push(party: Party, client: Host, target: Host, port: int, begin: float) -> Source:
    """Announce, send two archives side by side, confirm."""
    rng = party.rng
    yield party.tcp("backup", ends_of(client, client.port(), target, port), target.path, begin, _control)
    begin += about(rng, 90 * MILLISECOND, 0.3, SECOND)
    for _ in range(2):
        size = about(rng, 700_000, 0.35, 2_000_000)
        yield party.tcp("backup", ends_of(client, client.port(), target, port + 1), target.path, begin, _archive, size)
        begin += rng.randrange(1, 20 * MILLISECOND)
    begin += about(rng, 1_500 * MILLISECOND, 0.2, 4 * SECOND)
    yield party.tcp("backup", ends_of(client, client.port(), target, port), target.path, begin, _control)


def _control(talk: Connection, rng: random.Random) -> Iterator[Packet]:
    yield from talk.open()
    yield from protocols.lines(talk, rng, 3, 96, 48, 2_000)
    yield from talk.close()


def _archive(talk: Connection, rng: random.Random, size: int) -> Iterator[Packet]:
    yield from talk.open()
    yield from protocols.lines(talk, rng, 2, 240, 64, 3_000)
    while size > 0:
        piece = min(size, 131_072)
        size -= piece
        yield from talk.send(piece, think_us=about(rng, 6 * MILLISECOND, 0.3, 60 * MILLISECOND))
    yield from talk.answer(64, think_us=about(rng, 20 * MILLISECOND, 0.4, SECOND))
    yield from talk.close()
