"""Prediction on new rows: what is answered, what is noticed, and what is written."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from workbench_models import Number, Word, write_file

from trainer.errors import ModelError, TableUnreadable
from trainer.main import main
from trainer.workbench.prediction import download, incoming, reasons
from trainer.workbench.prediction.cells import Cells
from trainer.workbench.prediction.opened import open_model
from trainer.workbench.prediction.predict import Asked, predict

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    Number("size", 1.0, median=2.0),
    Number("rate", 0.5),
    Word("flag", {"SF": 0.0, "S0": 3.0}, another=1.0),
)


def quiet(_stage: str, _fraction: float, _message: str) -> None:
    """Progress nobody follows."""


def table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def rows(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "rows.parquet").to_pylist()


def run(model: Path, data: Path, out: Path, **asked: Any) -> dict[str, Any]:
    return predict(open_model(model), incoming.from_parquet(data), out, Asked(**asked), quiet)


def test_rows_get_prediction_score_chance_and_reasons(tmp_path: Path):
    """Every row keeps its columns and gets what the model says of it, and why."""
    model = write_file(tmp_path / "m", COLUMNS, bias=-2)
    data = table(tmp_path / "t.parquet", size=[2.0, 9.0], rate=[0.0, 0.0], flag=["SF", "S0"])
    told = run(model, data, tmp_path / "p")
    first, second = rows(tmp_path / "p")
    assert (first["prediction"], second["prediction"]) == ("normal", "attack")
    assert first["score"] == pytest.approx(1 / (1 + math.exp(2)), abs=1e-6)
    assert second["reasons"].startswith("size is 9 (typical: 2)")
    assert "flag is S0 (typical: SF)" in second["reasons"]
    assert first["reasons"] == "nothing stands out"
    assert told["counts"] == {"normal": 1, "attack": 1}
    assert told["anomalies"] == 1
    assert told["preview"][1]["size"] == 9.0


def test_a_detector_flags_beyond_its_threshold(tmp_path: Path):
    """A detector's rows are anomalies beyond the threshold, and have no chance."""
    model = write_file(tmp_path / "m", COLUMNS, classes=(), threshold=3.0)
    data = table(tmp_path / "t.parquet", size=[2.0, 5.1, 5.0], rate=[0.0] * 3, flag=["SF"] * 3)
    told = run(model, data, tmp_path / "p")
    assert [row["prediction"] for row in rows(tmp_path / "p")] == ["ordinary", "anomaly", "ordinary"]
    assert "chance" not in rows(tmp_path / "p")[0]
    assert told["score"]["max"] == pytest.approx(3.1)


def test_odd_values_are_counted_named_and_survived(tmp_path: Path):
    """Unseen words, texts in a number, missing values and far numbers each are said, and the rows still answered."""
    model = write_file(tmp_path / "m", COLUMNS)
    data = table(
        tmp_path / "t.parquet",
        size=["2", "many", None, "1e9"],
        rate=[0.0, math.inf, math.nan, 1.0],
        flag=pa.array(["SF", "REJ", None, "REJ"]).dictionary_encode(),
    )
    told = run(model, data, tmp_path / "p")
    assert told["schema"]["unseen"] == [{"column": "flag", "values": ["REJ"], "rows": 2}]
    assert told["schema"]["unparsed"] == [{"column": "size", "values": ["many"], "rows": 1}]
    assert {entry["column"] for entry in told["schema"]["outside"]} == {"size", "rate"}
    assert all(math.isfinite(row["score"]) for row in rows(tmp_path / "p"))
    json.dumps(told, allow_nan=False)


def test_types_that_differ_are_read_as_what_was_learnt(tmp_path: Path):
    """Whole numbers, booleans, times and dictionaries are fed as the model knows them."""
    opened = open_model(write_file(tmp_path / "m", (*COLUMNS, Word("code", {"6": 1.0, "true": 2.0}))))
    batch = pa.record_batch(
        {
            "size": pa.array([True, False]),
            "rate": pa.array([1_000_000, 2_000_000], pa.timestamp("ms", tz="UTC")),
            "flag": pa.array(["SF", "S0"]).dictionary_encode(),
            "code": pa.array([6.0, None]),
        }
    )
    size, rate, flag, code = Cells(opened.columns, ("size", "rate", "flag", "code")).values(batch)
    assert size.tolist() == [1, 0]
    assert rate.tolist() == [1000, 2000]
    assert flag.tolist() == ["SF", "S0"]
    assert code.tolist() == ["6", ""]


