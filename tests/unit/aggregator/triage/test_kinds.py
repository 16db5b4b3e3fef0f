"""What a doing is called: whole attacks and parts of them through grouping and naming, and the table's own rules."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from doings import ATTACKS, HOUR, ICMP, MINUTE, TCP, UDP, WHOLE, A, B, Story, V, host, port_scan, psexec

from aggregator.triage.conversations import Facts, conversations, measure, weigh
from aggregator.triage.incidents import (
    BEACON,
    KINDS,
    REMOTE_ADMINISTRATION,
    SINGLE_FLOW,
    UNUSUAL_EXCHANGE,
    group,
    summarise,
)
from aggregator.triage.kinds import RULES, judge


def named(points):
    return sorted(
        (summarise(found.members, found.rule) for found in group(points)), key=lambda summary: -summary.alerts
    )


@pytest.mark.parametrize("name", [*ATTACKS, *WHOLE])
def test_a_whole_doing_is_one_incident_of_its_kind(name):
    """Every flow of it raised an alert."""
    story, kinds = {**ATTACKS, **WHOLE}[name]
    found = named(story().points)
    assert [(summary.kind in kinds) for summary in found] == [True], [(s.kind, s.title) for s in found]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_third_of_a_doing_is_enough(name, seed):
    """Three flows in ten raised an alert: still one incident, or mostly one, of the same kind."""
    story, kinds = ATTACKS[name]
    chance = random.Random(seed)
    part = [point for point in story().points if chance.random() < 0.3]
    found = named(part)
    assert found[0].kind in kinds, [(summary.kind, summary.title) for summary in found[:3]]
    assert found[0].alerts >= 0.9 * len(part) or len(part) < 10


@pytest.mark.parametrize("seed", range(5))
def test_everyday_flows_are_called_nothing_dramatic(seed):
    """Alerts picked at random from the conversations of an office: single flows and unusual exchanges."""
    chance = random.Random(seed)
    story = Story(seed)
    services = [(443, TCP), (443, TCP), (80, TCP), (53, UDP), (993, TCP), (445, TCP), (123, UDP), (22, TCP)]
    for _ in range(80):
        port, proto = chance.choice(services)
        inside = port in {53, 445, 22}
        there = f"10.0.9.{chance.randint(1, 3)}" if inside else host(chance.randint(0, 200), "203.0")
        packets = chance.randint(1, 3) if proto == UDP else chance.randint(8, 200)
        out, back = (packets, packets * chance.randint(70, 400)), (packets, packets * chance.randint(70, 1200))
        story.flow(
            f"10.0.2.{chance.randint(1, 40)}", there, port, chance.randint(0, 8 * HOUR), proto=proto, out=out, back=back
        )
    kinds = Counter(summary.kind for summary in named(story.points))
    calm = kinds[SINGLE_FLOW] + kinds[UNUSUAL_EXCHANGE] + kinds[REMOTE_ADMINISTRATION]
    assert calm == sum(kinds.values()), kinds


def test_every_kind_has_a_rule_and_every_rule_a_kind():
    """The table is complete, its last rule always holds, and names of rules are unique."""
    assert {rule.kind for rule in RULES} == set(KINDS)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert judge(Facts()).kind == UNUSUAL_EXCHANGE


CALM = {"conversations": 20, "servers": 1, "clients": 1, "main_share": 1.0, "client": A, "server": B}


@pytest.mark.parametrize(
    ("figures", "rule"),
    [
        ({"ports": 30, "probes": 0.9, "endpoints": 30, "main_share": 0.05}, "ports"),
        ({"ports": 30, "probes": 0.9, "protocol": UDP, "probe_bytes": 900.0, "unanswered": 0.9,
          "conversations": 60, "peak_per_minute": 60}, "heavy"),
        ({"servers": 20, "main_servers": 20, "probes": 0.9, "endpoints": 20, "port": 445}, "sweep"),
        ({"servers": 6, "main_servers": 6, "probes": 0.9, "endpoints": 6, "port": 443,
          "services": frozenset({(TCP, 443), (TCP, 81)})}, "network"),
        ({"servers": 6, "main_servers": 6, "probes": 0.9, "endpoints": 6, "port": 443,
          "services": frozenset({(TCP, 443), (TCP, 80)})}, "unusual"),
        ({"port": 22, "main_answered": 20, "main_servers": 1, "peak_per_minute": 20}, "guessing"),
        ({"port": 22, "main_answered": 20, "main_servers": 1, "peak_per_minute": 2}, "remote"),
        ({"port": 80, "main_servers": 1, "open_at_once": 40}, "held open"),
        ({"port": 22, "main_servers": 1, "open_at_once": 40, "main_answered": 40, "peak_per_minute": 40}, "guessing"),
        ({"port": 53, "protocol": UDP, "main_out_packets": 20, "query_bytes": 150.0}, "questions"),
        ({"port": 53, "protocol": UDP, "main_out_packets": 20, "query_bytes": 80.0}, "unusual"),
        ({"port": 0, "protocol": ICMP, "main_packets": 40, "deviation": 0.0, "query_bytes": 98.0}, "unusual"),
        ({"port": 443, "main_out_bytes": 9_000_000, "main_in_bytes": 200_000}, "outflow"),
        ({"port": 443, "main_out_bytes": 9_000_000, "main_in_bytes": 3_000_000}, "unusual"),
        ({"conversations": 1, "port": 443}, "single"),
    ],
)  # fmt: skip
def test_the_table_decides_by_figures(figures, rule):
    """The order of the rules matters where two hold: loads before ports, passwords before open connections."""
    commands = 1.0 if figures.get("port") == 22 else 0.0
    assert judge(Facts(**{**CALM, "commands": commands, **figures})).name == rule


def test_hosts_that_call_the_same_server_are_beacons_not_a_flood():
    """Several infected hosts in step look like a crowd; the name is that of what each does."""
    story = Story()
    for turn in range(30):
        for bot in range(6):
            story.flow(host(bot), V, 8080, turn * MINUTE + bot * 800, out=(6, 700), back=(5, 900), lasts=200)
    (found,) = named(story.points)
    assert (found.kind, found.dst_ip) == (BEACON, V)
    assert "150 alerts more of the same hosts belong to it." in found.evidence


@pytest.mark.parametrize("name", ["psexec", "DNS tunnel over one socket", "ICMP tunnel", "SSH guessing", "port scan"])
def test_a_doing_is_named_among_strange_flows_of_its_hosts(name):
    """False alarms about the same hosts do not hide it, whether they share its incident or not."""
    story, kinds = {**ATTACKS, **WHOLE}[name]
    told = story()
    own = {point.id for point in told.points}
    for number in range(12):
        target = (B, V, host(number, "203.0"))[number % 3]
        told.flow(A, target, 443, number * 9 * MINUTE, out=(9, 2000), back=(9, 9000), lasts=400)
    found = max(group(told.points), key=lambda one: sum(member.id in own for member in one.members))
    assert summarise(found.members, found.rule).kind in kinds


def test_records_of_one_five_tuple_are_one_conversation():
    """Also when a later record calls the server its source, as happens after the active timeout."""
    story = Story().flow(A, V, 443, 0, out=(10, 1000), back=(5, 700), src_port=50_000)
    story.flow(V, A, 50_000, MINUTE, out=(7, 900), back=(3, 200), src_port=443, opened=False)
    (one,) = conversations(story.points)
    assert (one.client, one.server, one.port, one.records) == (A, V, 443, 2)
    assert (one.out_bytes, one.in_bytes, one.packets) == (1200, 1600, 25)


def test_the_same_port_much_later_is_another_conversation():
    """A source port is used again after a while."""
    story = Story().flow(A, V, 443, 0, src_port=50_000).flow(A, V, 443, HOUR, src_port=50_000)
    assert len(conversations(story.points)) == 2


def test_a_part_of_regular_calls_fits_multiples_of_their_period():
    """Calls that raised no alert leave distances of two and three periods."""
    rhythm = measure([turn * 60_000 for turn in (0, 1, 3, 4, 8, 9, 12, 14, 15, 18)])
    assert rhythm.fit == pytest.approx(1.0)
    assert rhythm.period_ms == pytest.approx(60_000)
    assert rhythm.variation > 0.35


def test_evidence_is_sentences_with_numbers():
    """What an analyst reads: how many, how fast, how much of it unanswered, how much went out and came back."""
    (summary,) = named(port_scan().points)
    said = " ".join(summary.evidence)
    assert all(sentence.endswith(".") for sentence in summary.evidence)
    assert "399 conversations" in said
    assert "399 different ports on 1 host were tried" in said
    assert "% of them were not answered or were refused" in said
    assert summary.title == f"{A} tried 399 ports of {B}"


def test_what_went_the_other_way_is_counted_apart():
    """The client with most conversations is the one the incident is about."""
    points = psexec().flow(B, A, 8443, 900, out=(9, 900), back=(9, 900)).points
    facts = weigh(points, "pair")
    assert (facts.client, facts.server, facts.conversations, facts.others) == (A, B, 3, 1)
