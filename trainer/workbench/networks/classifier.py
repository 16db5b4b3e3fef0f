"""A network that tells classes apart: entry, network, chances. Which network is a `Plan`, one file each.

The row enters as normal scores, as shares, or as an image (knots.py, images.py); all of that is part of the graph. The
loss is cross-entropy, weighted by row or by class where classes are to count alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from trainer.detectors.base import fitted
from trainer.errors import NotEnoughRows
from trainer.workbench.networks import fitting
from trainer.workbench.networks.hyper import Hyper
from trainer.workbench.networks.images import Layout
from trainer.workbench.networks.knots import Knots
from trainer.workbench.networks.training import Learner, finished, remark, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import History, Prepared, Told

_MOST_WEIGHT = 100.0
"""No class of two rows may outweigh everything else."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One kind of network."""

    name: str
    title: str
    enters: Literal["scores", "shares", "image"]
    build: Callable[[Any, tuple[int, ...], int, Hyper], Any]
    """From the `keras` module, the shape of what enters, the number of classes and hyper-parameters to a Keras model
    that answers logits."""
    defaults: dict[str, Any] = field(default_factory=dict)


class Network:
    """See `candidates.base.Classifier`. `history_` has a row an epoch.

    `unfinished_` says that the training was cut off before it was done, and `note_` says so in words.
    """

    def __init__(self, plan: Plan, params: dict[str, Any], seed: int) -> None:
        self.plan = plan
        self.hyper = Hyper.of(params, **plan.defaults)
        self.seed = seed
        self.history_: History = []
        self.unfinished_ = False
        self.note_ = ""
        self.features_: int | None = None
        self.answer_: Any = None

    def fit(self, data: Prepared, told: Told) -> Self:
        """Learn classes; `select` rows say when to stop. Raises `NotEnoughRows`, `TrainingFailed`, `OutputError`."""
        fitting.require_rows(data, self.plan.title)
        if data.fit_class is None or data.select_class is None or len(data.classes) < 2:
            raise NotEnoughRows(
                f"training {self.plan.title}: the rows have no classes to tell apart; give a label column, "
                "or choose a network that finds anomalies without one"
            )
        tf = fitting.begin(self.seed)
        enter, shape = self._entry(tf, data)
        model = self.plan.build(tf.keras, shape, len(data.classes), self.hyper)
        learner = _learner(tf, model, enter, data, self.hyper)
        kept = fitting.checkpoint(told, data, self.plan.name, self.hyper, self.seed)
        self.history_ = train(learner, self.hyper, self.seed, told, kept)
        self.unfinished_ = not finished(self.history_, self.hyper)
        self.note_ = remark(self.history_, self.hyper)
        self.features_ = data.fit.shape[1]

        def answer(rows: Any) -> Any:
            return tf.nn.softmax(model(enter(rows), training=False), axis=-1)

        self.answer_ = answer
        return self

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n, K]`, in the order of the classes. Raises `NotFitted`."""
        answer = fitted(self, self.answer_)
        return fitting.answered(answer, np.asarray(rows, dtype=np.float32))

    def to_onnx(self) -> Any:
        """The whole as a graph: `features` to `chances`. Raises `NotFitted`."""
        answer = fitted(self, self.answer_)
        return fitting.drawn(answer, fitted(self, self.features_), "chances")

    def _entry(self, tf: Any, data: Prepared) -> tuple[Callable[[Any], Any], tuple[int, ...]]:
        knots = Knots.fit(data.fit, bins=self.hyper.bins)
        if self.plan.enters == "shares":
            return lambda rows: knots.shares(rows, tf), (len(knots.feature),)
        if self.plan.enters == "scores":
            return lambda rows: knots.scores(rows, tf), (data.fit.shape[1],)
        layout = Layout.fit(fitting.answered(lambda rows: knots.scores(rows, tf), data.fit), data.fit_class)
        return lambda rows: layout.image(knots.scores(rows, tf), tf), (layout.side, layout.side, 1)


def class_weights(data: Prepared, class_: NDArray[np.int64], hyper: Hyper) -> NDArray[np.float64]:
    """What a row of each class counts, `[K]`: from the rows' own weights, balanced, or 1."""
    counts = np.bincount(class_, minlength=len(data.classes)).astype(np.float64)
    if data.weights is not None:
        sums = np.bincount(class_, weights=data.weights.astype(np.float64), minlength=len(data.classes))
        return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    if hyper.class_weights == "balanced":
        balanced = len(class_) / np.maximum(counts, 1) / max(int((counts > 0).sum()), 1)
        held: NDArray[np.float64] = np.minimum(balanced, _MOST_WEIGHT)
        return held
    return np.ones(len(data.classes))


def _learner(tf: Any, model: Any, enter: Callable[[Any], Any], data: Prepared, hyper: Hyper) -> Learner:
    fit_class, select_class = fitted(data, data.fit_class), fitted(data, data.select_class)
    by_class = class_weights(data, fit_class, hyper)
    weights = (data.weights if data.weights is not None else by_class[fit_class]).astype(np.float32)
    weights = weights / weights.mean()
    # The select rows count as the fit rows do, or stopping would favour what training does not.
    select_weights = by_class[select_class].astype(np.float32)
    select_weights = select_weights / select_weights.mean()
    trained = model.trainable_variables
    optimizer = fitting.optimizer(tf, hyper, trained)

    def losses(logits: Any, class_: Any) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(class_, logits)

    def hits(logits: Any, class_: Any) -> Any:
        return tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int64), class_), tf.float32)

    signature = [
        tf.TensorSpec([None, data.fit.shape[1]], tf.float32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.float32),
    ]

    def learn(rows: Any, class_: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(enter(rows), training=True)
            loss = tf.reduce_mean(losses(logits, class_) * weight)
        optimizer.apply(tape.gradient(loss, trained), trained)
        return loss, tf.reduce_mean(hits(logits, class_))

    def look(rows: Any, class_: Any, weight: Any) -> Any:
        logits = model(enter(rows), training=False)
        return tf.reduce_sum(losses(logits, class_) * weight), tf.reduce_sum(hits(logits, class_))

    learn_graph = tf.function(learn, input_signature=signature, autograph=False)
    look_graph = tf.function(look, input_signature=signature, autograph=False)

    def step(places: NDArray[np.int64], _number: int) -> dict[str, float]:
        loss, acc = learn_graph(data.fit[places], fit_class[places], weights[places])
        return {"loss": float(loss), "acc": float(acc)}

    def judge() -> dict[str, float]:
        loss = right = 0.0
        for start in range(0, len(data.select), fitting.BATCH):
            part = slice(start, start + fitting.BATCH)
            found = look_graph(data.select[part], select_class[part], select_weights[part])
            loss, right = loss + float(found[0]), right + float(found[1])
        return {"val_loss": loss / len(data.select), "val_acc": right / len(data.select)}

    return Learner(len(data.fit), list(model.variables), optimizer, step, judge)
