"""Ordinary rows: those nobody spoke of, and no host stands for the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer.corpora.corpus import Corpus
from trainer.corpora.sources import Verdict
from trainer.corpora.split import Role, split
from trainer.making.ordinary import host_shares, ordinary
from trainer.making.recipe import Shares


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


def test_a_labelled_row_is_fitted_by_no_detector(synthetic: Any) -> None:
    """It teaches near itself, and what detectors learn is the same whether somebody judged it or not."""
    corpus = _corpus(synthetic)
    dealt = split(corpus, Shares(), 1)
    rows, weights = ordinary(corpus, dealt, Role.FIT)
    assert np.array_equal(rows, corpus.features[dealt.rows(Role.FIT, ~dealt.exception)])
    assert len(dealt.rows(Role.FIT, dealt.exception)) == 8
    assert weights == pytest.approx(1, abs=1e-5)


def test_only_the_rows_asked_for_are_taken(synthetic: Any) -> None:
    """Rows kept for another purpose stay out."""
    corpus = _corpus(synthetic)
    dealt = split(corpus, Shares(), 1)
    chosen = np.arange(len(corpus)) % 2 == 0
    rows, _ = ordinary(corpus, dealt, Role.FIT, within=chosen)
    assert np.array_equal(rows, corpus.features[dealt.rows(Role.FIT, ~dealt.exception & chosen)])


def test_a_host_counts_by_the_root_of_its_rows() -> None:
    """A hundred times the rows, ten times the say; a row counts one on average, and nothing comes of nothing."""
    host = np.array([1] * 100 + [2], dtype=np.int64)
    shares = host_shares(host)
    assert shares[:100].sum() == pytest.approx(10 * shares[100])
    assert shares.mean() == pytest.approx(1, abs=1e-5)
    assert len(host_shares(host[:0])) == 0
