"""Live equals replay, and a link that falls silent or vanishes is noticed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from agent.context import NAMES, Context
from agent.features import compute
from agent.meter import FileSource, Meter
from protos import contract

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

# Meters the interface until SIGTERM and prints one JSON line a flow: identity, counts, and its features.
METER = """
import json, signal, sys
from agent.context import Context
from agent.features import compute
from agent.meter import LiveSource, Meter
meter = Meter(LiveSource(sys.argv[1], bpf=sys.argv[2]))
signal.signal(signal.SIGTERM, lambda *_: meter.stop())
context = Context()
ready = False
try:
    for batch in meter.batches():
        if not ready:
            ready = True
            print("ready", flush=True)  # the first tick: the capture is open
        for flow, row in zip(batch, compute(batch, context).tolist()):
            key = [flow[name].tobytes().hex() for name in ("src_ip", "dst_ip")]
            key += [int(flow["src_port"]), int(flow["dst_port"])]
            print(json.dumps({"key": key, "end": int(flow["end"]), "row": row}), flush=True)
except Exception as error:
    print(json.dumps({"error": type(error).__name__, "text": str(error)}), flush=True)
print(json.dumps({"stats": [meter.stats.packets, meter.stats.dropped]}), flush=True)
"""


def start(network, bpf: str = "net 10.77.0.0/16") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        network.command("right", sys.executable, "-c", METER, "veth-r", bpf),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> list[dict]:
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    return [json.loads(line) for line in out.splitlines()]


def office(path: Path) -> int:
    """Six seconds of conversations between several hosts, some refused, some unanswered.

    They begin 150 ms apart, which also keeps their ends 40 ms apart: a busy machine that sends a packet a little late
    does not change their order.
    """
    rng = np.random.default_rng(11)
    packets = []
    for number in range(40):
        at = number * 0.15
        host, port = f"10.77.1.{number % 7 + 1}", int(rng.choice([80, 443, 22, 9000 + number]))
        server = f"10.77.2.{number % 3 + 1}"
        there = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=host, dst=server)
        back = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01") / IP(src=server, dst=host)
        if number % 5 == 0:
            packets.append((at, there / UDP(sport=20_000 + number, dport=53) / Raw(b"q" * 30)))
            continue
        ports, answer = {"sport": 30_000 + number, "dport": port}, {"sport": port, "dport": 30_000 + number}
        packets.append((at, there / TCP(**ports, flags="S")))
        if number % 4 == 1:
            packets.append((at + 0.01, back / TCP(**answer, flags="RA")))
            continue
        steps = [(back, answer, "SA", 0), (there, ports, "A", 0), (there, ports, "PA", 200), (back, answer, "PA", 900)]
        steps += [(there, ports, "FA", 0), (back, answer, "FA", 0)]
        for step, (frame, sides, flags, size) in enumerate(steps, 1):
            packets.append((at + 0.02 * step, frame / TCP(**sides, flags=flags) / Raw(b"z" * size)))
    packets.sort(key=lambda item: item[0])
    for at, each in packets:
        each.time = 1_700_000_000 + at
    wrpcap(str(path), [each for _, each in packets])
    return len(packets)


def test_live_equals_replay(network, tmp_path):
    """The same capture over a veth pair and from the file gives the same flows; counts, sizes and flags are equal.

    Times are those of arrival, which a replay over a wire shifts: within 30 ms for nine flows in ten, within a second
    for all. Context follows times and order: within 3 % for nine values in ten, within one and a half flows for all.
    """
    path = tmp_path / "office.pcap"
    sent = office(path)
    process = start(network)
    network.run("left", "tcpreplay", "-q", "-i", "veth-l", str(path))
    time.sleep(0.5)
    lines = finish(process)
    assert lines[-1]["stats"] == [sent, 0], "every packet arrived and none was dropped"
    live = {tuple(line["key"]): np.asarray(line["row"]) for line in lines if "row" in line}
    context, replay = Context(), {}
    for batch in Meter(FileSource(path)).batches():
        for flow, row in zip(batch, compute(batch, context), strict=True):
            key = (flow["src_ip"].tobytes().hex(), flow["dst_ip"].tobytes().hex())
            replay[(*key, int(flow["src_port"]), int(flow["dst_port"]))] = row
    assert live.keys() == replay.keys()
    timed = [i for i, name in enumerate(contract.FEATURES) if name.endswith(("duration_ms", "piat_ms"))]
    rates = [contract.index("bytes_per_second"), contract.index("packets_per_second")]
    contexts = [contract.index(name) for name in NAMES]
    exact = [i for i in range(len(contract.FEATURES)) if i not in {*timed, *rates, *contexts}]
    a, b = np.stack([live[key] for key in replay]), np.stack([replay[key] for key in replay])
    np.testing.assert_array_equal(a[:, exact], b[:, exact])
    late = np.abs(a[:, timed] - b[:, timed])
    assert (late.max(axis=1) <= 30).mean() >= 0.9
    assert late.max() <= 1000
    apart = np.abs(a[:, contexts] - b[:, contexts])
    assert (apart <= 0.03 * b[:, contexts] + 0.02).mean() >= 0.9
    assert apart.max() <= 1.5


def test_flows_end_on_a_quiet_link(network):
    """Nothing arrives any more, and still the last flow is reported within seconds of its timeout."""
    process = start(network)
    # A closed port answers with a reset: the flow lingers one second, and no later packet pushes it out.
    script = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('10.77.0.2', 9)); s.close()"
    network.run("left", sys.executable, "-c", script)
    began = time.monotonic()
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert time.monotonic() - began < 4
    assert line["key"][3] == 9
    finish(process)


@pytest.mark.parametrize("fate", ["down", "removed"])
def test_a_lost_interface_is_an_error_not_silence(network, fate):
    """Down or gone, the meter says so within seconds and hands over what it held."""
    process = start(network)
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('10.77.0.2', 4242))"
    network.run("left", sys.executable, "-c", script)
    time.sleep(0.5)
    network.link("right", *(["set", "veth-r", "down"] if fate == "down" else ["delete", "veth-r"]))
    out, _ = process.communicate(timeout=15)
    lines = [json.loads(line) for line in out.splitlines()]
    assert any(line.get("error") == "InterfaceLost" for line in lines), lines
    assert any(line.get("key", [0] * 4)[3] == 4242 for line in lines), "what was held came out"
