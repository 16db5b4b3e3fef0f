"""Rehearsal: a few labelled rows come to weigh a stated share, and vary as benign rows do."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from protos import contract
from trainer.corpora.corpus import Corpus
from trainer.corpora.sources import Verdict
from trainer.corpora.split import Role, split
from trainer.making.recipe import Shares
from trainer.making.rehearse import host_shares, rehearse, repeats, vary

SHARES = Shares()


@pytest.mark.parametrize(
    ("ordinary", "labelled", "expected"),
    [(8000, 0, 0), (8000, 2000, 1), (8000, 4000, 1), (8000, 1000, 2), (8000, 100, 20), (10**6, 1, 500), (0, 5, 1)],
)
def test_repeats_reach_the_share_and_stop_at_the_cap(ordinary: int, labelled: int, expected: int) -> None:
    """A fifth of the rows, but never more copies of one row than the recipe allows."""
    assert repeats(ordinary, labelled, SHARES) == expected


def _corpus(synthetic: Any) -> Corpus:
    rows = np.concatenate([synthetic.benign(1000, 1), synthetic.backup(12, 2)])
    count = len(rows)
    verdict = np.zeros(count, dtype=np.int8)
    verdict[1000:] = Verdict.BENIGN
    return Corpus(
        features=rows,
        weights=np.full(count, 7, dtype=np.float32),
        time_ms=np.arange(count, dtype=np.int64),
        kind=np.zeros(count, dtype=np.int64),
        verdict=verdict,
        host=np.zeros(count, dtype=np.int64),
        family=np.zeros(count, dtype=np.int32),
        origin=np.zeros(count, dtype=np.int32),
        origins=("a",),
    )


def test_a_role_has_its_rows_once_and_labelled_ones_are_marked(synthetic: Any) -> None:
    """The bulk is the ordinary rows; after it come the labelled ones, exact first, then varied; each weighs one."""
    corpus = _corpus(synthetic)
    dealt = split(corpus, SHARES, 1)
    rows, weights, bulk = rehearse(corpus, dealt, Role.FIT, SHARES, 1)
    ordinary, labelled = dealt.rows(Role.FIT, ~dealt.exception), dealt.rows(Role.FIT, dealt.exception)
    assert np.array_equal(rows[bulk], corpus.features[ordinary])
    assert np.array_equal(rows[len(ordinary) : len(ordinary) + len(labelled)], corpus.features[labelled])
    assert len(labelled) == 8
    share = (len(rows) - len(ordinary)) / len(rows)
    assert share == pytest.approx(SHARES.labelled, abs=0.01)
    assert weights == pytest.approx(1, abs=1e-5)
    assert np.isfinite(rows).all()
    assert (rows >= 0).all()


def test_a_host_counts_by_the_root_of_its_rows() -> None:
    """A hundred times the rows, ten times the say; a row counts one on average, and nothing comes of nothing."""
    host = np.array([1] * 100 + [2], dtype=np.int64)
    shares = host_shares(host)
    assert shares[:100].sum() == pytest.approx(10 * shares[100])
    assert shares.mean() == pytest.approx(1, abs=1e-5)
    assert len(host_shares(host[:0])) == 0


def test_only_the_rows_asked_for_are_rehearsed(synthetic: Any) -> None:
    """Rows kept for another purpose stay out, and so do repeats of them."""
    corpus = _corpus(synthetic)
    dealt = split(corpus, SHARES, 1)
    chosen = np.arange(len(corpus)) % 2 == 0
    rows, _, bulk = rehearse(corpus, dealt, Role.FIT, SHARES, 1, within=chosen)
    assert np.array_equal(rows[bulk], corpus.features[dealt.rows(Role.FIT, ~dealt.exception & chosen)])


def test_rehearsal_is_seeded(synthetic: Any) -> None:
    """The same recipe rehearses the same rows."""
    corpus = _corpus(synthetic)
    dealt = split(corpus, SHARES, 1)
    first, again, other = (rehearse(corpus, dealt, Role.FIT, SHARES, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_labelled_rows_a_role_is_as_it_was(synthetic: Any) -> None:
    """Nothing is added where there is nothing to rehearse."""
    corpus = _corpus(synthetic)
    corpus = dataclasses.replace(corpus, verdict=np.zeros_like(corpus.verdict))
    dealt = split(corpus, SHARES, 1)
    rows, _, bulk = rehearse(corpus, dealt, Role.SELECT, SHARES, 1)
    assert bulk.all()
    assert np.array_equal(rows, corpus.features[dealt.rows(Role.SELECT)])


def test_varied_rows_stay_strange_and_within_what_occurs(synthetic: Any) -> None:
    """What made the row strange stays; no feature takes a value that nothing ever had."""
    benign, labelled = synthetic.benign(500, 1), synthetic.backup(1, 3)
    varied = vary(np.tile(labelled, (300, 1)), benign, np.random.default_rng(1))
    everything = np.concatenate([benign, labelled])
    assert (varied <= everything.max(0) * 1.001 + 1e-3).all()
    assert (varied >= everything.min(0) * 0.999 - 1e-3).all()
    column = contract.index("bidirectional_mean_ps")
    assert np.median(varied[:, column]) > benign[:, column].max() / 10
    assert len(np.unique(varied, axis=0)) > 290
