"""Teaching: what verdicts make of a detector that was fitted and chosen as if nobody had given any.

Labelled rows become places (placing.py), which calm what was called benign and raise what is like a labelled attack,
each only near itself. Of labelled attacks those marked `taught` by the split are used (split.py holds the others back
for every figure in a report). Of those, each family's later third judges what its earlier two thirds taught:

1. A family may raise scores if its later rows show that it can be told from ordinary traffic: taught by the earlier
   ones, they reach an average precision of `WORTH` at 1 % attacks against benign rows held back, and no less than
   without. A family without later rows shows nothing. No family may if the share of probes noticed at a fixed rate then
   falls: benign rows would have come to stand above them. A family that may not still bounds what is calmed. (Recall
   would not do for a judge: what people label are mostly alerts, which the detectors catch already; what labels buy is
   that they stand further above benign rows.)
2. Families with at least `FEWEST` taught rows become classes of a head that names them; rows of the others are one
   class, `other`, if they are as many together. A linear head and one with a hidden layer are fitted; the one with the
   higher mean over classes of average precision stays, the linear one when they are within a hundredth.

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
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from trainer.detectors.places import Space
    from trainer.detectors.portfolio import Portfolio

FEWEST: Final = 20
OTHER: Final = "other"
NEAR: Final = 0.01
WORTH: Final = 0.5
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
        return later(self.family)


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
    """What came of it, as the report shows it: `raises` names families. Figures are of the rows that judged."""

    classes: tuple[str, ...]
    head: str
    raises: tuple[str, ...]
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
        return asdict(self) | {"classes": list(self.classes), "raises": list(self.raises)}


def later(family: NDArray[np.intp]) -> NDArray[np.bool_]:
    """The later third of the rows of each family `[m]`, which are in order of time: `[m]`."""
    late = np.zeros(len(family), dtype=np.bool_)
    for number in np.unique(family).tolist():
        mine = np.flatnonzero(family == number)
        late[mine[len(mine) - len(mine) // 3 :]] = True
    return late


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
    late = later(judged.family)

    def remind(some: placing.Judged, raising: Collection[str]) -> tuple[Reminded, placing.Placed]:
        places, placed = placing.place(space, some, ground, raising)
        return Reminded(detector, places), placed

    trial, _ = remind(replace(judged, attacks=judged.attacks[~late], family=judged.family[~late]), judged.families)
    before, after = (_judge(entry, judged, late, ground) for entry in (detector, trial))
    raising = may_raise(before, after)
    reminded, placed = remind(judged, raising)
    found = Taught(
        taught.classes if taught else (),
        "",
        raising,
        _why(before, after, raising),
        placed,
        {},
        before.ranking,
        after.ranking,
        before.recall,
        after.recall,
        before.probes,
        after.probes,
    )
    if taught is None:
        return reminded, found
    late = taught.later()
    tried = {name: _fit(taught, ~late, ground, hidden) for name, hidden in (("linear", 0), ("hidden layer", HIDDEN))}
    precision = {name: _precision(head, taught, late, ground.held) for name, head in tried.items()}
    means = {name: float(np.mean(list(of.values()))) for name, of in precision.items()}
    best = "hidden layer" if means["hidden layer"] > means["linear"] + NEAR else "linear"
    head = _fit(taught, np.ones(len(late), dtype=np.bool_), ground, 0 if best == "linear" else HIDDEN)
    why = f"{_heads(best, means)}; {found.why}"
    return Classified(reminded, head), replace(found, head=best, precision=precision, why=why)


@dataclass(frozen=True, slots=True)
class Trial:
    """By family, average precision at 1 % attacks and recall at `RATE`; and the share of probes noticed at `RATE`."""

    ranking: dict[str, float]
    recall: dict[str, float]
    probes: float


def may_raise(before: Trial, after: Trial) -> tuple[str, ...]:
    """Families that may raise scores, by the first rule of the module's text. Pure."""
    if after.probes < before.probes - NEAR:
        return ()
    return tuple(name for name, rank in after.ranking.items() if rank >= max(WORTH, before.ranking[name] - NEAR))


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


def _judge(detector: Portfolio | Reminded, judged: placing.Judged, late: NDArray[np.bool_], ground: Ground) -> Trial:
    benign = detector.raw_score(ground.held)
    bar = float(np.quantile(benign, 1 - RATE, method="higher"))
    mine = {name: judged.attacks[late & (judged.family == at)] for at, name in enumerate(judged.families)}
    scores = {name: detector.raw_score(rows) for name, rows in mine.items() if len(rows)}
    noticed = [float(np.mean(detector.raw_score(rows) > bar)) for rows in ground.probes.values()]
    return Trial(
        ranking={name: average_precision(benign, found, _PREVALENCE) for name, found in scores.items()},
        recall={name: float(np.mean(found > bar)) for name, found in scores.items()},
        probes=float(np.mean(noticed)) if noticed else 0.0,
    )


def _heads(best: str, means: Mapping[str, float]) -> str:
    other = next(name for name in means if name != best)
    return (
        f"the {best} head stays: mean average precision over families at 1 % attacks {means[best]:.3f}, the other's "
        f"{means[other]:.3f}"
    )


def _why(before: Trial, after: Trial, raising: Collection[str]) -> str:
    if not after.ranking:
        return "no labelled attack was held back to show that its family can be told from ordinary traffic"
    ranks, ranked = (float(np.mean(list(judged.ranking.values()))) for judged in (after, before))
    says = f"scores are raised by {', '.join(raising)}" if raising else "no family raises scores"
    return (
        f"{says}: taught by the earlier ones, held-back labelled attacks go from {ranked:.3f} to {ranks:.3f} mean "
        f"average precision, and {after.probes:.1%} of probes are noticed at {RATE:.0%} false positives instead of "
        f"{before.probes:.1%}"
    )
