"""Which few verdicts would teach most: a pure choice among alerts and quiet flows. numpy only.

Flows are compared in a *space*: the signed logarithms of their features, each divided by its typical deviation among
the candidates, so that bytes do not drown flags. What may be asked, strongest reason first:

- `dispute`: two people contradict each other; nothing is learnt from it until that is settled.
- `contradiction`: the model and people say different things. A quiet flow lies next to one that somebody called an
  attack, or an alert next to one that was called benign.
- `near miss`: a quiet flow just below the threshold; `uncertain`: an alert just above it. The verdict says on which
  side of the threshold such flows belong.
- `representative`: of what nobody judged, the flow from which all others of its sort are nearest (greedy k-centre:
  each next one is the farthest from everything judged or chosen so far). One verdict then speaks for many.

One question an incident; kinds of incidents take turns, so that a loud one does not fill the list. Whoever was judged
or is suppressed is no candidate.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DISPUTE: Final = "dispute"
CONTRADICTION: Final = "contradiction"
NEAR_MISS: Final = "near miss"
UNCERTAIN: Final = "uncertain"
REPRESENTATIVE: Final = "representative"

NEAR: Final = 0.5
"""Scores this close to the threshold are uncertain: half an order of magnitude in p."""

ALIKE: Final = 0.35
"""Flows whose root mean square difference over the features is below this many deviations are taken for alike."""

_FLOOR: Final = 0.05
_FARTHEST: Final = 8.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be asked about. Arrays `[n]`; `features` `[n, F]`; `threshold` is the one in force for each flow.

    `group` is the incident of an alert, and any number of its own for a flow; `kind` the incident's kind.
    """

    features: NDArray[np.float32]
    score: NDArray[np.float64]
    threshold: NDArray[np.float64]
    raised: NDArray[np.bool_]
    disputed: NDArray[np.bool_]
    group: NDArray[np.int64]
    kind: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class Judged:
    """Flows somebody judged: `features` `[m, F]`, whether each was called malicious `[m]`."""

    features: NDArray[np.float32]
    malicious: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate that is asked, and why. `stands_for` counts the candidates nearest to it, itself included."""

    place: int
    why: str
    reason: str
    stands_for: int


def choose(candidates: Candidates, judged: Judged, *, alerts: int, flows: int) -> tuple[Pick, ...]:
    """At most `alerts` alerts and `flows` quiet flows, each with its reason, alerts first."""
    if not len(candidates):
        return ()
    space, known = _space(candidates.features, judged.features)
    nearest, distance = _nearest(space, known)
    contradicted = np.zeros(len(candidates), dtype=np.bool_)
    if len(known):
        contradicted = (distance < ALIKE) & (judged.malicious[nearest] != candidates.raised)
    chosen: list[tuple[int, str, str]] = []
    looked_at = _Look(candidates, space, known, contradicted)
    for raised, room in ((True, alerts), (False, flows)):
        chosen += _choose(looked_at, np.flatnonzero(candidates.raised == raised), room)
    places = [place for place, _, _ in chosen]
    counts = _stand_for(space, candidates.raised, places)
    return tuple(
        Pick(place, why, reason or _representative(counts[place], raised=bool(candidates.raised[place])), counts[place])
        for place, why, reason in chosen
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """The candidates, where they and the judged flows lie in the space, and which are contradicted."""

    candidates: Candidates
    space: NDArray[np.float32]
    known: NDArray[np.float32]
    contradicted: NDArray[np.bool_]


def _choose(look: _Look, rows: NDArray[np.intp], room: int) -> list[tuple[int, str, str]]:
    candidates, space = look.candidates, look.space
    raised = bool(len(rows)) and bool(candidates.raised[rows[0]])
    gap = candidates.score - candidates.threshold
    disputes = rows[candidates.disputed[rows]]
    open_rows = rows[~candidates.disputed[rows]]
    contradictions = open_rows[look.contradicted[open_rows]]
    contradictions = contradictions[np.argsort(-candidates.score[contradictions] * (1 if raised else -1))]
    close = open_rows[np.abs(gap[open_rows]) <= NEAR]
    close = close[np.argsort(np.abs(gap[close]), kind="stable")]
    third = max(1, room // 3)
    why = UNCERTAIN if raised else NEAR_MISS
    taken = _Taken(candidates, room)
    taken.fill(
        disputes, third, DISPUTE, lambda _: "Two people contradict each other on it; nothing is learnt until then."
    )
    taken.fill(contradictions, third, CONTRADICTION, lambda _: _contradiction(raised=raised))
    taken.fill(close, third, why, lambda place: _close(candidates, place, raised=raised))
    centres = [look.known, *(space[[place]] for place, _, _ in taken.chosen)]
    for place in _spread(look, np.concatenate(centres), open_rows, room):
        if len(taken.chosen) >= room:
            break
        taken.fill(np.array([place]), 1, REPRESENTATIVE, lambda _: "")
    return taken.chosen


class _Taken:
    """What was chosen so far: one of a group, and kinds in turn."""

    def __init__(self, candidates: Candidates, room: int) -> None:
        self.chosen: list[tuple[int, str, str]] = []
        self._candidates = candidates
        self._room = room
        self._groups: set[int] = set()
        self._kinds: Counter[str] = Counter()

    def fill(self, rows: NDArray[np.intp], most: int, why: str, reason: Callable[[int], str]) -> None:
        """Take up to `most` of `rows`, in their order but for kinds that had their turn."""
        waiting = [int(row) for row in rows]
        for _ in range(most):
            free = [row for row in waiting if int(self._candidates.group[row]) not in self._groups]
            if not free or len(self.chosen) >= self._room:
                return
            turns = [self._kinds[self._candidates.kind[row]] for row in free]
            row = free[turns.index(min(turns))]
            waiting.remove(row)
            self._groups.add(int(self._candidates.group[row]))
            self._kinds[self._candidates.kind[row]] += 1
            self.chosen.append((row, why, reason(row)))


def _space(
    features: NDArray[np.float32], judged: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    logs, others = (np.sign(rows) * np.log1p(np.abs(rows)) for rows in (features, judged))
    deviation = np.maximum(logs.std(axis=0), _FLOOR)
    centre = logs.mean(axis=0)
    scaled = (np.clip((rows - centre) / deviation, -_FARTHEST, _FARTHEST).astype(np.float32) for rows in (logs, others))
    space, known = scaled
    return space, known.reshape(len(judged), features.shape[1])


def _distances(space: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square difference of every row from one, `[n]`."""
    distances: NDArray[np.float32] = np.sqrt(np.mean((space - centre) ** 2, axis=1))
    return distances


