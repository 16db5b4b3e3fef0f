"""Every network keeps the contract of candidates/base.py, and what networks promise beyond it; one suite for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from trainer.errors import NotFitted, SettingsUnusable
from trainer.workbench.candidates.base import Classifier, Detector, Prepared, Told
from trainer.workbench.candidates.graph import Runner
from trainer.workbench.networks import networks

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described

pytestmark = pytest.mark.training

ALL = {one.name: one for one in networks()}
SMALL: dict[str, Any] = {"epochs": 3, "width": 0.25, "batch_size": 32, "learning_rate": 3e-3}
CLASSES = ("normal", "scan", "flood")


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three kinds of rows in nine features of very different units, the last of which never varies."""
    chance = np.random.default_rng(seed)
    kind = chance.integers(0, 3, count)
    middle = np.array([[0, 0, 0, 0, 0, 0, 0, 0], [3, 0, 2, 0, 0, 1, 3, 0], [0, 4, 0, 0, -3, 0, 4, 0]])
    found = middle[kind] + chance.normal(0, 1, (count, 8))
    found[:, 5] = np.rint(found[:, 5])
    found[:, 6] = np.exp(3 * found[:, 6])
    found[:, 7] *= 1e-4
    return np.column_stack([found, np.full(count, 5.0)]).astype(np.float32), kind.astype(np.int64)


def prepared(described: Described) -> Prepared:
    """Rows of all kinds for a classifier, ordinary ones for a detector."""
    fit, kind = rows(500, 1)
    select, select_kind = rows(200, 2)
    names = tuple("abcdefghi")
    if described.judges == "strangeness":
        return Prepared(names, names, fit[kind == 0], select[select_kind == 0])
    return Prepared(names, names, fit, select, kind, select_kind, CLASSES)


TEST, KIND = rows(300, 3)
FAR = np.array([[1e6] * 9, [-1e6] * 9, [0] * 9, [1e-30] * 9, [1e30] * 9], dtype=np.float32)


def answer(candidate: Classifier | Detector, asked: np.ndarray) -> np.ndarray:
    return candidate.chances(asked) if isinstance(candidate, Classifier) else candidate.strangeness(asked)


@pytest.fixture(scope="module", params=list(ALL))
def described(request: pytest.FixtureRequest) -> Described:
    """One network."""
    return ALL[request.param]


@pytest.fixture(scope="module")
def told() -> list[dict[str, float]]:
    """What the fit below says."""
    return []


@pytest.fixture(scope="module")
def fitted(described: Described, told: list[dict[str, float]]) -> Any:
    """The network, fitted once."""
    told.clear()
    candidate = described.make(SMALL, 5)
    assert candidate.fit(prepared(described), Told(epoch=told.append)) is candidate
    return candidate


@pytest.fixture(scope="module")
def model(fitted: Any) -> Any:
    """Its file."""
    return fitted.to_onnx()


@pytest.fixture(scope="module")
def graph(model: Any) -> Runner:
    """Its file, running."""
    return Runner(model)


def test_answers_are_whole_and_the_graph_gives_the_same(described: Described, fitted: Any, graph: Runner) -> None:
    """Chances sum to one, strangeness is one number a row, and the ONNX graph agrees within 1e-4, far rows included."""
    asked = np.concatenate([TEST, FAR])
    found = answer(fitted, asked)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    if described.judges == "classes":
        assert found.shape == (len(asked), len(CLASSES))
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
        np.testing.assert_allclose(graph(asked), found, atol=1e-4)
    else:
        assert found.shape == (len(asked),)
        np.testing.assert_allclose(graph(asked), found, rtol=1e-4, atol=1e-4)


def test_a_network_is_what_it_says_it_judges_and_nothing_else(described: Described) -> None:
    """A classifier or a detector, before it is fitted."""
    made = described.make({}, 5)
    classes = described.judges == "classes"
    assert (isinstance(made, Classifier), isinstance(made, Detector)) == (classes, not classes)


def test_it_learns(described: Described, fitted: Any) -> None:
    """Three epochs tell most rows apart, or find the strange ones stranger."""
    found = answer(fitted, TEST)
    if described.judges == "classes":
        assert (found.argmax(axis=1) == KIND).mean() > 0.6
    else:
        assert np.median(found[KIND == 2]) > np.median(found[KIND == 0])


def test_a_row_is_judged_alone_as_in_a_batch(described: Described, fitted: Any, graph: Runner) -> None:
    """In Python and by the graph."""
    for ask in (lambda asked: answer(fitted, asked), graph):
        alone = np.concatenate([ask(TEST[at : at + 1]) for at in range(10)])
        np.testing.assert_allclose(alone, ask(TEST)[:10], rtol=1e-4, atol=1e-5)


def test_every_epoch_is_told(described: Described, fitted: Any, told: list[dict[str, float]]) -> None:
    """With loss and validation loss, and both accuracies where there are classes; the history is the same rows."""
    assert [row["epoch"] for row in told] == [1.0, 2.0, 3.0]
    accuracies = {"acc", "val_acc"} if described.judges == "classes" else set()
    assert all(set(row) == {"epoch", "loss", "val_loss"} | accuracies for row in told)
    assert fitted.history_ == told


@pytest.mark.parametrize("described", ["complex-mlp", "lenet-5", "deep-autoencoder"], indirect=True)
def test_the_same_seed_gives_the_same_answers(described: Described, fitted: Any) -> None:
    """To the last bit: dense layers with dropout and normalisation, convolutions, and what rebuilds."""
    again: Any = described.make(SMALL, 5).fit(prepared(described), Told())
    np.testing.assert_array_equal(answer(again, TEST), answer(fitted, TEST))


def test_the_graph_is_plain(model: Any) -> None:
    """Operations of ONNX's own domain at opset 17, no subgraphs, no data outside of the file."""
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert not [node for node in model.graph.node for attribute in node.attribute if attribute.HasField("g")]
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_an_unfitted_network_refuses_to_answer(described: Described) -> None:
    """It does not answer with fresh weights."""
    with pytest.raises(NotFitted, match="call fit first"):
        answer(described.make({}, 5), TEST)


def test_an_unknown_hyper_parameter_is_refused_by_name(described: Described) -> None:
    """In words that say which ones there are."""
    with pytest.raises(SettingsUnusable, match="no hyper-parameter 'neurons'; there are batch_size"):
        described.make({"neurons": 5}, 5)
    with pytest.raises(SettingsUnusable, match="epochs is 0; give a number from 1"):
        described.make({"epochs": 0}, 5)
    for name, values in described.space.items():
        for value in values:
            assert described.make({name: value}, 5) is not None
    assert described.note.endswith(".")
