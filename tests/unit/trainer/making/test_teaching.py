"""Teaching: a head where labels suffice, judged on rows it was not taught, and never at the price of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protos import contract
from trainer.detectors.head import Head
from trainer.detectors.portfolio import Portfolio
from trainer.errors import NotFitted
from trainer.making import teaching

F = len(contract.FEATURES)


@pytest.mark.parametrize(
    ("counts", "classes"),
    [
        ({"scan": 20, "guessing": 19}, ("scan",)),
        ({"scan": 20, "guessing": 12, "flood": 8}, ("other", "scan")),
        ({"scan": 19}, None),
        ({"guessing": 10, "flood": 10}, ("other",)),
        ({}, None),
    ],
)
def test_families_with_enough_rows_become_classes(counts: dict[str, int], classes: tuple[str, ...] | None) -> None:
    """The others are one class, if they are enough together, and else none."""
    names = [name for name, count in counts.items() for _ in range(count)]
    found = teaching.lesson(np.zeros((len(names), F), dtype=np.float32), names)
    assert (found.classes if found else None) == classes


def test_the_later_third_of_every_family_judges() -> None:
    """Cut family by family, so that each has rows on both sides."""
    found = teaching.lesson(np.zeros((60, F), dtype=np.float32), ["a"] * 30 + ["b"] * 30)
    assert found is not None
    assert np.flatnonzero(found.later()).tolist() == [*range(20, 30), *range(50, 60)]


def test_a_head_refuses_before_it_was_fitted(synthetic: Any) -> None:
    """It does not answer zero."""
    with pytest.raises(NotFitted):
        Head(("scan",)).odds(synthetic.benign(3, 1))


@pytest.fixture(scope="module")
def taught(synthetic: Any) -> Any:
    """A portfolio of two members, taught scans and another kind of attack, and the ground it stands on."""
    rows, promise, held = synthetic.benign(800, 1), synthetic.benign(300, 2), synthetic.benign(400, 3)
    quiet = _quiet(synthetic, 60, 5)
    attacks = np.concatenate([synthetic.scan(60, 4), quiet])
    ground = teaching.Ground(
        rows, np.ones(800, np.float32), np.ones(800, np.bool_), promise, held, {"swapped": held[::-1].copy()}
    )
    base = Portfolio(members=("std_count", "mahalanobis")).fit(rows, calibrate=promise)
    found = teaching.lesson(attacks, ["scan"] * 60 + ["quiet"] * 60)
    assert found is not None
    return base, *teaching.teach(base, found, ground)


def _quiet(synthetic: Any, count: int, seed: int) -> np.ndarray:
    """Attacks that no feature gives away alone: ordinary rows with two features that are always equal."""
    rows = synthetic.benign(count, seed)
    for name in ("src2dst_min_ps", "dst2src_min_ps"):
        rows[:, contract.index(name)] = 3 * np.median(rows[:, contract.index(name)])
    return rows


@pytest.mark.training
def test_the_head_names_families_and_leaves_ordinary_rows_alone(taught: Any, synthetic: Any) -> None:
    """On rows of other seeds."""
    _, joined, found = taught
    assert joined.classes == found.classes == ("quiet", "scan")
    for number, rows in enumerate((_quiet(synthetic, 100, 21), synthetic.scan(100, 22))):
        shares = joined.class_scores(rows)
        assert shares.shape == (100, 2)
        assert np.mean(shares.argmax(axis=1) == number) > 0.9
    assert np.mean(joined.class_scores(synthetic.benign(300, 23)).sum(axis=1) > 0.5) < 0.05


@pytest.mark.training
def test_the_head_only_ever_raises_a_score(taught: Any, synthetic: Any) -> None:
    """Labels must not hide what is strange."""
    base, joined, found = taught
    rows = np.concatenate([synthetic.benign(200, 24), synthetic.backup(50, 25), synthetic.scan(50, 26)])
    assert (joined.raw_score(rows) >= base.raw_score(rows)).all()
    assert found.raises
    assert found.ranking_with["quiet"] > found.ranking_without["quiet"]
    assert found.recall_with["quiet"] > found.recall_without["quiet"]
    assert "raises scores" in found.why
    assert joined.explain(rows)[0] == pytest.approx(base.explain(rows)[0])


@pytest.mark.training
def test_a_head_that_does_not_help_only_names(synthetic: Any) -> None:
    """Where strangeness finds every labelled attack already, the score stays as it was."""
    rows, promise, held = synthetic.benign(800, 1), synthetic.benign(300, 2), synthetic.benign(400, 3)
    ground = teaching.Ground(rows, np.ones(800, np.float32), np.ones(800, np.bool_), promise, held, {})
    base = Portfolio(members=("mahalanobis",)).fit(rows, calibrate=promise)
    plain = synthetic.scan(60, 4) * np.float32(50)
    found = teaching.lesson(plain, ["scan"] * 60)
    assert found is not None
    joined, said = teaching.teach(base, found, ground)
    assert not said.raises
    assert "only names" in said.why
    assert np.array_equal(joined.raw_score(held), base.raw_score(held))


@pytest.mark.training
def test_the_same_labels_teach_the_same_head(taught: Any, synthetic: Any) -> None:
    """To the last bit."""
    rows, ones = synthetic.benign(300, 1), np.ones(300, dtype=np.float32)
    family = np.zeros(40, dtype=np.intp)
    first, again = (Head(("scan",), seed=3).fit(rows, ones, synthetic.scan(40, 4), family) for _ in range(2))
    assert np.array_equal(first.odds(rows), again.odds(rows))
