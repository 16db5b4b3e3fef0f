"""The shipper against a real gRPC server: any outage, nothing lost, nothing twice; models and policies that arrive."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from agent import models, session
from agent.clock import SystemClock
from agent.policy import read_policy
from agent.shipper import Shipper
from agent.spool import Spool
from agent.spool_file import Cursor, Entry, read_cursor
from agent.state import StateDir, read_json, replace_json
from protos import names
from protos.v1 import fleet_pb2, models_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.prepare()
    return state


@pytest.fixture
async def aggregator(fake_aggregator: ModuleType) -> AsyncIterator[Any]:
    server = fake_aggregator.FakeAggregator()
    await server.start()
    yield server
    await server.stop()


class Running:
    """A shipper as a task of this test."""

    def __init__(self, state: StateDir, address: str) -> None:
        self.shipper = Shipper(
            agent_id="edge-1",
            target=address,
            source="test0",
            state=state,
            clock=SystemClock(),
            chance=lambda: 0.1,
        )
        self.task = asyncio.create_task(self.shipper.run())

    async def stop(self) -> None:
        self.shipper.stop()
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
def spool(state: StateDir) -> Any:
    spool = Spool.open(state, max_bytes=1 << 20, clock=SystemClock())
    yield spool
    spool.close()


def entries(count: int) -> list[Entry]:
    return [Entry(b"payload %d" % number, 0, 1) for number in range(count)]


async def test_records_arrive_in_order_and_are_committed(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """Everything enqueued arrives once, in order, and leaves the spool after its acknowledgement."""
    spool.enqueue_all(entries(30))
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: len(aggregator.kept.received) == 30)
    spool.enqueue_all(entries(5))
    await fake_aggregator.eventually(lambda: read_cursor(state.cursor) == Cursor(spool.epoch, 35))
    await running.stop()
    assert aggregator.kept.received == list(range(1, 36))
    spool.prune()
    assert spool.figures().records == 0
    assert aggregator.kept.heartbeats[-1].spool_records == 0, "the last word says that everything was sent"
    [hello] = aggregator.kept.hellos
    assert (hello.agent_id, hello.epoch, hello.source) == ("edge-1", spool.epoch, "test0")
    assert hello.feature_digest == names.DIGEST
    assert read_json(state.link)["state"] == "stopped"


async def test_the_window_is_respected(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """No more records are in flight than the aggregator allows."""
    aggregator.behaviour.acknowledge = False
    aggregator.behaviour.window = 5
    spool.enqueue_all(entries(50))
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: len(aggregator.kept.received) == 5)
    await asyncio.sleep(0.3)
    assert aggregator.kept.most_in_flight == 5
    running.task.cancel()


async def test_an_aggregator_that_hangs_up_gets_the_same_records_again(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """A stream that breaks in the middle loses nothing, and nothing is kept twice."""
    aggregator.behaviour.hang_up_after = 7
    spool.enqueue_all(entries(40))
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: len(aggregator.kept.hellos) >= 4)
    aggregator.behaviour.hang_up_after = 0
    await fake_aggregator.eventually(lambda: aggregator.cursor("edge-1", spool.epoch) == 40)
    await running.stop()
    kept = aggregator.kept.records["edge-1", spool.epoch]
    assert [kept[number].batch for number in range(1, 41)] == [entry.payload for entry in entries(40)]
    assert len(aggregator.kept.received) > 40


async def test_an_aggregator_that_comes_late_and_goes_away(
    state: StateDir, spool: Spool, fake_aggregator: ModuleType
) -> None:
    """Started before the aggregator, and through its restart, the shipper goes on by itself."""
    server = fake_aggregator.FakeAggregator()
    await server.start()
    port = server.port
    await server.stop()
    spool.enqueue_all(entries(3))
    running = Running(state, f"127.0.0.1:{port}")
    await fake_aggregator.eventually(lambda: read_json(state.link).get("state") == "away")
    assert "kept and sent when it answers" in read_json(state.link)["detail"]
    await server.start(port)
    await fake_aggregator.eventually(lambda: server.cursor("edge-1", spool.epoch) == 3)
    await server.stop()
    spool.enqueue_all(entries(4))
    await server.start(port)
    await fake_aggregator.eventually(lambda: server.cursor("edge-1", spool.epoch) == 7)
    await running.stop()
    await server.stop()


async def test_a_silent_aggregator_is_left(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection whose other end says nothing any more is given up and made again."""
    monkeypatch.setattr(session, "ACKNOWLEDGE_S", 0.3)
    aggregator.behaviour.acknowledge = False
    spool.enqueue_all(entries(2))
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: len(aggregator.kept.hellos) >= 2)
    aggregator.behaviour.acknowledge = True
    await fake_aggregator.eventually(lambda: aggregator.cursor("edge-1", spool.epoch) == 2)
    await running.stop()


