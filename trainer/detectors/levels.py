"""Many calibrations drawn at once: a graph in which they share their operations.

A portfolio turns a score of every member and of every group of features into `-log10 p`, fourteen maps of some fifteen
knots. Drawn one by one they are a hundred and thirty operators over a few numbers a row, and what each operator costs
beside its arithmetic was a sixth of the time of scoring. Together they are six.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.base import TINY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.making.calibrate import Calibration

_WIDEST: Final = 1e6
"""Width of the last ramp: no raw score's logarithm gets this far."""


def graph(levels: Sequence[Calibration], raw: Any, tf: Any) -> Any:
    """`-log10 p` `[n, m]` of raw scores `[n, m]`, a map for each column: `Calibration.graph` in TensorFlow operations.

    Each map is a sum of ramps that only rise, so rounding cannot bend it. The distance to a knot is taken first, and
    exactly, by a product with ones and zeros that the runtime joins with the difference.
    """
    knots = np.concatenate([level.knots for level in levels])
    widths = np.concatenate([np.append(np.diff(level.knots), _WIDEST) for level in levels])
    slopes = np.concatenate(
        [np.append(np.diff(level.levels) / np.diff(level.knots), level.tail_slope) for level in levels]
    )
    column = np.repeat(np.arange(len(levels)), [len(level.knots) for level in levels])
    own = (column[None, :] == np.arange(len(levels))[:, None]).astype(np.float32)
    position = tf.math.log(tf.maximum(raw, np.float32(TINY)))
    # Plus a negative constant, not minus: the runtime makes one operation of a product and a sum.
    beyond = tf.nn.relu(tf.matmul(position, own) + -knots.astype(np.float32))
    return tf.matmul(tf.minimum(beyond, widths.astype(np.float32)), (own * slopes).T.astype(np.float32))
