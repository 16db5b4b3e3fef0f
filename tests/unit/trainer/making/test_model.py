"""Opening a model: ours is scored, everything else is refused with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from trainer.errors import ModelError
from trainer.making import model

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sound_model_is_scored_in_batches_as_in_one(tmp_path: Path, synthetic: Any, onnx_models: Any) -> None:
    """Whatever the number of rows, none included."""
    digest = onnx_models.write_model(tmp_path / "m.onnx")
    opened = model.load(tmp_path / "m.onnx")
    assert opened.digest == digest
    rows = synthetic.benign(5000, 1)
    assert opened.score(rows) == pytest.approx(onnx_models.expected_scores(rows), rel=1e-4)
    assert opened.score(rows[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("write", "match"),
    [
        ("write_foreign", "another feature contract"),
        ("write_without_manifest", "no 'anomaflow.manifest' entry"),
        ("write_failing_self_test", "self-test row scores"),
        ("write_corrupt", "onnxruntime refuses"),
        ("write_not_a_model", "onnxruntime refuses"),
    ],
)
def test_what_is_not_a_model_of_ours_is_refused(tmp_path: Path, onnx_models: Any, write: str, match: str) -> None:
    """The message names the file and the reason."""
    path = tmp_path / "m.onnx"
    getattr(onnx_models, write)(path)
    with pytest.raises(ModelError, match=match) as caught:
        model.load(path)
    assert "m.onnx" in str(caught.value)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    """Not a stack trace."""
    with pytest.raises(ModelError, match="check the path"):
        model.load(tmp_path / "none.onnx")


def test_rows_of_another_width_are_an_error_of_the_tree(tmp_path: Path, onnx_models: Any) -> None:
    """The runtime's own kinds of error stay inside."""
    onnx_models.write_model(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="scoring with model"):
        model.load(tmp_path / "m.onnx").score(np.zeros((2, 3), dtype=np.float32))
