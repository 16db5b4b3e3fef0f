"""The contract every detector keeps (trainer/detectors/base.py), judged by one suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import synthetic

from protos import contract
from trainer.detectors.autoencoder import Autoencoder
from trainer.detectors.groups import Groups
from trainer.detectors.mahalanobis import Mahalanobis
from trainer.detectors.neighbours import Neighbours
from trainer.detectors.portfolio import Portfolio
from trainer.detectors.std_count import StdCount
from trainer.errors import NotFitted
from trainer.making.recipe import Network

if TYPE_CHECKING:
    from collections.abc import Callable

F = len(contract.FEATURES)
CONSTANT = contract.index("is_ipv6")

DETECTORS: dict[str, Callable[[], Any]] = {
    "std_count": StdCount,
    "autoencoder": lambda: Autoencoder(Network(epochs=4), seed=3),
    "groups": Groups,
    "mahalanobis": Mahalanobis,
    "neighbours": Neighbours,
    "portfolio": lambda: Portfolio(Network(epochs=4), seed=3),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.training if name in {"autoencoder", "portfolio"} else ())
        for name in sorted(DETECTORS)
    ],
)
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """The constructor of one detector."""
    return DETECTORS[request.param]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Benign rows `[800, F]`."""
    return synthetic.benign(800, 1)


@pytest.fixture(scope="module")
def fitted(make: Callable[[], Any], rows: np.ndarray) -> Any:
    """The detector, fitted once."""
    detector = make()
    assert detector.fit(rows) is detector
    return detector


def test_an_unfitted_detector_refuses_to_score(make: Callable[[], Any], rows: np.ndarray) -> None:
    """It does not answer zero."""
    with pytest.raises(NotFitted, match="call fit first"):
        make().raw_score(rows)


def test_the_constructor_only_remembers(make: Callable[[], Any]) -> None:
    """What is fitted has a trailing underscore and is empty before."""
    detector = make()
    learned = {name: value for name, value in vars(detector).items() if name.endswith("_")}
    assert learned
    assert not any(value is not None and value != 0 for value in learned.values())
    assert isinstance(detector.kind, str)


def test_scores_are_finite_positive_numbers_one_a_row(fitted: Any, rows: np.ndarray) -> None:
    """Also for rows that no capture holds."""
    hard = np.zeros((4, F), dtype=np.float32)
    hard[1], hard[2], hard[3, ::2] = 1, 1e30, 3e38
    scores = fitted.raw_score(np.concatenate([rows, hard]))
    assert scores.shape == (len(rows) + 4,)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert (scores > 0).all()


def test_a_row_scores_the_same_in_any_company(fitted: Any, rows: np.ndarray) -> None:
    """Batch equals one by one, within rounding."""
    together = fitted.raw_score(rows[:20])
    alone = np.concatenate([fitted.raw_score(rows[number : number + 1]) for number in range(20)])
    assert together == pytest.approx(alone, rel=1e-4)
    assert fitted.raw_score(rows[:0]).shape == (0,)


def test_stranger_rows_score_higher(fitted: Any, rows: np.ndarray) -> None:
    """Nearly every scan is above nine in ten benign rows."""
    strange = fitted.raw_score(synthetic.scan(100, 5))
    assert np.quantile(strange, 0.05) > np.quantile(fitted.raw_score(rows), 0.9)


def test_a_constant_feature_that_changes_signals_and_only_so_far(fitted: Any, rows: np.ndarray) -> None:
    """A feature that was always zero raises the score of nearly every row; a huge value does not blow it up."""
    changed, huge = rows[:200].copy(), rows[:200].copy()
    changed[:, CONSTANT], huge[:, CONSTANT] = 1, 1e30
    before, after, beyond = (fitted.raw_score(matrix) for matrix in (rows[:200], changed, huge))
    assert np.mean(after > before) > 0.95
    assert beyond.max() < 100 * max(after.max(), before.max())


def test_fitting_again_gives_the_same_scores(make: Callable[[], Any], fitted: Any, rows: np.ndarray) -> None:
    """Seeded, and without memory of an earlier fit."""
    assert np.array_equal(make().fit(rows).raw_score(rows), fitted.raw_score(rows))


def test_a_row_of_no_weight_teaches_nothing(make: Callable[[], Any], rows: np.ndarray) -> None:
    """Weights reach what is learned: rows of next to no weight stay strange."""
    strange = synthetic.backup(200, 3)
    mixed = np.concatenate([strange, rows])
    weights = np.ones(len(mixed), dtype=np.float32)
    weights[:200] = 1e-6
    ignored = make().fit(mixed, weights).raw_score(strange)
    learned = make().fit(mixed).raw_score(strange)
    assert np.median(ignored) > np.median(learned)
