"""The sensor's loop with the real engine, real models and a real spool; only the packets are chosen."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agent import models
from agent.clock import SystemClock
from agent.config import AgentConfig
from agent.counting import TallyFile
from agent.errors import NotACapture
from agent.flow import FLOW
from agent.health import read as read_health
from agent.keeper import Keeper
from agent.meter import MeterStats
from agent.offers import read_status
from agent.pipeline import Pipeline
from agent.policy import Policy, follow, initial_policy, to_json
from agent.scorer import Scorer
from agent.sensor import Sensor, build
from agent.spool import Spool
from agent.spool_file import Kind
from agent.spool_reader import SpoolReader
from agent.state import StateDir, replace_json
from protos import contract
from protos.v1 import batch_pb2, flow_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from agent.errors import SourceError


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.prepare()
    return state


def settings(state: StateDir, **more: Any) -> AgentConfig:
    return AgentConfig(state_dir=state.root, keep_fraction=1.0, **more)


def replay(config: AgentConfig, *files: Path) -> Sensor:
    return build(config, SystemClock(), replay=files, speed=0.0, parent=0)


def spooled(state: StateDir) -> list[batch_pb2.Batch]:
    reader = SpoolReader(state)
    try:
        records = reader.lease(10_000, max_bytes=1 << 30)
    finally:
        reader.close()
    assert all(record.kind is Kind.BATCH for record in records)
    return [batch_pb2.Batch.FromString(record.payload) for record in records]


def health(state: StateDir) -> batch_pb2.SensorHealth:
    return read_health(state.health, now_ms=SystemClock().wall_ms()).health


def install(state: StateDir, path: Path, write: Callable[..., str], **more: Any) -> str:
    write(path, **more)
    return models.install(state, path)


def test_a_scan_in_a_replay_raises_alerts_with_reasons(
    state: StateDir, tmp_path: Path, tiny_pcap: ModuleType, onnx_models: ModuleType
) -> None:
    """From packets to the spool: every flow is accounted for, the scan is raised, and it says why."""
    digest = install(state, tmp_path / "m.onnx", onnx_models.write_model)
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap", ports=60, connections=10)
    sensor = replay(settings(state), capture)
    sensor.run()

    batches = spooled(state)
    columns = [contract.unpack_columns(batch.flows) for batch in batches]
    assert sum(batch.flows.rows for batch in batches) == 70
    assert {batch.model_digest for batch in batches} == {digest}
    raised = np.concatenate([column["decision"] == flow_pb2.DECISION_RAISE for column in columns])
    sources = np.concatenate([column["src_ip"] for column in columns])[raised]
    assert {contract.format_address(address.tobytes()) for address in sources} == {"10.0.0.66"}
    alerts = [alert for batch in batches for alert in batch.alerts]
    assert len(alerts) == raised.sum() > 30
    assert all(alert.score >= alert.threshold == 3.0 for alert in alerts)
    assert alerts[-1].reasons[0].feature == "src_ports_10s"
    assert "distinct ports in the last 10 s" in alerts[-1].reasons[0].text
    figures = health(state)
    assert (figures.state, figures.detail) == ("stopped", "the replay is finished")
    assert (figures.flows, figures.alerts) == (70, len(alerts))
    assert figures.source == "scan.pcap"


def test_without_a_model_flows_are_sampled(state: StateDir, tmp_path: Path, tiny_pcap: ModuleType) -> None:
    """A new agent meters and keeps samples, raises nothing, and says what it waits for."""
    replay(settings(state), tiny_pcap.write_scan(tmp_path / "scan.pcap")).run()
    batches = spooled(state)
    assert sum(batch.flows.rows for batch in batches) == 70
    assert not any(batch.alerts for batch in batches)
    assert {batch.model_digest for batch in batches} == {""}
    assert "waiting for a model" in health(state).detail


def test_each_capture_begins_without_memory(
    state: StateDir, tmp_path: Path, tiny_pcap: ModuleType, onnx_models: ModuleType
) -> None:
    """Two captures in one replay give what each gives alone: their contexts do not mix."""
    install(state, tmp_path / "m.onnx", onnx_models.write_model)
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap")
    replay(settings(state, max_alerts_per_minute=10_000), capture, capture).run()
    matrices = [contract.unpack_matrix(batch.features, batch.flows.rows) for batch in spooled(state) if batch.alerts]
    alerts = np.concatenate(matrices)
    half = len(alerts) // 2
    assert np.array_equal(alerts[:half], alerts[half:])


def test_a_truncated_capture_is_metered_as_far_as_it_goes(
    state: StateDir, tmp_path: Path, tiny_pcap: ModuleType
) -> None:
    """Everything whole is spooled, and the failure is there to be told."""
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap")
    capture.write_bytes(capture.read_bytes()[:-7])
    sensor = replay(settings(state), capture)
    sensor.run()
    assert "damaged" in str(sensor.failure)
    assert sum(batch.flows.rows for batch in spooled(state)) == 70


def test_what_is_no_capture_is_said(state: StateDir, tmp_path: Path) -> None:
    """The error reaches the caller, and the state file says why the sensor stopped."""
    (tmp_path / "x.pcap").write_text("hello")
    with pytest.raises(NotACapture):
        replay(settings(state), tmp_path / "x.pcap").run()
    assert health(state).state == "stopped"
    assert "x.pcap" in health(state).detail


def test_the_hard_cap_holds(state: StateDir, tmp_path: Path, tiny_pcap: ModuleType, onnx_models: ModuleType) -> None:
    """Beyond the cap flows are kept, not raised, and counted."""
    install(state, tmp_path / "m.onnx", onnx_models.write_model)
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap", ports=60)
    replay(settings(state, max_alerts_per_minute=5), capture).run()
    figures = health(state)
    assert figures.alerts == 5
    assert figures.alerts_capped > 20
    assert sum(batch.flows.rows for batch in spooled(state)) == 70


def flows(count: int, ended_ms: int = 1_700_000_000_000) -> np.ndarray:
    made = np.zeros(count, dtype=FLOW)
    made["ip_version"] = 4
    made["protocol"] = 17
    made["bidirectional_packets"] = 1
    made["ended_ms"] = ended_ms
    return made


class ScriptedSource:
    """Batches and events in a given order."""

    name = "script"
    part = 0

    def __init__(self, script: list[np.ndarray | Callable[[], object]]) -> None:
        self.script = script
        self.trouble = ""
        self.failure: SourceError | None = None
        self.stats = MeterStats()

    def batches(self) -> Iterator[np.ndarray]:
        for step in self.script:
            if callable(step):
                step()
                yield np.zeros(0, dtype=FLOW)
            else:
                yield step

    def stop(self) -> None:
        self.script.clear()


def scripted(
    state: StateDir, script: list[Any], *, config: AgentConfig | None = None, clock: SystemClock | None = None
) -> Sensor:
    config = config or settings(state, flush_ms=60_000)
    clock = clock or SystemClock()
    pipeline = Pipeline(initial_policy(config), chance=np.zeros)
    return Sensor(
        config=config,
        state=state,
        source=ScriptedSource(script),
        pipeline=pipeline,
        keeper=Keeper(lambda: Spool.open(state, max_bytes=1 << 20, clock=clock), clock=clock),
        counts=TallyFile(state.scores, new_run=lambda: "run1", seed=1),
        clock=clock,
    )


class SteppingClock(SystemClock):
    """Half a second passes with every look, so that every check is due at every tick."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.5
        return self.now


