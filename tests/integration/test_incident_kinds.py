"""Incidents of real captures: every flow, or three in ten, raised an alert; and what false alarms come out as."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.errors import SourceError
from agent.meter import read_capture
from aggregator.triage.incidents import (
    BEACON,
    FLOOD,
    HOST_SWEEP,
    PASSWORD_GUESSING,
    PORT_SCAN,
    REMOTE_ADMINISTRATION,
    SINGLE_FLOW,
    TUNNEL,
    UNUSUAL_EXCHANGE,
    WEB_SCAN,
    group,
    of_flows,
    summarise,
)

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = {
    "scan:nmap-syn": {PORT_SCAN},
    "scan:nmap-tcp_syn_scan": {PORT_SCAN},
    "scan:nmap-tcp_connect_scan": {PORT_SCAN},
    "scan:nmap-udp_scan": {PORT_SCAN},
    "scan:nmap-version_scan": {PORT_SCAN},
    "bruteforce:ftp": {PASSWORD_GUESSING},
    "dos:slowloris": {FLOOD},
    "ddos:syn-flood-spoofed": {FLOOD},
    "ddos:amp-snmp": {FLOOD},
    "ddos:amp-isakmp": {FLOOD},
    "tunnel:dns-iodine": {TUNNEL},
    "tunnel:dns": {TUNNEL},
    "tunnel:icmp": {TUNNEL},
    "c2:periodic-dns-tls": {TUNNEL, BEACON},
    "malware:cerber-udp-spray": {HOST_SWEEP},
    "web:scanner-rce": {WEB_SCAN},
}
"""Kinds that name a kind of attack, by the manifest's word for it."""

WHOLE = {
    "lateral:psexec_cmd": {REMOTE_ADMINISTRATION},
    "lateral:impacket_psexec": {REMOTE_ADMINISTRATION},
    "lateral:smbexec": {REMOTE_ADMINISTRATION},
    "lateral:wmi_exec1": {REMOTE_ADMINISTRATION},
    "lateral:LM_psexec_smb_dcerpc_epm_svcctl": {REMOTE_ADMINISTRATION},
}
"""Of these a part is a flow or two, which is called just that."""

CALM = {SINGLE_FLOW, UNUSUAL_EXCHANGE}


def flows(path):
    """Every flow of a capture, as an agent meters it; None when it holds none."""
    try:
        batches = [batch.copy() for batch in read_capture(path) if len(batch)]
    except SourceError:
        return None
    return np.concatenate(batches) if batches else None


def named(found):
    """Incidents of these flows, largest first."""
    points = list(of_flows(found, np.full(len(found), 4.0)))
    summaries = [summarise(one.members, one.rule) for one in group(points)]
    return sorted(summaries, key=lambda summary: -summary.alerts)


def manifest(folder: Path):
    with (folder / "MANIFEST.csv").open(newline="") as text:
        return [(folder.parent / row["file"], row) for row in csv.DictReader(text)]


@pytest.fixture(scope="module")
def attacks(captures):
    """The flows of every attack capture, by the manifest's word for it."""
    found = {row["attack"]: flows(path) for path, row in manifest(captures) if row["label"] != "benign"}
    return {attack: held for attack, held in found.items() if held is not None}


@pytest.mark.parametrize("attack", [*EXPECTED, *WHOLE])
def test_an_attack_is_an_incident_of_its_kind(attacks, attack):
    """The largest incident names it and holds most of its flows."""
    if attack not in attacks:
        pytest.skip(f"no capture of {attack}")
    found = named(attacks[attack])
    assert found[0].kind in {**EXPECTED, **WHOLE}[attack], [(one.kind, one.title) for one in found[:3]]
    share = 0.4 if attack in WHOLE else 0.8
    assert found[0].alerts >= share * len(attacks[attack])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("attack", EXPECTED)
def test_three_flows_in_ten_are_enough(attacks, attack, seed):
    """Not every flow of an attack raises an alert; what does is still recognised, and still one incident."""
    if attack not in attacks:
        pytest.skip(f"no capture of {attack}")
    every = attacks[attack]
    part = every[np.random.default_rng(seed).random(len(every)) < 0.3]
    found = named(part if len(part) else every[:1])
    assert found[0].kind in EXPECTED[attack], [(one.kind, one.title) for one in found[:3]]
    assert found[0].alerts >= 0.7 * len(part)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.1])
def test_false_alarms_are_called_nothing_dramatic(captures, share):
    """Benign flows picked at random: at least 97 of 100 incidents are single flows or unusual exchanges."""
    chance = np.random.default_rng(7)
    kinds: Counter[str] = Counter()
    benign = [path for path, row in manifest(captures) if row["label"] == "benign"]
    for path in benign[:: max(1, len(benign) // 150)]:
        held = flows(path)
        if held is None:
            continue
        picked = held[chance.random(len(held)) < share]
        if len(picked):
            kinds.update(summary.kind for summary in named(picked))
    assert sum(kinds.values()) > 0
    assert sum(kinds[kind] for kind in CALM) >= 0.97 * sum(kinds.values()), kinds
