"""Labels: a metered flow finds what it was, however the meter cut or turned it."""

from __future__ import annotations

import json

import pytest

from protos.contract import parse_address
from trainer.traffic.flows import Flow
from trainer.traffic.labels import Labels, read_labels
from trainer.traffic.packets import TrafficError
from trainer.traffic.templates import Endpoint
from trainer.traffic.writer import LabelWriter, appearing

A, B = "10.0.0.1", "10.0.0.2"


def row(first: int, last: int, kind: str = "web", label: str = "benign", campaign: int = 0):
    return [A, 50_000, B, 443, 6, first, last, 9, label, kind, campaign]


def find(labels: Labels, first: int, last: int, *, turned: bool = False):
    ends = (parse_address(A), 50_000, parse_address(B), 443)
    ends = ends[2:] + ends[:2] if turned else ends
    return labels.find(*ends, 6, first, last)


def test_both_directions_and_any_piece_find_the_flow():
    """A meter that saw the answer first, or cut the conversation, still gets the label."""
    labels = Labels([row(1_000, 90_000)], {})
    for first, last in ((1_000, 90_000), (30_000, 30_000), (60_000, 95_000)):
        assert find(labels, first, last).kind == "web"
        assert find(labels, first, last, turned=True).kind == "web"


def test_what_was_not_written_has_no_label():
    """Another time, another port, another protocol: nothing."""
    labels = Labels([row(1_000, 2_000)], {})
    assert find(labels, 2_001, 2_500) is None
    assert labels.find(parse_address(A), 50_001, parse_address(B), 443, 6, 1_000, 2_000) is None
    assert labels.find(parse_address(A), 50_000, parse_address(B), 443, 17, 1_000, 2_000) is None


def test_an_attack_wins_and_then_the_longer_overlap():
    """A reused five-tuple is told apart by time; a flow that holds a piece of an attack is one."""
    labels = Labels([row(0, 10, "dns"), row(20, 100, "web"), row(101, 103, "beacon", "malicious", 4)], {})
    assert find(labels, 8, 60).kind == "web"
    assert find(labels, 0, 15).kind == "dns"
    found = find(labels, 0, 102)
    assert (found.kind, found.malicious, found.campaign) == ("beacon", True, 4)


def test_what_was_written_is_read_back(tmp_path):
    """Rows, counts and what the document says of itself survive the file; what is not IP is counted but has no row."""
    path = tmp_path / "x.labels.json"
    source, target = Endpoint(bytes(6), bytes((10, 0, 0, 1))), Endpoint(bytes(6), bytes((10, 0, 0, 2)))
    with appearing(path, "w") as stream:
        writer = LabelWriter(stream, 1_700_000_000_000_000, {"seed": 5})
        for kind, protocol, campaign in (("web", 6, 0), ("arp", 0, 0), ("udp_scan", 1, 2)):
            flow = Flow(kind, (source, 7, target, 8), protocol, 0, iter(()), campaign)
            flow.first_us, flow.last_us, flow.written = 1_999, 5_001, 3
            writer.add(flow)
        writer.close()
    labels = read_labels(path)
    assert len(labels) == 2
    assert labels.about["seed"] == 5
    assert writer.by_kind["arp"] == [1, 3]
    web = labels.find(parse_address(A), 7, parse_address(B), 8, 6, 1_700_000_000_003, 1_700_000_000_004)
    assert (web.first_ms, web.last_ms) == (1_700_000_000_001, 1_700_000_000_005)
    icmp = labels.find(parse_address(B), 0, parse_address(A), 0, 1, 1_700_000_000_001, 1_700_000_000_001)
    assert (icmp.kind, icmp.malicious) == ("udp_scan", True)


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"format": 9, "columns": [], "flows": []})])
def test_another_file_is_refused_by_name(tmp_path, content):
    """The message names the file."""
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(TrafficError, match=r"odd\.json"):
        read_labels(path)


def test_an_interrupted_run_leaves_nothing(tmp_path):
    """A file has its name when it is whole, and not before."""
    path = tmp_path / "deep" / "x.json"
    with pytest.raises(KeyboardInterrupt), appearing(path, "w") as stream:
        stream.write("half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    with pytest.raises(TrafficError, match="cannot write"), appearing(tmp_path / "deep", "w"):
        pass
