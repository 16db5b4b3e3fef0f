"""A first look: figures against arithmetic done by hand, and suspects against tables made to have them."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
import tables_in_files as files

from trainer.errors import DatasetRefused, SettingsUnusable, SourceMissing
from trainer.workbench.datasets.exploration import leakage, printing, profiling, relations
from trainer.workbench.datasets.importing import Asked, import_table

ROWS = 600


def made(tmp_path, columns, label=None):
    (tmp_path / "t.parquet").write_bytes(files.parquet_bytes(columns))
    import_table(Asked(str(tmp_path / "t.parquet"), tmp_path / "set"), lambda *_: None)
    told = []
    profile = profiling.profile(tmp_path / "set", label, lambda *event: told.append(event))
    assert json.loads((tmp_path / "set" / "profile.json").read_text()) == profile
    assert [fraction for _, fraction, _ in told] == sorted(fraction for _, fraction, _ in told)
    return profile


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(3)


def test_figures_are_those_of_every_row(tmp_path, rng):
    """Count, mean, sample deviation, interpolated quartiles, zeros, missing and different values."""
    values = np.round(rng.lognormal(3, 2, ROWS), 3)
    values[:50] = 0
    whole = rng.integers(0, 9, ROWS)
    gaps = pa.array([None if at % 10 == 0 else float(value) for at, value in enumerate(values)])
    words = [("tcp", "udp", "tcp", "icmp")[at % 4] for at in range(ROWS)]
    profile = made(
        tmp_path,
        {"n": gaps, "whole": whole, "proto": words, "same": [1] * ROWS, "on": [at % 3 == 0 for at in range(ROWS)]},
    )
    there = np.array([value for value in gaps.to_pylist() if value is not None])
    assert profile["rows"] == ROWS
    assert profile["sampled_rows"] is None
    first = profile["properties"][0]
    assert (first["name"], first["type"], first["missing"], first["missing_share"]) == ("n", "number", 60, 0.1)
    assert first["unique"] == len(np.unique(there))
    number = profile["numeric"][0]
    assert number["count"] == 540
    assert number["zeros"] == int((there == 0).sum())
    for key, expected in {
        "mean": there.mean(),
        "std": there.std(ddof=1),
        "min": there.min(),
        "max": there.max(),
        "q25": np.quantile(there, 0.25),
        "median": np.median(there),
        "q75": np.quantile(there, 0.75),
    }.items():
        assert math.isclose(number[key], expected, rel_tol=1e-8), key
    assert profile["categorical"][0] == {"name": "proto", "count": ROWS, "unique": 3, "top": "tcp", "frequency": 300}
    assert profile["categorical"][1]["top"] == "false"
    assert profile["constants"] == ["same"]
    assert profile["correlations"]["names"] == ["n", "whole"]


def test_strange_names_and_values_are_only_data(tmp_path):
    """Column names and words full of quotation marks and SQL are counted like others."""
    columns = {"a\"b'; DROP TABLE t": ["x'y", '"', "x'y"], "NaN": [1.0, None, float("inf")], "empty": pa.nulls(3)}
    profile = made(tmp_path, columns)
    assert profile["categorical"][0]["top"] == "x'y"
    assert profile["numeric"][0]["count"] == 1
    assert profile["properties"][2]["missing"] == 3


def test_repeated_rows_are_counted(tmp_path):
    """Every row after the first of its kind counts, missing values being alike."""
    profile = made(tmp_path, {"a": [1, 1, 1, None, None, 2], "b": ["x", "x", "y", None, None, "x"]})
    assert profile["duplicates"] == {"rows": 2, "share": 0.333333}
    assert any("repeat an earlier one" in warning for warning in profile["warnings"])


def suspicious(rng):
    label = np.where(np.arange(ROWS) < ROWS // 2, "normal", "attack")
    order = rng.permutation(ROWS)
    classes = label[order]
    attack = classes == "attack"
    return {
        "row": np.arange(ROWS) + 100,
        "session": [f"s{at:05d}" for at in range(ROWS)],
        "useful": rng.normal(0, 1, ROWS) + attack,
        "noise": rng.normal(0, 1, ROWS),
        "code": np.where(attack, 7, 3),
        "verdict_text": np.where(attack, np.where(rng.random(ROWS) < 0.5, "bad", "worse"), "fine"),
        "risk": np.where(attack, 100.0, 0.0) + rng.normal(0, 1, ROWS),
        "seen": pa.array(np.where(attack, 10**12, 0) + np.arange(ROWS) * 1000, pa.timestamp("ms")),
        "class": classes,
    }


def test_suspects_are_found_and_nothing_else(tmp_path, rng):
    """Identifiers, the label in other clothes and moments that tell the classes apart; honest columns are left in peace."""
    profile = made(tmp_path, suspicious(rng), "class")
    reasons = {one["name"]: one["reason"] for one in profile["leakage"]}
    assert set(reasons) == {"row", "session", "code", "verdict_text", "risk", "seen"}
    assert "counts the rows" in reasons["row"]
    assert "names rows" in reasons["session"]
    assert "one value within each class" in reasons["code"]
    assert "almost perfectly" in reasons["verdict_text"]
    assert "different times" in reasons["seen"]
    assert all(0 <= one["strength"] <= 1 for one in profile["leakage"])
    assert not any("sorted by class" in warning for warning in profile["warnings"])


def test_rows_sorted_by_class_are_said(tmp_path, rng):
    """A table whose rows lie class by class gets a warning, and so does the column that counts them."""
    columns = {"id": np.arange(ROWS), "x": rng.normal(0, 1, ROWS), "class": ["a"] * (ROWS // 2) + ["b"] * (ROWS // 2)}
    profile = made(tmp_path, columns, "class")
    assert [one["name"] for one in profile["leakage"]] == ["id"]
    assert any("sorted by class" in warning for warning in profile["warnings"])


def test_without_a_label_only_identifiers_are_suspects(tmp_path, rng):
    """What gives a label away can only be asked of a label; it is proposed instead."""
    profile = made(tmp_path, suspicious(rng))
    assert {one["name"] for one in profile["leakage"]} == {"row", "session"}
    assert profile["labels"][0]["name"] == "class"
    assert profile["labels"][0]["values"] == [{"value": "attack", "rows": 300}, {"value": "normal", "rows": 300}]


def test_labels_are_proposed_by_name_and_place(tmp_path):
    """A telling name anywhere, or few values in the last column, where a count is proposed and not taken; else none."""
    columns = {
        "attack_cat": ["a", "b"] * 20,
        "x": np.arange(40) / 7,
        "class_of_service": np.arange(40) / 3,
        "kind": [0, 1, 2, 3] * 10,
    }
    found = made(tmp_path, columns)["labels"]
    assert [(one["name"], one["likely"]) for one in found] == [("attack_cat", True), ("kind", False)]


def test_a_label_of_one_value_is_said(tmp_path):
    """A label that cannot be predicted does not end the look."""
    profile = made(tmp_path, {"a": np.arange(50), "class": ["x"] * 50}, "class")
    assert any("only one" in warning for warning in profile["warnings"])


def test_large_tables_are_sampled_and_said(tmp_path, monkeypatch, rng):
    """Over the limits the sample is drawn by seed, the same each time, and the profile says what is approximate."""
    monkeypatch.setattr(profiling, "SAMPLE_ROWS", 200)
    monkeypatch.setattr(profiling, "EXACT_ROWS", 300)
    columns = {
        "a": rng.normal(0, 1, ROWS),
        "b": rng.normal(0, 1, ROWS),
        "c": ["x", "y"] * (ROWS // 2),
        "one": [5] * ROWS,
    }
    first, again = made(tmp_path, columns), made(tmp_path, columns)
    assert first == again
    assert first["sampled_rows"] == 200
    assert sum("approximately" in warning or "drawn at random" in warning for warning in first["warnings"]) == 2
    assert first["constants"] == ["one"]
    assert first["numeric"][0]["count"] == ROWS


def test_relations_follow_their_formulas(rng):
    """Pearson and Spearman as scipy has them; Cramer's V and the correlation ratio at their ends."""
    from scipy import stats

    a = np.round(rng.lognormal(0, 3, ROWS), 1)
    b = a**2 + rng.normal(0, 1, ROWS)
    ranks = np.column_stack([relations._ranks(a), relations._ranks(b)])
    assert math.isclose(relations._correlation(ranks)[0, 1], stats.spearmanr(a, b).statistic, rel_tol=1e-9)
    assert math.isclose(
        relations._correlation(np.column_stack([a, b]))[0, 1], stats.pearsonr(a, b).statistic, rel_tol=1e-9
    )
    codes = rng.integers(0, 4, ROWS)
    assert relations.cramers_v(codes, codes) == pytest.approx(1.0, abs=1e-9)
    assert relations.cramers_v(codes, rng.integers(0, 4, ROWS)) < 0.15
    assert relations.correlation_ratio(codes, codes * 2.5) == pytest.approx(1.0)
    assert relations.correlation_ratio(codes, np.ones(ROWS)) == 0


def test_an_identifier_of_words_does_not_predict_by_heart():
    """Judged on the other half, a word that occurs once knows nothing."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2, 400)
    half = leakage._halves(400)
    assert leakage.alone(np.arange(400), codes, half, words=True) == 0
    assert leakage.alone(codes, codes, half, words=True) == 1


def test_errors_and_printing(tmp_path):
    """A folder without a set, an unknown label and a damaged table are said; a profile prints as a page of text."""
    with pytest.raises(SourceMissing, match="import a table"):
        profiling.profile(tmp_path, None, lambda *_: None)
    profile = made(tmp_path, {"a": [1, 2, 3], "class": ["x", "y", "x"]})
    text = printing.profile(profile)
    assert "3 rows, 2 columns" in text
    assert "may be the label: class" in text
    with pytest.raises(SettingsUnusable, match="no column 'no'"):
        profiling.profile(tmp_path / "set", "no", lambda *_: None)
    (tmp_path / "set" / "table.parquet").write_bytes(b"PAR1PAR1")
    with pytest.raises(DatasetRefused, match="import the table again"):
        profiling.profile(tmp_path / "set", None, lambda *_: None)
