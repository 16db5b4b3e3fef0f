"""What one flow says by itself: tables of cases."""

from __future__ import annotations

import numpy as np
import pytest

from agent import context_facts as facts
from agent.flow import FLOW, EndReason

TCP, UDP, ICMP = 6, 17, 1


def flow(**columns) -> np.ndarray:
    """One IPv4 TCP flow to a single host, with the columns given."""
    result = np.zeros(1, dtype=FLOW)
    result["dst_ip"] = [0] * 10 + [255, 255, 192, 0, 2, 7]
    for name, value in {"protocol": TCP, "ip_version": 4, **columns}.items():
        result[name] = value
    return result


@pytest.mark.parametrize(
    ("version", "address", "group"),
    [
        (4, [0] * 10 + [255, 255, 192, 0, 2, 7], False),
        (4, [0] * 10 + [255, 255, 224, 0, 0, 251], True),
        (4, [0] * 10 + [255, 255, 239, 255, 255, 250], True),
        (4, [0] * 10 + [255, 255, 240, 0, 0, 1], False),
        (4, [0] * 10 + [255, 255, 255, 255, 255, 255], True),
        (4, [0] * 10 + [255, 255, 192, 168, 1, 255], True),
        (6, [0xFF, 2] + [0] * 13 + [0xFB], True),
        (6, [0xFE, 0x80] + [0] * 13 + [255], False),
    ],
)
def test_group_addresses(version, address, group):
    """Multicast and broadcast of both families, and nothing else; an IPv6 host may well end in 255."""
    assert facts.group_address(flow(ip_version=version, dst_ip=address)).tolist() == [group]


@pytest.mark.parametrize(
    ("columns", "unanswered", "refused"),
    [
        ({"protocol": UDP}, True, False),
        ({"protocol": UDP, "dst2src_packets": 1}, False, False),
        ({"src2dst_syn_packets": 1}, True, False),
        ({"src2dst_syn_packets": 1, "dst2src_packets": 1, "dst2src_rst_packets": 1}, True, True),
        ({"src2dst_syn_packets": 1, "dst2src_packets": 1, "dst2src_syn_packets": 1}, False, False),
        ({"dst2src_packets": 3}, False, False),
        (
            {
                "src2dst_syn_packets": 1,
                "dst2src_packets": 1,
                "dst2src_syn_packets": 1,
                "bidirectional_rst_packets": 1,
            },
            False,
            True,
        ),
        (
            {
                "src2dst_syn_packets": 1,
                "dst2src_packets": 4,
                "dst2src_syn_packets": 1,
                "bidirectional_rst_packets": 1,
                "bidirectional_psh_packets": 3,
            },
            False,
            False,
        ),
    ],
)
def test_answers_and_refusals(columns, unanswered, refused):
    """Silence, a reset, a connection torn down before any data, and ordinary ones; mid-stream flows are neither."""
    one = flow(**columns)
    assert facts.unanswered(one).tolist() == [unanswered]
    assert facts.refused(one).tolist() == [refused]


def test_who_says_goodbye_is_not_refused():
    """A connection its initiator ended by FIN was no refusal, whatever reset follows; a scanner resets what it opened."""
    opened = {"src2dst_syn_packets": 1, "dst2src_packets": 2, "dst2src_syn_packets": 1, "bidirectional_rst_packets": 1}
    assert facts.refused(flow(**opened)).all()
    assert not facts.refused(flow(**opened, src2dst_fin_packets=1)).any()


def test_a_directory_is_asked_for_long_names():
    """A question for a service of a domain, a flow each, is ordinary; questions as long in one flow are not."""
    asked = flow(protocol=UDP, dst_port=53, src2dst_packets=1, src2dst_bytes=145)
    streamed = flow(protocol=UDP, dst_port=53, src2dst_packets=50, src2dst_bytes=50 * 145)
    assert facts.volume(asked)[2].tolist() == [0]
    assert facts.volume(streamed)[2].tolist() == [50 * 45 - 50]


