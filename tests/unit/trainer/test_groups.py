"""The detector that hears one aspect of a flow at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protos import contract
from trainer.detectors.groups import Groups, group_names
from trainer.detectors.mahalanobis import Mahalanobis


@pytest.mark.parametrize(
    ("feature", "group"),
    [
        ("dns_bytes_per_second_300s", "dns"),
        ("icmp_packets_per_minute_300s", "icmp"),
        ("is_icmp", "icmp"),
        ("src2dst_syn_packets", "flags"),
        ("bidirectional_mean_ps", "shape"),
        ("dst2src_max_piat_ms", "shape"),
        ("repeat_paced_300s", "rhythm"),
        ("pair_flows_10s", "rhythm"),
        ("src_peers_10s", "reach"),
        ("src_unanswered_300s", "reach"),
        ("src_out_bytes_per_second_300s", "traffic"),
        ("bytes_per_second", "flow"),
        ("dst_port_well_known", "sort"),
    ],
)
def test_features_are_grouped_by_what_they_speak_of(feature: str, group: str) -> None:
    """By name, so that a feature that is added finds its group."""
    assert group_names([feature]) == (group,)


def test_every_group_has_features_of_the_contract() -> None:
    """A pattern that nothing matches any more would silence an aspect."""
    names = group_names(contract.FEATURES)
    assert len(set(names)) == 9
    assert all(names.count(group) >= 3 for group in set(names))


def test_one_strange_aspect_is_heard_where_the_whole_drowns_it(synthetic: Any) -> None:
    """Three DNS features far off: more of such rows stand out than by a distance over all features."""
    ordinary, later = synthetic.benign(3000, 1), synthetic.benign(1000, 2)
    strange = later[:200].copy()
    for name in ("dns_packets_per_minute_300s", "dns_bytes_per_second_300s", "dns_large_bytes_per_second_300s"):
        strange[:, contract.index(name)] = 10 * ordinary[:, contract.index(name)].max() + 10
    found = []
    for detector in (Groups(), Mahalanobis()):
        detector.fit(ordinary)
        bar = np.quantile(detector.raw_score(later), 0.99)
        found.append(float(np.mean(detector.raw_score(strange) > bar)))
    assert found[0] > 0.95
    assert found[0] >= found[1]


def test_the_strange_aspect_is_named(synthetic: Any) -> None:
    """Most of the contribution lies on its features, and shares add up to one."""
    ordinary = synthetic.benign(3000, 1)
    at = contract.index("icmp_bytes_per_second_300s")
    row = ordinary[:1].copy()
    row[:, at] = 10 * ordinary[:, at].max() + 1e6
    shares, expected = Groups().fit(ordinary).explain(row)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert int(shares[0].argmax()) == at
    assert expected[0, at] <= ordinary[:, at].max()


def test_rows_of_another_width_are_one_group() -> None:
    """A table's columns have no aspects that their names could tell."""
    rows = np.random.default_rng(1).gamma(2, 3, (400, 5)).astype(np.float32)
    detector = Groups().fit(rows)
    assert detector.member_ is not None
    assert detector.member_.shape == (5, 1)
    assert np.isfinite(detector.raw_score(rows)).all()
