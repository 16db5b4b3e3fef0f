"""Tables are read as they are, and what cannot be read is refused in words that name the file."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from trainer.errors import SourceMissing, TableUnreadable
from trainer.tables import reading
from trainer.tables.table import Table, as_words, together

if TYPE_CHECKING:
    from pathlib import Path


def _file(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_numbers_words_and_gaps(tmp_path: Path, name: str) -> None:
    """Infinities and gaps are numbers still; spaces around names and words go."""
    table = reading.read(_file(tmp_path, " a ,b,c\n1,Infinity, tcp\n2.5,,udp\n,NaN,icmp\n", name))
    assert list(table.columns) == ["a", "b", "c"]
    assert table.columns["a"].tolist()[:2] == [1.0, 2.5]
    assert np.isnan(table.columns["a"][2])
    assert table.columns["b"][0] == np.inf
    assert np.isnan(table.columns["b"][1:]).all()
    assert table.columns["c"].tolist() == ["tcp", "udp", "icmp"]
    assert len(table.sha256) == 64


def test_a_file_without_a_header_gets_the_names_it_is_given(tmp_path: Path) -> None:
    """The first line is a row then."""
    table = reading.read(_file(tmp_path, "1,x\n2,y\n"), ["number", "word"])
    assert table.rows == 2
    assert table.columns["word"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"t\.csv.*empty|Empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n1,2,3\n", "as many values"),
        ("a,a\n1,2\n", "more than one column is called 'a'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, match: str) -> None:
    """Empty, without rows, ragged, a name twice."""
    with pytest.raises(TableUnreadable, match=match):
        reading.read(_file(tmp_path, text))


def test_a_broken_gzip_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """Not a stack trace of a library."""
    (tmp_path / "broken.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 500)[:-30])
    with pytest.raises(TableUnreadable, match=r"broken\.csv\.gz"):
        reading.read(tmp_path / "broken.csv.gz")
    with pytest.raises(SourceMissing, match="does not exist"):
        reading.read(tmp_path / "none.csv")
    with pytest.raises(SourceMissing, match="does not exist"):
        reading.first_line(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A capture given for a table."""
    (tmp_path / "t.csv").write_bytes(bytes(range(128, 256)) * 4)
    with pytest.raises(TableUnreadable, match=r"t\.csv"):
        reading.first_line(tmp_path / "t.csv")


def test_a_column_that_is_not_there_is_an_error_that_says_what_it_was_for() -> None:
    """And shows the columns there are."""
    table = Table("t.csv", {"a": np.zeros(2)})
    with pytest.raises(TableUnreadable, match="no column 'class', which holds the label; its columns are a"):
        table.column("class", "the label")


def test_codes_read_as_numbers_are_words_without_a_point() -> None:
    """A label 1 is `1`, in whatever way it was read."""
    assert as_words(np.array([1.0, 0.0])).tolist() == ["1", "0"]


def test_two_files_become_one_table_even_if_a_column_was_read_differently() -> None:
    """A service column that holds only numbers in one of the files stays one of words."""
    first = Table("a", {"service": np.array(["http", "53"]), "n": np.array([1.0, 2.0])})
    second = Table("b", {"n": np.array([3.0]), "service": np.array([53.0])})
    both = together(first, second)
    assert both.columns["service"].tolist() == ["http", "53", "53"]
    assert both.columns["n"].tolist() == [1, 2, 3]
    with pytest.raises(TableUnreadable, match="lacks columns that a has: n"):
        together(first, Table("b", {"service": np.array(["x"])}))
