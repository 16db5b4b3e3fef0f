"""Explanations: each method is asked about models whose answer is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench_models import Number, Word, write_file

from trainer.main import main
from trainer.workbench.explanation import explain, importance, lime, partial, shapley
from trainer.workbench.explanation.sheet import Sheet
from trainer.workbench.explanation.subject import Subject, subject
from trainer.workbench.prediction.incoming import from_parquet
from trainer.workbench.prediction.opened import open_model

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    Number("size", 1.0),
    Number("rate", -0.5),
    Number("bent", 0.4, square=True),
    Word("flag", {"SF": 0.0, "S0": 3.0}, another=1.0),
)


def values(rows: int, seed: int, *, gaps: bool = False) -> list[Any]:
    chance = np.random.default_rng(seed)
    numbers = [chance.normal(size=rows).astype(np.float32) for _ in range(3)]
    if gaps:
        numbers[0][::5] = np.nan
    return [*numbers, chance.choice(np.array(["SF", "S0", "REJ", ""], dtype=object), rows)]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_model(write_file(tmp_path_factory.mktemp("m"), COLUMNS, classes=()))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_model(write_file(tmp_path_factory.mktemp("c"), COLUMNS, bias=-1))


def table(path: Path, rows: int, seed: int) -> Path:
    size, rate, bent, flag = values(rows, seed)
    label = np.where(size - 0.5 * rate + 0.4 * bent**2 > 1.5, "attack", "normal")
    columns = {"size": size, "rate": rate, "bent": bent, "flag": pa.array(flag.tolist()), "kind": label}
    pq.write_table(pa.table(columns), path)
    return path


def linear(weights: dict[str, float], folder: Path) -> Any:
    columns = [Number(name, weight) for name, weight in weights.items()]
    return open_model(write_file(folder, columns, classes=()))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), orders=st.integers(1, 3), gaps=st.booleans())
def test_shares_sum_to_score_minus_base(classifier: Any, seed: int, orders: int, gaps: bool):
    """SHAP's shares and the base add up to the score, whatever the rows, with gaps and words never seen too."""
    mine, others = values(3, seed, gaps=gaps), values(20, seed + 1, gaps=gaps)
    sheet = Sheet.of(classifier.columns, mine, others)
    asks = Subject(classifier, sheet)
    told = shapley.share(asks, sheet.encode(mine), sheet.encode(others), orders=orders, seed=seed)
    np.testing.assert_allclose(told.base + told.shares.sum(axis=1), told.answers, atol=1e-5)
    np.testing.assert_allclose(told.answers, classifier.scores(mine), atol=1e-6)


def test_shares_of_a_linear_model_are_its_terms(tmp_path: Path):
    """Of a linear model a share is the weight times the distance from the background's mean."""
    opened = linear({"a": 2.0, "b": -1.0, "c": 0.0}, tmp_path)
    chance = np.random.default_rng(5)
    behind, row = chance.normal(size=(40, 3)), np.array([[1.0, 2.0, 3.0]])
    sheet = Sheet.of(opened.columns)
    told = shapley.share(Subject(opened, sheet), row, behind, orders=2, seed=1)
    np.testing.assert_allclose(told.shares[0], np.array([2.0, -1.0, 0.0]) * (row[0] - behind.mean(axis=0)), atol=1e-4)


def test_one_column_and_no_time_are_no_trouble(tmp_path: Path, detector: Any):
    """A model of one column is explained by it; without time one row is still done."""
    opened = linear({"a": 2.0}, tmp_path)
    sheet = Sheet.of(opened.columns)
    told = shapley.share(Subject(opened, sheet), np.ones((2, 1)), np.zeros((3, 1)), orders=1, seed=1)
    assert told.shares.tolist() == [[2.0], [2.0]]
    mine = values(9, 3)
    sheet = Sheet.of(detector.columns, mine)
    rows = sheet.encode(mine)
    short = shapley.share(Subject(detector, sheet), rows, rows, orders=1, seed=1, seconds_left=lambda: 0.0)
    assert len(short.shares) == 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), guilty=st.integers(0, 5))
def test_lime_finds_the_guilty_column_of_a_linear_model(tmp_path_factory: Any, seed: int, guilty: int):
    """On a linear model the column that makes the row strange has the largest weight, about its true part."""
    weights = {f"x{at}": 1.0 for at in range(6)}
    opened = linear(weights, tmp_path_factory.mktemp("l"))
    chance = np.random.default_rng(seed)
    behind, row = chance.normal(size=(200, 6)), chance.normal(size=6) * 0.3
    row[guilty] = 8.0
    told = lime.local(Subject(opened, Sheet.of(opened.columns)), row, behind, seed=seed)
    assert int(np.argmax(told.weights)) == guilty
    assert told.weights[guilty] == pytest.approx(8.0 - behind[:, guilty].mean(), abs=1.0)
    assert told.fidelity > 0.8


def test_importance_is_of_the_columns_that_matter(detector: Any):
    """A column the model does not use costs nothing when shuffled; one it uses does, with labels and without."""
    mine = values(400, 8)
    sheet = Sheet.of(detector.columns, mine)
    rows = sheet.encode(mine)
    asks = Subject(detector, sheet)
    moved = importance.importance(asks, rows, None, seed=1)
    assert moved.measure == importance.MOVED
    assert set(np.argsort(-moved.mean)[:2].tolist()) == {0, 3}
    assert (moved.mean > 0).all()
    labels = np.where(detector.scores(mine) > 1, "attack", "normal").astype(object)
    judged = importance.importance(asks, rows, labels, seed=1)
    assert judged.whole == pytest.approx(1.0)
    assert set(np.argsort(-judged.mean)[:2].tolist()) == {0, 3}