def test_no_batch_sees_two_models(state: StateDir, tmp_path: Path, onnx_models: ModuleType) -> None:
    """A model that becomes current takes effect between batches, in order, and the status says so."""
    first = install(state, tmp_path / "a.onnx", onnx_models.write_model, name="a", weights={})
    digests = [first]

    def swap() -> None:
        digests.append(install(state, tmp_path / "b.onnx", onnx_models.write_model, name="b", bias=0.5, weights={}))

    script = [flows(3), flows(4), swap, flows(5), flows(6)]
    scripted(state, script, clock=SteppingClock()).run()
    rows = [(batch.model_digest, batch.flows.rows) for batch in spooled(state)]
    seen = [digest for digest, _ in rows]
    assert seen == sorted(seen, key=digests.index), "one model after the other, never back and forth"
    assert sum(count for digest, count in rows if digest == digests[0]) == 7
    assert sum(count for digest, count in rows if digest == digests[1]) == 11
    for batch in spooled(state):
        scores = contract.unpack_columns(batch.flows)["score"]
        assert len(set(scores.tolist())) == 1
    assert read_status(state.model_status).running == digests[1]


@pytest.mark.parametrize("variant", ["write_corrupt", "write_failing_self_test", "write_foreign"])
def test_a_bad_model_never_takes_over(
    state: StateDir, tmp_path: Path, onnx_models: ModuleType, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """A bad model that somebody made current is refused by the sensor: the old one goes on and the state says so."""
    good = install(state, tmp_path / "a.onnx", onnx_models.write_model)
    monkeypatch.setattr(models, "verify", onnx_models.file_digest)
    bad: list[str] = []

    def swap() -> None:
        getattr(onnx_models, variant)(tmp_path / "b.onnx")
        bad.append(models.install(state, tmp_path / "b.onnx"))

    noted: list[str] = []
    script = [flows(3), swap, flows(5), lambda: noted.append(health(state).detail)]
    scripted(state, script, clock=SteppingClock()).run()
    assert {batch.model_digest for batch in spooled(state)} == {good}
    status = read_status(state.model_status)
    assert (status.running, [digest for digest, _ in status.refused]) == (good, bad)
    assert f"model {bad[0][:12]} was refused" in noted[0]


def test_a_damaged_current_model_falls_back_to_the_previous_one(
    state: StateDir, tmp_path: Path, onnx_models: ModuleType
) -> None:
    """A file that was damaged after its installation is noticed at start, and the one before it runs."""
    previous = install(state, tmp_path / "a.onnx", onnx_models.write_model, name="a")
    current = install(state, tmp_path / "b.onnx", onnx_models.write_model, name="b")
    data = bytearray((state.models / f"{current}.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (state.models / f"{current}.onnx").write_bytes(data)
    scripted(state, [flows(2)]).run()
    assert {batch.model_digest for batch in spooled(state)} == {previous}
    assert dict(read_status(state.model_status).refused).keys() == {current}


def test_a_model_that_fails_while_scoring_is_dropped(
    state: StateDir, tmp_path: Path, onnx_models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that fails on real traffic costs its scores, not the flows: they are kept without one."""
    install(state, tmp_path / "a.onnx", onnx_models.write_model)
    from agent.errors import ModelRefused

    def fail(self: Scorer, rows: np.ndarray) -> np.ndarray:
        raise ModelRefused("the graph failed")

    monkeypatch.setattr(Scorer, "score", fail)
    scripted(state, [flows(4)]).run()
    [batch] = spooled(state)
    assert (batch.flows.rows, batch.model_digest) == (4, "")
    assert "the graph failed" in health(state).detail


def test_a_policy_takes_effect_between_batches(state: StateDir, tmp_path: Path, onnx_models: ModuleType) -> None:
    """A new threshold raises what the old one did not; each batch names the policy it was decided under."""
    digest = install(state, tmp_path / "a.onnx", onnx_models.write_model, bias=2.0, weights={})

    def change() -> None:
        replace_json(state.policy, to_json(follow(None, Policy(9, digest, 1.5, 1.0, 100))))

    scripted(state, [flows(3), change, flows(4)], clock=SteppingClock()).run()
    decided = [(batch.policy_version, len(batch.alerts), batch.flows.rows) for batch in spooled(state)]
    assert [entry for entry in decided if entry[0] == 0] == [(0, 0, 3)]
    assert sum(alerts for version, alerts, _ in decided if version == 9) == 4


def test_flows_timed_out_elsewhere_are_pointed_out(state: StateDir, tmp_path: Path, onnx_models: ModuleType) -> None:
    """A model fitted with other timeouts scores, and the state says that its scores mean something else."""
    from protos.manifest import CaptureProfile

    install(state, tmp_path / "a.onnx", onnx_models.write_model, profile=CaptureProfile(idle_timeout_ms=99_000))
    scripted(state, [flows(1)]).run()
    assert "other flow timeouts" in health(state).detail


def test_a_stop_keeps_everything(state: StateDir) -> None:
    """What was metered before a stop is decided and on disk after it."""
    script: list[Any] = [flows(5), flows(6)]
    sensor = scripted(state, script)
    script += [sensor.stop, flows(100)]
    sensor.run()
    assert sum(batch.flows.rows for batch in spooled(state)) == 11
    assert health(state).detail.startswith("stopped")


def test_waiting_for_a_model(state: StateDir, tmp_path: Path, onnx_models: ModuleType) -> None:
    """A replay that was told to wait begins when the model is there."""
    sensor = scripted(state, [flows(5)])
    timer = threading.Timer(0.4, lambda: install(state, tmp_path / "a.onnx", onnx_models.write_model))
    timer.start()
    sensor.run(wait_for_model_s=20)
    timer.join()
    assert {bool(batch.model_digest) for batch in spooled(state)} == {True}