def test_batches_do_not_change_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same table cut into other batches gives the same rows."""
    model = write_file(tmp_path / "m", COLUMNS)
    chance = np.random.default_rng(3)
    words = chance.choice(["SF", "S0", "RSTO"], 500)
    data = table(tmp_path / "t.parquet", size=chance.normal(2, 2, 500), rate=chance.normal(size=500), flag=words)
    run(model, data, tmp_path / "one")
    monkeypatch.setattr(incoming, "BATCH_ROWS", 7)
    run(model, data, tmp_path / "two")
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


def test_the_strangest_rows_get_reasons_when_not_all_can(tmp_path: Path):
    """With room for few reasons the strangest anomalies get them, and the summary says how many did not."""
    model = write_file(tmp_path / "m", COLUMNS, classes=(), threshold=1.0)
    size = np.linspace(3.1, 8, 400)
    data = table(tmp_path / "t.parquet", size=size, rate=np.zeros(400), flag=["SF"] * 400)
    told = run(model, data, tmp_path / "p", reasoned_rows=5)
    with_reasons = [place for place, row in enumerate(rows(tmp_path / "p")) if row["reasons"]]
    assert with_reasons == [0, 1, 2, 3, 4, 395, 396, 397, 398, 399]
    assert told["notes"] == ["Reasons are given for the 5 strangest of 400 anomalies."]


def test_given_columns_of_the_same_name_stay(tmp_path: Path):
    """A table's own `score` is kept under a name that says so."""
    model = write_file(tmp_path / "m", COLUMNS)
    data = table(tmp_path / "t.parquet", size=[2.0], rate=[0.0], flag=["SF"], score=[77.0])
    run(model, data, tmp_path / "p")
    assert rows(tmp_path / "p")[0]["score (given)"] == 77.0


def test_labels_give_figures(tmp_path: Path):
    """Where the table has the label, the summary says how good the predictions are."""
    model = write_file(tmp_path / "m", COLUMNS, bias=-2)
    data = table(
        tmp_path / "t.parquet",
        size=[2.0, 9.0, 9.0, 2.0],
        rate=[0.0] * 4,
        flag=["SF"] * 4,
        kind=["normal", "attack", "normal", "normal"],
    )
    told = run(model, data, tmp_path / "p", label="kind")
    assert told["labelled"]["accuracy"] == 0.75
    assert told["labelled"]["recall"] == 1.0
    assert told["labelled"]["precision"] == 0.5
    detector = write_file(tmp_path / "d", COLUMNS, classes=(), threshold=3.0)
    ranked = run(detector, data, tmp_path / "q", label="kind")["labelled"]
    assert ranked["roc_auc"] == pytest.approx(5 / 6, abs=1e-6)


@pytest.mark.parametrize("fault", ["swapped", "format", "absent", "columns"])
def test_a_damaged_model_is_refused(tmp_path: Path, fault: str):
    """A graph that is not the described one, another format, or other columns: refused before a row is predicted."""
    model = write_file(tmp_path / "m", COLUMNS)
    told = json.loads((model / "model.json").read_text())
    if fault == "swapped":
        other = write_file(tmp_path / "o", COLUMNS, bias=5)
        (model / "model.onnx").write_bytes((other / "model.onnx").read_bytes())
    elif fault == "absent":
        (model / "model.onnx").unlink()
    else:
        told |= {"format": "other"} if fault == "format" else {"columns": told["columns"][:2]}
        (model / "model.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match="opening model"):
        open_model(model)


PASTED = {
    "one object": b'{"size": 9, "rate": null, "flag": "S0"}',
    "objects": b'[{"size": 9, "flag": "S0"}, {"size": 2, "rate": 1}]',
    "tabs": b"size\trate\tflag\n9\t\tS0\n",
    "semicolons": b"\xef\xbb\xbfsize;rate;flag\r\n9;0;S0\r\n",
}


@pytest.mark.parametrize("name", PASTED)
def test_pasted_rows_are_read(name: str):
    """A JSON row, a list of them, and text copied from a spreadsheet are rows."""
    found = incoming.from_text(PASTED[name])
    assert {"size", "flag"} <= set(found.names)
    [batch] = found.batches()
    assert float(batch.column("size")[0].as_py()) == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"  \n", "there is nothing"),
        (b"size,rate\n", "no row"),
        (b"size,rate\n1,2,3\n", "line 2 has 3 values"),
        (b"size,size\n1,2\n", "twice"),
        (b"[1, 2]", "JSON rows are objects"),
        (b'{"size": [1]}', "holds a list"),
        (b'{"size": 1', "is none"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_pasted_nonsense_is_refused_in_words(text: bytes, said: str):
    """What is no table is refused with what was expected."""
    with pytest.raises(TableUnreadable, match=said):
        incoming.from_text(text)


def test_downloaded_cells_are_no_formulas(tmp_path: Path):
    """Texts and names that a spreadsheet would run begin with an apostrophe; negative numbers stay numbers."""
    texts = ["=1+1", "+x", "-x", "@x", "\tx", "fine", '=a,"b"', None]
    data = table(tmp_path / "t.parquet", **{"=name": texts, "number": [-1.5] * 8})
    download.save(data, tmp_path / "out.csv")
    header, *lines = csv.reader((tmp_path / "out.csv").read_text().splitlines())
    assert header == ["'=name", "number"]
    assert [line[0] for line in lines] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "fine", '\'=a,"b"', ""]
    assert float(lines[0][1]) == -1.5


