"""Scenarios: reproducible, whole, believable, and labelled so that every metered flow finds its label."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from agent.meter import read_capture
from protos.exits import ExitCode
from trainer.traffic import cli
from trainer.traffic.attacks import ATTACKS
from trainer.traffic.labels import read_labels
from trainer.traffic.packets import TrafficError
from trainer.traffic.scenario import build


def test_the_office_is_a_believable_one(tmp_path):
    """Many kinds, both families, answers heavier than requests, some failures, many hosts, nothing malicious."""
    made = build("office", tmp_path / "o.pcap", 6, 4)
    kinds = set(made.by_kind)
    assert kinds >= {
        "web",
        "dns",
        "mail",
        "files",
        "ntp",
        "discovery",
        "directory",
        "telemetry",
        "visit",
        "arp",
        "chat",
    }
    assert not kinds & {*ATTACKS, "backup"}
    flows = [flow for batch in read_capture(made.capture) for flow in batch]
    assert {int(flow["ip_version"]) for flow in flows} == {4, 6}
    assert {int(flow["protocol"]) for flow in flows} >= {1, 6, 17, 58}
    web = [flow for flow in flows if flow["protocol"] == 6 and flow["dst_port"] == 443]
    up, down = (sum(int(flow[f"{way}_bytes"]) for flow in web) for way in ("src2dst", "dst2src"))
    assert down > 1.5 * up
    resets = sum(int(flow["bidirectional_rst_packets"]) > 0 for flow in web)
    assert 0.02 < resets / len(web) < 0.5
    assert len({flow["src_ip"].tobytes() for flow in flows}) > 24


@pytest.mark.parametrize("minutes", [2, 10])
def test_the_backup_is_added_without_disturbing_the_office(tmp_path, minutes):
    """At least 150 benign flows come on top; what the office does, and when, stays the same."""

    def talk(name: str, *, backup: bool) -> tuple[Counter, int]:
        made = build("office", tmp_path / name, 8, minutes, backup=backup, hosts=12 if minutes > 5 else 24)
        rows = json.loads(made.labels.read_text())["flows"]
        assert {row[8] for row in rows} == {"benign"}
        others = Counter((row[0], row[2], *row[4:8], row[9]) for row in rows if row[9] != "backup")
        return others, sum(row[9] == "backup" for row in rows)

    plain, none = talk("plain.pcap", backup=False)
    busy, added = talk("busy.pcap", backup=True)
    assert none == 0
    assert added >= 150
    assert plain == busy


def test_the_same_network_on_another_day(tmp_path):
    """`network` keeps the hosts where they are while the seed changes what they do."""

    def hosts(seed: int, network: int | None) -> set[str]:
        made = build("office", tmp_path / "o.pcap", seed, 0.5, network=network)
        assert made.read_labels().about["network"] == (seed if network is None else network)
        return {row[0] for row in json.loads(made.labels.read_text())["flows"] if row[9] == "ntp"}

    assert hosts(1, 5) & hosts(2, 5)
    assert not hosts(1, None) & hosts(2, None)


def test_the_bench_has_exactly_the_flows_asked_for(tmp_path):
    """A meter counts as many as were ordered, with 5.5 packets each in the mean."""
    made = build("bench", tmp_path / "b.pcap", 1, 1, flows=3000)
    assert made.flows == 3000
    assert sum(map(len, read_capture(made.capture))) == 3000
    assert 5.3 < made.packets / made.flows < 5.8


def test_the_start_can_be_chosen(tmp_path):
    """By default it is fixed, so that files do not depend on the day they are made."""
    for start in (datetime(2026, 1, 5, 9, tzinfo=UTC), datetime(2030, 6, 1, tzinfo=UTC)):
        made = build("attacks", tmp_path / "a.pcap", 1, 1, attacks=["beacon"], start=start)
        first = next(iter(RawPcapReader(str(made.capture))))[1].sec
        assert 0 <= first - start.timestamp() < 60
        assert made.read_labels().about["start_ms"] == start.timestamp() * 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": "party"}, "office, attacks, mixed, bench"),
        ({"minutes": 0}, "more than 0"),
        ({"scenario": "bench", "backup": True}, "leave the backup out"),
        ({"attacks": ["phishing"]}, "horizontal_scan"),
        ({"scenario": "bench", "flows": 0}, "choose 1 to"),
        ({"snap": 10}, "at least 80"),
        ({"hosts": 3}, "8 to 200"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_left(tmp_path, arguments, message):
    """The message says what would be right."""
    settings = {"scenario": "mixed", "minutes": 1, **arguments}
    with pytest.raises(TrafficError, match=message):
        build(out=tmp_path / "x.pcap", seed=1, **settings)
    assert list(tmp_path.iterdir()) == []


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser.add_subparsers())
    return parser.parse_args(["traffic", *arguments])


def test_the_command_writes_both_files_and_says_what_is_in_them(tmp_path, capsys):
    """As a table, or as one JSON object."""
    out, labels = tmp_path / "f.pcap", tmp_path / "f.json"
    args = parse("--scenario", "attacks", "--attacks", "beacon,udp_scan", "--out", str(out), "--labels", str(labels))
    assert args.run(args) == ExitCode.OK
    assert "beacon" in capsys.readouterr().out
    args = parse("--scenario", "bench", "--flows", "50", "--minutes", "1", "--out", str(out), "--json")
    assert args.run(args) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)
    assert (said["flows"], said["capture"]) == (50, str(out))
    assert len(read_labels(Path(said["labels"]))) == 50


def test_the_command_says_what_is_wrong_and_ends_with_usage(tmp_path, capsys):
    """One line on the error stream."""
    args = parse("--out", str(tmp_path / "f.pcap"), "--minutes", "-3")
    assert args.run(args) == ExitCode.USAGE
    assert "more than 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse("--out", "x", "--start", "yesterday")
