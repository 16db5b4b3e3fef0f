"""Files appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aggregator.appearing import appearing

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    """Until then what was there before is, and what a crash would leave is told by its ending; folders are made."""
    path = tmp_path / "deep" / "x.json"
    for text in ("before", "whole"):
        with appearing(path) as beside:
            beside.write_text(text)
            assert beside.suffix == ".tmp"
            assert not path.exists() or path.read_text() == "before"
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_breaks_off_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    """And nothing beside it."""
    path = tmp_path / "x.json"
    path.write_text("before")
    with pytest.raises(error), appearing(path) as beside:
        beside.write_text("half")
        raise error
    assert [(one, one.read_text()) for one in tmp_path.iterdir()] == [(path, "before")]


def test_two_who_write_the_same_do_not_meet(tmp_path: Path) -> None:
    """The later rename stands."""
    path = tmp_path / "x.json"
    with appearing(path) as one, appearing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