async def test_a_gap_is_sent_as_a_gap(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """A declared loss arrives in its place with its numbers, counts and reason."""
    spool.enqueue_all(entries(1))
    spool.declare(flows=12, alerts=1, reason="no space left on device")
    spool.enqueue_all(entries(1))
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.cursor("edge-1", spool.epoch) == 3)
    await running.stop()
    [gap] = aggregator.gaps()
    assert (gap.first_sequence, gap.last_sequence, gap.flows, gap.alerts) == (2, 2, 12, 1)
    assert gap.reason == "no space left on device"


async def test_a_welcome_beyond_the_file_begins_a_new_epoch(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """An agent restored from an old copy does not reuse numbers: what it holds goes out under a new epoch."""
    old = spool.epoch
    aggregator.kept.records["edge-1", old][500] = fleet_pb2.Record(sequence=500)
    spool.enqueue_all(entries(3))
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: read_cursor(state.cursor) == Cursor(old, 500))
    with pytest.raises(Exception, match="old copy"):
        spool.prune()
    spool.close()
    again = Spool.open(state, max_bytes=1 << 20, clock=SystemClock())
    assert again.epoch != old
    await fake_aggregator.eventually(lambda: aggregator.cursor("edge-1", again.epoch) == 3)
    await running.stop()
    again.close()


async def test_a_refusal_is_remembered_and_not_hammered(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """A refused agent says why and waits; it does not knock again at once."""
    aggregator.behaviour.refusal = fleet_pb2.Refusal(reason="another contract", retry=False)
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: read_json(state.link).get("state") == "refused")
    assert "another contract" in read_json(state.link)["detail"]
    await asyncio.sleep(0.3)
    assert len(aggregator.kept.hellos) == 1
    await running.stop()


