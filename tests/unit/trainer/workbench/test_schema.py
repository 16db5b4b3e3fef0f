"""What is said when a new table does not have the columns a model was made on."""

from __future__ import annotations

import pytest

from trainer.errors import ColumnsMissing
from trainer.workbench.prediction import schema
from trainer.workbench.prediction.opened import Wanted

WANTED = (
    Wanted("c0", "src_bytes", "number", "number", 5.0),
    Wanted("c1", "dst_bytes", "number", "number", 5.0),
    Wanted("c2", "hot", "number", "number", 5.0),
    Wanted("c3", "flag", "categorical", "word", "SF", words=frozenset({"SF"})),
)


def test_exact_names_are_taken_in_any_order():
    """A table with the very columns, in any order, is taken without a word."""
    found = schema.match(WANTED, ("flag", "hot", "dst_bytes", "src_bytes"))
    assert found.taken == ("src_bytes", "dst_bytes", "hot", "flag")
    assert found.notes == ()


@pytest.mark.parametrize("name", ["src-bytes", "SRC_BYTES", "Src Bytes", "src.bytes"])
def test_look_alikes_are_suggested_and_not_taken(name: str):
    """A name spelt differently is suggested, and its column filled as missing, until a person says it is the same."""
    found = schema.match(WANTED, (name, "dst_bytes", "hot", "flag"))
    assert found.taken[0] is None
    assert found.suggestions == (schema.Suggestion(name, "src_bytes"),)
    assert any(f"{name} looks like src_bytes" in note for note in found.notes)
    told = schema.match(WANTED, (name, "dst_bytes", "hot", "flag"), renames={name: "src_bytes"})
    assert told.taken[0] == name
    assert told.missing == ()


def test_two_that_look_alike_suggest_nothing():
    """Where two columns look like the missing one, only a person knows which it is."""
    found = schema.match(WANTED, ("src-bytes", "src bytes", "dst_bytes", "hot", "flag"))
    assert found.suggestions == ()
    assert found.extra == ("src-bytes", "src bytes")


def test_missing_columns_are_filled_and_named_with_the_value():
    """A missing column is named with what was put in its place."""
    found = schema.match(WANTED, ("src_bytes", "dst_bytes", "hot", "colour"))
    assert found.missing == ("flag",)
    assert any("flag (SF)" in note for note in found.notes)
    assert any("colour" in note and "left aside" in note for note in found.notes)


def test_too_many_missing_columns_are_refused_with_the_way_out():
    """More than a third missing is refused, naming what is there, what looks renamed, and how to go on."""
    with pytest.raises(ColumnsMissing, match=r"lacks 2 of the 4 .*src-bytes as src_bytes.*--rename"):
        schema.match(WANTED, ("src-bytes", "hot", "flag"))
    assert schema.match(WANTED, ("hot", "flag"), fill=True).missing == ("src_bytes", "dst_bytes")
    with pytest.raises(ColumnsMissing):
        schema.match(WANTED, ("colour",), fill=True)


def test_the_label_is_neither_missing_nor_extra():
    """The label column of the run is known, though the model does not want it."""
    found = schema.match(WANTED, ("flag", "hot", "dst_bytes", "src_bytes", "class"), label="class")
    assert found.extra == ()


@pytest.mark.parametrize("renames", [{"nothing": "hot"}, {"flag": "colour"}, {"flag": "hot", "hot": "hot"}])
def test_impossible_renames_are_refused(renames: dict[str, str]):
    """A rename of a column that is not there, to one the model does not have, or of two to one, is refused."""
    with pytest.raises(ColumnsMissing, match="renaming"):
        schema.match(WANTED, ("flag", "hot"), renames=renames, fill=True)
