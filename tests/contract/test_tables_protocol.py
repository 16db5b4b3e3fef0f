"""Laws of the benchmarks: roles never overlap, test rows and their labels never reach a fit, the same seed says the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.making.recipe import Network
from trainer.tables import fitted, protocol
from trainer.tables.benchmark import benchmark
from trainer.tables.labelled import BENIGN, Labelled
from trainer.tables.protocol import Role
from trainer.tables.settings import Run
from trainer.tables.table import Table

QUICK = Network(layers=(8, 4), epochs=2, residual_floor=10.0, most_steps=10)


def run(**changes: object) -> Run:
    """A run of one seed that tells nobody."""
    return replace(Run(tell=lambda *_: None, clock=iter(np.arange(1e6)).__next__, seeds=1, network=QUICK), **changes)


def made(seed: int, *, official: bool = True, timed: bool = False) -> Labelled:
    """Benign rows about the origin, three families off it; the last third of all rows is the official test."""
    chance = np.random.default_rng(seed)
    names = np.array([BENIGN] * 480 + ["a"] * 40 + ["b"] * 40 + ["c"] * 40)[chance.permutation(600)]
    shift = np.select([names == "a", names == "b", names == "c"], [4.0, 8.0, -6.0], 0.0)
    table = Table(
        "made",
        {
            "x": chance.normal(0, 1, 600) + shift,
            "y": chance.lognormal(2, 1, 600),
            "service": np.where(chance.random(600) < 0.7, "http", "dns"),
        },
    )
    return Labelled(
        "made",
        table,
        names,
        names,
        {},
        moment=chance.permutation(600).astype(float) if timed else None,
        official_test=np.arange(600) >= 420 if official else None,
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), official=st.booleans(), timed=st.booleans(), repeat=st.integers(0, 60))
def test_roles_never_overlap_and_never_share_features(seed: int, official: bool, timed: bool, repeat: int) -> None:
    """Every row has one role; no two rows outside an official test file have the same features; classifiers never
    calibrate on what they fitted; detectors fit on no attack."""
    data = made(seed, official=official, timed=timed)
    rows = np.concatenate([np.arange(600), np.random.default_rng(seed).integers(0, 600, repeat)])
    data, found = protocol.without_duplicates(data.take(rows))
    assert found.rows == 600 + repeat
    keys = list(zip(*(column[~data.test_file].tolist() for column in data.table.columns.values()), strict=True))
    assert len(keys) == len(set(keys))
    for deal in (protocol.benign_only(data, seed), protocol.supervised(data, seed), protocol.random_split(data, seed)):
        assert len(deal.roles) == len(data.family)
        assert set(np.unique(deal.roles).tolist()) <= {int(role) for role in Role}
        assert sum(deal.counts().values()) == len(data.family)
        if official:
            assert not (deal.of(Role.TEST) & ~data.test_file).any() or deal.rule.startswith("the trap")
        assert not np.isin(data.family[deal.of(Role.FIT)], deal.held_out).any()
    assert not (protocol.benign_only(data, seed).of(Role.FIT) & ~data.benign).any()
    assert not (protocol.supervised(data, seed).of(Role.CALIBRATE) & ~data.benign).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_deal_does_not_look_at_the_labels_of_the_test(seed: int) -> None:
    """Permuting them moves no row to another role."""
    data = made(seed)
    names = data.family.copy()
    names[420:] = np.random.default_rng(seed + 1).permutation(names[420:])
    other = replace(data, family=names, class_=names)
    for deal in (protocol.benign_only, protocol.supervised):
        assert np.array_equal(deal(data, seed).roles, deal(other, seed).roles)


@pytest.mark.training
def test_permuting_the_labels_of_the_test_changes_no_score() -> None:
    """Of any detector, of any row."""
    data = made(1)
    names = data.family.copy()
    names[420:] = np.random.default_rng(9).permutation(names[420:])
    other = replace(data, family=names, class_=names)
    first, second = (fitted.fit(given, fitted.roles(given, 7), 7, run(), reached=0, width=1) for given in (data, other))
    assert np.array_equal(first.scored, second.scored)
    for name, scores in first.scores.items():
        assert np.array_equal(scores, second.scores[name]), name


@pytest.mark.training
def test_other_test_rows_change_no_score_of_the_rows_before_them() -> None:
    """Scalers, ranks, words and weights have seen none of them."""
    data = made(2)
    columns = {name: column.copy() for name, column in data.table.columns.items()}
    columns["x"][420:] *= 1000
    columns["y"][420:] = np.nan
    columns["service"] = np.where(np.arange(600) >= 420, "never", columns["service"])
    other = replace(data, table=Table("made", columns))
    first, second = (fitted.fit(given, fitted.roles(given, 7), 7, run(), reached=0, width=1) for given in (data, other))
    before = first.scored < 420
    assert before.any()
    for name, scores in first.scores.items():
        assert np.array_equal(scores[before], second.scores[name][before]), name
        assert not np.array_equal(scores[~before], second.scores[name][~before]), name


@pytest.mark.training
@pytest.mark.parametrize("official", [True, False])
def test_the_same_table_and_seed_give_the_same_report(official: bool) -> None:
    """Cost apart, which is the machine's; and a report is JSON without a NaN."""
    import json

    first, second = (benchmark(made(3, official=official), run()) for _ in range(2))
    for report in (first, second):
        report["benign_only"].pop("cost")
        report["supervised"].pop("cost")
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
