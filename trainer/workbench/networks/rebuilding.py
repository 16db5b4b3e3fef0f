"""A network that rebuilds ordinary rows, and is surprised by others: what both autoencoders share.

It learns the normal scores (knots.py) of the fit rows, all of which are taken for ordinary; how well it does on the
select rows says when to stop. Which network is a `Form`: its variables, its loss, and its strangeness.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from trainer.detectors.base import fitted
from trainer.workbench.networks import fitting
from trainer.workbench.networks.hyper import Hyper
from trainer.workbench.networks.knots import Knots
from trainer.workbench.networks.training import Learner, finished, remark, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import History, Prepared, Told


class Form(Protocol):
    """A network over scores `[n, F]` in TensorFlow operations."""

    def variables(self) -> tuple[list[Any], list[Any]]:
        """All variables, and those that are trained."""
        ...

    def loss(self, scores: Any, noise: Any) -> Any:
        """`[n]`, what training makes small.

        `noise` is a pair of numbers that differs from step to step, None for the deterministic pass.
        """
        ...

    def settle(self, scores: NDArray[np.float32]) -> None:
        """After training: what else is needed from the select rows' scores."""
        ...

    def strangeness(self, scores: Any) -> Any:
        """`[n]`, higher is stranger."""
        ...


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One kind of detector."""

    name: str
    title: str
    build: Callable[[Any, int, Hyper], Form]
    """From the `tensorflow` module, the number of features and hyper-parameters."""
    defaults: dict[str, Any] = field(default_factory=dict)


class Rebuilder:
    """See `candidates.base.Detector`. `history_` has a row an epoch.

    `unfinished_` says that the training was cut off before it was done, and `note_` says so in words.
    """

    def __init__(self, kind: Rebuilt, params: dict[str, Any], seed: int) -> None:
        self.kind = kind
        self.hyper = Hyper.of(params, **kind.defaults)
        self.seed = seed
        self.history_: History = []
        self.unfinished_ = False
        self.note_ = ""
        self.features_: int | None = None
        self.answer_: Any = None

    def fit(self, data: Prepared, told: Told) -> Self:
        """Learn what is ordinary. Raises `NotEnoughRows`, `TrainingFailed`, `OutputError`."""
        fitting.require_rows(data, self.kind.title)
        tf = fitting.begin(self.seed)
        knots = Knots.fit(data.fit, bins=self.hyper.bins)
        form = self.kind.build(tf, data.fit.shape[1], self.hyper)
        learner = self._learner(tf, form, knots, data)
        kept = fitting.checkpoint(told, data, self.kind.name, self.hyper, self.seed)
        self.history_ = train(learner, self.hyper, self.seed, told, kept)
        self.unfinished_ = not finished(self.history_, self.hyper)
        self.note_ = remark(self.history_, self.hyper)
        form.settle(fitting.answered(lambda rows: knots.scores(rows, tf), data.select))
        self.features_ = data.fit.shape[1]
        self.answer_ = lambda rows: form.strangeness(knots.scores(rows, tf))
        return self

    def strangeness(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n]`, higher is stranger. Raises `NotFitted`."""
        return fitting.answered(fitted(self, self.answer_), np.asarray(rows, dtype=np.float32))

    def to_onnx(self) -> Any:
        """The whole as a graph: `features` to `strangeness`. Raises `NotFitted`."""
        return fitting.drawn(fitted(self, self.answer_), fitted(self, self.features_), "strangeness")

    def _learner(self, tf: Any, form: Form, knots: Knots, data: Prepared) -> Learner:
        variables, trained = form.variables()
        optimizer = fitting.optimizer(tf, self.hyper, trained)
        rows_of = tf.TensorSpec([None, data.fit.shape[1]], tf.float32)

        def learn(rows: Any, noise: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(form.loss(knots.scores(rows, tf), noise))
            optimizer.apply(tape.gradient(loss, trained), trained)
            return loss

        def look(rows: Any) -> Any:
            return tf.reduce_sum(form.loss(knots.scores(rows, tf), None))

        noise_of = tf.TensorSpec([2], tf.int32)
        learn_graph = tf.function(learn, input_signature=[rows_of, noise_of], autograph=False)
        look_graph = tf.function(look, input_signature=[rows_of], autograph=False)

        def step(places: NDArray[np.int64], number: int) -> dict[str, float]:
            noise = np.array([self.seed % 2**31, number % 2**31], dtype=np.int32)
            return {"loss": float(learn_graph(data.fit[places], noise))}

        def judge() -> dict[str, float]:
            parts = range(0, len(data.select), fitting.BATCH)
            total = sum(float(look_graph(data.select[start : start + fitting.BATCH])) for start in parts)
            return {"val_loss": total / len(data.select)}

        return Learner(len(data.fit), variables, optimizer, step, judge)


def middle(features: int, hyper: Hyper) -> int:
    """Numbers in the narrow middle: as asked, or an eighth of the features, from 2 to 32."""
    return hyper.middle or min(max(features // 8, 2), 32)


def widths(features: int, hyper: Hyper) -> tuple[int, int]:
    """The two layers on the way to the middle, by the number of features."""
    first = max(round(min(max(features, 16), 128) * hyper.width), 4)
    return first, max(first // 2, 4)
