"""Who plays what: captures metered, and dealt to fitting, to labelling and to the test.

Nothing here fits anything. Dealing is pure: a seed decides, in the order of the captures' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from protos.manifest import CaptureProfile
from trainer.corpora import truth
from trainer.corpora.rows import Rows, family_of, file_digest, hosts_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NEVER_LABELLED: Final = 0.3
"""Share of the families that get no label."""
LIVE: Final = 0.25
"""Share of the benign captures that are not fitted on which a network sees while verdicts are given."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    manifest: Path
    incidents: int = 50
    seeds: int = 3
    first_seed: int = 1
    fit_share: float = 0.6
    alpha: float = 5e-3
    epochs: int = 60


@dataclass(frozen=True, slots=True)
class Capture:
    """A metered capture: its rows, and the flow records that grouping reads. `attack` `[n]` is the truth."""

    name: str
    family: str
    rows: Rows
    flows: NDArray
    attack: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a capture, by position."""

    capture: Capture
    rows: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Deal:
    """One seed's roles. Verdicts are given on what is `live` (benign) and `seen` (attacks, and what is beside them)."""

    fitted: tuple[Part, ...]
    live: tuple[Part, ...]
    benign_test: tuple[Part, ...]
    seen: tuple[Part, ...]
    attack_test: tuple[Part, ...]
    never: frozenset[str]


def read(manifest: Path, progress: Callable[[float, str], None]) -> list[Capture]:
    """Every capture of a manifest that can be read, metered as an agent would."""
    from agent import meter
    from agent.context import Context
    from agent.errors import SourceError
    from agent.features import compute

    found = []
    entries = truth.read(manifest)
    for number, entry in enumerate(entries):
        progress(number / len(entries), entry.name)
        context, features, records = Context(), [], []
        try:
            for flows in meter.read_capture(entry.path, CaptureProfile()):
                if len(flows):
                    features.append(compute(flows, context))
                    records.append(flows)
        except SourceError:
            pass  # what was whole of it counts
        if not records:
            continue
        flows = np.concatenate(records)
        attack = entry.is_attack(flows)
        family = family_of(entry.attack) if attack.any() else ""
        rows = Rows(
            origin=file_digest(entry.path),
            features=np.concatenate(features),
            weights=np.ones(len(flows), dtype=np.float32),
            time_ms=flows["bidirectional_last_seen_ms"].astype(np.int64),
            kind=kind_of(flows["protocol"], flows["dst_port"]),
            verdict=np.zeros(len(flows), dtype=np.int8),
            host=hosts_of(flows["src_ip"]),
            family=np.zeros(len(flows), dtype=np.int32),
            families=("", family) if family else ("",),
        )
        found.append(Capture(entry.name, family, rows, flows, attack))
    return found


def deal(captures: Sequence[Capture], plan: Plan, seed: int) -> Deal:
    """Who plays what. Pure: a seed deals the captures in the order of their names."""
    chance = np.random.default_rng([seed, 77])
    benign = [capture for capture in captures if not capture.family]
    order = chance.permutation(len(benign))
    count = round(plan.fit_share * len(benign))
    fitted = {int(place) for place in order[:count]}
    live = {int(place) for place in order[count : count + round(LIVE * (len(benign) - count))]}
    families = sorted({capture.family for capture in captures if capture.family})
    count = max(1, round(NEVER_LABELLED * len(families))) if len(families) > 1 else 0
    never = frozenset(families[place] for place in chance.permutation(len(families))[:count])
    seen: list[Part] = []
    test: list[Part] = []
    for family in families:
        mine = [capture for capture in captures if capture.family == family]
        if family in never:
            test += [_whole(capture) for capture in mine]
        elif len(mine) == 1:
            ordered = np.argsort(mine[0].rows.time_ms, kind="stable")
            seen.append(Part(mine[0], ordered[: len(ordered) // 2]))
            test.append(Part(mine[0], ordered[len(ordered) // 2 :]))
        else:
            places = chance.permutation(len(mine))
            half = (len(mine) + 1) // 2
            seen += [_whole(mine[place]) for place in sorted(places[:half])]
            test += [_whole(mine[place]) for place in sorted(places[half:])]
    return Deal(
        tuple(_whole(capture) for place, capture in enumerate(benign) if place in fitted),
        tuple(_whole(capture) for place, capture in enumerate(benign) if place in live),
        tuple(_whole(capture) for place, capture in enumerate(benign) if place not in fitted | live),
        tuple(seen),
        tuple(test),
        never,
    )


def _whole(capture: Capture) -> Part:
    return Part(capture, np.arange(len(capture.flows)))
