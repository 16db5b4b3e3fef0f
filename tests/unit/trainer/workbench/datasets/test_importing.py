"""One table, many files: the same rows, types and digest come out of each; what was changed is said."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tables_in_files as files

from trainer.errors import DataError, SettingsUnusable, SourceMissing
from trainer.workbench.datasets.importing import Asked, import_table
from trainer.workbench.datasets.limits import Limits

HEADER = ("bytes", "rate", "flag", "seen", "good")
ROWS = [
    (10, 0.5, "SF", "2026-01-31 10:00:00", "true"),
    (-3, 1.25, "REJ", "2026-01-31 10:00:01", "false"),
    (400, None, "SF", "2026-02-01 23:59:59", "true"),
]


def text(rows=ROWS, header=HEADER, mark=",", missing=""):
    return files.csv_bytes([header, *[[missing if cell is None else cell for cell in row] for row in rows]], mark)


def bring(tmp_path, name, data, **asked):
    path = tmp_path / name
    path.write_bytes(data)
    told = []
    about = import_table(Asked(str(path), tmp_path / f"{name}.set", **asked), lambda *event: told.append(event))
    assert json.loads((tmp_path / f"{name}.set" / "about.json").read_text()) == about
    assert [fraction for _, fraction, _ in told] == sorted(fraction for _, fraction, _ in told)
    assert sorted(path.name for path in (tmp_path / f"{name}.set").iterdir()) == ["about.json", "table.parquet"]
    return about, pq.read_table(tmp_path / f"{name}.set" / "table.parquet")


def typed():
    moments = [dt.datetime.fromisoformat(row[3]).replace(tzinfo=dt.UTC) for row in ROWS]
    return {
        "bytes": pa.array([row[0] for row in ROWS], pa.int32()),
        "rate": pa.array([row[1] for row in ROWS], pa.float32()),
        "flag": pa.array([row[2] for row in ROWS]).dictionary_encode(),
        "seen": pa.array(moments, pa.timestamp("us", tz="UTC")),
        "good": pa.array([row[4] == "true" for row in ROWS]),
    }


RECORDS = [dict(zip(HEADER, (*row[:4], row[4] == "true"), strict=True)) for row in ROWS]
SAME = {
    "t.csv": text(),
    "bom.csv": b"\xef\xbb\xbf" + text(),
    "crlf.csv": text().replace(b"\n", b"\r\n"),
    "wide.csv": text().decode().encode("utf-16"),
    "silent.csv": text().decode().encode("utf-16-le"),
    "semicolon.csv": text(mark=";"),
    "t.tsv": text(mark="\t", missing="NA"),
    "pipe.txt": text(mark="|", missing="?"),
    "spaces.csv": text(mark=" , "),
    "t.csv.gz": files.gzip_bytes(text()),
    "t.zip": files.zip_bytes({"folder/inner.csv": text(), "__MACOSX/x": b"junk"}),
    "t.json": json.dumps(RECORDS).encode(),
    "indented.json": json.dumps(RECORDS, indent=2).encode(),
    "t.jsonl": b"\n".join(json.dumps(record).encode() for record in RECORDS),
    "lines.json": b"\n".join(json.dumps(record).encode() for record in RECORDS),
    "columns.json": json.dumps({name: [record[name] for record in RECORDS] for name in HEADER}).encode(),
    "wrapped.json": json.dumps({"count": 3, "data": RECORDS}).encode(),
    "t.parquet": files.parquet_bytes(typed()),
    "t.xlsx": files.xlsx_bytes({"Sheet": files.sheet_xml([HEADER, *ROWS])}),
    "t.xls": files.xls_bytes(
        (at, place, cell if isinstance(cell, str) else float(cell))
        for at, row in enumerate([HEADER, *ROWS])
        for place, cell in enumerate(row)
        if cell is not None
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_table_from_every_format(tmp_path, name):
    """Types, values, missing values and digest do not depend on the file a table came in."""
    about, table = bring(tmp_path, name, SAME[name])
    first, _ = bring(tmp_path, "reference.csv", text())
    assert about["digest"] == first["digest"], about
    assert [(column["name"], column["type"]) for column in about["columns"]] == [
        ("bytes", "integer"), ("rate", "number"), ("flag", "categorical"), ("seen", "time"), ("good", "boolean")
    ]
    assert [column["missing"] for column in about["columns"]] == [0, 1, 0, 0, 0]
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "double", "string", "timestamp[ms, tz=UTC]", "bool"
    ]
    assert table["bytes"].to_pylist() == [10, -3, 400]
    assert about["rows"] == 3
    assert about["bytes"] == (tmp_path / f"{name}.set" / "table.parquet").stat().st_size


@pytest.mark.parametrize("change", [
    (HEADER, [*ROWS[:2], ROWS[2][:2] + ("sf",) + ROWS[2][3:]]),
    (("Bytes", *HEADER[1:]), ROWS),
    (HEADER, [ROWS[1], ROWS[0], ROWS[2]]),
    (HEADER, [*ROWS, ROWS[2]]),
    (HEADER, [(10.5, *ROWS[0][1:]), *ROWS[1:]]),
], ids=["value", "name", "order", "row", "type"])
def test_another_table_has_another_digest(tmp_path, change):
    """A value, a name, the order, a row more or another type: the digest differs."""
    about, _ = bring(tmp_path, "t.csv", text(change[1], change[0]))
    first, _ = bring(tmp_path, "reference.csv", text())
    assert about["digest"] != first["digest"]


def test_formula_cells_are_kept_as_data(tmp_path):
    """What would run in a spreadsheet is a text like any other here."""
    _, table = bring(tmp_path, "t.csv", b'a,b\n=1+1,"=HYPERLINK(""x"")"\n@SUM(A1),-x\n')
    assert table["a"].to_pylist() == ["=1+1", "@SUM(A1)"]
    assert table["b"].to_pylist() == ['=HYPERLINK("x")', "-x"]
    _, saved = bring(tmp_path, "f.xlsx", files.xlsx_bytes({"S": files.sheet_xml([("a",), ("=EVIL()",), ("x",)])}))
    assert saved["a"].to_pylist() == ["saved", "x"]


def test_quoted_values_hold_anything(tmp_path):
    """Delimiters, quotation marks and line ends inside quotes belong to the value."""
    _, table = bring(tmp_path, "t.csv", b'a,b\n"x,1\ny ""q""",2\nz,3\n')
    assert table["a"].to_pylist() == ['x,1\ny "q"', "z"]


