"""One doing, one incident: the rules, as a function of the set of alerts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.triage.incidents import GAP_MS, RULES, SLOW_GAP_MS, Point, group

MINUTE = 60_000


def point(number, src="10.0.0.1", dst="10.0.0.9", port=80, at=0, lasting=10, **how):
    """A TCP connection that nobody accepted; `packets=20` makes it a conversation."""
    packets = how.pop("packets", 1)
    talked = packets > 6
    values = {"src_bytes": 60 * packets, "dst_bytes": 500 * packets if talked else 0, "src_port": 40_000 + number}
    return Point(number, src, dst, port, 6, at, at + lasting, packets, 60 * packets, score=4.0, **{**values, **how})


def talk(number, src="10.0.0.1", dst="10.0.0.9", port=80, at=0, **how):
    return point(number, src, dst, port, at, packets=20, **how)


def partition(groups):
    return {frozenset(member.id for member in found.members) for found in groups}


def rules(groups):
    return {found.rule: {member.id for member in found.members} for found in groups}


def test_a_port_scan_is_one_incident():
    """A thousand ports of one host within minutes, answered or not: one incident."""
    points = [point(number, port=number, at=number * 50) for number in range(1, 1001)]
    (found,) = group([*points, talk(1001, port=22, at=60_000), talk(1002, port=443, at=60_100)])
    assert (found.anchor, len(found.members)) == ("10.0.0.1>10.0.0.9", 1002)


def test_a_host_sweep_is_one_incident():
    """One port on many hosts."""
    (found,) = group([point(number, dst=f"10.0.1.{number}", port=445) for number in range(1, 50)])
    assert (found.rule, found.anchor) == ("source", "10.0.0.1")


def test_a_scan_of_several_hosts_holds_what_it_said_to_those_it_searched():
    """Connections to the open ports of a host whose ports were tried are part of the scan; other business is not."""
    tried = [
        point(10 * host + port, dst=f"10.0.1.{host}", port=port, at=port) for host in (1, 2) for port in range(1, 8)
    ]
    opened = talk(100, dst="10.0.1.1", port=22, at=50)
    elsewhere = talk(101, dst="203.0.113.7", port=443, at=60)
    found = rules(group([*tried, opened, elsewhere]))
    assert found["source"] == {member.id for member in tried} | {100}
    assert found["pair"] == {101}


def test_a_flood_is_one_incident():
    """Many sources against one target, spoofed as they may be."""
    (found,) = group([point(number, src=f"203.0.113.{number}") for number in range(1, 100)])
    assert (found.rule, found.anchor) == ("target", "10.0.0.9")


def test_what_a_flooded_host_answers_belongs_to_the_flood():
    """Backscatter has the victim as its source and many hosts as its targets, and is no scan of the victim's."""
    coming = [point(number, src=f"203.0.113.{number}", at=number) for number in range(1, 30)]
    going = [
        point(100 + n, src="10.0.0.9", dst=f"198.51.100.{n}", port=50_000 + n, at=n, src_port=80, opened=False)
        for n in range(1, 30)
    ]
    (found,) = group([*coming, *going])
    assert (found.rule, found.anchor, len(found.members)) == ("target", "10.0.0.9", 58)


def test_amplified_answers_of_many_reflectors_are_one_incident():
    """Answers from a service's port, from many hosts, to one that did not ask: against that one."""
    answers = [
        Point(n, f"203.0.113.{n}", "10.0.0.9", 40_000 + n, 17, n, n, 1, 480, 480, 0, 4.0, src_port=123)
        for n in range(1, 60)
    ]
    (found,) = group(answers)
    assert (found.rule, found.anchor) == ("target", "10.0.0.9")


def test_five_clients_over_an_hour_are_no_crowd():
    """A server that many use is not flooded: a crowd comes within a minute."""
    calm = [talk(number, src=f"10.0.2.{number}", at=number * 10 * MINUTE) for number in range(1, 6)]
    assert len(group(calm)) == 5


