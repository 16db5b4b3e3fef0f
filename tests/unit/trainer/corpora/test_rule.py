"""Attack rules: a few forms, parsed and never evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from agent.flow import FLOW
from protos import contract
from trainer.corpora import rule
from trainer.errors import TruthUnreadable


def _flows() -> np.ndarray:
    flows = np.zeros(4, dtype=FLOW)
    for row, (src, dst, port, packets) in enumerate(
        [("10.0.0.1", "10.0.0.9", 53, 1), ("194.165.16.4", "10.0.0.9", 80, 5), ("10.0.0.2", "fe80::1", 6892, 9),
         ("1.194.165.1", "10.0.0.3", 443, 2)]
    ):  # fmt: skip
        flows["src_ip"][row] = np.frombuffer(contract.parse_address(src), np.uint8)
        flows["dst_ip"][row] = np.frombuffer(contract.parse_address(dst), np.uint8)
        flows["dst_port"][row] = port
        flows["bidirectional_packets"][row] = packets
    return flows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(dst_port==6892)|(src_ip.str.startswith('194.165.'))", [0, 1, 1, 0]),
        ("dst_port == 53", [1, 0, 0, 0]),
        ("dst_port != 53", [0, 1, 1, 1]),
        ("(bidirectional_packets >= 2) & (bidirectional_packets < 9)", [0, 1, 0, 1]),
        ("~(dst_port == 53)", [0, 1, 1, 1]),
        ("dst_port.isin([53, 443])", [1, 0, 0, 1]),
        ("src_ip.isin(['10.0.0.1', '10.0.0.2'])", [1, 0, 1, 0]),
        ("dst_ip == 'fe80::1'", [0, 0, 1, 0]),
        ("src_ip.str.endswith('.1')", [1, 0, 0, 1]),
        ("src_ip.str.contains('194.165')", [0, 1, 0, 1]),
        ("((dst_port == 53) | (dst_port == 80)) & ~(src_ip == '10.0.0.1')", [0, 1, 0, 0]),
    ],
)
def test_the_understood_forms_select_the_flows_pandas_would(text: str, expected: list[int]) -> None:
    """Each form means what it means in pandas."""
    assert rule.parse(text)(_flows()).tolist() == [bool(value) for value in expected]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "dst_port == __import__('os')",
        "(lambda: 1)()",
        "src_ip.str.format('x')",
        "src_ip.str.match('.*')",
        "nothing == 1",
        "dst_port == 'a'",
        "src_ip == 5",
        "dst_port.str.startswith('5')",
        "dst_port == 53 | dst_port == 80",
        "1 < dst_port < 5",
        "dst_port",
        "dst_port.isin(dst_ip)",
        "dst_port ==",
        "",
        "(" * 300 + "dst_port==1" + ")" * 300,
        "~" * 80 + "(dst_port==1)",
        "dst_port==1" + "|(dst_port==1)" * 400,
        "dst_port == True",
    ],
)
def test_everything_else_is_refused_with_a_reason(text: str) -> None:
    """What is not understood is never run, and the message says what is."""
    with pytest.raises(TruthUnreadable, match="attack rule"):
        rule.parse(text)
