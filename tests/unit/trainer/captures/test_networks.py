"""False alarms by network, and thresholds of a network's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from protos.manifest import Threshold
from trainer.captures import networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.captures.seen import Seen

OWN = Threshold(0.01, 2.0, certified=True)
THRESHOLDS = (OWN, Threshold(0.001, 3.0, certified=False))


def _quiet(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1 / np.log(10), rows) + shift


def test_a_strange_network_gets_a_threshold_that_keeps_the_promise(make_seen: Callable[..., Seen]) -> None:
    """Its earlier half is counted, its later half tested: scores that lie .7 higher alert five times too often before."""
    captures = [
        make_seen(_quiet(2_000, number, 0.7), name=f"{number}.pcap", start_s=1_700_000_000 + 10_000 * number)
        for number in range(4)
    ]
    for seen in captures:
        seen.flows["src_ip"][:, -1] = np.arange(2_000) % 200
    found = networks.survey(captures, THRESHOLDS, OWN, recalibrated=True)
    report = networks.summary(found, OWN, 1_000_000)
    [row] = report["networks"]
    assert row["recalibrated"]
    assert row["tested"] == 4_000
    assert row["at_model_threshold"]["realised"] > 0.03
    assert row["at_own_threshold"]["realised"] <= 0.015
    assert row["threshold"] > OWN.score
    assert report["same_networks_before"]["by_flows"] > report["recalibrated"]["by_flows"]
    assert report["recalibrated"]["alerts_a_day"] == pytest.approx(1e6 * report["recalibrated"]["by_flows"])


def test_what_is_tested_was_never_counted(make_seen: Callable[..., Seen]) -> None:
    """The cut lies between captures, in order of time whatever the order of the manifest."""
    captures = [make_seen(_quiet(500, n), name=f"{n}.pcap", start_s=1_700_000_000 - 10_000 * n) for n in range(3)]
    network = networks.survey(captures, THRESHOLDS, OWN, recalibrated=True)["lab"]
    assert network.captures == ("2.pcap", "1.pcap", "0.pcap")
    assert network.later_captures == {"1.pcap", "0.pcap"}
    assert len(network.tested) == 1_000


def test_one_capture_is_cut_by_time(make_seen: Callable[..., Seen]) -> None:
    """Its later flows are tested."""
    network = networks.survey([make_seen(_quiet(800, 1))], THRESHOLDS, OWN, recalibrated=True)["lab"]
    assert network.later.tolist() == [False] * 400 + [True] * 400


def test_a_small_network_stays_on_the_models_threshold(make_seen: Callable[..., Seen]) -> None:
    """And is reported apart, with all its flows."""
    found = networks.survey([make_seen(_quiet(50, 1, 5.0))], THRESHOLDS, OWN, recalibrated=True)
    report = networks.summary(found, OWN, 1_000_000)
    assert not found["lab"].recalibrated
    assert found["lab"].threshold == OWN.score
    assert report["too_small"]["rows"] == 50
    assert report["recalibrated"] | {"interval": None} == report["recalibrated"] | {"interval": None, "rows": 0}
    assert report["recalibrated"]["by_flows"] is None


def test_every_network_has_one_vote_in_the_mean_over_networks(make_seen: Callable[..., Seen]) -> None:
    """One laboratory with many flows does not stand for the world; a handful of flows has no vote."""
    captures = [
        make_seen(np.zeros(9_000), name="large.pcap", network="large"),
        make_seen(np.full(100, 9.0), name="odd.pcap", network="odd"),
        make_seen(np.full(10, 9.0), name="tiny.pcap", network="tiny"),
    ]
    found = networks.survey(captures, THRESHOLDS, OWN, recalibrated=False)
    total = networks.summary(found, OWN, 1_000_000)["model_threshold"]
    assert total["by_flows"] == pytest.approx(110 / 9_110)
    assert total["by_networks"] == pytest.approx(0.5)
    assert total["networks_heard"] == 2


def test_attacks_and_captures_fitted_on_are_no_quiet_traffic(make_seen: Callable[..., Seen]) -> None:
    """They are left out of every network."""
    captures = [
        make_seen([1.0], name="fitted.pcap", fitted_on=True),
        make_seen([1.0], name="bad.pcap", label="attack", attack="scan:x"),
    ]
    assert networks.survey(captures, THRESHOLDS, OWN, recalibrated=True) == {}


def test_later_blocks_are_judged_one_by_one(make_seen: Callable[..., Seen]) -> None:
    """A block with more than one and a half times the promised alerts is not kept."""
    quiet = np.zeros(4_000)
    quiet[3_500:3_600] = 5.0
    found = networks.survey([make_seen(quiet)], THRESHOLDS, OWN, recalibrated=True)
    blocks = networks.blocks(found, THRESHOLDS, OWN)
    assert len(blocks) == 19
    assert {block["rows"] for block in blocks} <= {194, 195}
    assert [number for number, block in enumerate(blocks) if not block["kept"]] == [16]
