"""The choice of a model among the members of a portfolio and their combinations, by evidence held back from fitting.

Fusion is not always best: a member that sees nothing on this network only adds noise. So every member, every
combination of members and the whole are candidates, compared on rows of the select role that neither a member nor its
p-values were fitted on. The rule:

1. A candidate whose realised false-positive rate on those rows is proven (95 % interval) to exceed `BROKEN` times the
   promised one, and as many times the median of all candidates, is struck, unless that strikes all. The rate is
   promised by the rows the members' p-values came from.
2. The others are ranked by what they notice at that rate, the mean of the share of probes (probes.py) of flows' shapes
   that alerts, and that of probes of what hosts do. Labelled attacks have no say: the choice is the one that would have
   been made had nobody said anything.
3. Candidates within `NEAR` of the best are taken for equal, and the one of most members among them wins: what several
   agree on hangs on none of them.

Thresholds for the comparison are plain quantiles of the candidate's own scores, so that nobody profits from a threshold
that is off by luck.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.portfolio import voices
from trainer.judging.evaluate import interval
from trainer.making.probes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trainer.detectors.portfolio import Portfolio

BROKEN: Final = 2.0
BLIND: Final = 0.8
NEAR: Final = 0.2
"""Synthetic anomalies are a weak judge: their order of candidates went with that of real attacks by a rank correlation
of .16 to .77, from split to split. So only a plain difference may leave a member out."""
RATES: Final = (0.01, 0.05)
"""Rates at which candidates are compared: the first of which the rows can show at least `FEWEST` alerts."""
FEWEST: Final = 4
BLOCKS: Final = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one combination of members showed. Shares are 0 to 1; `blocks` are its rates on stretches of the rows."""

    members: tuple[str, ...]
    realised: float
    interval: tuple[float, float]
    blocks: tuple[float, ...]
    probes: dict[str, float]
    merit: float
    struck: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The table of candidates, best first, which one was taken, and why in a sentence."""

    taken: tuple[str, ...]
    why: str
    rate: float
    rows: int
    candidates: tuple[Candidate, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As the report shows it."""
        return {
            "taken": list(self.taken),
            "why": self.why,
            "rate": self.rate,
            "rows": self.rows,
            "candidates": [asdict(entry) | {"members": list(entry.members)} for entry in self.candidates],
        }


def choose(
    portfolio: Portfolio,
    promise: NDArray[np.float32],
    held: NDArray[np.float32],
    probes: Mapping[str, NDArray[np.float32]],
) -> Choice:
    """Compare all combinations of the fitted `portfolio`'s members.

    `promise` `[m, F]` are the benign rows that the members' p-values came from, `held` `[n, F]` later ones; `probes`
    holds anomalous rows by name.
    """
    shown = _Shown(
        portfolio.levels(promise),
        portfolio.levels(held),
        {name: portfolio.levels(rows) for name, rows in probes.items()},
    )
    rate = next((rate for rate in RATES if rate * len(held) >= FEWEST), RATES[-1])
    found = [
        _examine(portfolio.members, chosen, rate, shown)
        for size in range(1, len(portfolio.members) + 1)
        for chosen in combinations(range(len(portfolio.members)), size)
    ]
    return decide(_strike(found, rate), rate, len(held))


def decide(found: Sequence[Candidate], rate: float, rows: int) -> Choice:
    """The rule of the module's text. Pure."""
    standing = [entry for entry in found if not entry.struck]
    sighted = BLIND * max(entry.merit for entry in found)
    if not any(entry.merit >= sighted for entry in standing):
        standing = list(found)
    best = max(entry.merit for entry in standing)
    equal = [entry for entry in standing if entry.merit >= best - NEAR]
    taken = max(equal, key=lambda entry: (len(entry.members), entry.merit))
    ranked = sorted(found, key=lambda entry: (bool(entry.struck), -entry.merit, -len(entry.members)))
    return Choice(taken.members, _why(taken, found, standing, best, rate), rate, rows, tuple(ranked))


@dataclass(frozen=True, slots=True)
class _Shown:
    """Levels `[n, members]` of all rows that candidates are shown."""

    quiet: NDArray[np.float32]
    later: NDArray[np.float32]
    strange: dict[str, NDArray[np.float32]]


def _examine(names: Sequence[str], chosen: Sequence[int], rate: float, shown: _Shown) -> Candidate:
    def fused(levels: NDArray[np.float32]) -> NDArray[np.float32]:
        score: NDArray[np.float32] = levels[:, list(chosen)] @ counts
        return score

    members = tuple(names[at] for at in chosen)
    counts = voices(members)
    benign, ordinary = fused(shown.later), fused(shown.quiet)
    alerts = benign > float(np.quantile(ordinary, 1 - rate, method="higher"))
    low, high = interval(int(alerts.sum()), len(benign))
    bar = float(np.quantile(np.concatenate([ordinary, benign]), 1 - rate, method="higher"))
    noticed = {name: float(np.mean(fused(levels) > bar)) for name, levels in shown.strange.items()}
    shapes = [share for name, share in noticed.items() if name in SHAPES]
    doings = [share for name, share in noticed.items() if name not in SHAPES]
    parts = [float(np.mean(part)) for part in (shapes, doings) if part]
    return Candidate(
        members=members,
        realised=float(alerts.mean()),
        interval=(low, high),
        blocks=tuple(float(block.mean()) for block in np.array_split(alerts, BLOCKS) if len(block)),
        probes=noticed,
        merit=float(np.mean(parts)) if parts else 0.0,
    )


def _strike(found: Sequence[Candidate], rate: float) -> list[Candidate]:
    """Strike what is proven to exceed its promise, and more than is usual here.

    Held rows may come from other hosts and captures than those that promised. What all candidates exceed then is a
    difference between networks, which recalibration mends; to strike for it would leave the blindest standing.
    """
    usual = max(rate, float(np.median([entry.realised for entry in found])))
    words = f"its rate is proven above {BROKEN:g} times the promised and the usual one"
    return [replace(entry, struck=words) if entry.interval[0] > BROKEN * usual else entry for entry in found]


def _why(taken: Candidate, found: Sequence[Candidate], standing: Sequence[Candidate], best: float, rate: float) -> str:
    alone = max((entry for entry in found if len(entry.members) == 1), key=lambda entry: entry.merit)
    text = (
        f"{_named(taken)} notices {taken.merit:.1%} of the anomalies compared, at {rate:.0%} false positives on benign "
        f"rows held back; the best single detector, {_named(alone)}, {alone.merit:.1%}"
    )
    if taken.merit < best:
        text += f"; it lies within {NEAR:.0%} of the best, {best:.1%}, and of those it has most members"
    struck = len(found) - len(standing)
    if not struck and any(entry.struck for entry in found):
        text += "; what keeps its promise on the rows held back notices too little, so that did not count"
    elif struck:
        text += f"; {struck} of {len(found)} candidates were struck for exceeding their promise"
    return text + "."


def _named(entry: Candidate) -> str:
    words = [name.replace("_", " ") for name in entry.members]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
