"""Incidents of captures, by the product's own grouping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from aggregator.triage.incidents import KINDS
from protos.manifest import Threshold
from trainer.captures import incidents, networks, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.captures.seen import Seen


def test_a_port_scan_is_seen_named_and_timed(make_seen: Callable[..., Seen]) -> None:
    """Forty ports of one host: one incident, of a kind a person expects, when the first alerting flow has ended."""
    scores = np.full(40, 4.0)
    scores[:3] = 0.0
    seen = make_seen(scores, label="attack", attack="scan:syn", dst_port=np.arange(40) + 1)
    found = incidents.judge(seen, 2.0)
    assert found["seen"]
    assert found["kind"] == "port scan"
    assert found["right"]
    assert found["main_right"]
    assert found["incidents"] == found["about_the_attack"] == 1
    assert found["alerts"] == 37
    assert found["after_ms"] == found["right_after_ms"] == 3_000 + 5_000


def test_an_attack_without_an_alert_has_no_incident(make_seen: Callable[..., Seen]) -> None:
    """Missed is said in so many words."""
    found = incidents.judge(make_seen(np.zeros(5), label="attack", attack="scan:syn"), 2.0)
    assert not found["seen"]
    assert found["kind"] is None
    assert found["right"] is False
    assert found["after_ms"] is None


def test_an_unknown_family_is_not_judged_by_kind(make_seen: Callable[..., Seen]) -> None:
    """Seen or not is all that can be said."""
    found = incidents.judge(make_seen(np.full(5, 4.0), label="attack", attack="novelty"), 2.0)
    assert found["seen"]
    assert found["right"] is None


def test_incidents_of_quiet_traffic_are_counted_by_network_and_kind(make_seen: Callable[..., Seen]) -> None:
    """All captures at the model's threshold, the later half at the network's own."""
    scores = np.zeros(800)
    scores[[10, 790]] = 6.0
    captures = [make_seen(scores), make_seen([6.0], name="bad.pcap", label="attack", attack="scan:x")]
    own = Threshold(0.01, 2.0, certified=True)
    found = networks.survey(captures, (own,), own, recalibrated=True)
    report = incidents.of_quiet(captures, found, own.score)
    assert sum(report["at_model_threshold"]["lab"].values()) >= 1
    assert report["flows"] == {"lab": 800}
    assert report["later_flows"] == {"lab": 400}


def test_every_accepted_kind_is_one_the_product_knows() -> None:
    """A kind that was renamed must not silently make every incident wrong."""
    for kinds in verdicts.RIGHT.values():
        assert kinds
        assert kinds <= set(KINDS)
    assert set(verdicts.RIGHT) >= verdicts.MANY_FLOWS >= verdicts.SLOW


@pytest.mark.parametrize(
    ("family", "kind", "right"),
    [
        ("scan", "port scan", True),
        ("scan", "flood", False),
        ("ddos", "flood", True),
        ("bruteforce", "password guessing", True),
        ("bruteforce", "unusual exchange", False),
        ("tunnel", "tunnel", True),
        ("c2", "beacon", True),
        ("novelty", "beacon", None),
    ],
)
def test_what_a_person_would_accept(family: str, kind: str, right: bool | None) -> None:
    """The table in words."""
    assert verdicts.is_right(family, kind) is right
