"""What benign hosts score together, row by row of a corpus, as an agent would have had it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.conversations import Conversations
from protos import contract
from trainer.corpora import caps
from trainer.corpora.collecting import Collector
from trainer.corpora.corpus import Corpus, Counts
from trainer.corpora.rows import Rows, Verdict
from trainer.making import together

F = len(contract.FEATURES)
HOURS = 3_600_000


def corpus(pairs: list[tuple[int, int]], *, origin: list[int] | None = None, weight: float = 1.0) -> Corpus:
    """Rows five seconds apart between hosts; the first feature is the score."""
    count = len(pairs)
    features = np.zeros((count, F), dtype=np.float32)
    features[:, 0] = 1.5 + 0.01 * np.arange(count)
    return Corpus(
        features=features,
        weights=np.full(count, weight, dtype=np.float32),
        time_ms=HOURS + 5_000 * np.arange(count),
        kind=np.zeros(count, dtype=np.int64),
        verdict=np.full(count, Verdict.NONE, dtype=np.int8),
        host=np.array([pair[0] for pair in pairs], dtype=np.int64),
        family=np.zeros(count, dtype=np.int32),
        origin=np.array(origin or [0] * count, dtype=np.int32),
        origins=("a", "b"),
        peer=np.array([pair[1] for pair in pairs], dtype=np.int64),
    )


def among(rows: Corpus, held: list[int], benign: np.ndarray | None = None) -> np.ndarray:
    everything = np.ones(len(rows), dtype=np.bool_) if benign is None else benign
    found = together.among(rows, np.array(held), everything, lambda part: part[:, 0])
    assert found is not None
    return found


def test_it_is_what_an_agent_adds_up():
    """Every row of a pair counts, also those that calibrate nothing, in order of time and in one source only."""
    rows = corpus([(1, 2), (1, 3)] * 10)
    mine = np.arange(0, 20, 2)
    expected = Conversations().add(np.zeros(10, np.uint64), rows.time_ms[mine], rows.features[mine, 0])
    assert among(rows, [10, 18]).tolist() == pytest.approx(expected[[5, 9]].tolist(), rel=1e-4)
    apart = among(replace(rows, origin=np.repeat(np.array([0, 1], np.int32), 10)), [18])
    assert apart[0] < expected[9]


def test_attacks_are_left_out():
    """Malicious rows are no part of what benign hosts do."""
    rows = corpus([(1, 2)] * 10)
    benign = np.arange(10) >= 9
    assert among(rows, [9], benign)[0] == pytest.approx(rows.features[9, 0], rel=1e-4)


def test_a_sampled_row_counts_for_those_that_were_not_kept():
    """A row of the lake stands for its weight, and for what was sampled out of the corpus."""
    few = corpus([(1, 2)] * 3)
    assert among(replace(few, weights=np.full(3, 20, np.float32)), [2])[0] > among(few, [2])[0]
    assert among(replace(few, counts=Counts(sampled_out=57)), [2])[0] > among(few, [2])[0]


def test_unknown_responders_add_up_to_nothing():
    """Rows that do not say whom a host talked to leave a model that judges flow by flow."""
    rows = replace(corpus([(1, 2)] * 3), peer=None)
    assert together.among(rows, np.array([0]), np.ones(3, dtype=np.bool_), lambda part: part[:, 0]) is None


def test_a_corpus_keeps_responders_only_if_all_rows_have_them():
    """Responders follow their rows through collection and caps; one source without them makes them unknown."""
    features = np.random.default_rng(1).random((6, F)).astype(np.float32)

    def some(at: slice, peer: np.ndarray | None) -> Rows:
        count = len(features[at])
        zeros = np.zeros(count, dtype=np.int64)
        return Rows(
            "a",
            features[at],
            np.ones(count, np.float32),
            zeros,
            zeros,
            np.zeros(count, np.int8),
            zeros,
            np.zeros(count, np.int32),
            peer=peer,
        ).take(np.arange(count))

    collector = Collector(max_rows=100, seed=1)
    collector.add(some(slice(0, 3), np.array([7, 8, 9])))
    known = collector.corpus()
    assert known.peer is not None
    order = [int(np.flatnonzero((features[:3] == row).all(axis=1))[0]) for row in known.features]
    assert known.peer.tolist() == [7 + place for place in order]
    kept = caps.take(known, np.array([2]))
    assert kept.peer is not None
    assert kept.peer.tolist() == [known.peer[2]]
    collector.add(some(slice(3, 6), None))
    assert collector.corpus().peer is None
