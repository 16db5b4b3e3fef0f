"""Small files: they appear by rename, and a damaged one is as good as none."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from agent.errors import StateError
from agent.state import StateDir, read_json, replace_json, replace_text, stamp
from protos.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


def test_prepare_makes_the_directories_for_the_owner_alone(tmp_path: Path) -> None:
    """State may hold addresses: nobody else reads it."""
    state = StateDir(tmp_path / "a" / "b")
    state.prepare()
    assert state.root.stat().st_mode & 0o777 == 0o700
    assert state.models.is_dir()
    assert list(state.root.iterdir()) == [state.models]


def test_prepare_says_what_to_do(tmp_path: Path) -> None:
    """A state directory that cannot be is an error with a remedy."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="--state-dir"):
        StateDir(tmp_path / "file" / "state").prepare()


def test_prepare_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing rights have an exit code of their own. The kernel's refusal is injected: root may write everywhere."""

    def refuse(path: str, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(StateError) as caught:
        StateDir(tmp_path / "closed" / "state").prepare()
    assert caught.value.exit_code is ExitCode.PERMISSION


def test_replace_is_all_or_nothing(tmp_path: Path) -> None:
    """A file is replaced as a whole; a failure leaves the old one and no rubbish."""
    file = tmp_path / "x.json"
    replace_json(file, {"a": 1})
    before = stamp(file)
    replace_json(file, {"a": 2}, durable=True)
    assert read_json(file) == {"a": 2}
    assert stamp(file) != before
    with pytest.raises(OSError, match="No such file"):
        replace_text(tmp_path / "no" / "x", "")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    """What cannot be understood is treated as absent."""
    file = tmp_path / "x.json"
    file.write_bytes(content)
    assert read_json(file) == {}
    assert read_json(tmp_path / "absent") == {}
    assert stamp(tmp_path / "absent") == (0, 0, 0)
