"""Training without a network: when it ends, what it keeps, and how it goes on; a counter stands for the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from trainer.errors import TrainingFailed
from trainer.workbench.candidates.base import Told
from trainer.workbench.networks.checkpoint import NAME, Checkpoint, State, fingerprint
from trainer.workbench.networks.hyper import Hyper
from trainer.workbench.networks.training import LOOK, Learner, best_of, finished, rate, remark, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def history(*losses: float) -> list[dict[str, float]]:
    return [{"epoch": at + 1.0, "val_loss": loss} for at, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "best", "done"),
    [
        ((3.0,), 0, False),
        ((3.0, 2.0, 1.0), 2, False),
        ((3.0, 2.0, 2.0), 1, False),
        ((3.0, 1.0, 2.0, 2.0), 1, True),
        ((5.0, 4.0, 3.0, 2.0, 1.0), 4, True),
    ],
)
def test_it_ends_when_patience_or_epochs_run_out(losses: tuple[float, ...], best: int, done: bool) -> None:
    """Patience of two, five epochs; of equal losses the first is the best."""
    hyper = Hyper(epochs=5, patience=2)
    assert best_of(history(*losses)) == best
    assert finished(history(*losses), hyper) is done
    assert (remark(history(*losses), hyper) == "") is done


def test_nothing_is_finished_before_it_began() -> None:
    """An empty history is no training."""
    assert not finished([], Hyper(epochs=1))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [((), 1.0), ((3, 2, 1), 1.0), ((3, 2, 2), 1.0), ((3, 2, 2, 2), 0.5), ((3, 2, 2, 2, 1, 1, 1, 1, 1), 0.125)],
)
def test_the_rate_is_halved_at_each_half_patience_without_a_better_loss(
    losses: tuple[float, ...], expected: float
) -> None:
    """It follows from the history alone, so that a checkpoint needs no more."""
    assert rate(history(*losses), Hyper(learning_rate=1.0, patience=4)) == expected


class Number:
    """What a variable is to the training."""

    def __init__(self, value: float) -> None:
        self.value = np.float64(value)

    def numpy(self) -> np.ndarray:
        return np.array(self.value)

    def assign(self, value: Any) -> None:
        self.value = np.float64(value)


class Optimizer:
    def __init__(self) -> None:
        self.learning_rate = Number(0)
        self.momentum = Number(0)
        self.variables = [self.learning_rate, self.momentum]


class Counter:
    """Weights that depend on every row, its order and the optimizer's state, as a network's do."""

    def __init__(self, losses: Callable[[int], float] = lambda epoch: 1.0 / epoch, *, rows: int = 200) -> None:
        self.weight, self.optimizer, self.losses, self.rows = Number(0), Optimizer(), losses, rows
        self.judged = 0
        self.learner = Learner(rows, [self.weight], self.optimizer, self.step, self.judge)

    def step(self, places: np.ndarray, number: int) -> dict[str, float]:
        momentum = 0.9 * self.optimizer.momentum.value + float(np.sin(places.astype(float) * (number + 1)).sum())
        self.optimizer.momentum.assign(momentum)
        self.weight.assign(self.weight.value + self.optimizer.learning_rate.value * momentum)
        return {"loss": float(self.weight.value)}

    def judge(self) -> dict[str, float]:
        self.judged += 1
        return {"val_loss": self.losses(round(float(self.epoch())))}

    def epoch(self) -> int:
        return self.judged + self.before

    before = 0


HYPER = Hyper(epochs=6, patience=3, batch_size=10)


def fit(counter: Counter, folder: Path | None, *, stop_after: int | None = None) -> tuple[list[dict[str, float]], Any]:
    told: list[dict[str, float]] = []
    stop = lambda: stop_after is not None and len(told) >= stop_after  # noqa: E731
    found = train(counter.learner, HYPER, 3, Told(epoch=told.append, stop=stop), Checkpoint(folder, "this fit"))
    return found, told


def test_a_stopped_fit_goes_on_to_the_same_end(tmp_path: Path) -> None:
    """Same history, same weights, and whoever follows the second fit is told all of its epochs."""
    whole, _ = fit(uncut := Counter(), None)
    first, _ = fit(Counter(), tmp_path, stop_after=2)
    assert len(first) == 2
    again = Counter()
    again.before = 2
    found, told = fit(again, tmp_path)
    assert found == told == whole
    assert again.weight.value == uncut.weight.value


def test_a_finished_fit_is_not_trained_again(tmp_path: Path) -> None:
    """It answers with the weights it kept."""
    whole, _ = fit(once := Counter(), tmp_path)
    found, told = fit(again := Counter(), tmp_path)
    assert again.judged == 0
    assert found == told == whole
    assert again.weight.value == once.weight.value


def test_the_best_weights_are_restored() -> None:
    """Not those of the last epoch."""
    weights: list[float] = []
    counter = Counter(lambda epoch: 1.0 if epoch == 2 else 2.0)
    judge = counter.judge

    def noted() -> dict[str, float]:
        weights.append(counter.weight.value)
        return judge()

    counter.learner = Learner(200, [counter.weight], counter.optimizer, counter.step, noted)
    found, _ = fit(counter, None)
    assert len(found) == 5
    assert counter.weight.value == weights[1] != weights[-1]


def test_a_stop_in_the_middle_of_an_epoch_gives_that_epoch_up(tmp_path: Path) -> None:
    """What was complete stays, and the next fit repeats the epoch from its beginning."""
    whole, _ = fit(Counter(), None)
    counter, looks = Counter(), iter(range(100))
    parts = 20
    each = len(range(0, parts - 1, LOOK)) + 1  # looks of one epoch
    stopping = Told(stop=lambda: next(looks) >= each * 2)
    cut = train(counter.learner, HYPER, 3, stopping, Checkpoint(tmp_path, "this fit"))
    assert cut == whole[:2]
    again = Counter()
    again.before = 2
    assert fit(again, tmp_path)[0] == whole


def test_a_stop_in_the_first_epoch_keeps_what_it_reached_but_no_checkpoint(tmp_path: Path) -> None:
    """There is something to judge, and a fit that goes on begins anew."""
    told: list[dict[str, float]] = []
    found = train(
        Counter().learner, HYPER, 3, Told(epoch=told.append, stop=lambda: True), Checkpoint(tmp_path, "this fit")
    )
    assert [row["epoch"] for row in found] == [1.0]
    assert set(found[0]) == {"epoch", "loss", "val_loss"}
    assert told == found
    assert not (tmp_path / NAME).exists()


def test_the_end_of_the_time_is_a_stop() -> None:
    """Seconds left are looked at as stops are."""
    seconds = iter([5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0])
    found = train(Counter().learner, HYPER, 3, Told(seconds_left=lambda: next(seconds)), Checkpoint(None, ""))
    assert len(found) == 2


def test_a_loss_that_is_no_number_ends_the_fit_in_words() -> None:
    """With what to do about it."""
    with pytest.raises(TrainingFailed, match="no longer a number in epoch 2; give a lower learning rate"):
        fit(Counter(lambda epoch: 1.0 if epoch == 1 else float("nan")), None)


def test_a_foreign_checkpoint_is_left_out_of_account(tmp_path: Path) -> None:
    """Of other rows or settings; the fit begins anew and writes over it."""
    fit(Counter(), tmp_path, stop_after=2)
    counter = Counter()
    found = train(counter.learner, HYPER, 3, Told(), Checkpoint(tmp_path, "another"))
    assert counter.judged == len(found)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickled"])
def test_a_damaged_checkpoint_is_set_aside(tmp_path: Path, damage: str) -> None:
    """As `.broken`; nothing in it is run, and the fit begins anew."""
    fit(Counter(), tmp_path, stop_after=2)
    path = tmp_path / NAME
    if damage == "pickled":
        with np.load(path) as kept:
            arrays = dict(kept)
        arrays["weights_0"] = np.array([{"a": 1}], dtype=object)
        np.savez(path, allow_pickle=True, **arrays)
    else:
        path.write_bytes({"cut": path.read_bytes()[:-100], "empty": b"", "text": b"no archive"}[damage])
    found, _ = fit(counter := Counter(), tmp_path)
    assert counter.judged == len(found)
    assert (tmp_path / f"{NAME}.broken").exists()


def test_a_checkpoint_of_other_shapes_is_set_aside(tmp_path: Path) -> None:
    """The network was built differently: its weights mean nothing here."""
    kept = Checkpoint(tmp_path, "same")
    kept.save(State([np.zeros(3)], [], [np.zeros(3)], []))
    assert kept.load(State([np.zeros(4)], [], [np.zeros(4)], [])) is None
    assert (tmp_path / f"{NAME}.broken").exists()


def test_a_fingerprint_is_of_values_shapes_and_absence() -> None:
    """Everything a fit depends on changes it."""
    rows = np.arange(6, dtype=np.float32)
    prints = [
        fingerprint({}, [rows]),
        fingerprint({"seed": 1}, [rows]),
        fingerprint({}, [rows.reshape(2, 3)]),
        fingerprint({}, [rows + 1]),
        fingerprint({}, [rows, None]),
        fingerprint({}, [rows.astype(np.float64)]),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint({}, [rows.copy()]) == prints[0]
