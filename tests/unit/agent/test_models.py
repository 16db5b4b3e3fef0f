"""Installing models: only what a capped child verified, by rename, with one to go back to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from agent import models
from agent.errors import DiskTrouble, ModelRefused
from agent.models import ModelWatch
from agent.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.prepare()
    return state


@pytest.fixture(autouse=True)
def trusting_child(monkeypatch: pytest.MonkeyPatch, onnx_models: ModuleType) -> None:
    """A verification that reads digests only; the real child is tested with the scorer and the shipper."""
    monkeypatch.setattr(models, "verify", onnx_models.file_digest)


def put(tmp_path: Path, name: str) -> Path:
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(name.encode())
    return path


def test_install_copies_and_keeps_one_to_go_back_to(state: StateDir, tmp_path: Path) -> None:
    """The newest is current, the one before it previous, older ones are removed."""
    digests = [models.install(state, put(tmp_path, name)) for name in ("one", "two", "three")]
    assert models.current_digest(state) == digests[2]
    assert models.linked_digest(state.previous) == digests[1]
    assert sorted(path.stem for path in state.models.glob("*.onnx")) == sorted(digests[1:])
    assert (tmp_path / "one.onnx").exists(), "a file from elsewhere stays where it is"


def test_installing_the_same_again_changes_nothing(state: StateDir, tmp_path: Path) -> None:
    """An offer of what is current does not lose the previous one."""
    first = models.install(state, put(tmp_path, "one"))
    second = models.install(state, put(tmp_path, "two"))
    assert models.install(state, put(tmp_path, "two")) == second
    assert models.linked_digest(state.previous) == first


def test_going_back(state: StateDir, tmp_path: Path) -> None:
    """A roll-back makes the previous model current, and the other one previous."""
    first = models.install(state, put(tmp_path, "one"))
    second = models.install(state, put(tmp_path, "two"))
    models.make_current(state, first)
    assert (models.current_digest(state), models.linked_digest(state.previous)) == (first, second)


def test_what_runs_is_what_is_gone_back_to(state: StateDir, tmp_path: Path) -> None:
    """If the sensor refused what is current and runs the one before, that one is kept."""
    good = models.install(state, put(tmp_path, "good"))
    models.install(state, put(tmp_path, "bad"))
    models.install(state, put(tmp_path, "new"), running=good)
    assert models.linked_digest(state.previous) == good


def test_a_wrong_digest_is_refused(state: StateDir, tmp_path: Path) -> None:
    """What was asked for is what is installed."""
    with pytest.raises(ModelRefused, match="fetch it again"):
        models.install(state, put(tmp_path, "one"), expected_digest="0" * 64)
    assert models.current_digest(state) == ""


def test_no_place(state: StateDir, tmp_path: Path) -> None:
    """A failing disk is a failing disk, not a bad model."""
    source = put(tmp_path, "one")
    state.models.rmdir()
    with pytest.raises(DiskTrouble, match="installing model"):
        models.install(state, source)


def test_a_link_without_a_file_is_no_model(state: StateDir) -> None:
    """Somebody who deletes the file deletes the model."""
    state.current.symlink_to("0.onnx")
    assert models.current_digest(state) == ""


class TestVerify:
    """The child, whatever it does."""

    @pytest.fixture(autouse=True)
    def trusting_child(self) -> None:
        """The real `verify` here."""

    def run(self, code: str, tmp_path: Path, timeout_s: float = 20) -> str:
        return models.verify(tmp_path / "m", command=(sys.executable, "-Ic", code), timeout_s=timeout_s)

    def test_its_word_counts(self, tmp_path: Path) -> None:
        """Yes with a digest, no with a reason."""
        assert self.run('print(\'{"ok": true, "digest": "abc"}\')', tmp_path) == "abc"
        with pytest.raises(ModelRefused, match="because"):
            self.run('print(\'{"ok": false, "detail": "because"}\')', tmp_path)

    def test_a_child_that_dies_refuses(self, tmp_path: Path) -> None:
        """Killed, crashed or silent: no model becomes current."""
        with pytest.raises(ModelRefused, match="signal 9"):
            self.run("import os; os.kill(os.getpid(), 9)", tmp_path)
        with pytest.raises(ModelRefused, match="exit code 3"):
            self.run("raise SystemExit(3)", tmp_path)
        with pytest.raises(ModelRefused, match="the check died"):
            self.run("print('hello')", tmp_path)

    def test_a_child_that_never_ends_is_ended(self, tmp_path: Path) -> None:
        """Time is capped from outside as well."""
        with pytest.raises(ModelRefused, match=r"not finished after 0\.3 s"):
            self.run("import time; time.sleep(60)", tmp_path, timeout_s=0.3)

    def test_no_child_at_all(self, tmp_path: Path) -> None:
        """A check that cannot start is no yes."""
        with pytest.raises(ModelRefused, match="could not be started"):
            models.verify(tmp_path / "m", command=("/does/not/exist",))


class TestWatch:
    """Noticing a change."""

    class Clock:
        """A second a look."""

        now = 100.0

        def monotonic(self) -> float:
            self.now += 1
            return self.now

    def test_a_change_is_told_once(self, state: StateDir, tmp_path: Path) -> None:
        """The sensor hears of each new model once, and of none while there is none."""
        watch = ModelWatch(state, self.Clock())  # type: ignore[arg-type]
        assert watch.changed() == ""
        first = models.install(state, put(tmp_path, "one"))
        assert [watch.changed(), watch.changed()] == [first, ""]
        second = models.install(state, put(tmp_path, "two"))
        models.make_current(state, first)
        assert watch.changed() == ""
        models.make_current(state, second)
        assert watch.changed() == second

    def test_it_looks_seldom(self, state: StateDir, tmp_path: Path) -> None:
        """A busy sensor does not stat the disk for every batch."""
        clock = self.Clock()
        clock.monotonic = lambda: 5.0  # type: ignore[method-assign]
        watch = ModelWatch(state, clock)  # type: ignore[arg-type]
        assert watch.changed() == ""
        models.install(state, put(tmp_path, "one"))
        assert watch.changed() == ""