async def test_heartbeats_carry_health_and_spool(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """A heartbeat comes at once, with the sensor's figures, and says when there is no sensor."""
    aggregator.behaviour.acknowledge = False
    spool.enqueue_all(entries(2))
    running = Running(state, aggregator.address)
    [beat, *_] = await fake_aggregator.eventually(lambda: aggregator.kept.heartbeats)
    assert beat.health.state == "stopped"
    assert "has not started" in beat.health.detail
    assert beat.spool_records == 2
    running.task.cancel()


async def test_a_policy_is_kept(state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType) -> None:
    """A policy that comes is written for the sensor; one that makes no sense is not."""
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    sent = models_pb2.Policy(
        version=3, model_digest="a" * 64, threshold=2.5, keep_fraction=0.25, max_alerts_per_minute=7
    )
    aggregator.set_policy(sent)
    policy = await fake_aggregator.eventually(lambda: read_policy(state.policy))
    assert (policy.version, policy.threshold, policy.keep_fraction, policy.max_alerts_per_minute) == (3, 2.5, 0.25, 7)
    aggregator.set_policy(models_pb2.Policy(version=4, threshold=float("nan")))
    await asyncio.sleep(0.2)
    assert read_policy(state.policy) == policy
    await running.stop()


async def test_a_model_is_fetched_verified_and_installed(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType, onnx_models: ModuleType, tmp_path: Path
) -> None:
    """An offered model becomes current, INSTALLED is reported, and RUNNING once the sensor says so."""
    onnx_models.write_model(tmp_path / "m.onnx")
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    digest = aggregator.publish((tmp_path / "m.onnx").read_bytes())
    await fake_aggregator.eventually(lambda: aggregator.kept.reports)
    assert models.current_digest(state) == digest
    replace_json(state.model_status, {"running": digest, "refused": {}})
    await fake_aggregator.eventually(lambda: len(aggregator.kept.reports) == 2)
    assert [(r.digest, r.state) for r in aggregator.kept.reports] == [
        (digest, models_pb2.ModelReport.INSTALLED),
        (digest, models_pb2.ModelReport.RUNNING),
    ]
    assert not list(state.models.glob(".*")), "no temporary file stays"
    await running.stop()


async def test_an_interrupted_download_leaves_the_old_model_and_is_tried_again(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType, onnx_models: ModuleType, tmp_path: Path
) -> None:
    """A download that breaks changes nothing; the next attempt succeeds."""
    onnx_models.write_model(tmp_path / "old.onnx", name="old")
    onnx_models.write_model(tmp_path / "new.onnx", name="new")
    old = models.install(state, tmp_path / "old.onnx")
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    aggregator.behaviour.break_download_after = 1500
    new = aggregator.publish((tmp_path / "new.onnx").read_bytes())
    await fake_aggregator.eventually(lambda: aggregator.kept.fetches >= 2)
    assert models.current_digest(state) == old
    aggregator.behaviour.break_download_after = 0
    await fake_aggregator.eventually(lambda: models.current_digest(state) == new)
    assert models.linked_digest(state.previous) == old
    await running.stop()


@pytest.mark.parametrize("how", ["corrupt", "foreign", "liar", "memory", "endless", "other contract", "too large"])
async def test_a_bad_model_never_becomes_current(
    state: StateDir,
    spool: Spool,
    aggregator: Any,
    fake_aggregator: ModuleType,
    onnx_models: ModuleType,
    tmp_path: Path,
    how: str,
) -> None:
    """A model that is foreign, corrupt, lying or hostile is refused with a reason, and the old one stays."""
    onnx_models.write_model(tmp_path / "old.onnx", name="old")
    old = models.install(state, tmp_path / "old.onnx")
    write = {
        "foreign": onnx_models.write_foreign,
        "liar": onnx_models.write_failing_self_test,
        "memory": onnx_models.write_memory_bomb,
        "endless": onnx_models.write_endless,
    }.get(how, onnx_models.write_model)
    write(tmp_path / "new.onnx")
    data = (tmp_path / "new.onnx").read_bytes()
    aggregator.behaviour.corrupt_download = how == "corrupt"
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    if how == "other contract":
        aggregator._tell(
            fleet_pb2.AggregatorMessage(
                model_offer=models_pb2.ModelOffer(digest="b" * 64, size=10, name="x", feature_digest="c" * 64)
            )
        )
    elif how == "too large":
        aggregator._tell(
            fleet_pb2.AggregatorMessage(model_offer=models_pb2.ModelOffer(digest="b" * 64, size=1 << 40, name="x"))
        )
    else:
        aggregator.publish(data)
    [report] = await fake_aggregator.eventually(lambda: aggregator.kept.reports, seconds=20)
    assert report.state == models_pb2.ModelReport.REFUSED
    assert report.detail
    assert models.current_digest(state) == old
    assert len(list(state.models.glob("*.onnx"))) == 1
    if how in {"foreign", "liar"}:  # a second offer is answered without fetching it again
        fetches = aggregator.kept.fetches
        aggregator.publish(data)
        await fake_aggregator.eventually(lambda: len(aggregator.kept.reports) == 2)
        assert aggregator.kept.fetches == fetches
    await running.stop()


async def test_what_the_sensor_refuses_is_reported(
    state: StateDir, spool: Spool, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """A model that failed in the sensor itself is reported as refused with the sensor's words."""
    running = Running(state, aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    replace_json(state.model_status, {"running": "", "refused": {"d" * 64: "the self-test is off by 1"}})
    [report] = await fake_aggregator.eventually(lambda: aggregator.kept.reports)
    assert (report.digest, report.state) == ("d" * 64, models_pb2.ModelReport.REFUSED)
    assert report.detail == "the self-test is off by 1"
    await running.stop()


async def test_a_shipper_without_a_spool_waits_for_it(
    state: StateDir, aggregator: Any, fake_aggregator: ModuleType
) -> None:
    """Started before the sensor made the spool, the shipper waits and then sends."""
    running = Running(state, aggregator.address)
    await asyncio.sleep(0.2)
    spool = Spool.open(state, max_bytes=1 << 20, clock=SystemClock())
    spool.enqueue_all(entries(2))
    await fake_aggregator.eventually(lambda: aggregator.cursor("edge-1", spool.epoch) == 2)
    await running.stop()
    spool.close()
    assert json.loads(state.link.read_text())["target"] == aggregator.address
