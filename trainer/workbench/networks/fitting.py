"""What classifiers and detectors share on their way from rows to a trained network and its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.errors import NotEnoughRows
from trainer.making import canonical
from trainer.runtime import tensorflow
from trainer.workbench.candidates.graph import OPSET
from trainer.workbench.networks.checkpoint import Checkpoint, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.networks.hyper import Hyper

BATCH: Final = 2048
"""Rows answered at a time."""
_LEAST_ROWS: Final = 8
_GRADIENT: Final = 1.0


def begin(seed: int) -> Any:
    """TensorFlow, with everything random that Keras will build set by `seed`."""
    tf = tensorflow()
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    return tf


def require_rows(data: Prepared, title: str) -> None:
    """Raises `NotEnoughRows` where there is nothing to learn from or to stop by."""
    for role, rows in (("fit", data.fit), ("select", data.select)):
        if len(rows) < _LEAST_ROWS:
            raise NotEnoughRows(
                f"training {title}: there are {len(rows)} rows to {role} on and {_LEAST_ROWS} are needed; "
                "bring more rows, or hold back fewer for the test"
            )


def optimizer(tf: Any, hyper: Hyper, trained: Sequence[Any]) -> Any:
    """AdamW with its state made; neither biases nor normalisations are drawn towards zero."""
    made = tf.keras.optimizers.AdamW(hyper.learning_rate, weight_decay=hyper.weight_decay, global_clipnorm=_GRADIENT)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "spread"])
    made.build(list(trained))
    return made


def checkpoint(told: Told, data: Prepared, name: str, hyper: Hyper, seed: int) -> Checkpoint:
    """The checkpoint of this very fit."""
    import keras

    about = {
        "name": name,
        "hyper": hyper.to_json(),
        "seed": seed,
        "classes": list(data.classes),
        "versions": [tensorflow().__version__, keras.__version__, np.__version__],
    }
    rows = (data.fit, data.select, data.fit_class, data.select_class, data.weights)
    return Checkpoint(told.folder, fingerprint(about, rows))


def answered(answer: Callable[[Any], Any], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`answer` of `rows`, a bounded number at a time. `rows` holds at least one."""
    parts = [answer(rows[start : start + BATCH]).numpy() for start in range(0, max(len(rows), 1), BATCH)]
    found: NDArray[np.float32] = np.concatenate(parts)
    return found


def drawn(answer: Callable[[Any], Any], features: int, output: str) -> Any:
    """The ONNX model of `answer`, from `features` `[n, F]` to `output`, in plain operations."""
    tf = tensorflow()
    import onnx
    import tf2onnx

    signature = [tf.TensorSpec([None, features], tf.float32, name="features")]
    function = tf.function(lambda rows: {output: answer(rows)}, input_signature=signature, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    canonical.rewrite(proto, (output,))
    plain = [entry.SerializeToString() for entry in proto.opset_import if entry.domain in {"", "ai.onnx"}]
    proto.ClearField("opset_import")
    for entry in plain:
        proto.opset_import.add().ParseFromString(entry)
    onnx.checker.check_model(proto, full_check=True)
    return proto
