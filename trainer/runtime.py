"""TensorFlow, brought up once and on our terms: on the CPU, on two threads, quiet, deterministic.

It is imported inside the functions that need it, through `tensorflow()`, so that a command that only reads or publishes
starts at once and never loads it. Its C++ side writes to standard error before it reads any setting of how loud it is
to be; that text is held back, and shown only if the start fails.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS: Final = 2

_STDERR: Final = 2
_ENVIRONMENT: Final = {
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
    with _held_back():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
        tf.config.experimental.enable_op_determinism()
        # Asking for devices makes the last of the announcements come now.
        tf.config.list_logical_devices()
    for name in ("tensorflow", "absl", "tf2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return tf


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Whatever is written to the process's standard error meanwhile appears only if the body raises."""
    sys.stderr.flush()
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a process without standard error has nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