def test_duplicate_and_empty_headers_are_renamed_and_said(tmp_path):
    """No two columns are alike and none is nameless; the original and a sentence remain."""
    about, table = bring(tmp_path, "t.csv", b"x, x,,x_2,y z \n1,2,3,4,5\n6,7,8,9,0\n")
    assert table.column_names == ["x", "x_3", "column_3", "x_2", "y z"]
    assert [column.get("was") for column in about["columns"]] == [None, " x", "", None, "y z "]
    assert any("the same name" in warning for warning in about["warnings"])
    assert any("without a name" in warning for warning in about["warnings"])


def test_without_a_header_columns_are_numbered(tmp_path):
    """A first line of values is a row; who knows better can say so."""
    about, table = bring(tmp_path, "t.csv", b"0,tcp,10\n1,udp,20\n2,tcp,5\n")
    assert (about["rows"], table.column_names) == (3, ["column_1", "column_2", "column_3"])
    assert any("first line holds values" in warning for warning in about["warnings"])
    told, named = bring(tmp_path, "h.csv", b"0,tcp,10\n1,udp,20\n2,tcp,5\n", header="yes")
    assert (told["rows"], named.column_names) == (2, ["0", "tcp", "10"])


def test_another_encoding_is_read_and_said(tmp_path):
    """Western European bytes keep their letters; a named encoding is taken at its word."""
    data = "näme,b\ncafé,1\nthé,2\n".encode("cp1252")
    about, table = bring(tmp_path, "t.csv", data)
    assert table["näme"].to_pylist() == ["café", "thé"]
    assert any("Windows-1252" in warning for warning in about["warnings"])
    told, _ = bring(tmp_path, "u.csv", data, encoding="latin-1")
    assert (told["digest"], told["warnings"]) == (about["digest"], [])


def test_a_late_byte_decides_the_encoding(tmp_path):
    """A file that is plain for its first megabytes and Western European at its end keeps its letters."""
    data = b"a,b\n" + b"abc,1\n" * 300_000 + "é,2\n".encode("cp1252")
    _, table = bring(tmp_path, "t.csv", data)
    assert table["a"].to_pylist()[-1] == "é"


def test_records_with_different_fields_and_inner_objects(tmp_path):
    """A field that is not in a record is missing there; fields of inner objects are columns, lists are text."""
    data = b'[{"a": 1, "in": {"x": 1.5, "deep": {"y": "k"}}}, {"b": [1, 2], "a": null}, {"a": 3, "in": {"x": 2}}]'
    _, table = bring(tmp_path, "t.json", data)
    assert table.to_pydict() == {
        "a": [1, None, 3], "in.x": [1.5, None, 2.0], "in.deep.y": ["k", None, None], "b": [None, "[1, 2]", None]
    }


