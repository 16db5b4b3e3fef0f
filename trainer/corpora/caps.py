"""Caps: no single source or host decides what is normal. A pure function from a corpus to a smaller one.

Several captures may come from one laboratory, one host may send half of an agent's flows, and a compromised one sends
whatever it likes. So of the rows without a verdict, each

- *source* (capture or agent) has at most `SHARE` of the weight of its sort, captures and agents counted apart: a lone
  agent is the network to learn, not one source among the captures that a product came with;
- *host* (initiator, within its source) has at most `SHARE` of the weight of its sort;

or twice an equal share, where there are so few that `SHARE` of each would not add up to a whole. What stays of a capped
one is a seeded uniform sample, so fit and calibration see the same kind of rows, only fewer. Rows with a verdict are
capped by number: at most `LABELLED` of one host, one day and one verdict, and four times as many of one source, day and
family whatever its hosts (a flood invents them), because one incident may hold thousands of alerts and its verdict is
still one person's one decision.

The price: the false-positive promise is made for a network in which no host has more than the cap. What was left out is
counted, and the sources it was left out of are named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.corpora.corpus import Capped
from trainer.corpora.rows import Verdict
from trainer.corpora.split import relative_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus

SHARE: Final = 0.05
LABELLED: Final = 500
DAY_MS: Final = 86_400_000
_NAMED: Final = 20
"""Capped sources that a report names, those that lost most."""


def apply(corpus: Corpus, seed: int, *, share: float = SHARE, labelled: int = LABELLED) -> Corpus:
    """`corpus` without the rows beyond the caps, which its counts then tell. The same seed, the same rows."""
    stays = np.ones(len(corpus), dtype=np.bool_)
    quiet = corpus.verdict == Verdict.NONE
    # Drawn apart: a verdict on one row must not decide which rows nobody spoke of stay.
    chance = np.empty(len(corpus))
    chance[quiet] = np.random.default_rng([seed, 5]).random(int(quiet.sum()))
    chance[~quiet] = np.random.default_rng([seed, 6]).random(int((~quiet).sum()))
    weights = relative_weights(corpus)
    agents = np.array([name.startswith("agent:") for name in corpus.origins], dtype=np.bool_)[corpus.origin]
    by_host = by_source = 0
    for sort in (quiet & agents, quiet & ~agents):
        rows = np.flatnonzero(sort)
        if not len(rows):
            continue
        spared = rows[_within(hosts_of(corpus, rows), weights[rows], chance[rows], share)]
        by_host += len(rows) - len(spared)
        left = spared[_within(corpus.origin[spared], weights[spared], chance[spared], share)]
        by_source += len(spared) - len(left)
        stays[rows] = False
        stays[left] = True
    by_label = _limit_labels(corpus, stays, chance, labelled)
    kept = take(corpus, stays)
    counts = replace(
        corpus.counts,
        capped_by_host=by_host,
        capped_by_source=by_source,
        capped_labels=by_label,
        capped=_named(corpus, stays, quiet),
    )
    return replace(kept, counts=counts)


def hosts_of(corpus: Corpus, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """A number for the host of each of `rows`, `[m]`: equal addresses of different sources are different hosts."""
    keys = np.stack([corpus.origin[rows].astype(np.int64), corpus.host[rows]], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


def level(sizes: NDArray[np.floating], share: float) -> float:
    """The most that one group may have so that none has more than `share` of what all have together then.

    With k groups cut to m and R in the others, m = share * (k m + R).
    """
    share = max(share, 2 / len(sizes))
    ordered = np.sort(sizes)[::-1]
    rest = float(ordered.sum())
    for cut, size in enumerate(ordered.tolist()):
        if cut * share >= 1:
            break
        most = share * rest / (1 - cut * share)
        if size <= most:
            return float("inf") if cut == 0 else most
        rest -= size
    return float(ordered[-1])


def _within(
    group: NDArray, weights: NDArray[np.float32], chance: NDArray[np.float64], share: float
) -> NDArray[np.bool_]:
    """Which rows stay so that no group outweighs `share`."""
    _, place, rows = np.unique(group, return_inverse=True, return_counts=True)
    weight = np.bincount(place, weights=weights).astype(np.float64)
    most = level(weight, share)
    stays = np.ones(len(group), dtype=np.bool_)
    for number in np.flatnonzero(weight > most).tolist():
        mine = np.flatnonzero(place == number)
        keep = max(1, int(rows[number] * most / weight[number]))
        stays[mine[np.argsort(chance[mine], kind="stable")[keep:]]] = False
    return stays


def _limit_labels(corpus: Corpus, stays: NDArray[np.bool_], chance: NDArray[np.float64], most: int) -> int:
    rows = np.flatnonzero(corpus.verdict != Verdict.NONE)
    day = corpus.time_ms[rows] // DAY_MS
    one_host = np.stack([hosts_of(corpus, rows), day, corpus.verdict[rows]], axis=1)
    one_family = np.stack(
        [corpus.origin[rows].astype(np.int64), day, corpus.verdict[rows], corpus.family[rows]], axis=1
    )
    for keys, limit in ((one_host, most), (one_family, 4 * most)):
        left = np.flatnonzero(stays[rows])
        if len(left) <= limit:
            continue
        _, place, sizes = np.unique(keys[left], axis=0, return_inverse=True, return_counts=True)
        for number in np.flatnonzero(sizes > limit).tolist():
            mine = rows[left[place.ravel() == number]]
            stays[mine[np.argsort(chance[mine], kind="stable")[limit:]]] = False
    return int((~stays[rows]).sum())


def take(corpus: Corpus, stays: NDArray[np.bool_]) -> Corpus:
    """The rows of `corpus` at `stays`, a mask or positions."""
    columns = ("features", "weights", "time_ms", "kind", "verdict", "host", "family", "origin")
    peer = None if corpus.peer is None else corpus.peer[stays]
    return replace(corpus, peer=peer, **{name: getattr(corpus, name)[stays] for name in columns})


def _named(corpus: Corpus, stays: NDArray[np.bool_], quiet: NDArray[np.bool_]) -> tuple[Capped, ...]:
    found = []
    for origin in np.unique(corpus.origin[quiet & ~stays]).tolist():
        mine = quiet & (corpus.origin == origin)
        _, hosts = np.unique(corpus.host[mine], return_counts=True)
        before, after = int(mine.sum()), int((mine & stays).sum())
        found.append(Capped(corpus.origins[origin], before, after, round(float(hosts.max()) / before, 4)))
    return tuple(sorted(found, key=lambda entry: (entry.after - entry.before, entry.source))[:_NAMED])
