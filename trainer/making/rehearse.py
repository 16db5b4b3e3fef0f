"""Rehearsal: how a few labelled false positives come to weigh as much as a verdict should.

A person labels ten flows, a fit sees ten thousand. So in the fit and select roles the labelled rows are repeated until
they make up a stated share of the rows, and the repeats are varied the way benign traffic varies: to the logarithms of
a labelled row some part (0 to 1) of the difference between two benign rows, drawn at random, is added. That keeps the
correlations of real flows, stays within the range of values seen, and teaches the *kind* instead of the row: in a
synthetic trial one label calmed three quarters of a kind that exact repeats left alerting. The first copy of each row
is exact.

Labelled rows and their repeats are marked: scaling and covariance are fitted on the bulk alone, so a verdict cannot
blur what a deviation is for everything else, and detectors that measure from a centre give each labelled kind its own.

Ordinary rows count by the root of their host's share: a host with a hundred times the rows of another counts ten times
as much, so one chatty host does not stand for the network, nor one with a single flow for as much as all others. On
captures split by capture and by laboratory this raised the area under the ROC curve of most members and lowered the
false-positive rate on captures of other places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainer.corpora.split import relative_weights
from trainer.detectors.scaling import to_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.corpora.split import Role, Split
    from trainer.making.recipe import Shares


def repeats(ordinary: int, labelled: int, shares: Shares) -> int:
    """How often a labelled row is used so that `labelled` of them make up their share beside `ordinary` rows."""
    if labelled == 0:
        return 0
    wanted = shares.labelled / (1 - shares.labelled) * ordinary / labelled
    return int(np.clip(np.ceil(wanted), 1, shares.most_repeats))


def rehearse(
    corpus: Corpus, dealt: Split, role: Role, shares: Shares, seed: int, *, within: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Rows `[m, F]` and weights `[m]` of a role with its labelled rows rehearsed, and which are of the bulk `[m]`.

    `within` `[n]` leaves out all other rows of the corpus.
    """
    chosen = np.ones(len(corpus), dtype=np.bool_) if within is None else within
    ordinary, labelled = dealt.rows(role, ~dealt.exception & chosen), dealt.rows(role, dealt.exception & chosen)
    times = repeats(len(ordinary), len(labelled), shares)
    rows = corpus.features[np.concatenate([ordinary, labelled])]
    weights = relative_weights(corpus)[ordinary] * host_shares(corpus.host[ordinary])
    extra = vary(
        np.tile(corpus.features[labelled], (max(times - 1, 0), 1)),
        corpus.features[ordinary],
        np.random.default_rng([seed, 2, int(role)]),
    )
    # A labelled row weighs 1 however rarely its kind was kept: its repeats say how much it is to count.
    ones = np.ones(len(labelled) + len(extra), dtype=np.float32)
    bulk = np.arange(len(rows) + len(extra)) < len(ordinary)
    return np.concatenate([rows, extra]), np.concatenate([weights, ones]), bulk


def host_shares(host: NDArray[np.int64]) -> NDArray[np.float32]:
    """What a row of each host `[n]` counts: one over the root of its host's rows, 1 on average."""
    _, place, counts = np.unique(host, return_inverse=True, return_counts=True)
    shares = 1 / np.sqrt(counts[place])
    even: NDArray[np.float32] = (shares / max(float(shares.mean()) if len(shares) else 1.0, 1e-12)).astype(np.float32)
    return even


def vary(rows: NDArray[np.float32], benign: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """`rows` `[m, F]`, each moved by part of the difference of two `benign` rows, within the values that occur."""
    if len(rows) == 0 or len(benign) == 0:
        return rows
    logs, ordinary = to_log(rows, signed=True), to_log(benign, signed=True)
    part = chance.random((len(rows), 1), dtype=np.float32)
    first, second = chance.integers(0, len(benign), size=(2, len(rows)))
    moved = logs + part * (ordinary[first] - ordinary[second])
    moved = np.clip(moved, np.minimum(logs.min(0), ordinary.min(0)), np.maximum(logs.max(0), ordinary.max(0)))
    varied: NDArray[np.float32] = (np.sign(moved) * np.expm1(np.abs(moved))).astype(np.float32)
    return varied