def test_a_sheet_is_chosen_by_name_or_number(tmp_path):
    """The first sheet is read and the others are named; an unknown one is refused with those there are."""
    data = files.xlsx_bytes({"First": files.sheet_xml([("a",), (1,)]), "Second": files.sheet_xml([("b",), (2,)])})
    about, table = bring(tmp_path, "t.xlsx", data)
    assert table.column_names == ["a"]
    assert any("more than one sheet" in warning and "Second" in warning for warning in about["warnings"])
    for sheet in ("Second", "2"):
        assert bring(tmp_path, f"{sheet}.xlsx", data, sheet=sheet)[1].column_names == ["b"]
    with pytest.raises(DataError, match=r"no sheet 'Third'.*First, Second"):
        bring(tmp_path, "u.xlsx", data, sheet="Third")


def test_nested_and_unusual_parquet_types(tmp_path):
    """Structures become columns, lists text, decimals and unsigned numbers numbers, dates moments; NaN is missing."""
    data = files.parquet_bytes({
        "s": pa.array([{"x": 1, "y": "a"}, {"x": 2, "y": None}]),
        "l": pa.array([[1, 2], None]),
        "d": pa.array([1, 2], pa.decimal128(5, 2)),
        "u": pa.array([2**63 + 1, 1], pa.uint64()),
        "day": pa.array([dt.date(2026, 1, 31), None]),
        "f": pa.array([float("nan"), float("inf")]),
        "z": pa.nulls(2),
        "raw": pa.array([b"\x00\xff", None]),
        "wait": pa.array([1500, None], pa.duration("ms")),
    })
    about, table = bring(tmp_path, "t.parquet", data)
    assert {column["name"]: column["type"] for column in about["columns"]} == {
        "s.x": "integer", "s.y": "categorical", "l": "categorical", "d": "number", "u": "number", "day": "time",
        "f": "number", "z": "text", "raw": "categorical", "wait": "number",
    }
    assert table["f"].null_count == 2
    assert table["wait"].to_pylist() == [1.5, None]
    assert any("infinite" in warning for warning in about["warnings"])


def test_rows_are_kept_in_order_across_batches(tmp_path):
    """A table of several row groups comes out as it went in."""
    data = b"n,w\n" + b"".join(b"%d,w%d\n" % (at, at % 7) for at in range(300_000))
    about, table = bring(tmp_path, "t.csv", data)
    assert table["n"].to_numpy().tolist() == list(range(300_000))
    assert about["columns"][1]["type"] == "categorical"
    assert pq.ParquetFile(tmp_path / "t.csv.set" / "table.parquet").num_row_groups > 1


def test_a_second_import_replaces_the_first_whole(tmp_path):
    """The same folder again: the new table with its own description; a refused one leaves the old as it was."""
    out = tmp_path / "set"
    for rows in (2, 5):
        (tmp_path / "t.csv").write_bytes(b"a,b\n" + b"1,x\n" * rows)
        import_table(Asked(str(tmp_path / "t.csv"), out), lambda *_: None)
    (tmp_path / "t.csv").write_bytes(b"a,b\n1\n")
    with pytest.raises(DataError):
        import_table(Asked(str(tmp_path / "t.csv"), out), lambda *_: None)
    assert json.loads((out / "about.json").read_text())["rows"] == 5
    assert pq.read_metadata(out / "table.parquet").num_rows == 5


@pytest.mark.parametrize(("asked", "error"), [
    ({"delimiter": "ab"}, SettingsUnusable), ({"encoding": "klingon"}, SettingsUnusable), ({"encoding": "base64"}, SettingsUnusable)
])
def test_settings_that_make_no_sense(tmp_path, asked, error):
    """A delimiter or encoding that is none is a mistake of the command, and says so."""
    with pytest.raises(error, match="reading the"):
        bring(tmp_path, "t.csv", text(), **asked)


def test_a_missing_file(tmp_path):
    """Nothing there is said as such."""
    with pytest.raises(SourceMissing, match="no such file"):
        import_table(Asked(str(tmp_path / "no.csv"), tmp_path / "set"), lambda *_: None)


def test_limits_from_words():
    """Limits are named, may have units, and an unknown or senseless one is refused."""
    limits = Limits.parse(["max-rows=10,max-bytes=2m", "max-columns=3"])
    assert (limits.max_rows, limits.max_bytes, limits.max_columns) == (10, 2 << 20, 3)
    for wrong in ("max-rowz=1", "max-rows=0", "max-rows=-1", "max-rows=x", "max-rows"):
        with pytest.raises(SettingsUnusable):
            Limits.parse([wrong])
