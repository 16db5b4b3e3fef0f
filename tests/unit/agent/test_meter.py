"""The meter's promises on captures made here: how flows end, bounds, bad stamps, honest errors."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import PcapNgWriter, wrpcap

from agent import errors
from agent.flow import FLOW, EndReason
from agent.meter import FileSource, LiveSource, Meter, read_capture
from protos.contract import format_address
from protos.manifest import CaptureProfile
from protos.v1 import flow_pb2

START_S = 1_700_000_000.0


def packet(at_s: float, layers, *, size: int = 0):
    built = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / layers
    if size:
        built = built / Raw(b"x" * size)
    built.time = START_S + at_s
    return built


def tcp(at_s: float, flags: str, *, sport: int = 40_000, dport: int = 80, back: bool = False, host: str = "10.0.0.1"):
    source, target = (("10.0.0.2", dport), (host, sport)) if back else ((host, sport), ("10.0.0.2", dport))
    return packet(at_s, IP(src=source[0], dst=target[0]) / TCP(sport=source[1], dport=target[1], flags=flags))


def udp(at_s: float, *, sport: int = 5000, dport: int = 53, src: str = "10.0.0.1"):
    return packet(at_s, IP(src=src, dst="10.0.0.2") / UDP(sport=sport, dport=dport), size=20)


def meter(path: Path, packets, **settings):
    wrpcap(str(path), packets)
    profile = settings.pop("profile", CaptureProfile())
    running = Meter(FileSource(path), profile, **settings)
    batches = list(running.batches())
    return (np.concatenate(batches) if batches else np.zeros(0, dtype=FLOW)), running.stats


def test_end_reasons_follow_the_wire():
    """The numbers the meter writes are those of flow.proto."""
    for reason in EndReason:
        assert flow_pb2.EndReason.Value(f"END_{reason.name}") == reason


def test_a_tcp_conversation_closes_shortly_after_fin_both_ways(tmp_path):
    """FIN from both sides ends a flow one second later, not after the idle timeout."""
    conversation = [tcp(0, "S"), tcp(0.01, "SA", back=True), tcp(0.02, "A"), tcp(0.5, "FA"), tcp(0.6, "FA", back=True)]
    flows, stats = meter(tmp_path / "a.pcap", [*conversation, udp(10)])
    assert flows["end"].tolist() == [EndReason.TCP, EndReason.STOP]
    assert flows["ended_ms"][0] == int((START_S + 1.6) * 1000)
    assert flows["bidirectional_packets"][0] == 5
    assert (stats.packets, stats.flows, stats.active) == (6, 2, 0)


def test_a_reset_closes_a_flow(tmp_path):
    """A refused connection (SYN, RST) is over one second after the reset."""
    flows, _ = meter(tmp_path / "a.pcap", [tcp(0, "S"), tcp(0.001, "RA", back=True), udp(3)])
    assert flows["end"][0] == EndReason.TCP
    assert flows["ended_ms"][0] == int(START_S * 1000) + 1001


def test_a_half_open_connection_is_over_after_five_seconds(tmp_path):
    """A SYN nobody answers does not wait for the idle timeout."""
    flows, _ = meter(tmp_path / "a.pcap", [tcp(0, "S"), udp(5.2)])
    assert flows["end"][0] == EndReason.HALF_OPEN
    assert flows["ended_ms"][0] - flows["bidirectional_last_seen_ms"][0] == 5000


def test_an_answered_connection_outlives_the_half_open_timeout(tmp_path):
    """An answer moves a connection from the half-open to the idle timeout."""
    flows, _ = meter(tmp_path / "a.pcap", [tcp(0, "S"), tcp(4, "SA", back=True), tcp(14, "A"), udp(40)])
    assert flows["end"][0] == EndReason.IDLE
    assert flows["bidirectional_packets"][0] == 3
    assert flows["ended_ms"][0] == int((START_S + 29) * 1000)


def test_idle_and_active_timeouts(tmp_path):
    """15 s of silence end a flow; one that never falls silent is cut after 60 s."""
    chatter = [udp(second) for second in range(0, 130, 10)]
    flows, _ = meter(tmp_path / "a.pcap", [*chatter, udp(200)])
    assert flows["end"].tolist() == [EndReason.ACTIVE, EndReason.ACTIVE, EndReason.IDLE, EndReason.STOP]
    assert flows["bidirectional_packets"].tolist() == [6, 6, 1, 1]


def test_flows_come_out_in_order_of_their_end(tmp_path):
    """`ended_ms` never decreases, whatever the batch size, and the batch size changes nothing else."""
    packets = [udp(i * 0.11, sport=1000 + (i * 37) % 50) for i in range(600)]
    packets += [tcp(20 + i * 0.05, "S", sport=2000 + i) for i in range(200)]
    path = tmp_path / "a.pcap"
    packets.sort(key=lambda each: each.time)
    flows, _ = meter(path, packets)
    again = np.concatenate(list(Meter(FileSource(path), batch_flows=7).batches()))
    assert (np.diff(flows["ended_ms"].astype(np.int64)) >= 0).all()
    assert np.array_equal(flows, again)


def test_the_flow_table_is_bounded_and_says_so(tmp_path):
    """Past `max_flows` the least recently seen flows leave early, marked and counted; none is lost."""
    flood = [tcp(i * 0.001, "S", sport=1024 + i, host=f"10.1.{i % 250}.{i // 250}") for i in range(1500)]
    steady = [udp(i * 0.1, sport=777) for i in range(16)]
    packets = sorted([*flood, *steady], key=lambda each: each.time)
    wrpcap(str(tmp_path / "a.pcap"), packets)
    running = Meter(FileSource(tmp_path / "a.pcap"), max_flows=160)
    most = 0
    total = []
    for batch in running.batches():
        total.append(batch)
        most = max(most, running.stats.active)
    flows = np.concatenate(total)
    assert most <= 160
    assert running.stats.evicted > 1000
    assert (flows["end"] == EndReason.EVICTED).sum() == running.stats.evicted
    assert flows["bidirectional_packets"].sum() == len(packets)
    assert flows[flows["src_port"] == 777]["bidirectional_packets"].tolist() == [16], "the busy flow is never a victim"


@pytest.mark.parametrize("stamp_s", [2**32 - 1, 0.0, START_S + 90_000])
def test_one_bad_time_stamp_poisons_nothing(tmp_path, stamp_s):
    """A packet stamped in another age is metered at its neighbours' time and counted."""
    packets = [udp(i * 0.01, sport=1000 + i) for i in range(900)]
    packets[100].time = stamp_s
    flows, stats = meter(tmp_path / "a.pcap", packets)
    assert len(flows) == 900
    assert stats.clock_corrections == 1
    assert flows["bidirectional_last_seen_ms"].max() < (START_S + 20) * 1000
    assert flows["ended_ms"].max() < (START_S + 60) * 1000


