"""Scenarios: what is played together, and the files that come of it.

Promises:

- The same arguments give the same bytes, on any machine.
- Memory does not grow with the length of a scenario.
- An attack or the backup may be added without changing what the office itself does.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from trainer.traffic.attacks import ATTACKS
from trainer.traffic.bench import bench
from trainer.traffic.labels import Labels, read_labels
from trainer.traffic.office import HOSTS, Office
from trainer.traffic.packets import TrafficError
from trainer.traffic.protocols import SECOND
from trainer.traffic.schedule import play
from trainer.traffic.writer import LabelWriter, appearing, write_packets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trainer.traffic.flows import Source

log = logging.getLogger(__name__)

SCENARIOS: Final = ("office", "attacks", "mixed", "bench")
START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""A Monday morning."""
SNAP: Final = 96


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was written: both files, and flows and packets by kind (a flow here is one conversation as it was made)."""

    capture: Path
    labels: Path
    packets: int
    flows: int
    by_kind: dict[str, tuple[int, int]]

    def read_labels(self) -> Labels:
        """The labels, ready to be asked."""
        return read_labels(self.labels)


def labels_path(capture: Path) -> Path:
    """Where the labels of a capture are unless told otherwise."""
    return capture.with_name(capture.name + ".labels.json")


def build(
    scenario: str,
    out: Path,
    seed: int,
    minutes: float = 10,
    *,
    labels: Path | None = None,
    network: int | None = None,
    hosts: int = HOSTS,
    flows: int = 100_000,
    backup: bool = False,
    attacks: Sequence[str] | None = None,
    snap: int = SNAP,
    start: datetime = START,
) -> Traffic:
    """Write the capture `out` and its labels.

    `office` is an ordinary day, `attacks` one campaign of each attack without the office around it, `mixed` both;
    `bench` is `flows` short flows. `network` chooses another office than the one of `seed`; `attacks` which campaigns
    are played. IPv4 packets are cut to `snap` bytes (0: not at all). Raises `TrafficError` for what cannot be made or
    written.
    """
    if scenario not in SCENARIOS:
        raise TrafficError(f"no scenario is named {scenario!r}; choose one of {', '.join(SCENARIOS)}")
    if not 0 < minutes <= 7 * 24 * 60:
        raise TrafficError(f"a scenario of {minutes} minutes cannot be made; choose more than 0 and at most a week")
    if backup and scenario not in ("office", "mixed"):
        raise TrafficError(f"scenario {scenario!r} has no office whose backup could run; leave the backup out")
    beside = labels or labels_path(out)
    if beside == out:
        raise TrafficError(f"capture and labels cannot both be {out}; give the labels a name of their own")
    office = Office(seed, hosts, network=network, snap=snap)
    until_us = int(minutes * 60 * SECOND)
    sources: list[Source] = []
    if scenario == "bench":
        sources.append(bench(office.stage(until_us), office.party("bench"), flows))
    if scenario in ("office", "mixed"):
        sources += office.sources(until_us, with_backup=backup)
    if scenario in ("attacks", "mixed"):
        sources += _campaigns(office, until_us, tuple(ATTACKS) if attacks is None else attacks)
    about = {
        "scenario": scenario,
        "seed": seed,
        "network": office.network.seed,
        "start_ms": int(start.timestamp()) * 1000,
        "minutes": minutes,
        "capture": out.name,
    }
    start_us = int(start.timestamp()) * SECOND
    with appearing(beside, "w") as text, appearing(out, "wb") as stream:
        rows = LabelWriter(text, start_us, about)
        # The bench is whole: its last flows may end after the last one began.
        packets = write_packets(stream, play(sources, None if scenario == "bench" else until_us, rows.add), start_us)
        rows.close()
    by_kind = {kind: (counts[0], counts[1]) for kind, counts in sorted(rows.by_kind.items())}
    made = sum(count for count, _ in by_kind.values())
    log.info("traffic_written scenario=%s seed=%d flows=%d packets=%d file=%s", scenario, seed, made, packets, out)
    return Traffic(out, beside, packets, made, by_kind)


def _campaigns(office: Office, until_us: int, names: Sequence[str]) -> list[Source]:
    """One campaign of each attack, at even distances with jitter between a tenth and nine tenths of the scenario."""
    unknown = [name for name in names if name not in ATTACKS]
    if unknown:
        raise TrafficError(f"no attack is named {unknown[0]!r}; choose from {', '.join(ATTACKS)}")
    order = random.Random(f"{office.seed}/campaigns")
    stage = office.stage(until_us)
    slot = 0.8 * until_us / max(1, len(names))
    sources: list[Source] = []
    for position, name in enumerate(names):
        begin = int(0.1 * until_us + slot * (position + 0.6 * order.random()))
        sources.append(ATTACKS[name](stage, office.party(name, campaign=position + 1), begin))
    return sources
