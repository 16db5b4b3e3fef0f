"""Teaching: whether labelled attacks suffice for a classifier head, which head, and whether it may raise scores.

Only rows marked `taught` by the split are used here (split.py holds the others back for every figure in a report). Of
those, each family's later third judges what its earlier two thirds taught:

1. Families with at least `FEWEST` taught rows become classes; rows of the others are one class, `other`, if they are as
   many together.
2. A linear head and one with a hidden layer are fitted; the one with the higher mean over families of average precision
   against held-back benign rows stays, the linear one when they are within a hundredth.
3. It may raise scores if that ranks held-back labelled attacks better: the mean over families of average precision
   at 1 % attacks rises, no family's falls by more than a hundredth, and neither does the share of probes noticed at a
   fixed rate. Otherwise it only names what an alert looks like. (Recall would not do for a judge: what people label are
   mostly alerts, which the detectors catch already; what labels buy is that they stand further above benign rows.)

The head that is exported is fitted on all taught rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.classified import Classified
from trainer.detectors.head import HIDDEN, Head
from trainer.judging.evaluate import average_precision
from trainer.making import calibrate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trainer.detectors.portfolio import Portfolio

FEWEST: Final = 20
OTHER: Final = "other"
NEAR: Final = 0.01
RATE: Final = 0.01
_PREVALENCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Lesson:
    """Taught attack rows `[m, F]` in order of time, and what family each is: `family` `[m]` indexes `classes`."""

    rows: NDArray[np.float32]
    family: NDArray[np.intp]
    classes: tuple[str, ...]

    def later(self) -> NDArray[np.bool_]:
        """The later third of each family's rows, `[m]`."""
        late = np.zeros(len(self.rows), dtype=np.bool_)
        for number in range(len(self.classes)):
            mine = np.flatnonzero(self.family == number)
            late[mine[len(mine) - len(mine) // 3 :]] = True
        return late


@dataclass(frozen=True, slots=True)
class Ground:
    """Benign rows a head is taught and judged on.

    `rows` `[n, F]` with `weights` and `scale_on` `[n]` are fitted, odds become p-values on `promise`, and `held` and
    `probes` judge. `knots` are those of the head's scaling.
    """

    rows: NDArray[np.float32]
    weights: NDArray[np.float32]
    scale_on: NDArray[np.bool_]
    promise: NDArray[np.float32]
    held: NDArray[np.float32]
    probes: Mapping[str, NDArray[np.float32]]
    knots: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of it, as the report shows it. Figures are of the rows that judged."""

    classes: tuple[str, ...]
    head: str
    raises: bool
    why: str
    precision: dict[str, dict[str, float]]
    ranking_without: dict[str, float]
    ranking_with: dict[str, float]
    recall_without: dict[str, float]
    recall_with: dict[str, float]
    probes_without: float
    probes_with: float

    def to_json(self) -> dict[str, Any]:
        """As the report shows it."""
        return asdict(self) | {"classes": list(self.classes)}


def lesson(rows: NDArray[np.float32], names: Sequence[str]) -> Lesson | None:
    """Taught rows `[m, F]` of the families `names` `[m]` as classes; None if no class has enough."""
    named = np.array(names, dtype=object)
    counts = {name: int((named == name).sum()) for name in sorted(set(names))}
    small = np.isin(named, [name for name, count in counts.items() if count < FEWEST])
    named[small] = OTHER
    kept = ~small if int(small.sum()) < FEWEST else np.ones(len(named), dtype=np.bool_)
    if not kept.any():
        return None
    classes = tuple(sorted(set(named[kept].tolist())))
    family = np.array([classes.index(name) for name in named[kept]], dtype=np.intp)
    return Lesson(rows[kept], family, classes)


def teach(detector: Portfolio, taught: Lesson, ground: Ground) -> tuple[Classified, Taught]:
    """The detector with the better head, and what was found."""
    late = taught.later()
    tried = {name: _fit(taught, ~late, ground, hidden) for name, hidden in (("linear", 0), ("hidden layer", HIDDEN))}
    precision = {name: _precision(head, taught, late, ground.held) for name, head in tried.items()}
    means = {name: float(np.mean(list(found.values()))) for name, found in precision.items()}
    best = "hidden layer" if means["hidden layer"] > means["linear"] + NEAR else "linear"
    trial = _join(detector, tried[best], ground)
    before, after = (_judge(entry, taught, late, ground) for entry in (detector, trial))
    raises = _may_raise(before, after)
    head = _fit(taught, np.ones(len(late), dtype=np.bool_), ground, 0 if best == "linear" else HIDDEN)
    joined = _join(detector, head, ground, raises=raises)
    return joined, Taught(
        taught.classes,
        best,
        raises,
        _why(best, means, before, after, raises=raises),
        precision,
        before.ranking,
        after.ranking,
        before.recall,
        after.recall,
        before.probes,
        after.probes,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """By family, average precision at 1 % attacks and recall at `RATE`; and the share of probes noticed at `RATE`."""

    ranking: dict[str, float]
    recall: dict[str, float]
    probes: float


def _may_raise(before: _Judged, after: _Judged) -> bool:
    """The third rule of the module's text. Pure."""
    gains = [after.ranking[name] - before.ranking[name] for name in before.ranking]
    return float(np.mean(gains)) > 0 and min(gains) >= -NEAR and after.probes >= before.probes - NEAR


def _fit(taught: Lesson, chosen: NDArray[np.bool_], ground: Ground, hidden: int) -> Head:
    return Head(taught.classes, hidden=hidden, knots=ground.knots, seed=ground.seed).fit(
        ground.rows, ground.weights, taught.rows[chosen], taught.family[chosen], scale_on=ground.scale_on
    )


def _join(detector: Portfolio, head: Head, ground: Ground, *, raises: bool = True) -> Classified:
    return Classified(detector, head, calibrate.calibrate(head.odds(ground.promise), ()), raises=raises)


def _precision(head: Head, taught: Lesson, late: NDArray[np.bool_], held: NDArray[np.float32]) -> dict[str, float]:
    benign, odds = head.odds(held), head.odds(taught.rows)
    return {
        name: average_precision(benign, odds[late & (taught.family == number)], _PREVALENCE)
        for number, name in enumerate(taught.classes)
    }


def _judge(detector: Portfolio | Classified, taught: Lesson, late: NDArray[np.bool_], ground: Ground) -> _Judged:
    benign, attacks = detector.raw_score(ground.held), detector.raw_score(taught.rows)
    bar = float(np.quantile(benign, 1 - RATE, method="higher"))
    mine = {name: attacks[late & (taught.family == number)] for number, name in enumerate(taught.classes)}
    noticed = [float(np.mean(detector.raw_score(rows) > bar)) for rows in ground.probes.values()]
    return _Judged(
        ranking={name: average_precision(benign, scores, _PREVALENCE) for name, scores in mine.items()},
        recall={name: float(np.mean(scores > bar)) for name, scores in mine.items()},
        probes=float(np.mean(noticed)) if noticed else 0.0,
    )


def _why(best: str, means: Mapping[str, float], before: _Judged, after: _Judged, *, raises: bool) -> str:
    text = (
        f"the {best} head stays: mean average precision over families at 1 % attacks {means[best]:.3f}, the other's "
        f"{min(means.values()) if means[best] == max(means.values()) else max(means.values()):.3f}; "
    )
    ranks, ranked = (float(np.mean(list(judged.ranking.values()))) for judged in (after, before))
    says = "it raises scores, which brings" if raises else "it only names: raising scores would bring"
    return text + (
        f"{says} held-back labelled attacks from {ranked:.3f} to {ranks:.3f} mean average precision, and "
        f"{after.probes:.1%} of probes at {RATE:.0%} false positives instead of {before.probes:.1%}"
    )
