"""Real networks go on where they were cut off: dropout, normalisation and noise included, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from trainer.errors import NotEnoughRows
from trainer.workbench.candidates.base import Prepared, Told
from trainer.workbench.networks import networks
from trainer.workbench.networks.classifier import class_weights
from trainer.workbench.networks.hyper import Hyper

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.training

BY_NAME = {one.name: one for one in networks()}
SMALL: dict[str, Any] = {"epochs": 4, "batch_size": 50, "width": 0.25}


def prepared(*, detects: bool) -> Prepared:
    chance = np.random.default_rng(6)
    rows = chance.normal(size=(300, 5)).astype(np.float32)
    kind = (rows[:, 0] + rows[:, 1] > 0).astype(np.int64)
    names = tuple("abcde")
    if detects:
        return Prepared(names, names, rows[:200], rows[200:])
    return Prepared(names, names, rows[:200], rows[200:], kind[:200], kind[200:], ("no", "yes"))


@pytest.mark.parametrize("name", ["complex-mlp", "variational-autoencoder"])
def test_a_cut_off_fit_ends_as_an_uncut_one(tmp_path: Path, name: str) -> None:
    """Same history, same answers; it says that it is unfinished while it is."""
    described = BY_NAME[name]
    data = prepared(detects=described.judges == "strangeness")
    uncut: Any = described.make(SMALL, 3).fit(data, Told())
    told: list[dict[str, float]] = []
    cut: Any = described.make(SMALL, 3).fit(data, Told(epoch=told.append, stop=lambda: len(told) >= 2, folder=tmp_path))
    assert len(cut.history_) == 2
    assert cut.unfinished_
    assert cut.note_.startswith("Stopped after 2 of at most 4 epochs")
    again: Any = described.make(SMALL, 3).fit(data, Told(folder=tmp_path))
    assert again.history_ == uncut.history_
    assert not again.unfinished_
    ask = "strangeness" if described.judges == "strangeness" else "chances"
    np.testing.assert_array_equal(getattr(again, ask)(data.select), getattr(uncut, ask)(data.select))


def test_other_rows_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    """A network half trained on rows that are now test rows would have seen them."""
    data = prepared(detects=False)
    BY_NAME["complex-mlp"].make(SMALL, 3).fit(data, Told(folder=tmp_path))
    moved = Prepared(
        data.names, data.sources, data.fit[::-1], data.select, data.fit_class[::-1], data.select_class, data.classes
    )
    told: list[dict[str, float]] = []
    fresh: Any = BY_NAME["complex-mlp"].make(SMALL, 3).fit(moved, Told())
    other: Any = BY_NAME["complex-mlp"].make(SMALL, 3).fit(moved, Told(epoch=told.append, folder=tmp_path))
    assert other.history_ == fresh.history_


def test_rows_too_few_or_without_classes_are_refused_in_words() -> None:
    """With what is missing."""
    data = prepared(detects=False)
    few = Prepared(
        data.names, data.sources, data.fit[:3], data.select, data.fit_class[:3], data.select_class, ("a", "b")
    )
    with pytest.raises(NotEnoughRows, match="there are 3 rows to fit on and 8 are needed"):
        BY_NAME["lenet-5"].make({}, 3).fit(few, Told())
    with pytest.raises(NotEnoughRows, match="give a label column"):
        BY_NAME["lenet-5"].make({}, 3).fit(prepared(detects=True), Told())


def test_class_weights_are_those_of_the_rows_or_balanced_or_none() -> None:
    """A class of a tenth of the rows counts nine times the other when balanced; weights that come with rows go first."""
    class_ = np.array([0] * 90 + [1] * 10)
    rows = np.zeros((100, 2), dtype=np.float32)
    plain = Prepared(("a", "b"), ("a", "b"), rows, rows, class_, class_, ("x", "y"))
    given = Prepared(
        ("a", "b"), ("a", "b"), rows, rows, class_, class_, ("x", "y"), np.where(class_ == 1, 3, 1).astype(np.float32)
    )
    np.testing.assert_allclose(class_weights(plain, class_, Hyper()), [1, 1])
    balanced = class_weights(plain, class_, Hyper(class_weights="balanced"))
    np.testing.assert_allclose(balanced[1] / balanced[0], 9)
    np.testing.assert_allclose(class_weights(given, class_, Hyper(class_weights="balanced")), [1, 3])