def test_reasons_name_the_injected_column_first(tmp_path: Path):
    """Of rows made strange in one column, most have that column as their first reason."""
    chance = np.random.default_rng(11)
    columns = [Number(f"x{place}", float(chance.uniform(0.3, 1.5)), square=True) for place in range(8)]
    opened = open_model(write_file(tmp_path / "m", columns, classes=()))
    values = [chance.normal(size=400).astype(np.float32) for _ in columns]
    guilty = chance.integers(0, 8, 400)
    for row, place in enumerate(guilty):
        values[place][row] = 6.0
    found = reasons.reasons(opened, values, 3)
    hits = np.mean([told[0].column == f"x{place}" for told, place in zip(found, guilty, strict=True)])
    assert hits > 0.9


def test_two_columns_that_are_each_enough_are_both_named(tmp_path: Path):
    """A row whose score stays when either strange column is put back still gets both as reasons."""
    columns = (Number("a", 4.0), Number("b", 4.0), Number("c", 0.1))
    opened = open_model(write_file(tmp_path / "m", columns, bias=-8))
    [told] = reasons.reasons(
        opened, [np.array([9.0], np.float32), np.array([9.0], np.float32), np.zeros(1, np.float32)], 3
    )
    assert [reason.column for reason in told] == ["a", "b"]


def test_the_command_predicts_a_pasted_row(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any):
    """A row on standard input goes through the command, and the summary is printed."""
    model = write_file(tmp_path / "m", COLUMNS)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"Size": 9, "rate": 0, "flag": "S0"}')))
    arguments = ["--model", str(model), "--data", "-", "--out", str(tmp_path / "p"), "--rename-alike", "--json"]
    assert main(["workbench", "predict", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 1
    assert told["schema"]["notes"] == ["Renamed as told: Size as size."]
    assert told["preview"][0]["size"] == 9.0
    assert main(["workbench", "download", str(tmp_path / "p"), "--out", str(tmp_path / "p.csv")]) == 0


def test_a_table_that_lacks_columns_ends_with_the_exit_code_for_data(tmp_path: Path, capsys: Any):
    """A refusal is a message with the way out, and exit code 10."""
    model = write_file(tmp_path / "m", COLUMNS)
    data = table(tmp_path / "t.parquet", size=[2.0])
    assert (
        main(["workbench", "predict", "--model", str(model), "--data", str(data), "--out", str(tmp_path / "p")]) == 10
    )
    assert "lacks 2 of the 3 columns" in capsys.readouterr().err


def test_a_raw_file_is_brought_in_as_a_data_set_is(tmp_path: Path, capsys: Any):
    """A CSV file is read and typed as an import does it, and progress is told one object a line."""
    model = write_file(tmp_path / "m", COLUMNS)
    (tmp_path / "new.csv").write_text("size,rate,flag\n9,0,S0\n2,0.5,SF\n")
    arguments = ["--model", str(model), "--data", str(tmp_path / "new.csv"), "--out", str(tmp_path / "p")]
    assert main(["workbench", "predict", *arguments, "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shares = [event["fraction"] for event in events if event["event"] == "stage"]
    assert shares == sorted(shares)
    assert events[-1]["state"] == "done"
    assert json.loads((tmp_path / "p" / "summary.json").read_text())["source"] == "new.csv"
