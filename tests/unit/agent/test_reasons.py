"""Reasons: strongest first, finite, and every feature in words that a person on call can read."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.reasons import LEAST_SHARE, MOST, phrase, strongest
from protos.contract import FEATURES, index

N = len(FEATURES)


def row(**values: float) -> np.ndarray:
    result = np.zeros(N, dtype=np.float32)
    for name, value in values.items():
        result[index(name)] = value
    return result


def test_the_strongest_come_first_with_their_shares() -> None:
    """Shares are parts of the whole, in order, and noise is left out."""
    reasons = strongest(
        FEATURES,
        row(src_ports_10s=812, src2dst_bytes=40),
        row(src_ports_10s=9, src2dst_bytes=0.9, is_tcp=0.1),
        row(src_ports_10s=2),
    )
    assert [reason.feature for reason in reasons] == ["src_ports_10s", "src2dst_bytes"]
    assert reasons[0].share == pytest.approx(0.9)
    assert (reasons[0].observed, reasons[0].expected) == (812, 2)
    assert reasons[0].text == ("the initiator contacted 812 distinct ports in the last 10 s, expected about 2")


def test_a_flow_that_is_not_strange_has_no_reasons() -> None:
    """Without contributions nothing is claimed."""
    assert strongest(FEATURES, row(), row(), row()) == ()


def test_a_value_as_expected_explains_nothing_unless_all_are() -> None:
    """`30 bytes/s, expected about 30` is left out; a broken correlation of ordinary values is still told."""
    parts = row(bytes_per_second=5, src2dst_packets=3)
    observed = row(bytes_per_second=29.7, src2dst_packets=2)
    told = strongest(FEATURES, observed, parts, row(bytes_per_second=29.5, src2dst_packets=9))
    assert [reason.feature for reason in told] == ["src2dst_packets"]
    told = strongest(FEATURES, observed, parts, row(bytes_per_second=29.5, src2dst_packets=2))
    assert [reason.feature for reason in told] == ["bytes_per_second", "src2dst_packets"]


@given(
    contributions=hnp.arrays(np.float32, N, elements=st.floats(width=32)),
    observed=hnp.arrays(np.float32, N, elements=st.floats(0, 1e9, width=32)),
    expected=hnp.arrays(np.float32, N, elements=st.floats(width=32)),
)
def test_laws(contributions, observed, expected) -> None:
    """Whatever a graph says: few, ordered, finite, and shares between 0 and 1."""
    reasons = strongest(FEATURES, observed, contributions, expected)
    assert len(reasons) <= MOST
    shares = [reason.share for reason in reasons]
    assert shares == sorted(shares, reverse=True)
    assert all(LEAST_SHARE <= share <= 1 for share in shares)
    assert sum(shares) <= 1 + 1e-6
    assert all(np.isfinite([reason.observed, reason.expected]).all() for reason in reasons)


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_has_a_phrase(feature: str) -> None:
    """No identifier of ours reaches the operator, and every phrase says what was seen and what is usual."""
    for observed, expected in ((1, 0), (0, 1), (5321.7, 12.25), (2.5e9, 1e3)):
        text = phrase(feature, observed, expected)
        assert "expected" in text
        assert not re.search(r"[{}_]|src2dst|dst2src|bidirectional|piat|stddev", text), text
        assert feature not in text
    assert phrase(feature, 7, 3) != phrase(feature, 7, 500) or "such flows" in phrase(feature, 7, 3)


@pytest.mark.parametrize(
    ("feature", "observed", "expected", "text"),
    [
        ("bidirectional_duration_ms", 61_000, 250, "lasted 61.0 s (both ways), expected about 250 ms"),
        ("src2dst_bytes", 12_400_000, 900, "12.4 MB transferred (from the initiator), expected about 900 bytes"),
        ("src2dst_bytes_share", 0.98, 0.2, "the initiator sent 98 % of the bytes, expected about 20 %"),
        ("unanswered", 1, 0.03, "the responder never answered, expected for about 3 % of such flows"),
        ("unanswered", 0, 0.97, "an answer came, expected for about 3 % of such flows"),
        ("bytes_per_second", 56_000, 10, "56.0 kB/s, expected about 10 bytes/s"),
        ("packets_per_second", 1234.5, -3, "1,234 packets/s, expected about 0 packets/s"),
        ("dst2src_rst_packets", 1, 0, "1 packets with RST set (from the responder), expected about 0"),
        ("service_flows_300s", 41, 3.2, "41 flows to this host and port in the last 5 min, expected about 3.2"),
    ],
)
def test_phrases(feature: str, observed: float, expected: float, text: str) -> None:
    """Some phrases in full."""
    assert phrase(feature, observed, expected) == text
