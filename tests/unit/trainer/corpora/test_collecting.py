"""The corpus: every row once, verdicts first, bounded, and independent of the order it was read in."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import contract
from protos.manifest import CaptureProfile
from trainer.corpora.collecting import Collector, collect
from trainer.corpora.corpus import Corpus
from trainer.corpora.sources import Rows, Verdict
from trainer.errors import SourceMissing

F = len(contract.FEATURES)


def _rows(values: list[int], verdicts: list[int] | None = None, origin: str = "a", start_ms: int = 0) -> Rows:
    count = len(values)
    features = np.zeros((count, F), dtype=np.float32)
    features[:, 3] = values
    return Rows(
        origin=origin,
        features=features,
        weights=np.ones(count, dtype=np.float32),
        time_ms=np.arange(start_ms, start_ms + count, dtype=np.int64),
        kind=np.zeros(count, dtype=np.int64),
        verdict=np.array(verdicts or [Verdict.NONE] * count, dtype=np.int8),
        host=np.zeros(count, dtype=np.int64),
        family=np.zeros(count, dtype=np.int32),
    )


def _collected(*parts: Rows, max_rows: int = 1000, seed: int = 1) -> Corpus:
    collector = Collector(max_rows=max_rows, seed=seed)
    for part in parts:
        collector.add(part)
    return collector.corpus()


def _values(corpus: Corpus) -> list[int]:
    return corpus.features[:, 3].astype(int).tolist()


def test_repeats_are_dropped_and_counted_across_sources() -> None:
    """The first in time stays; the counts add up."""
    corpus = _collected(_rows([1, 2, 1], start_ms=10), _rows([2, 3], origin="b", start_ms=5))
    assert sorted(_values(corpus)) == [1, 2, 3]
    assert corpus.counts.read == 5
    assert corpus.counts.duplicates == 2
    assert corpus.time_ms[_values(corpus).index(2)] == 5


def test_minus_zero_is_zero() -> None:
    """Equal rows are equal whatever their bytes."""
    part = _rows([0, 0])
    part.features[1, 3] = -0.0
    assert len(_collected(part)) == 1


def test_a_verdict_wins_over_the_same_row_without_one() -> None:
    """Whichever was read first."""
    quiet, labelled = _rows([7]), _rows([7], [Verdict.BENIGN], origin="b", start_ms=99)
    for parts in ((quiet, labelled), (labelled, quiet)):
        corpus = _collected(*parts)
        assert corpus.verdict.tolist() == [Verdict.BENIGN]
        assert corpus.time_ms.tolist() == [99]


@pytest.mark.parametrize("max_rows", [1, 1000])
def test_a_row_labelled_both_ways_is_dropped_however_often_it_comes(max_rows: int) -> None:
    """Two people disagree: nothing is learned from it, not even from a third copy."""
    parts = [_rows([7], [Verdict.BENIGN]), _rows([7], [Verdict.MALICIOUS]), _rows([7], [Verdict.BENIGN]), _rows([7])]
    collector = Collector(max_rows=max_rows, seed=1)
    for part in [*parts, _rows(list(range(100, 5000)), start_ms=50), _rows([7], [Verdict.MALICIOUS])]:
        collector.add(part)
    corpus = collector.corpus()
    assert 7 not in _values(corpus)
    assert corpus.counts.conflicting == 1


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(0, 30), min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=4),
    seed=st.integers(0, 2**31),
    order=st.randoms(use_true_random=False),
)
def test_the_sample_depends_neither_on_order_nor_on_repeats(
    values: list[int], cuts: list[int], seed: int, order: Any
) -> None:
    """However the same distinct rows are cut, ordered or repeated, the same ones stay."""
    distinct = sorted(set(values))
    once = _collected(_rows(distinct), max_rows=10, seed=seed)
    shuffled = values[:]
    order.shuffle(shuffled)
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = [_rows(shuffled[low:high]) for low, high in itertools.pairwise(edges)]
    again = _collected(*parts, max_rows=10, seed=seed)
    assert set(_values(again)) == set(_values(once))
    assert len(again) == min(len(distinct), 10)


def test_sampling_is_uniform_over_distinct_rows_and_spares_verdicts() -> None:
    """Every distinct row has the same chance to stay; a labelled row always stays."""
    hits = np.zeros(60)
    for seed in range(200):
        corpus = _collected(_rows(list(range(60))), _rows([999], [Verdict.BENIGN]), max_rows=20, seed=seed)
        kept = [value for value in _values(corpus) if value != 999]
        assert len(kept) == 20
        assert 999 in _values(corpus)
        hits[kept] += 1
    assert abs(hits.mean() - 200 / 3) < 1e-9
    assert hits.min() > 35
    assert hits.max() < 100


def test_memory_stays_bounded_while_rows_pour_in() -> None:
    """The collector holds about twice what it may keep."""
    collector = Collector(max_rows=100, seed=1)
    for number in range(20):
        collector.add(_rows(list(range(number * 1000, number * 1000 + 1000)), start_ms=number * 1000))
        assert len(collector._held.key) + collector._fresh_rows <= 100 + 4096
    corpus = collector.corpus()
    assert len(corpus) == 100
    assert corpus.counts.sampled_out == 19_900


def test_rows_are_ordered_by_source_and_time() -> None:
    """What follows may rely on it."""
    corpus = _collected(_rows([5, 6], origin="b", start_ms=10), _rows([1, 2], origin="a", start_ms=50))
    assert corpus.origins == ("a", "b")
    assert corpus.origin.tolist() == [0, 0, 1, 1]
    assert _values(corpus) == [1, 2, 5, 6]


def test_attacks_alone_make_no_corpus(synthetic: Any, tmp_path: Any) -> None:
    """There must be something ordinary to learn."""
    path = synthetic.write_lake(tmp_path / "a.parquet", synthetic.scan(10, 1), verdict="malicious")
    with pytest.raises(SourceMissing, match="benign rows"):
        collect([path], [path], profile=CaptureProfile(), max_rows=10, seed=1, progress=lambda _f, _m: None)


def test_when_nothing_is_left_the_reasons_are_told(synthetic: Any, tmp_path: Path) -> None:
    """Whoever wonders where the rows are learns what holds them back."""
    path = synthetic.write_lake(tmp_path / "a.parquet", synthetic.benign(30, 1), decision=1)
    with pytest.raises(SourceMissing, match="unlabelled alerts 30"):
        collect([path], [], profile=CaptureProfile(), max_rows=100, seed=1, progress=lambda *_: None)
