"""What was called benign while its host was attacking teaches nothing."""

from __future__ import annotations

import numpy as np

from protos import contract
from trainer.corpora import beside
from trainer.corpora.corpus import Corpus
from trainer.corpora.rows import Verdict
from trainer.corpora.suspects import REACH_MS

MINUTE_MS = 60_000


def _corpus(*rows: tuple[int, int, int, Verdict]) -> Corpus:
    """Rows told as origin, host, minute and verdict."""
    origin, host, minute, verdict = np.array(rows).T
    count = len(rows)
    return Corpus(
        features=np.zeros((count, len(contract.FEATURES)), np.float32),
        weights=np.ones(count, np.float32),
        time_ms=minute.astype(np.int64) * MINUTE_MS,
        kind=np.zeros(count, np.int64),
        verdict=verdict.astype(np.int8),
        host=host.astype(np.int64),
        family=np.zeros(count, np.int32),
        origin=origin.astype(np.int32),
        origins=("a", "b"),
    )


def test_benign_verdicts_beside_an_attack_leave_and_are_counted() -> None:
    """Of the same host, seen by the same source, within the reach of a context feature, before or after."""
    found = _corpus(
        (0, 7, 100, Verdict.MALICIOUS),
        (0, 7, 96, Verdict.BENIGN),
        (0, 7, 104, Verdict.BENIGN),
        (0, 7, 200, Verdict.BENIGN),  # long after
        (0, 8, 100, Verdict.BENIGN),  # another host
        (1, 7, 100, Verdict.BENIGN),  # another network that uses the address
        (0, 7, 100, Verdict.NONE),  # suspects.py speaks of rows nobody judged
    )
    assert REACH_MS == 5 * MINUTE_MS
    assert beside.beside(found).tolist() == [False, True, True, False, False, False, False]
    spared = beside.spare(found)
    assert len(spared) == 5
    assert spared.counts.beside_attack == 2


def test_without_attacks_every_verdict_counts() -> None:
    """And nothing is copied."""
    found = _corpus((0, 7, 1, Verdict.BENIGN), (0, 7, 2, Verdict.NONE))
    assert beside.spare(found) is found
