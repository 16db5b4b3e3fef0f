"""How a row enters a network: shares and scores that know no units, and images in which neighbours go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer.runtime import tensorflow
from trainer.workbench.networks.images import LEAST_SIDE, MOST_SIDE, Layout, ordered
from trainer.workbench.networks.knots import CLIP, Knots

pytestmark = pytest.mark.training


def made(count: int = 4000) -> np.ndarray:
    """A heavy tail, a rate, a rare yes/no, a constant, and a negative one."""
    chance = np.random.default_rng(4)
    return np.column_stack(
        [
            np.exp(4 * chance.normal(size=count)),
            chance.random(count),
            chance.random(count) < 0.01,
            np.full(count, 7.0),
            -chance.exponential(size=count),
        ]
    ).astype(np.float32)


def scores(knots: Knots, rows: Any) -> np.ndarray:
    return knots.scores(np.asarray(rows, dtype=np.float32), tensorflow()).numpy()


def test_scores_are_alike_whatever_the_unit() -> None:
    """Bytes or gigabytes, shares or per cent: a network is given the same."""
    rows, units = made(), np.array([1e-6, 100.0, 3.0, 1.0, 1e4], dtype=np.float32)
    plain, other = Knots.fit(rows, bins=16), Knots.fit(rows * units, bins=16)
    np.testing.assert_allclose(scores(plain, rows), scores(other, rows * units), atol=1e-3)


def test_scores_of_fitted_rows_are_about_normal() -> None:
    """Mean and deviation of a normal distribution for what varies, a far place for what is rare."""
    rows = made()
    found = scores(Knots.fit(rows, bins=16), rows)
    for place in (0, 1, 4):
        assert abs(found[:, place].mean()) < 0.15
        assert 0.8 < found[:, place].std() < 1.2
    assert found[rows[:, 2] == 1, 2].min() > 2.0
    assert abs(found[rows[:, 2] == 0, 2]).max() < 0.1
    assert (found[:, 3] == 0).all()


def test_scores_rise_with_the_value_and_beyond_all_fitted_ones() -> None:
    """Within bounds, so that a detector sees what was never seen and nothing becomes infinite."""
    knots = Knots.fit(made(), bins=16)
    for place in range(5):
        line = np.tile(np.median(made(), axis=0), (200, 1)).astype(np.float32)
        line[:, place] = np.linspace(-50, 50, 200)
        found = scores(knots, line)[:, place]
        assert (np.diff(found) >= 0).all()
        assert found[-1] > found[0]
    extreme = scores(knots, np.full((2, 5), [[1e30], [-1e30]], dtype=np.float32))
    assert np.isfinite(extreme).all()
    assert (extreme[0] == CLIP).all()
    assert (extreme[1] == -CLIP).all()


def test_shares_fill_up_piece_by_piece() -> None:
    """Full pieces below the value, one in part, empty ones above."""
    rows = np.arange(101, dtype=np.float32)[:, None]
    knots = Knots.fit(rows, bins=4)
    found = knots.shares(np.array([[0.0], [30.0], [100.0]], dtype=np.float32), tensorflow()).numpy()
    np.testing.assert_allclose(found, [[0, 0, 0, 0], [1, 0.2, 0, 0], [1, 1, 1, 1]], atol=1e-6)


def test_few_values_take_a_piece_each_and_a_table_of_constants_is_possible() -> None:
    """Yes/no is one piece; where nothing varies there is one that stays empty."""
    flags = np.tile(np.array([[0.0], [1.0]], dtype=np.float32), (50, 1))
    assert len(Knots.fit(flags, bins=16).feature) == 1
    constant = Knots.fit(np.full((10, 3), 2.0, dtype=np.float32), bins=16)
    assert (scores(constant, np.full((2, 3), 2.0)) == 0).all()


@pytest.mark.parametrize("width", [1, 2, 5, 64, 65, 122])
def test_every_feature_has_one_pixel(width: int) -> None:
    """On the smallest square that holds them, and nothing else is on it."""
    layout = Layout.fit(np.random.default_rng(1).normal(size=(50, width)).astype(np.float32))
    assert layout.side == max(LEAST_SIDE, int(np.ceil(np.sqrt(width))))
    kept = layout.pixels[layout.pixels < width]
    assert sorted(kept.tolist()) == list(range(width))
    row = np.arange(1, width + 1, dtype=np.float32)[None]
    image = layout.image(row, tensorflow()).numpy()
    assert image.shape == (1, layout.side, layout.side, 1)
    assert image.sum() == row.sum()


def test_features_that_go_together_are_neighbours() -> None:
    """Sixteen groups of four: the members of a group lie in a square of two by two, however columns are shuffled."""
    chance = np.random.default_rng(2)
    group = chance.permutation(np.repeat(np.arange(16), 4))
    rows = chance.normal(size=(500, 16))[:, group] + 0.2 * chance.normal(size=(500, 64))
    rows[:, ::2] *= -1  # going against each other is going together, too
    layout = Layout.fit(rows.astype(np.float32))
    square = group[layout.pixels].reshape(8, 8)
    blocks = square.reshape(4, 2, 4, 2).transpose(0, 2, 1, 3).reshape(16, 4)
    assert all(len(set(block.tolist())) == 1 for block in blocks)


def test_the_order_is_by_correlation_and_constants_do_not_spoil_it() -> None:
    """A constant column goes with nothing."""
    chance = np.random.default_rng(3)
    base = chance.normal(size=(300, 2))
    rows = np.column_stack([base[:, 0], base[:, 1], np.zeros(300), base[:, 0] + 0.1, -base[:, 1]]).astype(np.float32)
    order = ordered(rows).tolist()
    assert abs(order.index(0) - order.index(3)) == 1
    assert abs(order.index(1) - order.index(4)) == 1


def test_more_features_than_pixels_leave_the_least_telling_out() -> None:
    """Those whose means differ most between classes stay."""
    chance = np.random.default_rng(5)
    width = MOST_SIDE**2 + 40
    class_ = chance.integers(0, 2, 200)
    rows = chance.normal(size=(200, width)).astype(np.float32)
    telling = chance.choice(width, 30, replace=False)
    rows[:, telling] += 3 * class_[:, None]
    layout = Layout.fit(rows, class_)
    assert layout.side == MOST_SIDE
    assert set(telling.tolist()) <= set(layout.pixels.tolist())
