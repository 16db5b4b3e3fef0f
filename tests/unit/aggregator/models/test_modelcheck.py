"""What the registry asks of a file before it admits it, here of classes; test_registry.py has the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnxruntime
import pytest

from aggregator.models import modelcheck

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

COLUMNS = {"guessing": "pair_flows_300s", "scan": "src_ports_10s"}


def test_a_classifier_is_admitted_with_its_classes(tmp_path: Path, onnx_models: ModuleType) -> None:
    """They stand in the manifest that the registry keeps."""
    onnx_models.write_classifier(tmp_path / "m.onnx", columns=COLUMNS)
    assert modelcheck.check(onnxruntime, tmp_path / "m.onnx").classes == ("guessing", "scan")


def test_classes_that_the_graph_does_not_score_are_refused(tmp_path: Path, onnx_models: ModuleType) -> None:
    """An agent would name an attack that the graph knows nothing of."""
    path = tmp_path / "m.onnx"
    onnx_models.write_classifier(path, columns=COLUMNS, named=["scan", "flood", "guessing"])
    with pytest.raises(modelcheck.Unfit, match="other classes"):
        modelcheck.check(onnxruntime, path)
    onnx_models.write_classifier(path, columns=COLUMNS)
    model = onnx.load(path)
    del model.graph.output[3]
    onnx.save(model, path)
    with pytest.raises(modelcheck.Unfit, match="no output class_scores"):
        modelcheck.check(onnxruntime, path)
