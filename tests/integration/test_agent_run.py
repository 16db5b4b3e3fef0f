"""The whole agent as one command against a real gRPC server: outages, kills, hot swaps, and the memory it takes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from agent.state import StateDir, read_json
from protos import contract
from protos.exits import ExitCode
from protos.v1 import models_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from types import ModuleType

may_capture = pytest.mark.skipif(os.geteuid() != 0, reason="capturing on lo needs CAP_NET_RAW; run as root")


@pytest.fixture
async def aggregator(fake_aggregator: ModuleType) -> AsyncIterator[Any]:
    server = fake_aggregator.FakeAggregator()
    server.policy = models_pb2.Policy(version=1, threshold=3.0, keep_fraction=1.0, max_alerts_per_minute=1000)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `anomaflow-agent run` with these words; whatever still runs at the end is stopped."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-Im", "agent.main", "run", "--state-dir", str(tmp_path / "state")]
        process = subprocess.Popen([*command, *map(str, words)], stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


async def finished(process: subprocess.Popen[str], seconds: float = 30) -> tuple[int, str]:
    _, error = await asyncio.to_thread(process.communicate, None, seconds)
    return process.returncode, error


async def test_a_replay_arrives_and_ends(
    aggregator: Any, start: Any, tmp_path: Path, tiny_pcap: ModuleType, onnx_models: ModuleType
) -> None:
    """One command replays a capture: every flow and every alert with its reasons is at the aggregator when it ends."""
    digest = onnx_models.write_model(tmp_path / "m.onnx")
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap")
    words = ("--replay", capture, "--aggregator", aggregator.address, "--model", tmp_path / "m.onnx")
    code, error = await finished(start(*words, "--keep-fraction", "1", "--agent-id", "edge-7"))
    assert code == ExitCode.OK, error
    batches = aggregator.batches()
    assert sum(batch.flows.rows for batch in batches) == 70
    assert {batch.model_digest for batch in batches} == {digest}
    assert sum(len(batch.alerts) for batch in batches) > 30
    assert {agent for agent, _ in aggregator.kept.records} == {"edge-7"}
    assert "aggregator_connected" in error


async def test_scores_of_every_flow_are_counted_and_sent_without_the_flows(
    aggregator: Any, start: Any, tmp_path: Path, tiny_pcap: ModuleType, onnx_models: ModuleType
) -> None:
    """Ignored flows count too; a second run of the agent goes on counting."""
    digest = onnx_models.write_model(tmp_path / "m.onnx")
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap")
    words = ("--replay", capture, "--aggregator", aggregator.address, "--model", tmp_path / "m.onnx")
    for run in (1, 2):
        code, error = await finished(start(*words, "--keep-fraction", "0", "--agent-id", "edge-7"))
        assert code == ExitCode.OK, error
        newest = {(counted.run, counted.hour_ms): counted for counted in aggregator.kept.counts}
        assert {counted.model_digest for counted in newest.values()} == {digest}
        assert len({counted.run for counted in newest.values()}) == 1
        assert sum(sum(counted.flows.counts) for counted in newest.values()) == 70 * run
    for counted in newest.values():
        assert sum(counted.sources.counts) <= sum(counted.weighed.counts) <= sum(counted.flows.counts)
    [alert, *_] = [alert for batch in aggregator.batches() for alert in batch.alerts]
    assert alert.hour_ms in {hour for _, hour in newest}
    text = b"".join(counted.SerializeToString() for counted in newest.values())
    assert len(text) < 2_000  # a few bins, no flow and no address


async def test_a_replay_without_an_aggregator_is_kept_for_the_next_run(
    fake_aggregator: ModuleType, start: Any, tmp_path: Path, tiny_pcap: ModuleType
) -> None:
    """With the aggregator away the command says so and how it ends; the next run delivers what was kept."""
    server = fake_aggregator.FakeAggregator()
    await server.start()
    await server.stop()
    capture = tiny_pcap.write_office(tmp_path / "office.pcap")
    words = ("--replay", capture, "--aggregator", server.address, "--keep-fraction", "1")
    code, error = await finished(start(*words, "--drain-timeout-s", "0.5"))
    assert code == ExitCode.AGGREGATOR
    assert "Nothing is lost" in error
    await server.start(server.port)
    code, error = await finished(start(*words))
    assert code == ExitCode.OK, error
    assert sum(batch.flows.rows for batch in server.batches()) == 40
    assert len(server.kept.records) == 1, "one agent, one epoch"
    await server.stop()


async def test_what_is_no_capture_ends_the_command(aggregator: Any, start: Any, tmp_path: Path) -> None:
    """The sensor's word and its exit code are those of the command."""
    (tmp_path / "x.pcap").write_text("hello")
    code, error = await finished(start("--replay", tmp_path / "x.pcap", "--aggregator", aggregator.address))
    assert code == ExitCode.SOURCE
    assert "x.pcap" in error


