"""The training of any network here: epoch by epoch, seeded, told, stoppable, and resumable to the last bit.

- The order of rows in epoch `e` comes from the seed and `e` alone, and everything random inside the network lives in
  variables that a checkpoint holds: a fit that was killed in the middle of an epoch repeats that epoch, and ends with
  the same history and weights as one that never stopped (same machine, same versions).
- Training ends at the last epoch, or when the select rows' loss has not become better for `patience` epochs; the
  weights of the best epoch are restored. Learning rate and patience follow from the history, so there is no state
  besides it.
- A stop, or the end of the time, is noticed within `LOOK` batches. The epoch under way is then given up, and the best
  complete one counts; only a fit stopped in its first epoch keeps what that has reached.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.errors import TrainingFailed
from trainer.workbench.networks.checkpoint import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import History, Told
    from trainer.workbench.networks.checkpoint import Checkpoint
    from trainer.workbench.networks.hyper import Hyper

LOOK: Final = 16
"""Batches between two looks at whether to stop."""


@dataclass(frozen=True, slots=True)
class Learner:
    """What is trained. `step` learns from the rows at the given places and is handed the number of steps before it."""

    rows: int
    variables: list[Any]
    optimizer: Any
    step: Callable[[NDArray[np.int64], int], dict[str, float]]
    """Means over the batch: `loss`, and `acc` where there is one."""
    judge: Callable[[], dict[str, float]]
    """Over the select rows: `val_loss`, and `val_acc` where there is one."""


def best_of(history: History) -> int:
    """The place of the first row with the least `val_loss`."""
    return min(range(len(history)), key=lambda place: (history[place]["val_loss"], place))


def finished(history: History, hyper: Hyper) -> bool:
    """Whether all epochs are done, or patience has run out."""
    if not history:
        return False
    return len(history) >= hyper.epochs or len(history) - 1 - best_of(history) >= hyper.patience


def remark(history: History, hyper: Hyper) -> str:
    """What to tell of a training that was cut off; empty of one that came to its end."""
    if finished(history, hyper):
        return ""
    return (
        f"Stopped after {len(history)} of at most {hyper.epochs} epochs, with the best of them kept; "
        "a longer time budget lets it learn on."
    )


def rate(history: History, hyper: Hyper) -> float:
    """The learning rate of the next epoch: halved at each half patience that went by without a better loss."""
    pause = max(hyper.patience // 2, 1)
    halved, best, since = 0, math.inf, 0
    for row in history:
        if row["val_loss"] < best:
            best, since = row["val_loss"], 0
        else:
            since += 1
            if since % pause == 0:
                halved += 1
    return hyper.learning_rate * 0.5**halved


def train(learner: Learner, hyper: Hyper, seed: int, told: Told, checkpoint: Checkpoint) -> History:
    """Train, restore the best weights and return the history, one row an epoch. Raises `TrainingFailed`.

    Epochs that a checkpoint brings are told again: whoever follows this fit sees its whole history.
    """
    state = checkpoint.load(_state(learner, []))
    if state is None:
        state = _state(learner, [])
    else:
        _assign(learner.variables, state.weights)
        _assign(learner.optimizer.variables, state.optimizer)
        for row in state.history:
            told.epoch(dict(row))
    history, best = state.history, state.best
    while not finished(history, hyper):
        learner.optimizer.learning_rate.assign(rate(history, hyper))
        means, whole = _pass(learner, hyper, seed, len(history), told)
        if not whole and history:
            break
        row = _row(len(history) + 1, means, learner.judge())
        history = [*history, row]
        if best_of(history) == len(history) - 1:
            best = [variable.numpy() for variable in learner.variables]
        if whole:
            kept = _state(learner, history)
            checkpoint.save(State(kept.weights, kept.optimizer, best, history))
        told.epoch(dict(row))
        if not whole or _over(told):
            break
    _assign(learner.variables, best)
    return history


def _pass(learner: Learner, hyper: Hyper, seed: int, done: int, told: Told) -> tuple[dict[str, float], bool]:
    """One epoch: means over the rows it saw, and whether it saw all of them."""
    order = np.random.default_rng([seed, done]).permutation(learner.rows)
    # Parts of nearly one size: a last batch of one row would make batch normalisation jump.
    parts = np.array_split(order, max(math.ceil(learner.rows / hyper.batch_size), 1))
    sums: dict[str, float] = {}
    seen = 0
    for number, part in enumerate(parts):
        seen += len(part)
        for name, value in learner.step(part, done * len(parts) + number).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part)
        if number + 1 < len(parts) and number % LOOK == 0 and _over(told):
            break
    return {name: value / seen for name, value in sums.items()}, seen == learner.rows


def _over(told: Told) -> bool:
    return told.stop() or told.seconds_left() <= 0


def _row(epoch: int, means: dict[str, float], judged: dict[str, float]) -> dict[str, float]:
    row = {"epoch": float(epoch), **{name: round(float(value), 6) for name, value in {**means, **judged}.items()}}
    if not all(math.isfinite(value) for value in row.values()):
        raise TrainingFailed(
            f"training a network: its loss is no longer a number in epoch {epoch}; give a lower learning rate "
            "(a tenth of this one), or leave extreme columns out"
        )
    return row


def _state(learner: Learner, history: History) -> State:
    weights = [variable.numpy() for variable in learner.variables]
    return State(weights, [variable.numpy() for variable in learner.optimizer.variables], weights, history)


def _assign(variables: list[Any], arrays: list[NDArray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
