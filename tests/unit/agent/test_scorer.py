"""The scorer: what it accepts, what it refuses, and that a batch equals its rows one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from agent.errors import ModelRefused
from agent.onnx_file import MOST_BYTES
from agent.scorer import MOST_SCORE, Scorer
from protos import contract

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

N = len(contract.FEATURES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.onnx"


def test_scores_are_the_models(path: Path, onnx_models: ModuleType) -> None:
    """Scores, contributions and expectations come from the graph; a batch equals its rows one by one."""
    digest = onnx_models.write_model(path, bias=0.25)
    scorer = Scorer(path)
    assert scorer.digest == digest
    assert scorer.manifest.name == "tiny"
    rows = np.random.default_rng(3).uniform(0, 100, (2500, N)).astype(np.float32)
    scores = scorer.score(rows)
    assert np.allclose(scores, onnx_models.expected_scores(rows, bias=0.25), rtol=1e-5)
    assert np.allclose(scores[:20], [scorer.score(rows[place : place + 1])[0] for place in range(20)], rtol=1e-6)
    contributions, expected, _ = scorer.tell(rows[:1500])
    assert contributions.shape == expected.shape == (1500, N)
    assert np.allclose(contributions.sum(axis=1), 1, atol=1e-4)


def test_no_rows_are_no_scores(path: Path, onnx_models: ModuleType) -> None:
    """An empty batch is a batch."""
    onnx_models.write_model(path)
    assert Scorer(path).score(np.zeros((0, N), np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("write_foreign", "another feature contract.*altitude"),
        ("write_without_manifest", "not a model made by anomaflow-trainer"),
        ("write_failing_self_test", "self-test is off by 1"),
        ("write_corrupt", "not ONNX, or it is damaged"),
        ("write_not_a_model", "not ONNX, or it is damaged"),
        ("write_endless", "runs a subgraph"),
    ],
)
def test_what_is_refused(path: Path, onnx_models: ModuleType, variant: str, words: str) -> None:
    """Each kind of wrong file is refused with what is wrong."""
    getattr(onnx_models, variant)(path)
    with pytest.raises(ModelRefused, match=words):
        Scorer(path)


def test_a_missing_output_is_named(path: Path, onnx_models: ModuleType) -> None:
    """A graph without contributions cannot give reasons."""
    onnx_models.write_model(path)
    model = onnx.load(path)
    del model.graph.output[1]
    onnx.save(model, path)
    with pytest.raises(ModelRefused, match="lacks the output contributions"):
        Scorer(path)


def test_another_input_is_refused(path: Path, onnx_models: ModuleType) -> None:
    """One float matrix with the contract's columns, and nothing else."""
    onnx_models.write_model(path)
    model = onnx.load(path)
    model.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, ["n"]))
    onnx.save(model, path)
    with pytest.raises(ModelRefused, match="its input is not one float matrix"):
        Scorer(path)


COLUMNS = {"guessing": "pair_flows_300s", "scan": "src_ports_10s"}


def test_a_classifier_names_what_it_knows(path: Path, onnx_models: ModuleType) -> None:
    """A share for each class, and the likeliest one where it is likelier than not."""
    onnx_models.write_classifier(path, columns=COLUMNS)
    scorer = Scorer(path)
    rows = np.zeros((600, N), dtype=np.float32)
    rows[:200, contract.index("src_ports_10s")] = 40
    rows[200:400, contract.index("pair_flows_300s")] = 40
    assert scorer.classes == ("guessing", "scan")
    assert scorer.classify(rows).shape == (600, 2)
    named = [found[0] if found else None for found in scorer.likely(rows)]
    assert named == ["scan"] * 200 + ["guessing"] * 200 + [None] * 200
    assert scorer.likely(rows[:0]) == []
    told = scorer.tell(rows)
    assert [likely and likely[0] for likely in told[2]] == named
    whole = onnxruntime.InferenceSession(path).run(["contributions", "expected"], {"features": rows})
    np.testing.assert_allclose(told[0], whole[0], rtol=1e-5)
    np.testing.assert_allclose(told[1], whole[1], rtol=1e-5)


def test_a_model_without_a_classifier_names_nothing(path: Path, onnx_models: ModuleType) -> None:
    """It says so once, by having no classes."""
    onnx_models.write_model(path)
    scorer = Scorer(path)
    assert scorer.classes == ()
    assert scorer.likely(np.zeros((3, N), dtype=np.float32)) == [None] * 3


def test_classes_that_the_graph_does_not_score_are_refused(path: Path, onnx_models: ModuleType) -> None:
    """A manifest names exactly the classes of its graph."""
    onnx_models.write_classifier(path, columns=COLUMNS, named=["scan"])
    with pytest.raises(ModelRefused, match="other classes"):
        Scorer(path)
    onnx_models.write_classifier(path, columns=COLUMNS)
    model = onnx.load(path)
    del model.graph.output[3]
    onnx.save(model, path)
    with pytest.raises(ModelRefused, match="lacks the output class_scores"):
        Scorer(path)


def test_the_file_must_be_the_one_expected(path: Path, onnx_models: ModuleType) -> None:
    """A file that was changed after it was installed is noticed by its digest."""
    onnx_models.write_model(path)
    with pytest.raises(ModelRefused, match="changed after it was installed"):
        Scorer(path, expected_digest="0" * 64)


def test_a_missing_or_huge_file(path: Path, tmp_path: Path) -> None:
    """Neither is read to the end."""
    with pytest.raises(ModelRefused, match="No such file"):
        Scorer(path)
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ModelRefused, match="larger than 64 MiB"):
        Scorer(path)


def test_values_that_are_not_numbers_never_leave(path: Path, onnx_models: ModuleType) -> None:
    """NaN becomes 0 and is counted, infinity a large score: a batch with either could not be sent."""
    onnx_models.write_model(path, weights={"src_ports_10s": 5e37})
    scorer = Scorer(path)
    rows = np.zeros((3, N), np.float32)
    rows[1, contract.index("src_ports_10s")] = 1e30
    rows[2, contract.index("src_ports_10s")] = np.nan
    scores = scorer.score(rows)
    assert np.isfinite(scores).all()
    assert scores[1] == MOST_SCORE
    assert scorer.unusable <= 1


def test_the_child_speaks_json(path: Path, onnx_models: ModuleType) -> None:
    """Run as a module it verifies under limits and says yes or why not in one line."""
    digest = onnx_models.write_model(path)
    done = subprocess.run([sys.executable, "-Im", "agent.scorer", str(path)], capture_output=True)
    assert (done.returncode, json.loads(done.stdout)["digest"]) == (0, digest)
    onnx_models.write_memory_bomb(path)
    done = subprocess.run([sys.executable, "-Im", "agent.scorer", str(path)], capture_output=True)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