async def test_two_agents_cannot_share_a_state_directory(
    aggregator: Any, start: Any, tmp_path: Path, tiny_pcap: ModuleType, fake_aggregator: ModuleType
) -> None:
    """The second one is told who is there, and the first one is not disturbed."""
    capture = tiny_pcap.write(tmp_path / "slow.pcap", tiny_pcap.ordinary("10.0.0.1", "10.0.0.2", 5, 600_000)[:1] * 2)
    slow = tiny_pcap.write(
        capture,
        [*tiny_pcap.ordinary("10.0.0.1", "10.0.0.2", 5, 0), *tiny_pcap.ordinary("10.0.0.1", "10.0.0.2", 6, 600_000)],
    )
    first = start("--replay", slow, "--pace", "real", "--aggregator", aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    code, error = await finished(start("--replay", slow, "--aggregator", aggregator.address))
    assert code == ExitCode.STATE
    assert "another" in error
    assert first.poll() is None
    first.terminate()
    assert (await finished(first))[0] == ExitCode.OK


def children(process: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    alive = [c for c in psutil.Process(process.pid).children() if c.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if f"agent.{name}" in child.cmdline()]


@may_capture
async def test_live_with_kills_swap_and_memory(
    aggregator: Any, start: Any, tmp_path: Path, onnx_models: ModuleType, fake_aggregator: ModuleType
) -> None:
    """A pushed model runs within seconds; sensor and shipper stay under 130 MiB; both survive kill -9."""
    first = onnx_models.write_model(tmp_path / "a.onnx", name="a")
    onnx_models.write_model(tmp_path / "b.onnx", name="b")
    state = StateDir(tmp_path / "state")
    process = start(
        "--iface", "lo", "--aggregator", aggregator.address, "--model", tmp_path / "a.onnx", "--keep-fraction", "1"
    )
    await fake_aggregator.eventually(lambda: read_json(state.health).get("model_digest") == first)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)

    second = aggregator.publish((tmp_path / "b.onnx").read_bytes())
    states = lambda: {(report.digest, report.state) for report in aggregator.kept.reports}  # noqa: E731
    await fake_aggregator.eventually(lambda: (second, models_pb2.ModelReport.RUNNING) in states(), seconds=15)

    resident = sum(child.memory_info().rss for child in psutil.Process(process.pid).children()) / (1 << 20)
    assert len(psutil.Process(process.pid).children()) == 2
    assert resident < 130, f"{resident:.0f} MiB"

    state.model_status.unlink()
    for name in ("sensor", "shipper"):
        [child] = children(process, name)
        child.send_signal(signal.SIGKILL)
        await fake_aggregator.eventually(
            lambda n=name, old=child.pid: [c for c in children(process, n) if c.pid != old]
        )
    await fake_aggregator.eventually(lambda: read_json(state.model_status).get("running") == second, seconds=15)
    await fake_aggregator.eventually(lambda: len(aggregator.kept.hellos) >= 2, seconds=15)

    web = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = web.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()

    def seen() -> bool:
        ports = [contract.unpack_columns(batch.flows)["dst_port"] for batch in aggregator.batches()]
        return any(port in part for part in ports)

    await fake_aggregator.eventually(seen, seconds=20)
    web.close()
    process.terminate()
    code, error = await finished(process)
    assert code == ExitCode.OK, error


@may_capture
async def test_the_children_end_with_a_killed_supervisor(
    aggregator: Any, start: Any, fake_aggregator: ModuleType
) -> None:
    """Kill -9 of the supervisor leaves no orphans behind."""
    process = start("--iface", "lo", "--aggregator", aggregator.address)
    await fake_aggregator.eventually(lambda: aggregator.kept.hellos)
    pair = psutil.Process(process.pid).children()
    assert len(pair) == 2
    process.kill()
    process.wait()
    await fake_aggregator.eventually(
        lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in pair), seconds=15
    )


@may_capture
async def test_an_interface_that_does_not_exist_ends_the_command(aggregator: Any, start: Any) -> None:
    """A mistyped interface is said at once, not retried for ever."""
    code, error = await finished(start("--iface", "nosuch0", "--aggregator", aggregator.address))
    assert code == ExitCode.SOURCE
    assert "nosuch0" in error
