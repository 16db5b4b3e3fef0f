"""One doing, one incident: the rules, as a function of the set of alerts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.incidents import GAP_MS, Facts, Point, describe, group, strongest_reasons
from aggregator.rows import Reason

MINUTE = 60_000


def point(number, src="10.0.0.1", dst="10.0.0.9", port=80, at=0, lasting=10):
    return Point(number, src, dst, port, at, at + lasting)


def partition(groups):
    return {frozenset(member.id for member in found.members) for found in groups}


def test_a_port_scan_is_one_incident():
    """A thousand ports of one host within minutes: one incident, anchored at the source."""
    points = [point(number, port=number, at=number * 50) for number in range(1, 1001)]
    (found,) = group(points)
    assert (found.rule, found.anchor, len(found.members)) == ("source", "10.0.0.1", 1000)


def test_a_host_sweep_is_one_incident():
    """One port on many hosts."""
    (found,) = group([point(number, dst=f"10.0.1.{number}", port=445) for number in range(1, 50)])
    assert found.rule == "source"


def test_a_flood_is_one_incident():
    """Many sources against one target."""
    (found,) = group([point(number, src=f"203.0.113.{number}") for number in range(1, 100)])
    assert (found.rule, found.anchor) == ("target", "10.0.0.9")


def test_otherwise_by_pair():
    """Alerts between the same two hosts belong together; other pairs do not."""
    points = [point(1), point(2, port=81), point(3, src="10.0.0.2", dst="10.0.0.8"), point(4)]
    assert partition(group(points)) == {frozenset({1, 2, 4}), frozenset({3})}


def test_a_long_silence_ends_an_incident():
    """The same scanner tomorrow is another incident."""
    early = [point(number, port=number, at=0) for number in range(1, 10)]
    late = [point(number, port=number, at=GAP_MS + MINUTE) for number in range(11, 20)]
    assert partition(group(early + late)) == {frozenset(range(1, 10)), frozenset(range(11, 20))}


def test_a_long_flow_bridges_the_silence():
    """The pause counts from the end of what came before, not from its beginning."""
    points = [point(1, lasting=3 * GAP_MS), point(2, at=1000), point(3, at=3 * GAP_MS + MINUTE)]
    assert partition(group(points)) == {frozenset({1, 2, 3})}


def test_a_scan_that_touches_a_flooded_host_stays_a_scan():
    """The source's doing explains its alerts; the others stay together."""
    scan = [point(number, src="10.6.6.6", dst=f"10.0.0.{number}", port=22) for number in range(1, 20)]
    flood = [point(100 + number, src=f"203.0.113.{number}", dst="10.0.0.9") for number in range(1, 20)]
    assert partition(group(scan + flood)) == {frozenset(range(1, 20)), frozenset(range(101, 120))}


points = st.lists(
    st.builds(
        Point,
        id=st.integers(1, 10_000),
        src_ip=st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]),
        dst_ip=st.sampled_from(["a", "b", "x", "y"]),
        dst_port=st.integers(1, 4),
        first_seen_ms=st.integers(0, 6).map(lambda step: step * (GAP_MS // 2)),
        last_seen_ms=st.just(0),
    ).map(lambda p: Point(p.id, p.src_ip, p.dst_ip, p.dst_port, p.first_seen_ms, p.first_seen_ms + 5)),
    unique_by=lambda p: p.id,
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(points, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(given_points, random):
    """The law: the incidents are a function of the set of alerts."""
    shuffled = list(given_points)
    random.shuffle(shuffled)
    assert group(shuffled) == group(given_points)


@settings(max_examples=200, deadline=None)
@given(points)
def test_every_alert_is_in_exactly_one_incident(given_points):
    """Nothing is lost and nothing is shown twice."""
    members = [member.id for found in group(given_points) for member in found.members]
    assert sorted(members) == sorted(entry.id for entry in given_points)


@settings(max_examples=200, deadline=None)
@given(points, points)
def test_incidents_grow_and_merge_but_a_rule_never_weakens(some, more):
    """More alerts never turn a scan back into pairs: what is one doing stays one doing."""
    known = {entry.id for entry in some}
    union = some + [entry for entry in more if entry.id not in known]
    strength = {"pair": 0, "target": 1, "source": 2}
    before = {member.id: strength[found.rule] for found in group(some) for member in found.members}
    after = {member.id: strength[found.rule] for found in group(union) for member in found.members}
    assert all(after[number] >= before[number] for number in before)


@pytest.mark.parametrize(
    ("facts", "kind", "title"),
    [
        (
            Facts("source", 900, 900, 1, 1, 900, "10.0.0.1", "10.0.0.9", None),
            "port scan",
            "10.0.0.1 tried 900 ports of 10.0.0.9",
        ),
        (
            Facts("source", 50, 50, 1, 50, 1, "10.0.0.1", None, 445),
            "host sweep",
            "10.0.0.1 tried port 445 of 50 hosts",
        ),
        (Facts("source", 50, 50, 1, 50, 1, "10.0.0.1", None, 0), "host sweep", "10.0.0.1 tried to reach 50 hosts"),
        (
            Facts("source", 90, 80, 1, 9, 10, "10.0.0.1", None, None),
            "network scan",
            "10.0.0.1 tried 10 ports on 9 hosts",
        ),
        (
            Facts("source", 6, 0, 1, 6, 2, "10.0.0.1", None, None),
            "one source, many targets",
            "10.0.0.1 had strange exchanges with 6 hosts",
        ),
        (
            Facts("target", 99, 99, 60, 1, 1, None, "10.0.0.9", 80),
            "flood",
            "60 sources sent a flood of short flows to 10.0.0.9",
        ),
        (
            Facts("target", 9, 0, 6, 1, 1, None, "10.0.0.9", 80),
            "many sources, one target",
            "6 sources sent strange flows to 10.0.0.9",
        ),
        (
            Facts("pair", 30, 0, 1, 1, 1, "10.0.0.1", "10.0.0.9", 22),
            "repeated connections",
            "10.0.0.1 connected 30 times to 10.0.0.9 port 22",
        ),
        (
            Facts("pair", 1, 1, 1, 1, 1, "10.0.0.1", "10.0.0.9", 22),
            "single flow",
            "One strange flow from 10.0.0.1 to 10.0.0.9 port 22",
        ),
        (
            Facts("pair", 3, 1, 1, 1, 2, "10.0.0.1", "10.0.0.9", None),
            "unusual exchange",
            "3 strange flows from 10.0.0.1 to 10.0.0.9",
        ),
    ],
)
def test_an_incident_is_described_in_plain_words(facts, kind, title):
    """What an analyst reads first."""
    assert describe(facts) == (kind, title)


def test_the_strongest_reasons_over_many_alerts():
    """By mean share, in the words of the strongest alert that has them."""
    first = (Reason("a", 9, 1, 0.6, "a of the strongest"), Reason("b", 1, 1, 0.4, "b"))
    second = (Reason("b", 2, 1, 0.9, "b later"),)
    found = strongest_reasons([first, second])
    assert [(reason.feature, reason.text) for reason in found] == [("b", "b"), ("a", "a of the strongest")]
    assert found[0].share == pytest.approx(0.65)
    assert strongest_reasons([]) == ()
