"""Benign flows beside an attack: what a person called benign while its host was attacking teaches nothing.

Half of what a flow says is its context: what its host did in the last seconds and minutes. While a host attacks, its
harmless flows carry the attack in theirs, and a person who rightly calls such a flow benign says nothing about that.
Taken as a lesson it would calm the attack. So a row called benign leaves the corpus when its initiator started
something that was called malicious, seen by the same source, within `REACH_MS` of it: the longest horizon of a feature.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trainer.corpora.caps import hosts_of, take
from trainer.corpora.rows import Verdict
from trainer.corpora.suspects import REACH_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus


def spare(corpus: Corpus) -> Corpus:
    """`corpus` without the rows called benign beside an attack, which its counts then tell. Pure."""
    near = beside(corpus)
    if not near.any():
        return corpus
    kept = take(corpus, ~near)
    return replace(kept, counts=replace(kept.counts, beside_attack=int(near.sum())))


def beside(corpus: Corpus) -> NDArray[np.bool_]:
    """Which rows `[n]` were called benign while their initiator was attacking."""
    found = np.zeros(len(corpus), dtype=np.bool_)
    judged = np.flatnonzero(corpus.verdict != Verdict.NONE)
    host, malicious = hosts_of(corpus, judged), corpus.verdict[judged] == Verdict.MALICIOUS
    for number in np.intersect1d(host[malicious], host[~malicious]).tolist():
        mine = host == number
        attacks = np.sort(corpus.time_ms[judged[mine & malicious]])
        benign = judged[mine & ~malicious]
        first, last = (np.searchsorted(attacks, corpus.time_ms[benign] + reach) for reach in (-REACH_MS, REACH_MS + 1))
        found[benign] = last > first
    return found
