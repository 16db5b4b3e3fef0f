"""Hostile and broken uploads: each is refused with a sentence that says what is wrong and what to do."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tracemalloc
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tables_in_files as files

from trainer.errors import DataError
from trainer.workbench.datasets.importing import Asked, import_table
from trainer.workbench.datasets.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [("a", "b"), (1, 2), (3, 4)]
SMALL = Limits(max_bytes=10_000, max_rows=100, max_columns=50)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Hostile:
    """An upload, and what the refusal must say."""

    id: str
    name: str
    data: Callable[[], bytes]
    says: tuple[str, ...]
    limits: Limits = Limits()
    encoding: str | None = None


def random_zip_member_bomb() -> bytes:
    return files.zip_bytes({"table.csv": b"a,b\n" + b"1,2\n" * (20 * MIB)})


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    block = b"0" * MIB
    parts = [packer.compress(b"a,b\n")]
    parts += [packer.compress(block) for _ in range(100)]
    return b"".join([*parts, packer.flush()])


def xlsx_bomb() -> bytes:
    return files.xlsx_bytes({"S": files.sheet_xml(ROWS)}, {"xl/media/image1.bin": b"\0" * (100 * MIB)})


def xlsx_far_cell() -> bytes:
    xml = files.sheet_xml(ROWS).replace(
        "</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    )
    return files.xlsx_bytes({"S": xml})


def xlsx_laughs() -> bytes:
    entities = '<!DOCTYPE lolz [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(9)
    )
    xml = files.sheet_xml([("a", "b"), ("LAUGH", 2)]).replace("LAUGH", "&j;")
    return files.xlsx_bytes({"S": xml.replace("<worksheet", entities + "]><worksheet")})


def xls_far_cell() -> bytes:
    return files.xls_bytes([(0, 0, "a"), (0, 1, "b"), (1, 0, 1.0), (65_535, 60_000, 1.0)])


def parquet_claims_rows() -> bytes:
    return files.parquet_bytes({"a": pa.array([1] * 200)})


def parquet_repeats_a_megabyte() -> bytes:
    big = pa.DictionaryArray.from_arrays(pa.array([0] * 16_384, pa.int32()), pa.array(["x" * (MIB // 2)]))
    out = io.BytesIO()
    pq.write_table(pa.table({"a": big}), out)
    return out.getvalue()


def parquet_damaged() -> bytes:
    data = bytearray(files.parquet_bytes({"a": list(range(5000)), "b": ["x"] * 5000}))
    data[200:1200] = bytes(1000)
    return bytes(data)


def pcap_of_nothing() -> bytes:
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)


def text_csv(text: str) -> Callable[[], bytes]:
    return lambda: text.encode()


WIDE = ",".join(f"c{at}" for at in range(10_000))
DEEP = '[{"a": ' * 60 + "1" + "}]" * 60
CASES = [
    Hostile("empty file", "t.csv", lambda: b"", ("is empty", "header and rows")),
    Hostile("only blank lines", "t.csv", lambda: b"\n\n  \n", ("no row below",)),
    Hostile("header only", "t.csv", text_csv("a,b,c\n"), ("a header and no row",)),
    Hostile("too large", "t.csv", lambda: b"a,b\n" + b"1,2\n" * 5000, ("larger than 9.77 KiB", "max-bytes"), SMALL),
    Hostile("too many rows", "t.csv", lambda: b"a,b\n" + b"1,2\n" * 150, ("more than 100 rows", "max-rows"), SMALL),
    Hostile("10,000 columns", "t.csv", text_csv(f"{WIDE}\n{WIDE}\n"), ("10,000 columns", "2,000", "max-columns")),
    Hostile("10,000 columns of JSON", "t.json", lambda: json.dumps([dict.fromkeys(WIDE.split(","), 1)]).encode(), ("columns", "max-columns")),
    Hostile("columns grow record by record", "t.jsonl", lambda: b"".join(b'{"k%d": 1}\n' % at for at in range(60)), ("max-columns",), SMALL),
    Hostile("gzip bomb", "t.csv.gz", gzip_bomb, ("200 times larger", "max-ratio")),
    Hostile("gzip over the expanded limit", "t.csv.gz", lambda: files.gzip_bytes(files.csv_bytes([("a", "b"), *[(at, at) for at in range(2000)]])), ("max-expanded-bytes",), Limits(max_expanded_bytes=10_000)),
    Hostile("zip bomb", "t.zip", random_zip_member_bomb, ("200 times larger", "max-ratio")),
    Hostile("xlsx bomb", "t.xlsx", xlsx_bomb, ("200 times larger", "max-ratio")),
    Hostile("gzip in gzip", "t.csv.gz.gz", lambda: files.gzip_bytes(files.gzip_bytes(files.csv_bytes(ROWS))), ("archive lies inside an archive",)),
    Hostile("zip in zip", "t.zip", lambda: files.zip_bytes({"inner.zip": files.zip_bytes({"t.csv": files.csv_bytes(ROWS)})}), ("archive lies inside an archive",)),
    Hostile("zip of two tables", "t.zip", lambda: files.zip_bytes({"a.csv": b"a\n1\n", "b.csv": b"a\n1\n"}), ("holds 2 files", "exactly one")),
    Hostile("empty zip", "t.zip", lambda: files.zip_bytes({}), ("empty zip archive",)),
    Hostile("zip of an empty file", "t.zip", lambda: files.zip_bytes({"t.csv": b""}), ("holds an empty file",)),
    Hostile("truncated gzip", "t.csv.gz", lambda: files.gzip_bytes(files.csv_bytes(ROWS * 500))[:-20], ("damaged or cut off",)),
    Hostile("truncated zip", "t.zip", lambda: files.zip_bytes({"t.csv": files.csv_bytes(ROWS * 500)})[:-40], ("damaged or cut off",)),
    Hostile("long line", "t.csv", text_csv("a,b\n1,2\n1,2,3\n4,5\n"), ("line 3", "3 values", "first line has 2")),
    Hostile("short line", "t.csv", text_csv("a,b,c\n1,2,3\n\n4,5\n"), ("line 4", "2 values")),
    Hostile("ragged after quoted line ends", "t.csv", text_csv('a,b\n"x\ny\nz",2\n1,2\n1\n'), ("line 6", "1 values")),
    Hostile("quote never closed", "t.csv", lambda: b'a,b\n1,2\n"3,4\n' + b"5,6\n" * (3 * MIB), ("max-cell-bytes", "never closed")),
    Hostile("huge cell", "t.csv", lambda: b"a,b\n1," + b"x" * (2 * MIB) + b"\n", ("larger than 1 MiB", "max-cell-bytes")),
    Hostile("huge cell of JSON", "t.json", lambda: json.dumps([{"a": "x" * (2 * MIB)}]).encode(), ("max-cell-bytes",)),
    Hostile("zero bytes", "t.csv", lambda: b"a,b\n1,2\n3\0,4\n", ("zero bytes", "binary")),
    Hostile("random bytes", "t.csv", lambda: bytes((at * 197 + 13) % 256 for at in range(5000)), ("zero bytes",)),
    Hostile("not the named encoding", "t.csv", lambda: b"a,b\n1,\xff\xfe\n", ("UTF-8",), Limits(), "utf-8"),
    Hostile("no known encoding", "t.csv", lambda: b"a,b\n1,\x81\x8d\xff\n", ("neither UTF-8 nor Windows-1252",)),
    Hostile("broken UTF-16", "t.csv", lambda: b"\xff\xfe" + "a,b\n1,2\n".encode("utf-16-le") + b"\x00\xd8\x00", ("UTF-16",)),
    Hostile("pickle", "t.csv", lambda: pickle.dumps({"a": [1, 2]}), ("pickle", "never opened")),
    Hostile("joblib", "model.joblib", lambda: zlib.compress(pickle.dumps([1] * 100)), ("joblib", "never opened")),
    Hostile("pickle in gzip", "t.csv.gz", lambda: files.gzip_bytes(pickle.dumps([1])), ("pickle", "never opened")),
    Hostile("keras archive", "m.keras", lambda: files.zip_bytes({"config.json": b"{}", "model.weights.h5": b"x"}), ("saved model", "never opened")),
    Hostile("h5", "m.h5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), ("HDF5",)),
    Hostile("pytorch archive", "t.zip", lambda: files.zip_bytes({"archive/data.pkl": b"x"}), ("saved model",)),
    Hostile("numpy", "t.npy", lambda: b"\x93NUMPY\x01\x00" + bytes(100), ("NumPy",)),
    Hostile("sqlite file", "t.csv", lambda: b"SQLite format 3\0" + bytes(100), ("SQLite database", "query")),
    Hostile("PDF called CSV", "t.csv", lambda: b"%PDF-1.7\n%\xe2\xe3", ("PDF",)),
    Hostile("web page called CSV", "t.csv", lambda: b"<!DOCTYPE html><html><body>login</body></html>", ("web page",)),
    Hostile("Excel called CSV", "t.csv", lambda: files.xlsx_bytes({"S": files.sheet_xml(ROWS)}), ("says a table of delimited text", "content is an Excel")),
    Hostile("CSV called Excel", "t.xlsx", lambda: files.csv_bytes(ROWS), ("says an Excel file", "delimited text")),
    Hostile("CSV called Parquet", "t.parquet", lambda: files.csv_bytes(ROWS), ("says Parquet",)),
    Hostile("Parquet called CSV", "t.csv", lambda: files.parquet_bytes({"a": [1]}), ("content is Parquet",)),
    Hostile("gzip called CSV", "t.csv", lambda: files.gzip_bytes(files.csv_bytes(ROWS)), ("packed with gzip", "t.csv.gz")),
    Hostile("CSV called JSON", "t.json", lambda: files.csv_bytes(ROWS), ("says JSON",)),
    Hostile("CSV called capture", "t.pcap", lambda: files.csv_bytes(ROWS), ("says a network capture",)),
    Hostile("xz", "t.csv.xz", lambda: b"\xfd7zXZ\0" + bytes(50), ("xz", "gzip instead")),
    Hostile("program", "t.csv", lambda: b"\x7fELF" + bytes(100), ("a program",)),
    Hostile("Excel entities", "t.xlsx", xlsx_laughs, ("XML entities",)),
    Hostile("Excel far cell", "t.xlsx", xlsx_far_cell, ("17,179,869,184 cells", "max-excel-cells")),
    Hostile("old Excel far cell", "t.xls", xls_far_cell, ("Excel file",)),
    Hostile("Excel ragged", "t.xlsx", lambda: files.xlsx_bytes({"S": files.sheet_xml([("a", "b"), (1, 2, 3)])}), ("more columns than the header",)),
    Hostile("Excel header only", "t.xlsx", lambda: files.xlsx_bytes({"S": files.sheet_xml([("a", "b")])}), ("a header and no row",)),
    Hostile("Excel empty sheet", "t.xlsx", lambda: files.xlsx_bytes({"S": files.sheet_xml([])}), ("is empty",)),
    Hostile("Excel damaged", "t.xlsx", lambda: files.zip_bytes({"xl/workbook.xml": b"<workbook", "[Content_Types].xml": b"<"}), ("Excel file is damaged",)),
    Hostile("old Excel damaged", "t.xls", lambda: files.xls_bytes([(0, 0, "a"), (1, 0, 1.0)])[:1500], ("Excel file is damaged",)),
    Hostile("binary Excel", "t.xlsx", lambda: files.zip_bytes({"xl/workbook.bin": b"x"}), ("xlsb", "xlsx")),
    Hostile("JSON too deep", "t.json", lambda: DEEP.encode(), ("deeper", "max-depth")),
    Hostile("JSON far too deep", "t.json", lambda: b"[" * 200_000, ("deeper", "max-depth")),
    Hostile("JSON cut off", "t.json", lambda: b'[{"a": 1}, {"a": 2}', ("cut off",)),
    Hostile("JSON lines broken", "t.jsonl", lambda: b'{"a": 1}\n{"a": 2}\n{"a" 3}\n{"a": 4}\n', ("line 3", "not JSON")),
    Hostile("JSON of numbers", "t.json", lambda: b"[1, 2, 3]", ("number where a record is expected",)),
    Hostile("JSON of nothing", "t.json", lambda: b"[]", ("no records",)),
    Hostile("JSON of empty records", "t.json", lambda: b"[{}, {}]", ("records in it are empty",)),
    Hostile("JSON number without end", "t.json", lambda: b'[{"a": ' + b"9" * 10_000 + b"}]", ("too many digits",)),
    Hostile("Parquet damaged", "t.parquet", parquet_damaged, ("Parquet file is damaged",)),
    Hostile("Parquet cut off", "t.parquet", lambda: files.parquet_bytes({"a": [1, 2]})[:-30], ("Parquet file is damaged",)),
    Hostile("Parquet of nothing", "t.parquet", lambda: files.parquet_bytes({"a": pa.array([], pa.int64())}), ("no rows",)),
    Hostile("Parquet too long", "t.parquet", parquet_claims_rows, ("max-rows",), Limits(max_rows=100)),
    Hostile("Parquet repeats a megabyte", "t.parquet", parquet_repeats_a_megabyte, ("max-cell-bytes",)),
    Hostile("capture of nothing", "t.pcap", pcap_of_nothing, ("no flow",)),
    Hostile("capture damaged", "t.pcap", lambda: b"\xd4\xc3\xb2\xa1" + b"\xff" * 100, ("t.pcap",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_refused_in_clear_words(case, tmp_path):
    """The refusal names the file, the limit or the fault, and what to do; nothing is left behind."""
    path = tmp_path / "upload"
    path.write_bytes(case.data())
    out = tmp_path / "set"
    asked = Asked(str(path), out, file_name=case.name, limits=case.limits, encoding=case.encoding)
    with pytest.raises(DataError) as refused:
        import_table(asked, lambda *_: None)
    text = str(refused.value)
    assert text.startswith("importing ")
    assert [part for part in case.says if part not in text] == [], text
    assert "; " in text, "every refusal says what to do"
    assert "Traceback" not in text
    assert list(out.iterdir()) == []


def test_a_bomb_takes_no_memory(tmp_path):
    """What would unpack to far more than it is never lies in memory as a whole."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip_bomb())
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            import_table(Asked(str(path), tmp_path / "set"), lambda *_: None)
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()
