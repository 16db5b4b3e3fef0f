"""Classifiers and the budget beside them: what is chosen, is chosen on training rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trainer.errors import NotFitted
from trainer.tables import classifiers, cost
from trainer.tables.labelled import ATTACK, BENIGN


def _rows(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Benign rows about 0, three families each off in a direction of its own."""
    chance = np.random.default_rng(seed)
    parts = [chance.normal(0, 1, (300, 4))]
    for at in range(3):
        part = chance.normal(0, 1, (60, 4))
        part[:, at] += 9
        parts.append(part)
    names = np.repeat([BENIGN, "a", "b", "c"], [300, 60, 60, 60])
    return np.concatenate(parts).astype(np.float32), names


@pytest.mark.parametrize("make", classifiers.CLASSIFIERS, ids=lambda make: make.kind)
def test_a_classifier_tells_what_it_was_taught(make: type) -> None:
    """The chance of an attack is one minus that of benign; the same seed says the same."""
    rows, names = _rows()
    model = make(seed=3).fit(rows, names)
    chance = classifiers.attack_chance(model, rows)
    assert np.mean((chance > 0.5) == (names != BENIGN)) > 0.95
    assert np.array_equal(chance, classifiers.attack_chance(make(seed=3).fit(rows, names), rows))
    with pytest.raises(NotFitted, match="call fit first"):
        make(seed=3).chances(rows)


def test_the_budget_opens_when_strangeness_finds_what_the_classifier_cannot() -> None:
    """Held-out families look benign to trees that never saw them; the portfolio's score knows better."""
    rows, names = _rows()
    strangeness = np.abs(rows).max(axis=1)
    held = np.arange(len(rows)) % 2 == 0
    found = classifiers.budget(
        rows,
        names,
        strangeness,
        reference=strangeness[(names == BENIGN) & ~held],
        held=held & (names == BENIGN),
        seed=1,
    )
    assert found.tried[f"{found.alpha:g}"] == max(found.tried.values()) > 0.9


def test_the_budget_stays_shut_when_strangeness_is_noise() -> None:
    """Then every alert it adds is a false one, and the smallest share wins or ties."""
    rows, names = _rows()
    known = names != "c"
    noise = np.random.default_rng(5).random(len(rows)).astype(np.float32)
    noise[names != BENIGN] = -1
    held = (names == BENIGN) & (np.arange(len(rows)) % 2 == 0)
    found = classifiers.budget(
        rows[known], names[known], noise[known], reference=noise[(names == BENIGN) & ~held], held=held[known], seed=1
    )
    assert found.alpha == classifiers.ALPHAS[0]


def test_with_one_family_there_is_nothing_to_hold_out() -> None:
    """The usual share stands in, and it says so."""
    rows, names = _rows()
    one = np.isin(names, [BENIGN, "a"])
    names = np.where(names == BENIGN, BENIGN, "a")[one]
    found = classifiers.budget(rows[one], names, rows[one, 0], reference=rows[:100, 0], held=names == "none", seed=1)
    assert found.alpha == 0.01
    assert "nothing to hold out" in found.rule


def test_attacks_without_names_are_clustered() -> None:
    """So that kinds of attack can be held out where a table only says attack."""
    rows, names = _rows()
    names = np.where(names == BENIGN, BENIGN, ATTACK)
    kinds = classifiers.kinds_of_attack(rows, names, 1)
    assert (kinds[:300] == BENIGN).all()
    assert len(np.unique(kinds[300:])) > 1
    purest = [np.unique(kinds[300 + 60 * at : 360 + 60 * at], return_counts=True)[0] for at in range(3)]
    assert all(not {*first.tolist()} & {*second.tolist()} for first, second in itertools.pairwise(purest))


def test_accuracy_shows_what_hides_behind_it() -> None:
    """By hand."""
    told = classifiers.accuracy(np.array([True, True, False, False]), np.array([True, False, False, False]))
    assert told == {
        "accuracy": 0.75,
        "balanced_accuracy": pytest.approx((1 + 2 / 3) / 2),
        "recall": 1.0,
        "precision": 0.5,
        "false_positive_rate": pytest.approx(1 / 3),
    }


def test_a_model_s_size_is_the_bytes_of_its_arrays() -> None:
    """However deep, and each once."""
    rows, names = _rows()
    shared = np.zeros(10)

    class Holder:
        def __init__(self) -> None:
            self.first = [shared, {"again": shared}]
            self.other = (np.zeros(5, dtype=np.float32), "text", None)

    class Outer:
        def __init__(self) -> None:
            self.inner = [Holder(), Holder(), Holder()]

    assert cost.size(Holder()) == 80 + 20
    assert cost.size(Outer()) == 80 + 3 * 20
    assert cost.size(classifiers.Boosting(seed=1).fit(rows, names)) > 1000


def test_speed_is_measured_on_one_core_and_the_cores_come_back() -> None:
    """Threads may run anywhere again afterwards."""
    import os

    before = os.sched_getaffinity(0)
    seen = []
    steps = iter([1.0, 1.5])
    speed = cost.rows_a_second(lambda _: seen.append(os.sched_getaffinity(0)), np.zeros((100, 1)), lambda: next(steps))
    assert speed == pytest.approx(200)
    assert all(len(cores) == 1 for cores in seen)
    assert os.sched_getaffinity(0) == before
