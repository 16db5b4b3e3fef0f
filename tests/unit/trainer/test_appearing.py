"""Files appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from trainer.appearing import appearing, write
from trainer.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    """Until then what was there before is; folders on the way are made."""
    path = tmp_path / "deep" / "x.json"
    write(path, b"before")
    with appearing(path) as beside:
        beside.write_bytes(b"half")
        assert path.read_bytes() == b"before"
        assert beside.parent == path.parent, "a rename does not cross file systems"
        beside.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_breaks_off_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    """And nothing beside it, even if nothing was written yet."""
    path = tmp_path / "x.json"
    write(path, b"before")
    with pytest.raises(error), appearing(path) as beside:
        beside.write_bytes(b"half")
        raise error
    with pytest.raises(error), appearing(path):
        raise error
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(path, b"before")]


def test_what_cannot_be_written_is_said_with_its_place(tmp_path: Path) -> None:
    """A file in the way of a folder, and a folder in the way of the file."""
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    for path in (tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(OutputError, match=f"writing {path}: .*; check the folder"):
            write(path, b"")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_is_as_readable_as_any_that_its_writer_makes(tmp_path: Path) -> None:
    """The umask says who may read it."""
    before = os.umask(0o027)
    try:
        write(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
