"""The supervisor: restarts what dies, ends on what a person must settle, and stops in order."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from agent import supervisor
from agent.backoff import Backoff
from agent.clock import SystemClock
from agent.config import AgentConfig
from agent.errors import AggregatorAway, ModelRefused
from agent.state import StateDir
from agent.supervisor import Child, Supervisor, install_first_model
from protos.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

SLEEP = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print(1, flush=True); time.sleep(60)"


class CountingClock(SystemClock):
    """Stops the supervisor after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks
        self.supervisor: Supervisor | None = None

    def wait(self, seconds: float) -> bool:
        self.looks -= 1
        if self.looks <= 0 and self.supervisor is not None:
            self.supervisor.stop()
        return super().wait(min(seconds, 0.03))


def child(code: str, tmp_path: Path, name: str = "child") -> Child:
    log = tmp_path / f"{name}.log"
    line = f"open({str(log)!r}, 'a').write('x'); {code}"
    return Child(name, [sys.executable, "-Ic", line], {}, Backoff(lambda: 0.0))


def starts(tmp_path: Path, name: str) -> int:
    file = tmp_path / f"{name}.log"
    return len(file.read_text()) if file.exists() else 0


def run(tmp_path: Path, sensor: str, shipper: str, *, looks: int = 12, replay: bool = False, waiting: int = 0) -> int:
    clock = CountingClock(looks)
    made = Supervisor(
        sensor=child(sensor, tmp_path, "sensor"),
        shipper=child(shipper, tmp_path, "shipper"),
        replay=replay,
        waiting=lambda: waiting,
        drain_timeout_s=0.3,
        clock=clock,
        patience=SystemClock(),
    )
    clock.supervisor = made
    return made.run()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_FAREWELL_S", 0.2)


def test_what_dies_is_started_again(tmp_path: Path) -> None:
    """A crash of either process is followed by a fresh one, and a stop ends both cleanly."""
    assert run(tmp_path, "raise SystemExit(1)", SLEEP, looks=30) == ExitCode.OK
    assert starts(tmp_path, "sensor") > 1
    assert starts(tmp_path, "shipper") == 1
    assert run(tmp_path, SLEEP, "raise SystemExit(7)", looks=30) == ExitCode.OK
    assert starts(tmp_path, "shipper") > 2


@pytest.mark.parametrize("code", [ExitCode.CONFIG, ExitCode.SOURCE, ExitCode.PERMISSION, ExitCode.STATE])
def test_what_a_person_must_settle_ends_everything(tmp_path: Path, code: ExitCode) -> None:
    """A wrong setting does not loop: the exit code of the process is the exit code of the whole."""
    pair = [f"raise SystemExit({int(code)})", SLEEP]
    assert run(tmp_path, *pair, looks=1000) == code


def test_the_shippers_word_counts_too(tmp_path: Path) -> None:
    """A shipper that cannot work for a reason a person must settle ends everything as well."""
    assert run(tmp_path, SLEEP, f"raise SystemExit({int(ExitCode.CONFIG)})", looks=1000) == ExitCode.CONFIG


def test_a_replay_ends_when_it_is_sent(tmp_path: Path) -> None:
    """After the last flow is sent the whole ends with the sensor's code."""
    assert run(tmp_path, "raise SystemExit(0)", SLEEP, replay=True, looks=1000) == ExitCode.OK
    assert run(tmp_path, "raise SystemExit(4)", SLEEP, replay=True, looks=1000) == ExitCode.SOURCE


def test_a_replay_that_cannot_be_sent_says_so(tmp_path: Path) -> None:
    """With the aggregator away a replay ends after its time-out, and says that nothing is lost."""
    with pytest.raises(AggregatorAway, match=r"3 records are still in the spool.*Nothing is lost"):
        run(tmp_path, "raise SystemExit(0)", SLEEP, replay=True, waiting=3, looks=1000)


def test_a_sensor_that_crashes_in_a_replay_is_an_error(tmp_path: Path) -> None:
    """A replay is not begun again by itself: flows would be sent twice."""
    assert run(tmp_path, "import os; os.kill(os.getpid(), 9)", SLEEP, replay=True, looks=1000) == ExitCode.FAILED
    assert starts(tmp_path, "sensor") == 1


def test_a_process_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """A stop is a stop."""
    stubborn = child("import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(60)", tmp_path)
    stubborn.start(0.0)
    while not starts(tmp_path, "child"):
        SystemClock().wait(0.01)
    SystemClock().wait(0.2)
    assert stubborn.stop(0.2) == -9
    assert stubborn.stop(0.2) is None


class TestFirstModel:
    """The model a new agent starts with."""

    def test_is_installed_once(self, tmp_path: Path, onnx_models: ModuleType) -> None:
        """It is used while none is installed, and never rolls back what came later."""
        state = StateDir(tmp_path / "state")
        state.prepare()
        first = onnx_models.write_model(tmp_path / "a.onnx", name="a")
        onnx_models.write_model(tmp_path / "b.onnx", name="b")
        install_first_model(AgentConfig(), state)
        install_first_model(AgentConfig(model=tmp_path / "a.onnx"), state)
        install_first_model(AgentConfig(model=tmp_path / "b.onnx"), state)
        assert state.current.resolve().stem == first

    def test_a_bad_one_ends_the_start(self, tmp_path: Path, onnx_models: ModuleType) -> None:
        """A model the operator named and that cannot run is said at once."""
        state = StateDir(tmp_path / "state")
        state.prepare()
        onnx_models.write_foreign(tmp_path / "a.onnx")
        with pytest.raises(ModelRefused, match="another feature contract"):
            install_first_model(AgentConfig(model=tmp_path / "a.onnx"), state)