def test_a_stray_stamp_at_the_end_of_a_run_is_undone(tmp_path):
    """Whatever packet of a read carries the bad stamp, later flows keep their own times."""
    packets = [udp(i * 0.01, sport=1000 + i) for i in range(1200)]
    packets[511].time = START_S + 900_000
    flows, stats = meter(tmp_path / "a.pcap", packets)
    assert stats.clock_corrections >= 1
    assert len(flows) == 1200
    late = flows[flows["src_port"] >= 1000 + 600]
    assert late["bidirectional_first_seen_ms"].max() < (START_S + 20) * 1000


def test_addresses_vlan_and_both_families(tmp_path):
    """IPv4, IPv6, ICMP and a VLAN tag in one capture; ARP is ignored and counted."""
    packets = [
        udp(0),
        packet(0.1, IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5, dport=6), size=4),
        packet(0.2, IPv6(src="2001:db8::2", dst="2001:db8::1") / UDP(sport=6, dport=5), size=4),
        packet(0.3, IP(src="10.0.0.9", dst="10.0.0.2") / ICMP(), size=32),
        packet(0.4, Dot1Q(vlan=12) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5000, dport=53), size=20),
        packet(0.5, ARP(), size=40),
    ]
    flows, stats = meter(tmp_path / "a.pcap", packets)
    found = {
        (format_address(f["src_ip"].tobytes()), int(f["protocol"]), int(f["vlan_id"]), int(f["bidirectional_packets"]))
        for f in flows
    }
    assert found == {("10.0.0.1", 17, 0, 1), ("2001:db8::1", 17, 0, 2), ("10.0.0.9", 1, 0, 1), ("10.0.0.1", 17, 12, 1)}
    assert stats.ignored == 1


def test_pcapng_is_read(tmp_path):
    """The newer capture format gives the same flows."""
    path = tmp_path / "a.pcapng"
    writer = PcapNgWriter(str(path))
    for each in [udp(0), udp(1), tcp(2, "S")]:
        writer.write(each)
    writer.close()
    assert sum(map(len, read_capture(path))) == 2


