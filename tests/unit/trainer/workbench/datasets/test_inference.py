"""Types of loose columns: a table of columns, the type each one gets, and what is said about it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from trainer.workbench.datasets.inference import Loose

CASES = [
    ("whole numbers", ["1", "-2", "+3", None], "integer", [1, -2, 3, None], ""),
    ("numbers", ["1", "2.5", "-1e3", ".5", "3."], "number", [1.0, 2.5, -1000.0, 0.5, 3.0], ""),
    ("spaces around", [" 1", "2 ", "\t3"], "integer", [1, 2, 3], ""),
    ("missing spellings", ["1", "NA", "?", "null", "nan", "", "None"], "integer", [1] + [None] * 6, ""),
    ("codes", ["007", "010", "123"], "words", ["007", "010", "123"], "begin with zeros"),
    ("zero itself", ["0", "0.5", "-0"], "number", [0.0, 0.5, 0.0], ""),
    ("hexadecimal", ["0x10", "0x20"], "words", ["0x10", "0x20"], ""),
    ("truths", ["true", "False", "TRUE", None], "boolean", [True, False, True, None], ""),
    ("yes and no", ["yes", "No"], "boolean", [True, False], ""),
    ("infinite", ["1.5", "Infinity", "-inf", "2"], "number", [1.5, None, None, 2.0], "infinite values in 2 rows"),
    ("whole and infinite", ["1", "inf"], "number", [1.0, None], "infinite values in one row"),
    ("decimal commas", ["1,5", "2,25", "3"], "number", [1.5, 2.25, 3.0], "comma as its decimal sign"),
    ("unclear commas", ["1,500", "2,250"], "words", ["1,500", "2,250"], "decimals or thousands"),
    ("mostly numbers", [str(at) for at in range(39)] + ["error"], "integer", [*range(39), None], "error"),
    ("mixed", ["1", "2", "x", "y"], "words", ["1", "2", "x", "y"], "mixes numbers (2 rows) with words (2 rows"),
    ("words", ["a", "b", "-"], "words", ["a", "b", "-"], ""),
    ("huge whole numbers", ["12345678901234567890", "1"], "number", [12345678901234567890.0, 1.0], ""),
    ("unclear dates", ["01/02/2026", "03/04/2026"], "words", ["01/02/2026", "03/04/2026"], "cannot be told apart"),
    ("empty", [None, None], "words", [None, None], "is empty"),
]
MOMENTS = [
    (["2026-01-31", "2026-02-01"], "2026-01-31T00:00:00+00:00", ""),
    (["2026-01-31 10:00:00.123456", "2026-01-31 10:00:01"], "2026-01-31T10:00:00.123000+00:00", ""),
    (["2026-01-31T10:00:00Z"], "2026-01-31T10:00:00+00:00", ""),
    (["2026-01-31T10:00:00+02:00"], "2026-01-31T08:00:00+00:00", ""),
    (["9999-12-31"], "9999-12-31T00:00:00+00:00", ""),
    (["31/01/2026 08:55", "01/02/2026 09:00"], "2026-01-31T08:55:00+00:00", "day first"),
    (["01/31/2026 8:55:00 PM", "02/01/2026 1:00:00 AM"], "2026-01-31T20:55:00+00:00", "month first"),
    (["2026/01/31", "2026/02/01"], "2026-01-31T00:00:00+00:00", "year first"),
]


def settle(values, cut=None):
    column = Loose("c")
    tidied = [column.tidy(pa.array(part, pa.string())) for part in ([values] if cut is None else [values[:cut], values[cut:]])]
    for part in tidied:
        column.see(part)
    column.decide()
    return column, [value for part in tidied for value in column.cast(part).to_pylist()]


@pytest.mark.parametrize("cut", [None, 1], ids=["at once", "in two batches"])
@pytest.mark.parametrize(("values", "kind", "gives", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_types(values, kind, gives, says, cut):
    """The type follows from all values however they are cut into batches, and what was decided is said."""
    column, found = settle(values, cut)
    assert (column.kind, found) == (kind, gives)
    assert says in " ".join(column.warnings)
    assert bool(column.warnings) == bool(says)


@pytest.mark.parametrize(("values", "first", "says"), MOMENTS)
def test_moments(values, first, says):
    """Times in the usual spellings become UTC milliseconds; which way they were read is said."""
    column, found = settle(values)
    assert column.kind == "time"
    assert found[0].isoformat() == first
    assert says in " ".join(column.warnings)


def test_a_word_late_in_the_column_is_not_overlooked():
    """A column of numbers whose last batch holds only words is mixed, not numbers."""
    column, found = settle(["1"] * 50 + ["x"] * 50, 50)
    assert column.kind == "words"
    assert found[0] == "1"
