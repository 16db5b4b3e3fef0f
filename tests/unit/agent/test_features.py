"""The one place where features are computed covers the contract and never gives a value that is not finite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import context, features
from agent.context import Context
from agent.flow import FLOW
from protos import contract


def test_every_feature_of_the_contract_has_an_origin():
    """Nothing is missing and nothing is computed twice."""
    origins = [features.origin(name) for name in contract.FEATURES]
    assert origins.count("context") == len(context.NAMES)
    assert origins.count("derived") == len(features.DERIVED)
    assert set(features.DERIVED).isdisjoint(FLOW.names)
    with pytest.raises(KeyError):
        features.origin("payload")


def test_no_feature_names_an_address_a_raw_port_or_a_clock():
    """What identifies a host or a moment is not something to learn from."""
    forbidden = {"src_ip", "dst_ip", "src_port", "dst_port", "bidirectional_first_seen_ms", "vlan_id", "src_mac"}
    assert forbidden.isdisjoint(contract.FEATURES)


def test_columns_of_a_known_flow():
    """Values of one flow, worked out by hand."""
    flow = np.zeros(1, dtype=FLOW)
    for name, value in {
        "protocol": 6,
        "ip_version": 4,
        "dst_port": 443,
        "bidirectional_duration_ms": 2000,
        "bidirectional_packets": 10,
        "bidirectional_bytes": 5000,
        "src2dst_packets": 4,
        "src2dst_bytes": 1000,
        "dst2src_packets": 6,
        "dst2src_bytes": 4000,
        "src2dst_syn_packets": 1,
        "dst2src_syn_packets": 1,
        "ended_ms": 1,
    }.items():
        flow[name] = value
    row = dict(zip(contract.FEATURES, features.compute(flow, Context())[0].tolist(), strict=True))
    assert row["bytes_per_second"] == 2500
    assert row["packets_per_second"] == 5
    assert row["src2dst_bytes_share"] == pytest.approx(0.2)
    assert row["src2dst_bytes_per_packet"] == 250
    assert (row["is_tcp"], row["is_udp"], row["is_icmp"], row["is_ipv6"]) == (1, 0, 0, 0)
    assert (row["dst_port_well_known"], row["dst_port_registered"], row["dst_port_dynamic"]) == (1, 0, 0)
    assert row["unanswered"] == 0
    assert row["src_flows_10s"] == row["pair_ports_300s"] == 1


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_any_record_gives_a_finite_row(seed, rows):
    """Whatever bytes a record holds, as long as its numbers are numbers, the row is finite."""
    rng = np.random.default_rng(seed)
    flows = np.zeros(rows, dtype=FLOW)
    for name in FLOW.names:
        kind = FLOW[name]
        if kind.kind == "f":
            flows[name] = rng.exponential(1e6, rows)
        else:
            flows[name] = rng.integers(0, np.iinfo(kind.base).max, size=flows[name].shape, dtype=kind.base)
    flows["ended_ms"] %= 2**50
    matrix = features.compute(flows, Context())
    assert matrix.shape == (rows, len(contract.FEATURES))
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