def test_importance_without_time_leaves_out_what_it_did_not_reach(detector: Any):
    """When time is over after a few columns the others have no repeats, and the first ones do."""
    mine = values(50, 8)
    sheet = Sheet.of(detector.columns, mine)
    left = iter([1.0, 0.0])
    told = importance.importance(
        Subject(detector, sheet), sheet.encode(mine), None, seed=1, seconds_left=lambda: next(left)
    )
    assert told.repeats.tolist() == [1, 1, 0, 0]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), weight=st.floats(0.1, 3))
def test_partial_dependence_is_monotone_on_a_monotone_model(tmp_path_factory: Any, seed: int, weight: float):
    """Where a model only rises with a column, its curve and every single row's line only rise."""
    opened = open_model(
        write_file(tmp_path_factory.mktemp("p"), [Number("a", weight), Number("b", -1.0), Word("w", {"x": 1.0})])
    )
    chance = np.random.default_rng(seed)
    mine = [chance.normal(size=50).astype(np.float32) for _ in range(2)] + [np.full(50, "x", dtype=object)]
    sheet = Sheet.of(opened.columns, mine)
    curve = partial.partial(Subject(opened, sheet), sheet.encode(mine), 0)
    assert list(curve.places) == sorted(curve.places)
    assert (np.diff(curve.mean) >= -1e-6).all()
    assert (np.diff(curve.lines, axis=1) >= -1e-6).all()


def test_partial_dependence_of_words_knows_each_word(detector: Any):
    """A column of words has a place for each, with what the model adds for it."""
    mine = values(100, 4)
    sheet = Sheet.of(detector.columns, mine)
    curve = partial.partial(Subject(detector, sheet), sheet.encode(mine), 3)
    found = dict(zip(curve.places, curve.mean, strict=True))
    assert found["S0"] - found["SF"] == pytest.approx(3.0, abs=1e-4)
    assert found["REJ"] - found["SF"] == pytest.approx(1.0, abs=1e-4)


def test_a_class_can_be_asked_for(classifier: Any):
    """The chance of a named class is explained; one that does not exist is refused with those that do."""
    mine = values(5, 1)
    sheet = Sheet.of(classifier.columns, mine)
    rows = sheet.encode(mine)
    normal = subject(classifier, sheet, "normal", None)
    np.testing.assert_allclose(normal.says(rows), 1 - classifier.scores(mine), atol=1e-6)
    with pytest.raises(explain.SettingsUnusable, match="normal, attack"):
        subject(classifier, sheet, "other", None)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("shap", ["--rows", "12"]),
        ("shap-row", ["--row", "3"]),
        ("lime", ["--row", "3"]),
        ("importance", ["--label", "kind"]),
        ("partial", ["--feature", "size"]),
        ("partial", ["--feature", "flag"]),
    ],
)
def test_the_command_writes_an_explanation_with_a_chart(tmp_path: Path, capsys: Any, method: str, more: list[str]):
    """Each method ends in a file of the stated format, with items, a note and a chart, and no NaN."""
    model = write_file(tmp_path / "m", COLUMNS, bias=-1)
    data = table(tmp_path / "t.parquet", 80, 6)
    arguments = ["--model", str(model), "--table", str(data), "--method", method, "--out", str(tmp_path / "e.json")]
    assert main(["workbench", "explain", *arguments, *more]) == 0
    told = json.loads((tmp_path / "e.json").read_text(), parse_constant=pytest.fail)
    assert told["format"] == "anomaflow-explanation-1"
    assert told["method"] == method
    assert {"feature", "value", "effect"} == set(told["items"][0])
    assert told["option"]["series"]
    assert told["note"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--method", "lime"], "say which row"),
        (["--method", "lime", "--row", "99"], "there is no row 99"),
        (["--method", "partial", "--feature", "colour"], "is no column of the model"),
        (["--method", "shap", "--class", "other"], "no class"),
    ],
)
def test_what_cannot_be_explained_is_refused(tmp_path: Path, capsys: Any, more: list[str], said: str):
    """A row, column or class that does not exist ends with what to give instead."""
    model = write_file(tmp_path / "m", COLUMNS)
    data = table(tmp_path / "t.parquet", 20, 6)
    assert main(["workbench", "explain", "--model", str(model), "--table", str(data), *more]) == 2
    assert said in capsys.readouterr().err


def test_the_same_seed_explains_alike(classifier: Any, tmp_path: Path):
    """Two explanations with one seed are one."""
    incoming = from_parquet(table(tmp_path / "t.parquet", 60, 2))
    asked = explain.Asked("shap", rows=6)
    first, second = (
        explain.explain(
            classifier, incoming, incoming, asked, seconds_left=lambda: 1e9, tell=lambda _stage, _done, _message: None
        )
        for _ in range(2)
    )
    assert first == second


def test_rows_are_compared_with_the_table_of_the_run(tmp_path: Path):
    """One predicted row, with columns missing, is explained against the run's own table, which its folder names."""
    model = write_file(tmp_path / "run" / "models" / "linear", COLUMNS, classes=())
    table(tmp_path / "run" / "learnt.parquet", 60, 6)
    (tmp_path / "run" / "data.json").write_text('{"table": "learnt.parquet"}')
    pq.write_table(pa.table({"size": [9.0], "flag": ["SF"]}), tmp_path / "rows.parquet")
    arguments = ["--table", str(tmp_path / "rows.parquet"), "--method", "lime", "--row", "0"]
    out = tmp_path / "e.json"
    assert main(["workbench", "explain", "--model", str(model), *arguments, "--out", str(out)]) == 0
    told = json.loads(out.read_text())
    assert told["items"][0]["feature"] == "size"
    assert told["items"][0]["effect"] > 5
    assert "60 background rows" in told["note"]
