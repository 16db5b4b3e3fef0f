"""Teaching: a head where labels suffice, judged on rows it was not taught, and never at the price of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protos import contract
from trainer.detectors.head import Head
from trainer.detectors.neighbours import Neighbours
from trainer.detectors.places import Space
from trainer.detectors.portfolio import Portfolio
from trainer.errors import NotFitted
from trainer.making import placing, teaching

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
    """A portfolio of two members, taught scans and another kind of attack, and what came of it."""
    base, space, ground = _stage(synthetic, {"swapped": synthetic.benign(400, 3)[::-1].copy()})
    attacks = np.concatenate([synthetic.scan(60, 4), _quiet(synthetic, 60, 5)])
    found = teaching.lesson(attacks, ["scan"] * 60 + ["quiet"] * 60)
    assert found is not None
    return base, *teaching.teach(base, space, _judged(attacks, np.repeat([0, 1], 60)), found, ground)


def _stage(synthetic: Any, probes: dict[str, np.ndarray]) -> tuple[Portfolio, Space, teaching.Ground]:
    rows, promise, held = synthetic.benign(800, 1), synthetic.benign(300, 2), synthetic.benign(400, 3)
    ground = teaching.Ground(rows, np.ones(800, np.float32), promise, held, probes)
    base = Portfolio(members=("std_count", "mahalanobis")).fit(rows, calibrate=promise)
    return base, Space.of(Neighbours(size=64, knots=6).fit(rows)), ground


def _judged(attacks: np.ndarray, family: np.ndarray, benign: np.ndarray | None = None) -> placing.Judged:
    calm = np.empty((0, F), np.float32) if benign is None else benign
    kind, names = np.zeros(len(calm), np.intp), ("scan", "quiet")[: int(family.max()) + 1]
    return placing.Judged(calm, kind, attacks, family.astype(np.intp), names)


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
def test_labelled_attacks_only_ever_raise_a_score(taught: Any, synthetic: Any) -> None:
    """Labels must not hide what is strange."""
    base, joined, found = taught
    rows = np.concatenate([synthetic.benign(200, 24), synthetic.backup(50, 25), synthetic.scan(50, 26)])
    assert (joined.raw_score(rows) >= base.raw_score(rows) - 1e-5).all()
    assert found.raises == ("scan",)
    assert found.ranking_with["scan"] >= max(found.ranking_without["scan"], teaching.WORTH)
    assert found.ranking_with["quiet"] < teaching.WORTH  # it is named, and it looks too ordinary to raise scores
    assert found.placed.attack_centres > 0
    assert "scores are raised by scan:" in found.why
    assert joined.explain(rows)[0] == pytest.approx(base.explain(rows)[0])
    assert found.to_json()["placed"]["attack_centres"] == found.placed.attack_centres


@pytest.mark.parametrize(
    ("before", "after", "raises"),
    [
        (({"a": 0.5, "b": 0.9}, 0.6), ({"a": 0.7, "b": 0.9}, 0.6), ("a", "b")),
        (({"a": 0.1, "b": 0.9}, 0.6), ({"a": 0.3, "b": 0.9}, 0.6), ("b",)),  # risen, and still like ordinary traffic
        (({"a": 0.5, "b": 0.9}, 0.6), ({"a": 0.9, "b": 0.88}, 0.6), ("a",)),  # b ranks lower than without
        (({"a": 0.5, "b": 0.9}, 0.6), ({"a": 0.7, "b": 0.9}, 0.58), ()),  # probes drown
        (({}, 0.6), ({}, 0.6), ()),  # nothing was held back
    ],
)
def test_a_family_raises_scores_only_where_rows_held_back_say_so(before: Any, after: Any, raises: Any) -> None:
    """Each family by itself, and none at the price of what nobody labelled."""
    judged = [teaching.Trial(ranking, {}, probes) for ranking, probes in (before, after)]
    assert teaching.may_raise(*judged) == raises


def test_two_attacks_show_nothing_and_raise_nothing(synthetic: Any) -> None:
    """There is no row to show it on; they only bound what is calmed."""
    base, space, ground = _stage(synthetic, {})
    scans = synthetic.scan(2, 4)
    reminded, found = teaching.teach(base, space, _judged(scans, np.zeros(2)), None, ground)
    assert found.raises == ()
    assert "held back" in found.why
    assert np.array_equal(reminded.raw_score(scans), base.raw_score(scans))


def test_few_verdicts_are_remembered_without_a_head(synthetic: Any) -> None:
    """Six scans make no class; what is like them is raised if the last two show it, and the backup is calmed."""
    base, space, ground = _stage(synthetic, {})
    backup, scans = synthetic.backup(12, 6), synthetic.scan(6, 4)
    reminded, found = teaching.teach(base, space, _judged(scans, np.zeros(6), backup), None, ground)
    assert found.classes == ()
    assert found.raises == ("scan",)
    assert found.placed.benign_centres > 0
    assert (reminded.raw_score(scans) > base.raw_score(scans)).all()
    fresh = synthetic.backup(100, 7)
    assert np.median(reminded.raw_score(fresh)) < np.median(base.raw_score(fresh)) / 2


@pytest.mark.training
def test_the_same_labels_teach_the_same_head(taught: Any, synthetic: Any) -> None:
    """To the last bit."""
    rows, ones = synthetic.benign(300, 1), np.ones(300, dtype=np.float32)
    family = np.zeros(40, dtype=np.intp)
    first, again = (Head(("scan",), seed=3).fit(rows, ones, synthetic.scan(40, 4), family) for _ in range(2))
    assert np.array_equal(first.odds(rows), again.odds(rows))