def test_otherwise_by_pair():
    """Alerts between the same two hosts belong together, whoever spoke first; other pairs do not."""
    back = point(4, src="10.0.0.9", dst="10.0.0.1", port=4444)
    points = [point(1), point(2, port=81), point(3, src="10.0.0.2", dst="10.0.0.8"), back]
    assert partition(group(points)) == {frozenset({1, 2, 4}), frozenset({3})}


def test_a_long_silence_ends_an_incident():
    """The same scanner tomorrow is another incident."""
    early = [point(number, port=number, at=0) for number in range(1, 10)]
    late = [point(number, port=number, at=GAP_MS + MINUTE) for number in range(11, 20)]
    assert partition(group(early + late)) == {frozenset(range(1, 10)), frozenset(range(11, 20))}


def test_a_slow_beacon_is_one_incident():
    """Calls three hours apart, on one service between two hosts, are one doing; on several services they are not."""
    calls = [talk(number, port=443, at=number * 3 * GAP_MS) for number in range(1, 9)]
    (found,) = group(calls)
    assert (found.rule, len(found.members)) == ("lasting", 8)
    assert len(group([talk(number, port=400 + number, at=number * 3 * GAP_MS) for number in range(1, 9)])) == 8
    assert len(group([talk(1, at=0), talk(2, at=SLOW_GAP_MS + MINUTE)])) == 2


def test_a_beacon_is_not_swallowed_by_what_else_its_host_does():
    """A scan, or strange visits to many hosts, leave a beacon of the same host an incident of its own."""
    calls = [talk(number, dst="203.0.113.9", port=443, at=number * MINUTE) for number in range(1, 10)]
    visits = [talk(100 + n, dst=f"198.51.100.{n}", port=443, at=n * MINUTE) for n in range(1, 9)]
    scan = [point(200 + n, dst=f"10.0.1.{n}", port=445, at=n * MINUTE) for n in range(1, 30)]
    found = rules(group([*calls, *visits, *scan]))
    assert found == {
        "lasting": set(range(1, 10)),
        "roaming": set(range(101, 109)),
        "source": set(range(201, 230)),
    }


def test_logins_on_several_hosts_are_one_incident():
    """One password tried on host after host, and moving from host to host, are one doing."""
    points = [talk(number, dst=f"10.0.1.{number % 4}", port=22, at=number * 1000) for number in range(1, 20)]
    (found,) = group(points)
    assert (found.rule, found.anchor) == ("logins", "10.0.0.1")


def test_messages_about_undelivered_packets_follow_those_packets():
    """A scan over UDP makes every host it tries send ICMP back: no flood of the scanner."""
    tried = [
        Point(n, "10.0.0.1", f"10.0.1.{n}", 161, 17, n, n, 1, 60, 60, 0, 4.0, src_port=50_000) for n in range(1, 40)
    ]
    back = [Point(100 + n, f"10.0.1.{n}", "10.0.0.1", 0, 1, n + 1, n + 1, 1, 90, 90, 0, 4.0) for n in range(1, 40)]
    (found,) = group([*tried, *back])
    assert (found.rule, found.anchor, len(found.members)) == ("source", "10.0.0.1", 78)


def test_announcements_to_everybody_are_no_scan():
    """Multicast and broadcast have no one who need answer."""
    everybody = ("224.0.0.251", "239.255.255.250", "10.0.0.255", "255.255.255.255", "ff02::fb", "ff02::c")
    points = [point(n, dst=dst, port=5000 + n) for n, dst in enumerate(everybody, 1)]
    assert all(found.rule != "source" for found in group(points))


def test_a_long_flow_bridges_the_silence():
    """The pause counts from the end of what came before, not from its beginning."""
    points = [
        point(1, lasting=9 * GAP_MS, port=1),
        point(2, at=1000, port=2),
        point(3, at=9 * GAP_MS + MINUTE, port=3),
    ]
    assert partition(group(points)) == {frozenset({1, 2, 3})}


