"""The split: every row gets one of four roles, by time and by source, so that no figure is got by peeking.

- *fit* teaches the network, *select* says when to stop, *calibrate* makes scores into p-values, *test* is looked at
  once, at the end.
- Roles never overlap, and within a source they follow each other in time: what calibrates was seen later than what was
  fitted, what tests later still. Rows of one millisecond stay together.
- A source large enough to be cut is cut by time; small ones (a capture of a few flows) go whole into one role. Too few
  small ones to be dealt are put in a row by time and cut like one source.
- Rows labelled benign, the false positives, are cut inside their kind (source, protocol, responder port): the earlier
  two thirds have the role fit and teach, each near itself (making/placing.py), so that every kind is learned; the later
  third is held back, dealt to test, select and calibrate in turn. A kind of fewer than three rows teaches whole. No
  detector is fitted, stopped or calibrated by any of them: of those held back, test rows are looked at with the others,
  and all are counted by themselves.
- Rows labelled malicious are test rows, all of them: no detector of strangeness is ever fitted, stopped or calibrated
  by an attack. Part of them is marked `taught`: verdicts on those may teach, and then every figure about attacks comes
  from the others. A family's *cases* (source, initiator) are dealt whole, in order of time: the earlier two thirds are
  taught. A family of fewer than three cases is cut by time inside each case, two thirds taught.

Weights: a row of the lake stands for as many flows as its weight says, since quiet flows are sampled and alerts are
not. The calibrate and test roles are *thinned* to an unweighted sample: within its source a row stays with probability
weight over the largest weight. What stays are plain draws, so certificates and intervals hold without approximation.
(Across sources each counts by its rows, so that a capture is not drowned by an agent that samples one flow in fifty.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.corpora.sources import Verdict
from trainer.errors import NotEnoughRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.making.recipe import Shares

ABSURD_SHARE: Final = 0.01
"""Part of a source's rows whose weights are not believed beyond the others'."""
CUT_ROWS: Final = 40
"""A source with at least as many rows is cut by time; a smaller one stays whole."""
DEALT_SOURCES: Final = 20
"""With at least as many small sources they are dealt whole; fewer are pooled."""
FEWEST_CASES: Final = 3
"""With at least as many cases of a family whole ones are held back from teaching."""
LEAST: Final = {"fit": 40, "select": 5, "calibrate": 20, "test": 5}
"""Rows without which a role means nothing."""


class Role(IntEnum):
    """What a row is for."""

    FIT = 0
    SELECT = 1
    CALIBRATE = 2
    TEST = 3


@dataclass(frozen=True, slots=True)
class Split:
    """What every row `[n]` is for.

    `exception` marks labelled false positives among unlabelled traffic, `malicious` what a person called an attack,
    `taught` those malicious rows that may teach, and `thinned` the rows of the calibrate and
    test roles that stay after thinning by weight (and all other rows).
    """

    role: NDArray[np.int8]
    exception: NDArray[np.bool_]
    malicious: NDArray[np.bool_]
    thinned: NDArray[np.bool_]
    taught: NDArray[np.bool_]

    def rows(self, role: Role, wanted: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
        """Positions of the rows of `role`, and of those only the `wanted` ones."""
        mask = self.role == role
        return np.flatnonzero(mask if wanted is None else mask & wanted)

    @property
    def calibration(self) -> NDArray[np.intp]:
        """Positions of the rows that scores are calibrated on.

        Rows that people called benign are not among them: a few flows of a kind the model did not know would set the
        threshold for all others. They are counted by themselves.
        """
        return self.rows(Role.CALIBRATE, self.thinned & ~self.exception)

    @property
    def held_back(self) -> NDArray[np.bool_]:
        """Of the labelled false positives `[a]`, in their order, which taught nothing."""
        held: NDArray[np.bool_] = (self.role != Role.FIT)[self.exception]
        return held

    @property
    def attack_test(self) -> NDArray[np.intp]:
        """Positions of the malicious rows that nothing was fitted on."""
        return np.flatnonzero(self.malicious & ~self.taught)

    @property
    def benign_test(self) -> NDArray[np.intp]:
        """Positions of the benign rows that are looked at once."""
        return self.rows(Role.TEST, self.thinned & ~self.malicious)


def split(corpus: Corpus, shares: Shares, seed: int) -> Split:
    """Deal the rows of `corpus`. Pure. Raises `NotEnoughRows` when a role would be too small to mean anything."""
    role = np.full(len(corpus), Role.TEST, dtype=np.int8)
    ordinary = corpus.verdict == Verdict.NONE
    exception = corpus.verdict == Verdict.BENIGN
    if not ordinary.any():
        # Only labelled rows: then they are the traffic, not exceptions to it.
        ordinary, exception = exception, ordinary
    _deal_ordinary(corpus, np.flatnonzero(ordinary), shares, seed, role)
    _deal_exceptions(corpus, np.flatnonzero(exception), role)
    sizes = {name.name.lower(): int((ordinary & (role == name)).sum()) for name in Role}
    for name, least in LEAST.items():
        if sizes[name] < least:
            raise NotEnoughRows(
                f"splitting {int(ordinary.sum())} distinct benign rows: the {name} role got {sizes[name]}, "
                f"it needs {least}; give more benign traffic (a few hundred flows spread over some minutes at least)"
            )
    malicious = corpus.verdict == Verdict.MALICIOUS
    return Split(role, exception, malicious, _thin(corpus, role, seed), _teach(corpus, np.flatnonzero(malicious)))


def _deal_ordinary(corpus: Corpus, rows: NDArray[np.intp], shares: Shares, seed: int, role: NDArray[np.int8]) -> None:
    small: list[tuple[str, NDArray[np.intp]]] = []
    for origin in np.unique(corpus.origin[rows]):
        mine = rows[corpus.origin[rows] == origin]
        if len(mine) >= CUT_ROWS:
            role[mine] = _cut(corpus.time_ms[mine], shares)
        else:
            small.append((corpus.origins[origin], mine))
    if len(small) >= DEALT_SOURCES:
        _deal_whole(small, shares, seed, role)
    elif small:
        pooled = np.concatenate([mine for _, mine in small])
        role[pooled] = _cut(corpus.time_ms[pooled], shares)


def _cut(time_ms: NDArray[np.int64], shares: Shares) -> NDArray[np.int8]:
    """Roles in order of time, cut where the shares say, never inside a millisecond."""
    ordered = np.sort(time_ms)
    role = np.full(len(time_ms), Role.FIT, dtype=np.int8)
    reached = 0.0
    for following, share in ((Role.SELECT, shares.fit), (Role.CALIBRATE, shares.select), (Role.TEST, shares.calibrate)):
        reached += share
        last = ordered[max(min(round(reached * len(ordered)), len(ordered)) - 1, 0)]
        role[time_ms > last] = following
    return role


def _deal_whole(small: list[tuple[str, NDArray[np.intp]]], shares: Shares, seed: int, role: NDArray[np.int8]) -> None:
    """Whole sources in a seeded order, each to the role that lacks most."""

    def place(entry: tuple[str, NDArray[np.intp]]) -> bytes:
        return hashlib.sha256(f"{seed}:{entry[0]}".encode()).digest()

    wanted = np.array(
        [shares.fit, shares.select, shares.calibrate, 1 - shares.fit - shares.select - shares.calibrate]
    ) * sum(len(mine) for _, mine in small)
    for _, mine in sorted(small, key=place):
        lacking = int(np.argmax(wanted))
        role[mine] = lacking
        wanted[lacking] -= len(mine)


def _deal_exceptions(corpus: Corpus, rows: NDArray[np.intp], role: NDArray[np.int8]) -> None:
    if len(rows) == 0:
        return
    keys = np.stack([corpus.origin[rows].astype(np.int64), corpus.kind[rows]], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    for number in range(int(group.max()) + 1):
        mine = rows[group.ravel() == number]
        mine = mine[np.argsort(corpus.time_ms[mine], kind="stable")]
        held = len(mine) // 3
        role[mine] = Role.FIT
        for position, row in enumerate(mine[len(mine) - held :]):
            role[row] = (Role.TEST, Role.SELECT, Role.CALIBRATE)[position % 3]


def _teach(corpus: Corpus, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which rows `[n]` may teach."""
    taught = np.zeros(len(corpus), dtype=np.bool_)
    for family in np.unique(corpus.family[rows]):
        mine = rows[corpus.family[rows] == family]
        cases: dict[tuple[int, int], list[int]] = {}
        for row in mine[np.argsort(corpus.time_ms[mine], kind="stable")].tolist():
            cases.setdefault((int(corpus.origin[row]), int(corpus.host[row])), []).append(row)
        if len(cases) >= FEWEST_CASES:  # in order of their first row: dictionaries remember
            for case in list(cases.values())[: len(cases) - len(cases) // 3]:
                taught[case] = True
        else:
            for case in cases.values():
                taught[case[: len(case) - len(case) // 3]] = True
    return taught


def relative_weights(corpus: Corpus) -> NDArray[np.float32]:
    """Each row's weight over the largest of its source's benign rows, at most 1, `[n]`.

    The largest hundredth of the weights counts as one: an agent that reports a few absurd weights must not thin all its
    other rows away.
    """
    relative: NDArray[np.float32] = np.ones(len(corpus), dtype=np.float32)
    benign = np.flatnonzero(corpus.verdict != Verdict.MALICIOUS)
    order = benign[np.argsort(corpus.origin[benign], kind="stable")]
    starts = np.flatnonzero(np.diff(corpus.origin[order])) + 1
    for mine in np.split(order, starts):
        if len(mine):
            largest = np.quantile(corpus.weights[mine], 1 - ABSURD_SHARE, method="lower")
            relative[mine] = np.minimum(corpus.weights[mine] / largest, 1)
    return relative


def _thin(corpus: Corpus, role: NDArray[np.int8], seed: int) -> NDArray[np.bool_]:
    sampled = ((role == Role.CALIBRATE) | (role == Role.TEST)) & (corpus.verdict != Verdict.MALICIOUS)
    chance = np.random.default_rng([seed, 1]).random(len(corpus))
    stays: NDArray[np.bool_] = ~sampled | (chance < relative_weights(corpus))
    return stays
