"""Encoding and views learn from fitted rows alone, and take any other row."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.errors import NotFitted
from trainer.tables.encoding import Encoding
from trainer.tables.nearest import Nearest
from trainer.tables.table import Table
from trainer.tables.views import BEYOND, Ranks


def _table(**columns: list) -> Table:
    return Table("t", {name: np.array(values) for name, values in columns.items()})


def test_words_never_seen_count_as_others() -> None:
    """Every row has exactly one of a column's words."""
    encoding = Encoding.fit(_table(service=["http", "dns", "http"]))
    assert encoding.names == ("service=dns", "service=http", "service is another")
    assert encoding.apply(_table(service=["http", "never", "dns"])).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_gaps_and_infinities_become_finite_and_stay_visible() -> None:
    """A gap is the fitted median, and says so in a feature of its own; infinity is the largest fitted value."""
    encoding = Encoding.fit(_table(bytes=[1.0, 2.0, 30.0]))
    assert encoding.apply(_table(bytes=[np.nan, np.inf, -np.inf])).tolist() == [[2, 1], [30, 0], [1, 0]]


def test_a_column_without_a_value_is_zero() -> None:
    """Also if later rows have some."""
    encoding = Encoding.fit(_table(bytes=[np.nan, np.nan]))
    assert encoding.apply(_table(bytes=[np.inf, 5.0])).tolist() == [[0, 0], [5, 0]]


def test_codes_are_words() -> None:
    """17 is not more than 6."""
    assert Encoding.fit(_table(Protocol=[6.0, 17.0])).names == ("Protocol=17", "Protocol=6", "Protocol is another")


def test_a_column_of_words_where_numbers_were_counts_as_missing() -> None:
    """Rather than an error of a library."""
    assert Encoding.fit(_table(n=[1.0, 3.0])).apply(_table(n=["x"])).tolist() == [[2, 1]]


def test_ranks_are_normal_scores_of_the_fitted_rows() -> None:
    """Symmetric about the median, whatever the unit; outside the range they lie further out."""
    fitted = np.random.default_rng(1).lognormal(3, 2, (999, 1)).astype(np.float32)
    ranks = Ranks().fit(fitted)

    def score(value: float) -> float:
        seen = float(ranks.apply(np.array([[value]], dtype=np.float32))[0, 0])
        return float(np.sign(seen) * np.log1p(abs(seen)))

    assert score(float(np.median(fitted))) == pytest.approx(0, abs=0.01)
    assert score(float(np.quantile(fitted, 0.84))) == pytest.approx(1, abs=0.03)
    top = score(float(fitted.max()))
    assert score(float(fitted.max()) * 2) - top == pytest.approx(BEYOND, abs=0.3)
    assert score(1e12) == score(float(fitted.max()) * 2)


def test_ranks_of_a_constant_column_tell_only_change() -> None:
    """Zero where it always was, beyond where it never was."""
    ranks = Ranks().fit(np.zeros((50, 1), dtype=np.float32))
    seen = ranks.apply(np.array([[0], [1], [-1]], dtype=np.float32))[:, 0]
    assert seen[0] == 0
    assert seen[1] == -seen[2] > 0


def test_nothing_answers_before_it_is_fitted() -> None:
    """It does not answer zero."""
    rows = np.zeros((2, 3), dtype=np.float32)
    for ask in (Ranks().apply, Nearest().raw_score):
        with pytest.raises(NotFitted, match="call fit first"):
            ask(rows)


def test_the_nearest_rows_are_found_exactly() -> None:
    """As a search over all pairs finds them, and the same in any batch."""
    chance = np.random.default_rng(2)
    known = chance.normal(0, 1, (300, 4)).astype(np.float32)
    asked = chance.normal(0, 1.5, (1500, 4)).astype(np.float32)
    detector = Nearest(2).fit(known)
    scaling = detector.scaling_
    assert scaling is not None
    apart = np.linalg.norm(scaling.apply(asked)[:, None] - scaling.apply(known)[None], axis=2)
    wanted = np.sort(apart, axis=1)[:, :2].mean(axis=1) / 2
    assert detector.raw_score(asked) == pytest.approx(wanted, abs=2e-3)
    assert np.array_equal(detector.raw_score(asked[:7]), detector.raw_score(asked)[:7])
    assert detector.raw_score(known).max() > 0
