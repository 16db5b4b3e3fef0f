"""Teaching: what verdicts make of a detector that was fitted and chosen as if nobody had given any.

Labelled rows become places (placing.py), which calm what was called benign and raise what is like a labelled attack,
each only near itself. Of labelled attacks those marked `taught` by the split are used (split.py holds the others back
for every figure in a report). Where labels suffice a classifier head names families as well, and each family's later
third judges what its earlier two thirds taught:

1. Families with at least `FEWEST` taught rows become classes; rows of the others are one class, `other`, if they are as
   many together.
2. A linear head and one with a hidden layer are fitted; the one with the higher mean over families of average precision
   against held-back benign rows stays, the linear one when they are within a hundredth. It only names.
3. Labelled attacks may raise scores unless that is shown to harm: where a lesson has classes, the mean over families of
   average precision at 1 % attacks must not fall, no family's may fall by more than a hundredth, and neither may the
   share of probes noticed at a fixed rate. Else they only bound what is calmed. (Recall would not do for a judge: what
   people label are mostly alerts, which the detectors catch already; what labels buy is that they stand further above
   benign rows.) Where no class has enough rows, what placing.py asks of benign rows must do.

The head that is exported is fitted on all taught rows, and the places are made from all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.classified import Classified
from trainer.detectors.head import HIDDEN, Head
from trainer.detectors.reminded import Reminded
from trainer.judging.evaluate import average_precision
from trainer.making import placing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trainer.detectors.places import Space
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

    `rows` `[n, F]` with `weights` `[n]` are fitted; `promise` and `held` are not, and with `probes` `held` judges.
    `knots` are those of the head's scaling.
    """

    rows: NDArray[np.float32]
    weights: NDArray[np.float32]
    promise: NDArray[np.float32]
    held: NDArray[np.float32]
    probes: Mapping[str, NDArray[np.float32]]
    knots: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of it, as the report shows it. Figures are of the rows that judged; without classes there are none."""

    classes: tuple[str, ...]
    head: str
    raises: bool
    why: str
    placed: placing.Placed
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


def teach(
    detector: Portfolio, space: Space, judged: placing.Judged, taught: Lesson | None, ground: Ground
) -> tuple[Reminded | Classified, Taught]:
    """The detector reminded of what was `judged`, with the better head if there is a lesson, and what was found."""
    quiet = np.concatenate([ground.promise, ground.held])

    def remind(some: placing.Judged, *, raises: bool = True) -> tuple[Reminded, placing.Placed]:
        places, placed = placing.place(space, some, quiet, seed=ground.seed, raises=raises)
        return Reminded(detector, places), placed

    if taught is None:
        reminded, placed = remind(judged)
        why = "too few labelled attacks of a family to name it"
        return reminded, Taught((), "", placed.attack_centres > 0, why, placed, {}, {}, {}, {}, {}, 0.0, 0.0)
    late = taught.later()
    trial, _ = remind(replace(judged, attacks=taught.rows[~late], family=taught.family[~late]))
    before, after = (_judge(entry, taught, late, ground) for entry in (detector, trial))
    raises = may_raise(before, after)
    reminded, placed = remind(judged, raises=raises)
    tried = {name: _fit(taught, ~late, ground, hidden) for name, hidden in (("linear", 0), ("hidden layer", HIDDEN))}
    precision = {name: _precision(head, taught, late, ground.held) for name, head in tried.items()}
    means = {name: float(np.mean(list(found.values()))) for name, found in precision.items()}
    best = "hidden layer" if means["hidden layer"] > means["linear"] + NEAR else "linear"
    head = _fit(taught, np.ones(len(late), dtype=np.bool_), ground, 0 if best == "linear" else HIDDEN)
    return Classified(reminded, head), Taught(
        taught.classes,
        best,
        raises,
        _why(best, means, before, after, raises=raises),
        placed,
        precision,
        before.ranking,
        after.ranking,
        before.recall,
        after.recall,
        before.probes,
        after.probes,
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """By family, average precision at 1 % attacks and recall at `RATE`; and the share of probes noticed at `RATE`."""

    ranking: dict[str, float]
    recall: dict[str, float]
    probes: float


def may_raise(before: Trial, after: Trial) -> bool:
    """The third rule of the module's text. Pure."""
    gains = [after.ranking[name] - before.ranking[name] for name in before.ranking]
    return float(np.mean(gains)) >= 0 and min(gains) >= -NEAR and after.probes >= before.probes - NEAR


def _fit(taught: Lesson, chosen: NDArray[np.bool_], ground: Ground, hidden: int) -> Head:
    return Head(taught.classes, hidden=hidden, knots=ground.knots, seed=ground.seed).fit(
        ground.rows, ground.weights, taught.rows[chosen], taught.family[chosen]
    )


def _precision(head: Head, taught: Lesson, late: NDArray[np.bool_], held: NDArray[np.float32]) -> dict[str, float]:
    benign, odds = head.odds(held), head.odds(taught.rows)
    return {
        name: average_precision(benign, odds[late & (taught.family == number)], _PREVALENCE)
        for number, name in enumerate(taught.classes)
    }


def _judge(detector: Portfolio | Reminded, taught: Lesson, late: NDArray[np.bool_], ground: Ground) -> Trial:
    benign, attacks = detector.raw_score(ground.held), detector.raw_score(taught.rows)
    bar = float(np.quantile(benign, 1 - RATE, method="higher"))
    mine = {name: attacks[late & (taught.family == number)] for number, name in enumerate(taught.classes)}
    noticed = [float(np.mean(detector.raw_score(rows) > bar)) for rows in ground.probes.values()]
    return Trial(
        ranking={name: average_precision(benign, scores, _PREVALENCE) for name, scores in mine.items()},
        recall={name: float(np.mean(scores > bar)) for name, scores in mine.items()},
        probes=float(np.mean(noticed)) if noticed else 0.0,
    )


def _why(best: str, means: Mapping[str, float], before: Trial, after: Trial, *, raises: bool) -> str:
    text = (
        f"the {best} head stays: mean average precision over families at 1 % attacks {means[best]:.3f}, the other's "
        f"{min(means.values()) if means[best] == max(means.values()) else max(means.values()):.3f}; "
    )
    ranks, ranked = (float(np.mean(list(judged.ranking.values()))) for judged in (after, before))
    says = "labelled attacks raise scores, which brings" if raises else "they only name: raising scores would bring"
    return text + (
        f"{says} held-back labelled attacks from {ranked:.3f} to {ranks:.3f} mean average precision, and "
        f"{after.probes:.1%} of probes at {RATE:.0%} false positives instead of {before.probes:.1%}"
    )