def test_a_scan_that_touches_a_flooded_host_stays_a_scan():
    """The source's doing explains its alerts; the others stay together."""
    scan = [point(number, src="10.6.6.6", dst=f"10.0.0.{number}", port=22) for number in range(1, 20)]
    flood = [point(100 + number, src=f"203.0.113.{number}", dst="10.0.0.9") for number in range(1, 20)]
    assert partition(group(scan + flood)) == {frozenset(range(1, 20)), frozenset(range(101, 120))}


def test_a_rule_that_held_once_is_kept_by_the_members():
    """What made a scan a scan may be out of sight; alerts that are in its incident say so."""
    scan = {"incident_id": 7, "rule": "source", "anchor": "10.0.0.1"}
    (found,) = group([point(1, dst="10.0.1.1", **scan), point(2, dst="10.0.1.2")])
    assert (found.rule, len(found.members)) == ("source", 2)


points = st.lists(
    st.builds(
        lambda number, src, dst, port, src_port, step, protocol, packets: Point(
            number, src, dst, port if protocol == 6 else 0 if protocol == 1 else port, protocol,
            step * (GAP_MS // 2), step * (GAP_MS // 2) + 5, packets, 60 * packets, 60 * packets,
            0 if packets < 3 else 500, 4.0, src_port=src_port, opened=src_port > 1023,
        ),
        st.integers(1, 10_000),
        st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]),
        st.sampled_from(["a", "b", "x", "y"]),
        st.sampled_from([22, 53, 80, 50_000, 50_001]),
        st.sampled_from([53, 80, 40_000, 40_001]),
        st.integers(0, 14),
        st.sampled_from([6, 6, 17, 1]),
        st.sampled_from([1, 3, 20]),
    ),
    unique_by=lambda p: p.id,
    max_size=60,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(points, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(given_points, random):
    """The law: the incidents are a function of the set of alerts."""
    shuffled = list(given_points)
    random.shuffle(shuffled)
    assert group(shuffled) == group(given_points)


@settings(max_examples=100, deadline=None)
@given(points)
def test_every_alert_is_in_exactly_one_incident(given_points):
    """Nothing is lost and nothing is shown twice."""
    members = [member.id for found in group(given_points) for member in found.members]
    assert sorted(members) == sorted(entry.id for entry in given_points)


@settings(max_examples=100, deadline=None)
@given(points)
def test_grouping_what_is_grouped_changes_nothing(given_points):
    """Idempotence: alerts that know their incident form the same incidents again."""
    before = group(given_points)
    again = [
        Point(
            **{
                **{name: getattr(member, name) for name in Point.__slots__},
                "incident_id": number,
                "rule": found.rule,
                "anchor": found.anchor,
            }
        )
        for number, found in enumerate(before)
        for member in found.members
    ]
    assert partition(group(again)) == partition(before)


@settings(max_examples=150, deadline=None)
@given(points, points)
def test_incidents_grow_and_merge_but_never_fall_apart(some, more):
    """More alerts never weaken a rule, and alerts of one incident that stay under its rule stay together.

    ICMP messages that follow other packets follow them; they are left out.
    """
    known = {entry.id for entry in some}
    union = some + [entry for entry in more if entry.id not in known]
    strength = {rule: len(RULES) - place for place, rule in enumerate(RULES)}
    before, after = group(some), group(union)
    place = {member.id: (number, found) for number, found in enumerate(after) for member in found.members}
    for found in before:
        same = set()
        for member in found.members:
            if member.protocol == 1:
                continue
            number, now = place[member.id]
            assert strength[now.rule] >= strength[found.rule]
            if (now.rule, now.anchor) == (found.rule, found.anchor):
                same.add(number)
        assert len(same) <= 1


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_few_alerts_stay_what_they_are(count):
    """A handful of conversations of two hosts is nothing more."""
    (found,) = group([talk(number, port=100 + number, at=number) for number in range(1, count + 1)])
    assert found.rule == "pair"
