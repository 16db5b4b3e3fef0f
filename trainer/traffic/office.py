"""The office: hosts with their habits, ready to be played.

`Office(seed).sources(until_us)` is everything that happens on an ordinary day. Every habit of every host has a chance
of its own, derived from the seed and the names of both, so that adding an attack or the backup does not change what the
others do.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from trainer.traffic import backup, machines, people
from trainer.traffic.flows import Party, Source
from trainer.traffic.network import Host, Network, Role, draw
from trainer.traffic.packets import Wire
from trainer.traffic.stage import Habit, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS = 24
"""Hosts of an office unless told otherwise."""

_EVERYBODY: tuple[Habit, ...] = (machines.keep_time, machines.announce, machines.find_neighbours)
_HABITS: dict[Role, tuple[Habit, ...]] = {
    Role.GATEWAY: (machines.update,),
    Role.SERVER: (machines.update, machines.report, machines.welcome_visitors),
    Role.NAS: (machines.update, machines.report),
    Role.PRINTER: (machines.report,),
    Role.WORKSTATION: (
        people.browse,
        people.read_mail,
        people.write_mail,
        people.work_on_files,
        people.keep_files_in_cloud,
        people.chat,
        people.printing,
        machines.look_up_directory,
        machines.report,
        machines.update,
    ),
    Role.PHONE: (people.browse, people.talk_by_phone, machines.report, machines.stay_reachable, people.read_mail),
    Role.IOT: (machines.report, machines.stay_reachable),
}


class Office:
    """A network and what its hosts do in one scenario.

    `network` seeds the address plan and the outside world (by default `seed` does); `seed` the day. Raises
    `TrafficError` for a number of hosts that cannot be made.
    """

    def __init__(self, seed: int, hosts: int = HOSTS, *, network: int | None = None, snap: int = 0) -> None:
        self.seed = seed
        self.network: Network = draw(seed if network is None else network, hosts)
        self.wire = Wire(seed, snap)

    def party(self, name: str, campaign: int = 0) -> Party:
        """Somebody with a chance of their own."""
        return Party(self.wire, random.Random(f"{self.seed}/{name}"), campaign)

    def stage(self, until_us: int) -> Stage:
        """The network until then, microseconds after the start."""
        return Stage(self.network, self.wire, until_us)

    def sources(self, until_us: int, *, with_backup: bool = False) -> list[Source]:
        """All that happens until then, as sources to be played together."""
        stage = self.stage(until_us)
        found = [
            habit(stage, host, self.party(f"{host.name}/{habit.__name__}"))
            for host in self.network.hosts
            for habit in self._habits(host)
        ]
        if with_backup:
            found.append(backup.backup(stage, self.party("backup")))
        return found

    def _habits(self, host: Host) -> Iterator[Habit]:
        """The habits of a host's role, and some that only a few have: a choice of the network, not of the day."""
        chance = random.Random(f"habits/{self.network.seed}/{host.name}")
        yield from _EVERYBODY
        yield from _HABITS[host.role]
        if host is self.network.server:
            yield machines.monitor
        if host is self.network.resolver:
            yield machines.recurse
        if host.role is Role.WORKSTATION and (chance.random() < 0.2 or host is self._first_workstation()):
            yield people.administer
        if host.role is Role.IOT and chance.random() < 0.5:
            yield machines.show

    def _first_workstation(self) -> Host:
        return self.network.having(Role.WORKSTATION)[0]