def test_a_filter_selects_and_a_wrong_one_is_explained(tmp_path):
    """A filter limits what is metered; a wrong one is refused with the compiler's complaint."""
    path = tmp_path / "a.pcap"
    wrpcap(str(path), [udp(0), tcp(1, "S")])
    assert sum(map(len, read_capture(path, bpf="tcp"))) == 1
    with pytest.raises(errors.BadFilter, match=r"does not compile: .*syntax"):
        list(read_capture(path, bpf="tcp and (("))


def test_a_truncated_capture_gives_what_is_whole_and_then_an_error(tmp_path):
    """Everything before the damage is emitted first; then the reader is told."""
    path = tmp_path / "a.pcap"
    wrpcap(str(path), [udp(i * 0.1, sport=i + 1) for i in range(50)])
    path.write_bytes(path.read_bytes()[:-11])
    seen = []
    with pytest.raises(errors.CaptureTruncated, match="49 packets before"):
        seen.extend(read_capture(path))
    flows = []
    with pytest.raises(errors.CaptureTruncated):
        for batch in read_capture(path):
            flows.append(len(batch))
    assert sum(flows) == 49


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, errors.CaptureMissing),
        (b"", errors.NotACapture),
        (b"GIF89a, which no packet ever was", errors.NotACapture),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 189), errors.SourceError),
    ],
)
def test_what_is_no_capture_is_named(tmp_path, content, error):
    """A missing file, an empty one, another format, a link type without IP: each says what it is."""
    path = tmp_path / "strange.pcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=r"strange\.pcap"):
        list(read_capture(path))


def test_a_missing_interface_lists_the_ones_there_are():
    """The message helps: it names the interfaces of this host."""
    with pytest.raises(errors.InterfaceMissing, match="known: .*lo"):
        list(Meter(LiveSource("nosuchif0")).batches())


def test_stop_emits_what_is_held(tmp_path):
    """Stopping midway ends the iteration with every flow metered so far."""
    path = tmp_path / "a.pcap"
    wrpcap(str(path), [udp(i * 0.001, sport=1 + i) for i in range(2000)])
    running = Meter(FileSource(path), replace(CaptureProfile(), idle_timeout_ms=15_000), batch_flows=16)
    flows = 0
    for batch in running.batches():
        flows += len(batch)
        running.stop()
    assert flows == running.stats.flows == running.stats.packets
    assert running.stats.active == 0


def test_pacing_keeps_the_recorded_intervals(tmp_path):
    """At ten times the recorded speed, two recorded seconds take about a fifth of one, with ticks in between."""
    import time

    path = tmp_path / "a.pcap"
    wrpcap(str(path), [udp(0), udp(1), udp(2, sport=9)])
    started = time.monotonic()
    batches = list(Meter(FileSource(path), speed=10).batches())
    assert 0.19 <= time.monotonic() - started < 2.0
    assert sum(map(len, batches)) == 2
    assert any(len(batch) == 0 for batch in batches), "an idle source still lets the caller act"


def test_a_clock_set_back_is_counted_and_stops_nothing(tmp_path):
    """After a step back of ten minutes flows end in their own time again, with their own durations."""
    packets = []
    for second in range(120):
        at = second if second < 60 else second - 600
        packets += [udp(at, sport=1000 + second), udp(at + 0.5, sport=1000 + second)]
    flows, stats = meter(tmp_path / "a.pcap", packets)
    assert stats.clock_corrections >= 1
    assert len(flows) == 120
    assert set(flows["bidirectional_duration_ms"].tolist()) == {500}
    assert len(set(flows["ended_ms"].tolist())) > 100


def test_an_emitted_flow_leaves_nothing_in_its_slot(tmp_path):
    """What waits for a slot that has not come up holds no key and no structure once its flow is gone."""
    flood = [tcp(i * 0.0001, "S", sport=1024 + i, host=f"10.1.{i % 250}.{i // 250}") for i in range(3000)]
    wrpcap(str(tmp_path / "a.pcap"), flood)
    running = Meter(FileSource(tmp_path / "a.pcap"), max_flows=100, batch_flows=64)
    for _ in running.batches():
        waiting = [entry for slot in running._slots.values() for entry in slot]
        assert sum(entry[0] is not None for entry in waiting) <= 101


def test_a_paced_replay_does_not_wait_for_a_stray_stamp(tmp_path):
    """A packet stamped years ahead, or at the beginning of time, costs a paced replay nothing."""
    import time

    for stray in (START_S + 3e8, 0.0):
        packets = [udp(i * 0.01, sport=1 + i) for i in range(10)]
        packets[4].time = stray
        wrpcap(str(tmp_path / "a.pcap"), packets)
        started = time.monotonic()
        assert sum(map(len, Meter(FileSource(tmp_path / "a.pcap"), speed=1).batches())) == 10
        assert time.monotonic() - started < 3
