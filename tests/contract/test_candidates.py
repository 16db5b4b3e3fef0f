"""Every candidate keeps the contract of candidates/base.py; this one suite judges them all alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from trainer.errors import NotFitted
from trainer.workbench.candidates.base import Classifier, Detector, Prepared, Told
from trainer.workbench.candidates.catalogue import catalogue
from trainer.workbench.candidates.graph import Runner

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described

ALL = {name: one for name, one in catalogue().items() if one.kind == "ml"}
CLASSIFIERS = {name: one for name, one in ALL.items() if one.judges == "classes"}
DETECTORS = {name: one for name, one in ALL.items() if one.judges == "strangeness"}


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three kinds of rows in seven features, the last of which never varies."""
    chance = np.random.default_rng(seed)
    kind = chance.integers(0, 3, count)
    middle = np.array([[0, 0, 0, 0, 0, 0, 0], [3, 0, 2, 0, 0, 1, 0], [0, 4, 0, 0, -3, 0, 0]], dtype=np.float32)
    found = middle[kind] + chance.normal(0, 1, (count, 7)).astype(np.float32)
    found[:, 5] = np.rint(found[:, 5])
    found[:, 6] = 0.0
    return found.astype(np.float32), kind.astype(np.int64)


def prepared(classes: int) -> Prepared:
    """Rows of `classes` kinds; 0 for a detector's task."""
    fit, kind = rows(600, 1)
    select, select_kind = rows(200, 2)
    names = tuple("abcdefg")
    if classes == 0:
        return Prepared(names, names, fit[kind == 0], select[select_kind == 0])
    top = classes - 1
    kinds = ("normal", "scan", "flood")[:classes]
    return Prepared(names, names, fit, select, np.minimum(kind, top), np.minimum(select_kind, top), kinds)


TEST, KIND = rows(300, 3)


def fitted(described: Described, data: Prepared) -> Classifier | Detector:
    return described.make({}, 5).fit(data, Told())


def answer(candidate: Classifier | Detector, asked: np.ndarray) -> np.ndarray:
    return candidate.chances(asked) if isinstance(candidate, Classifier) else candidate.strangeness(asked)


@pytest.mark.parametrize("name", ALL)
def test_a_candidate_is_what_it_says_it_judges_and_nothing_else(name: str) -> None:
    """Who asks whether it is a classifier or a detector hears what the settings page heard, before it is fitted."""
    made = ALL[name].make({}, 5)
    assert (isinstance(made, Classifier), isinstance(made, Detector)) == (name in CLASSIFIERS, name in DETECTORS)


@pytest.mark.parametrize("name", ALL)
def test_an_unfitted_candidate_refuses_to_answer(name: str) -> None:
    """And has no graph to give."""
    made = ALL[name].make({}, 5)
    with pytest.raises(NotFitted, match="call fit first"):
        answer(made, TEST)
    with pytest.raises(NotFitted, match="call fit first"):
        made.to_onnx()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_refuses_rows_without_classes(name: str) -> None:
    """Rather than learn something else."""
    with pytest.raises(ValueError, match="needs classes"):
        CLASSIFIERS[name].make({}, 5).fit(prepared(0), Told())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_chances_are_chances_and_the_graph_gives_the_same(name: str, classes: int) -> None:
    """Of two classes and of three: [n, K], sums of one, and the ONNX graph agrees with Python."""
    candidate = fitted(CLASSIFIERS[name], prepared(classes))
    found = candidate.chances(TEST)
    assert found.shape == (len(TEST), classes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(Runner(candidate.to_onnx())(TEST), found, atol=2e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_strangeness_rises_with_it_and_the_graph_gives_the_same(name: str) -> None:
    """Finite, higher for rows unlike the fitted ones, and the ONNX graph agrees with Python."""
    candidate = fitted(DETECTORS[name], prepared(0))
    found = candidate.strangeness(TEST)
    assert found.shape == (len(TEST),)
    assert found.dtype == np.float32
    np.testing.assert_allclose(Runner(candidate.to_onnx())(TEST), found, rtol=1e-5, atol=1e-5)
    assert np.median(found[KIND == 2]) > np.median(found[KIND == 0])


@pytest.mark.parametrize("name", ALL)
def test_answers_are_finite_for_any_finite_row(name: str) -> None:
    """Even for rows far outside of what was fitted."""
    described = ALL[name]
    candidate = fitted(described, prepared(3 if described.judges == "classes" else 0))
    far = np.array([[1e6] * 7, [-1e6] * 7, [0] * 7, [1e-30] * 7], dtype=np.float32)
    assert np.isfinite(answer(candidate, far)).all()
    assert np.isfinite(Runner(candidate.to_onnx())(far)).all()


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_answers(name: str) -> None:
    """Twice fitted with one seed, once judged."""
    described = ALL[name]
    data = prepared(3 if described.judges == "classes" else 0)
    once, again = fitted(described, data), fitted(described, data)
    np.testing.assert_array_equal(answer(once, TEST), answer(again, TEST))


@pytest.mark.parametrize("name", ALL)
def test_a_row_is_judged_alone_as_in_a_batch(name: str) -> None:
    """In Python and by the graph."""
    described = ALL[name]
    candidate = fitted(described, prepared(3 if described.judges == "classes" else 0))
    run = Runner(candidate.to_onnx())
    for ask in (lambda asked: answer(candidate, asked), run):
        alone = np.concatenate([ask(TEST[at : at + 1]) for at in range(25)])
        np.testing.assert_allclose(alone, ask(TEST)[:25], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_what_a_search_may_try_can_be_fitted(name: str) -> None:
    """Every value in the space of a candidate, the others at their defaults."""
    described = ALL[name]
    data = prepared(2 if described.judges == "classes" else 0)
    assert described.note.endswith(".")
    for key, values in described.space.items():
        found = answer(described.make({key: values[-1]}, 5).fit(data, Told()), TEST)
        assert np.isfinite(found).all()
