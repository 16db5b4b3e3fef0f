"""The portfolio: p-values fused, strictly rising beyond what was seen, explained by its members' shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protos import contract
from trainer.detectors.portfolio import Portfolio, voices
from trainer.making.assembly import HEARD

MEMBERS = ("std_count", "mahalanobis", "neighbours")


@pytest.fixture(scope="module")
def fitted(synthetic: Any) -> Portfolio:
    """Three members that need no network."""
    return Portfolio(members=MEMBERS, coreset=64).fit(synthetic.benign(900, 1), calibrate=synthetic.benign(300, 2))


def test_the_score_is_the_mean_of_the_members_levels(fitted: Portfolio, synthetic: Any) -> None:
    """Each level is a -log10 p of its own: on fresh benign rows a tenth lies above 1."""
    rows = synthetic.benign(2000, 3)
    levels = fitted.levels(rows)
    assert levels.shape == (2000, 3)
    assert fitted.raw_score(rows) == pytest.approx(levels.mean(axis=1) + 1, abs=1e-5)
    assert np.mean(levels >= 1, axis=0) == pytest.approx([0.1] * 3, abs=0.05)


def test_groups_count_as_much_as_the_others_together() -> None:
    """One aspect of a flow against all of it."""
    assert voices(("std_count", "mahalanobis")).tolist() == [0.5, 0.5]
    assert voices(("std_count", "groups", "mahalanobis")).tolist() == [0.25, 0.5, 0.25]
    assert voices(("groups",)).tolist() == [1.0]


def test_it_rises_beyond_everything_it_was_calibrated_on(fitted: Portfolio, synthetic: Any) -> None:
    """Of two rows beyond all calibration rows the stranger one still scores higher."""
    rows = np.repeat(synthetic.benign(1, 4), 6, axis=0)
    columns = [contract.index(name) for name in ("src_ports_10s", "src_unanswered_10s", "bidirectional_bytes")]
    rows[:, columns] += np.array([0, 1e2, 1e3, 1e4, 1e5, 1e6], dtype=np.float32)[:, None]
    assert (np.diff(fitted.raw_score(rows)) > 0).all()


def test_a_part_of_the_members_needs_no_other_fit(fitted: Portfolio, synthetic: Any) -> None:
    """And one member alone is called by its name."""
    rows = synthetic.benign(50, 5)
    part = fitted.take(("mahalanobis",))
    assert part.kind == "mahalanobis"
    assert fitted.kind == "portfolio"
    assert part.raw_score(rows) == pytest.approx(fitted.levels(rows)[:, 1] + 1, abs=1e-5)


def test_contributions_name_the_feature_and_sum_to_one(fitted: Portfolio, synthetic: Any) -> None:
    """Each member's parts by its share of the score; what was expected is an ordinary value."""
    rows = synthetic.benign(200, 6)
    column = contract.index("dst_ports_10s")
    rows[:, column] += 50_000
    contributions, expected = fitted.explain(rows)
    assert contributions.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert (contributions >= 0).all()
    assert np.mean(contributions.argmax(axis=1) == column) > 0.8
    assert np.median(expected[:, column]) < 5_000


def test_without_calibration_rows_some_are_held_back(synthetic: Any) -> None:
    """The fitted rows never calibrate themselves."""
    rows = synthetic.benign(400, 1)
    alone = Portfolio(members=MEMBERS, coreset=32).fit(rows)
    assert alone.levels_ is not None
    assert 40 < alone.levels_["mahalanobis"].rows < 140


def test_what_is_not_heard_changes_nothing(synthetic: Any) -> None:
    """Of a row whose systems negotiate ECN neither score nor reasons speak, also in a part of the members."""
    fitted = Portfolio(members=MEMBERS, coreset=64, heard=HEARD).fit(
        synthetic.benign(900, 1), calibrate=synthetic.benign(300, 2)
    )
    rows = synthetic.benign(20, 3)
    unheard = np.flatnonzero(HEARD == 0)
    assert {contract.FEATURES[at].split("_")[1] for at in unheard} == {"ece", "cwr"}
    assert len(unheard) == 6
    spoken = rows.copy()
    spoken[:, unheard] = 50
    for portfolio in (fitted, fitted.take(("neighbours",))):
        assert portfolio.raw_score(spoken).tolist() == portfolio.raw_score(rows).tolist()
        assert portfolio.explain(spoken)[0][:, unheard].max() < 1e-3  # a reason begins at 2 %