def test_no_answer_is_due_from_a_group():
    """A multicast announcement that nobody answers is not an attempt that failed."""
    assert not facts.unanswered(flow(protocol=UDP, dst_ip=[0] * 10 + [255, 255, 239, 255, 255, 250])).any()


WHOLE = {
    "src2dst_syn_packets": 1,
    "dst2src_syn_packets": 1,
    "src2dst_psh_packets": 1,
    "dst2src_psh_packets": 1,
    "bidirectional_fin_packets": 2,
    "bidirectional_bytes": 900,
}


@pytest.mark.parametrize(
    ("changed", "is_one"),
    [
        ({}, True),
        ({"bidirectional_bytes": 10_000}, True),
        ({"bidirectional_bytes": 10_001}, False),
        ({"src2dst_syn_packets": 0}, False),
        ({"dst2src_syn_packets": 0}, False),
        ({"dst2src_psh_packets": 0}, False),
        ({"src2dst_psh_packets": 0}, False),
        ({"bidirectional_fin_packets": 0}, False),
        ({"bidirectional_fin_packets": 0, "bidirectional_rst_packets": 1}, True),
        ({"protocol": UDP}, False),
    ],
)
def test_short_exchanges(changed, is_one):
    """Opened, data both ways, closed, and short; each part is needed."""
    assert facts.exchanges(flow(**(WHOLE | changed))).tolist() == [is_one]


@pytest.mark.parametrize(
    ("changed", "is_held"),
    [
        ({}, True),
        ({"bidirectional_bytes": 1_500}, False),
        ({"dst2src_packets": 0}, False),
        ({"bidirectional_rst_packets": 1}, False),
        ({"bidirectional_fin_packets": 1}, False),
        ({"protocol": UDP}, False),
    ],
)
def test_held_connections(changed, is_held):
    """Open on both sides and nearly silent for as long as it lasted, which includes the wait that ended it."""
    columns = {
        "dst2src_packets": 1,
        "bidirectional_bytes": 124,
        "ended_ms": 25_000,
        "bidirectional_first_seen_ms": 10_000,
    }
    assert facts.held(flow(**(columns | changed))).tolist() == [is_held]


def test_beginnings_and_cuts():
    """A TCP flow begins with the initiator's SYN; what the meter cut goes on after it."""
    assert facts.begins(np.concatenate([flow(), flow(src2dst_syn_packets=1), flow(protocol=UDP)])).tolist() == [
        False,
        True,
        True,
    ]
    cut = {reason for reason in EndReason if facts.cut_off(flow(end=int(reason))).any()}
    assert cut == {EndReason.ACTIVE, EndReason.EVICTED}


def test_protocols_that_carry_tunnels():
    """DNS is port 53 over UDP or TCP; ICMP is both families'."""
    cases = [(UDP, 53), (TCP, 53), (UDP, 5353), (132, 53), (ICMP, 0), (58, 0)]
    flows = np.concatenate([flow(protocol=protocol, dst_port=port) for protocol, port in cases])
    assert facts.dns(flows).tolist() == [True, True, False, False, False, False]
    assert facts.icmp(flows).tolist() == [False, False, False, False, True, True]


def test_volume_counts_what_the_initiator_sent_and_icmp_both_ways():
    """Packets, bytes and bytes beyond 100 a packet; a small direction does not make up for a large one.

    One question of a DNS flow may be longer by the name of a service.
    """
    columns = {"src2dst_packets": 2, "src2dst_bytes": 300, "dst2src_packets": 3, "dst2src_bytes": 120}
    flows = np.concatenate([flow(protocol=UDP, dst_port=53, **columns), flow(protocol=ICMP, **columns)])
    packets, size, large = facts.volume(flows)
    assert packets.tolist() == [2, 5]
    assert size.tolist() == [300, 420]
    assert large.tolist() == [50, 100]


def test_time_that_lasted_is_never_zero():
    """A flow declared over at its first packet, or before it, lasted a millisecond."""
    flows = np.concatenate([flow(ended_ms=5, bidirectional_first_seen_ms=5), flow(bidirectional_first_seen_ms=9)])
    assert facts.lasted_s(flows).tolist() == [0.001, 0.001]
