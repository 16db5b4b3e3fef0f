"""Who plays what: captures metered, dealt to fitting, to labelling and to the test, and judged as people would judge.

Nothing here fits anything. Dealing and judging are pure: a seed decides, in the order of the captures' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregator.triage import incidents as grouping
from protos.manifest import CaptureProfile
from trainer.corpora import truth
from trainer.corpora.rows import Rows, Verdict, family_of, file_digest, hosts_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NEVER_LABELLED: Final = 0.3
"""Share of the families that get no label."""
SINGLES: Final = 3
"""Quiet flows of one capture that the queue would offer, at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    manifest: Path
    incidents: int = 50
    seeds: int = 3
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
    """One seed's roles."""

    fitted: tuple[Part, ...]
    benign_test: tuple[Part, ...]
    seen: tuple[Part, ...]
    attack_test: tuple[Part, ...]
    never: frozenset[str]


@dataclass(frozen=True, slots=True)
class Said:
    """Verdicts: per capture name, a verdict for every row (`Verdict`, `[n]`), and how they came about."""

    verdicts: dict[str, NDArray[np.int8]]
    malicious: int
    benign: int
    single_flows: int


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
    fitted = {int(place) for place in order[: round(plan.fit_share * len(benign))]}
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
        tuple(_whole(capture) for place, capture in enumerate(benign) if place not in fitted),
        tuple(seen),
        tuple(test),
        never,
    )


def judge(parts: Sequence[Part], scores: Callable[[NDArray], NDArray], threshold: float, most: int, seed: int) -> Said:
    """Give up to `most` verdicts: whole incidents first, then single quiet flows, highest scores first."""
    verdicts = {part.capture.name: np.zeros(len(part.capture.flows), dtype=np.int8) for part in parts}
    cases: list[tuple[str, NDArray[np.intp], Verdict]] = []
    quiet: list[tuple[float, str, int, Verdict]] = []
    for part in parts:
        score = scores(part.capture.rows.features[part.rows])
        alerts = part.rows[score >= threshold]
        points = list(grouping.of_flows(part.capture.flows[alerts], score[score >= threshold]))
        for group in grouping.group(points):
            members = alerts[[point.id - 1 for point in group.members]]
            malicious = part.capture.attack[members].mean() > 0.5
            cases.append((part.capture.name, members, Verdict.MALICIOUS if malicious else Verdict.BENIGN))
        below = np.flatnonzero(score < threshold)
        for place in below[np.argsort(-score[below], kind="stable")[:SINGLES]].tolist():
            row = int(part.rows[place])
            truly = Verdict.MALICIOUS if part.capture.attack[row] else Verdict.BENIGN
            quiet.append((float(score[place]), part.capture.name, row, truly))
    chosen = np.random.default_rng([seed, 78]).permutation(len(cases))[:most]
    counts = {Verdict.MALICIOUS: 0, Verdict.BENIGN: 0}
    for place in chosen.tolist():
        name, members, verdict = cases[place]
        verdicts[name][members] = verdict
        counts[verdict] += 1
    singles = sorted(quiet, reverse=True)[: most - len(chosen)]
    for _, name, row, verdict in singles:
        verdicts[name][row] = verdict
        counts[verdict] += 1
    return Said(verdicts, counts[Verdict.MALICIOUS], counts[Verdict.BENIGN], len(singles))


def _whole(capture: Capture) -> Part:
    return Part(capture, np.arange(len(capture.flows)))
