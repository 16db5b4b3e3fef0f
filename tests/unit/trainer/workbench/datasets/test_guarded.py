"""CSV for spreadsheets: what would run as a formula is text, and everything else is what it was."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.workbench.datasets.guarded import guard, write_csv, write_parquet_as_csv


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "-5"),
        (-5, -5),
        (-0.5, -0.5),
        ("plain = text", "plain = text"),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
        (True, "true"),
        (dt.datetime(2026, 1, 31, tzinfo=dt.UTC), "2026-01-31 00:00:00.000+00:00"),
    ],
)
def test_cells(value, cell):
    """Texts that begin a formula get an apostrophe; numbers and ordinary texts stay."""
    assert guard(value) == cell


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20), min_size=1, max_size=5
    )
)
def test_no_cell_that_leaves_begins_a_formula(values):
    """Whatever the texts, no cell of the file begins with a sign of a formula unless it is a plain number."""
    out = io.StringIO(newline="")
    write_csv(out, values, [values])
    for row in csv.reader(io.StringIO(out.getvalue(), newline="")):
        for cell in row:
            if cell.lstrip(" ")[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}:
                float(cell)  # or it is no plain number, and this fails


def test_names_are_guarded_too_and_rows_counted(tmp_path):
    """Column names are other people's text as well; a Parquet file goes out in batches."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"=evil()": ["=x", None, "a,b"], "n": [1, -2, None]}), path)
    out = io.StringIO(newline="")
    assert write_parquet_as_csv(path, out, batch_rows=2) == 3
    assert out.getvalue() == "'=evil(),n\r\n'=x,1\r\n,-2\r\n\"a,b\",\r\n"
