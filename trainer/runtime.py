"""TensorFlow, brought up once and on our terms: on the CPU, on two threads, quiet, deterministic.

It is imported inside the functions that need it, through `tensorflow()`, so that a command that only reads or publishes
starts at once and never loads it.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import Any, Final

THREADS: Final = 2

_ENVIRONMENT: Final = {
    # 3 keeps the C++ side from announcing which instructions and libraries it found.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # oneDNN picks its kernels by machine and load, which would change the last bits of a weight.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "KERAS_BACKEND": "tensorflow",
}


@functools.cache
def tensorflow() -> Any:
    """The `tensorflow` module, configured. The first call takes seconds."""
    os.environ.update(_ENVIRONMENT)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.experimental.enable_op_determinism()
    for name in ("tensorflow", "absl", "tf2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return tf
