"""What was written, as meters see it: right checksums, and a label for every flow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from agent.meter import read_capture
from protos.contract import parse_address
from trainer.traffic.attacks import ATTACKS
from trainer.traffic.labels import read_labels
from trainer.traffic.scenario import build

NFSTREAM = """
import json, sys
from nfstream import NFStreamer
if __name__ == "__main__":
    streamer = NFStreamer(source=sys.argv[1], statistical_analysis=True, n_dissections=0, n_meters=1)
    for flow in streamer:
        print(json.dumps([flow.src_ip, flow.src_port, flow.dst_ip, flow.dst_port, flow.protocol,
                          flow.bidirectional_first_seen_ms, flow.bidirectional_last_seen_ms,
                          flow.bidirectional_packets]))
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A minute of everything, packets whole."""
    return build("mixed", tmp_path_factory.mktemp("mixed") / "m.pcap", 4, 1, backup=True, snap=0)


def test_packets_are_in_order_and_scapy_builds_the_same_bytes(mixed):
    """Lengths and checksums left to scapy come out as written, in every kind of packet."""
    last, number = 0.0, 0
    checked: Counter[str] = Counter()
    for frame, meta in RawPcapReader(str(mixed.capture)):
        at, last = last, meta.sec + meta.usec / 1e6
        assert last >= at
        assert meta.wirelen == meta.caplen == len(frame)
        number += 1
        if number % 53 and not (frame[12:14] == b"\x86\xdd" and number % 2):
            continue
        packet = Ether(frame)
        if "IP in ICMP" in packet:
            continue  # scapy would compute the quoted header's checksum again as well
        for layer in (IP, IPv6, TCP, UDP, ICMP):
            if layer in packet:
                checked[layer.__name__] += 1
                for field in ("chksum", "len", "plen"):
                    packet[layer].fields.pop(field, None)
        assert bytes(packet) == frame
    assert checked["IPv6"] > 20
    assert checked["TCP"] > 300
    assert checked["UDP"] > 30
    assert number == mixed.packets


def test_every_flow_nfstream_meters_has_a_label(mixed):
    """And the labelled packets are all the packets it saw: nothing is counted twice or lost."""
    labels = read_labels(mixed.labels)
    kinds: Counter[str] = Counter()
    packets = 0
    # A process of its own: the streamer forks.
    command = [sys.executable, "-I", "-c", NFSTREAM, str(mixed.capture)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    for line in output.splitlines():
        source, sport, target, dport, protocol, first, last, count = json.loads(line)
        found = labels.find(parse_address(source), sport, parse_address(target), dport, protocol, first, last)
        assert found is not None, line
        kinds[found.kind] += 1
        packets += count
    assert packets == mixed.packets - mixed.by_kind["arp"][1]
    assert set(kinds) == set(mixed.by_kind) - {"arp"}


def test_every_flow_of_our_meter_has_a_label(mixed):
    """With the product's own timeouts, cut flows included; and all attacks are among them."""
    labels = mixed.read_labels()
    found = [label for flows in read_capture(mixed.capture) for label in labels.of(flows)]
    assert None not in found
    assert {label.kind for label in found if label.malicious} == set(ATTACKS)
    assert {label.campaign for label in found if label.malicious} == set(range(1, len(ATTACKS) + 1))
    assert not any(label.malicious for label in found if label.kind not in ATTACKS)


def test_cut_packets_are_metered_like_whole_ones(tmp_path, mixed):
    """The snap length saves disk and changes no flow."""
    cut = build("mixed", tmp_path / "m.pcap", 4, 1, backup=True)
    assert cut.capture.stat().st_size < 0.4 * mixed.capture.stat().st_size

    def shapes(capture: Path) -> list:
        columns = ["src_ip", "src_port", "bidirectional_packets", "bidirectional_bytes", "bidirectional_first_seen_ms"]
        return sorted(str(flow[columns].tolist()) for flows in read_capture(capture) for flow in flows)

    assert shapes(cut.capture) == shapes(mixed.capture)
