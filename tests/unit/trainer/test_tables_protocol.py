"""The protocol: every row one role, duplicates counted once, families held out, time respected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.errors import NotEnoughRows, TableUnreadable
from trainer.tables import protocol
from trainer.tables.labelled import BENIGN, Labelled, check
from trainer.tables.protocol import Role
from trainer.tables.table import Table


def made(families: list[str], *, official: list[bool] | None = None, moment: list[float] | None = None) -> Labelled:
    """A table whose only feature is the row's number."""
    names = np.array(families)
    return Labelled(
        name="made",
        table=Table("made", {"n": np.arange(len(families), dtype=np.float64)}),
        family=names,
        class_=names,
        left_out={},
        official_test=None if official is None else np.array(official),
        moment=None if moment is None else np.array(moment),
    )


_FAMILIES = [BENIGN] * 400 + ["dos"] * 40 + ["probe"] * 30 + ["r2l"] * 10


def test_without_a_test_file_every_family_is_held_out_of_benign_only() -> None:
    """All attack rows test, benign ones have all four roles."""
    data = made(_FAMILIES)
    deal = protocol.benign_only(data, 1)
    assert deal.held_out == ("dos", "probe", "r2l")
    assert (deal.roles[~data.benign] == Role.TEST).all()
    counts = {role: int((deal.roles[data.benign] == role).sum()) for role in Role}
    assert counts == {Role.UNUSED: 0, Role.FIT: 200, Role.SELECT: 32, Role.CALIBRATE: 68, Role.TEST: 100}
    assert "held-out family" in deal.rule


def test_with_a_test_file_its_rows_test_and_training_attacks_stay_unused() -> None:
    """Benign-only means that."""
    data = made(_FAMILIES + [BENIGN, "new"] * 20, official=[False] * 480 + [True] * 40)
    deal = protocol.benign_only(data, 1)
    assert (deal.roles[480:] == Role.TEST).all()
    assert (deal.roles[400:480] == Role.UNUSED).all()
    labelled = protocol.supervised(data, 1)
    assert (labelled.roles[480:] == Role.TEST).all()
    assert set(labelled.roles[400:480].tolist()) == {Role.FIT, Role.SELECT}
    assert labelled.held_out == ("new",)
    assert (deal.roles[:400] == labelled.roles[:400]).all()


def test_supervised_without_a_test_file_holds_a_third_of_the_families_out() -> None:
    """Never learned from, and named."""
    data = made(_FAMILIES)
    for seed in range(6):
        deal = protocol.supervised(data, seed)
        assert len(deal.held_out) == 1
        held = data.family == deal.held_out[0]
        assert (deal.roles[held] == Role.TEST).all()
        seen = ~held & ~data.benign
        assert {Role.FIT, Role.TEST} <= set(deal.roles[seen].tolist())
        assert "held-out families" in deal.rule
    assert {protocol.supervised(data, seed).held_out for seed in range(12)} == {("dos",), ("probe",), ("r2l",)}


def test_one_family_cannot_be_held_out() -> None:
    """The message says what to do."""
    with pytest.raises(NotEnoughRows, match="at least two attack families, found dos; give a test file"):
        protocol.supervised(made([BENIGN] * 300 + ["dos"] * 20), 1)


def test_too_few_benign_rows_are_refused() -> None:
    """A handful says nothing."""
    with pytest.raises(NotEnoughRows, match="249 benign rows"):
        protocol.benign_only(made([BENIGN] * 249 + ["dos"] * 20), 1)


def test_later_rows_calibrate_and_the_last_test_where_there_is_time() -> None:
    """Also if the file is in another order."""
    order = np.random.default_rng(3).permutation(480).astype(float).tolist()
    data = made(_FAMILIES, moment=order)
    deal = protocol.benign_only(data, 1)
    at = np.array(order)
    latest = [at[data.benign & deal.of(role)].max() for role in (Role.FIT, Role.SELECT, Role.CALIBRATE)]
    first = [at[data.benign & deal.of(role)].min() for role in (Role.SELECT, Role.CALIBRATE, Role.TEST)]
    assert all(before < after for before, after in zip(latest, first, strict=True))
    assert np.array_equal(deal.roles, protocol.benign_only(data, 2).roles)


def test_the_last_days_families_are_held_out_where_days_differ() -> None:
    """As one would meet them."""
    data = replace(made(_FAMILIES), day=np.array(["mon"] * 400 + ["tue"] * 40 + ["wed"] * 40))
    assert protocol.supervised(data, 5).held_out == ("probe", "r2l")


def test_repeated_features_count_once_and_the_test_file_stays_whole() -> None:
    """Words and numbers together make the features."""
    table = Table("t", {"n": np.array([1.0, 1, 1, 2, 1, 1]), "w": np.array(["a", "a", "b", "a", "a", "a"])})
    names = np.array([BENIGN, BENIGN, "dos", "dos", "dos", BENIGN])
    data = Labelled("t", table, names, names, {}, official_test=np.array([False] * 4 + [True] * 2))
    kept, found = protocol.without_duplicates(data)
    assert kept.table.columns["n"].tolist() == [1, 1, 2, 1, 1]
    assert kept.family.tolist() == [BENIGN, "dos", "dos", "dos", BENIGN]
    assert (found.rows, found.removed, found.ambiguous) == (6, 1, 4)
    assert (found.test_rows_repeated, found.test_rows_also_in_training) == (1, 2)


def test_thinning_keeps_rare_families_whole() -> None:
    """A flood gives way first; nothing of the test file goes."""
    data = made(
        [BENIGN] * 500 + ["flood"] * 900 + ["rare"] * 20 + ["rarer"] * 3 + ["test"] * 50,
        official=[False] * 1423 + [True] * 50,
    )
    thinned, aside = protocol.thin(data, 400, 1)
    names, counts = np.unique(thinned.family, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        BENIGN: 200,
        "flood": 177,
        "rare": 20,
        "rarer": 3,
        "test": 50,
    }
    assert aside == 1473 - 450
    assert protocol.thin(data, 2000, 1) == (data, 0)


def test_the_random_split_ignores_families_and_says_that_it_is_a_trap() -> None:
    """And never touches the test file."""
    data = made(_FAMILIES + ["new"] * 20, official=[False] * 480 + [True] * 20)
    deal = protocol.random_split(data, 1)
    assert (deal.roles[480:] == Role.UNUSED).all()
    assert int(deal.of(Role.TEST).sum()) == 120
    assert deal.rule.startswith("the trap")


@pytest.mark.parametrize(
    ("families", "official", "match"),
    [
        (["dos"] * 3, None, "no row is benign"),
        ([BENIGN] * 3, None, "no row to test on is an attack"),
        ([BENIGN, "dos", "dos"], [False, True, True], "no row to test on is benign"),
        ([BENIGN, "dos", BENIGN], [False, False, True], "no row to test on is an attack"),
    ],
)
def test_tables_that_can_show_nothing_are_refused(families: list[str], official: list[bool] | None, match: str) -> None:
    """In words that say what is missing."""
    with pytest.raises(TableUnreadable, match=match):
        check(made(families, official=official))