def _nearest(space: NDArray[np.float32], centres: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The nearest of `centres` for every row, and how far it is (infinite without any)."""
    place = np.zeros(len(space), dtype=np.intp)
    distance = np.full(len(space), np.inf, dtype=np.float32)
    for number, centre in enumerate(centres):
        found = _distances(space, centre)
        closer = found < distance
        place[closer], distance[closer] = number, found[closer]
    return place, distance


def _spread(look: _Look, centres: NDArray[np.float32], rows: NDArray[np.intp], room: int) -> list[int]:
    """Greedy k-centre among `rows`: the first is the middle of them, unless something is a centre already."""
    if not len(rows):
        return []
    space, group = look.space, look.candidates.group
    _, distance = _nearest(space[rows], centres)
    picked: list[int] = []
    for _ in range(2 * room):
        if np.isinf(distance).all():
            at = int(np.argmin(_distances(space[rows], np.median(space[rows], axis=0))))
        else:
            at = int(np.argmax(distance))
        if distance[at] <= 0:
            break
        picked.append(int(rows[at]))
        distance = np.minimum(distance, _distances(space[rows], space[rows[at]]))
        distance[group[rows] == group[rows[at]]] = 0
    return picked


def _stand_for(space: NDArray[np.float32], raised: NDArray[np.bool_], places: Sequence[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for sort in (True, False):
        mine = [place for place in places if bool(raised[place]) == sort]
        if mine:
            nearest, _ = _nearest(space[raised == sort], space[mine])
            counts |= {place: int((nearest == number).sum()) for number, place in enumerate(mine)}
    return counts


def _contradiction(*, raised: bool) -> str:
    if raised:
        return "The model alerts on it, and it resembles flows that were called benign."
    return "It raised no alert, and it resembles flows that were called attacks."


def _close(candidates: Candidates, place: int, *, raised: bool) -> str:
    score, threshold = candidates.score[place], candidates.threshold[place]
    return f"Its score of {score:.2f} is just {'above' if raised else 'below'} the threshold of {threshold:.2f}."


def _representative(stands_for: int, *, raised: bool) -> str:
    what = "alert" if raised else "quiet flow"
    if stands_for == 1:
        return f"No other {what} is like it, and nothing like it was judged so far."
    others = f"{stands_for - 1} other {what}{'s' if stands_for > 2 else ''}"
    return f"It stands for {others} most like it; nothing like it was judged so far."
