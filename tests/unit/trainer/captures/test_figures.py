"""Figures from captures that were seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from protos import contract
from trainer.captures import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.captures.seen import Seen


def test_the_best_single_feature_is_found_with_the_truth_in_hand(make_seen: Callable[..., Seen]) -> None:
    """A feature that is low for attacks counts as much as one that is high."""
    benign, attack = make_seen(np.zeros(50)), make_seen(np.zeros(50), label="attack", attack="x", name="b")
    rows = np.zeros((50, len(contract.FEATURES)), dtype=np.float32)
    rows[:, contract.index("src2dst_bytes")] = np.arange(50)
    found = figures.stump([replace(benign, rows=rows + 100), replace(attack, rows=rows)])
    assert found is not None
    assert found["strange_when"] == "low"
    assert found["roc_auc"] == pytest.approx(1.0)
    assert figures.stump([benign]) is None


def test_a_sampled_row_counts_for_the_flows_it_stands_for(make_seen: Callable[..., Seen]) -> None:
    """One capture of a thousand flows weighs more than one of ten, however many rows were kept of each."""
    small, large = make_seen(np.zeros(10), name="s"), make_seen(np.zeros(1_000), name="l")
    attack = make_seen(np.zeros(10), label="attack", attack="x", name="b")
    kept = np.arange(0, 1_000, 100)
    one = np.zeros((10, len(contract.FEATURES)), dtype=np.float32)
    two = one.copy()
    two[:, 0] = 1
    found = figures.stump([replace(small, rows=two), replace(large, sample=kept, rows=one), replace(attack, rows=two)])
    assert found is not None
    assert found["feature"] == contract.FEATURES[0]
    assert found["roc_auc"] == pytest.approx((1_000 + 10 / 2) / 1_010)


def _line(family: str, flows: int, *, seen: bool, right: bool) -> dict[str, Any]:
    judged = {"seen": seen, "right": right, "after_ms": 1_000 if seen else None, "incidents": int(seen)}
    return {"family": family, "attack_flows": flows, "incidents": {"product": judged, "model": judged}}


def test_incident_recall_counts_captures_not_flows() -> None:
    """By family, and for the ones of many flows and the slow ones apart."""
    lines = [
        _line("scan", 5_000, seen=True, right=True),
        _line("tunnel", 9, seen=True, right=False),
        _line("tunnel", 1, seen=False, right=False),
        _line("lateral", 4, seen=False, right=False),
    ]
    found = figures.incident_recall(lines)
    assert found["recall"] == 0.5
    assert found["right"] == 1
    assert found["many_flows"]["attack_captures"] == 2
    assert found["many_flows"]["recall"] == 1.0
    assert found["slow"]["attack_captures"] == 2
    assert found["by_family"]["tunnel"]["seen"] == 1
    assert figures.incident_recall([])["recall"] is None


@pytest.mark.parametrize(
    ("recall", "rate", "kept", "passed"),
    [(0.95, 0.007, 20, (True, True)), (0.95, 0.008, 18, (False, False)), (0.85, 0.001, 19, (False, True))],
)
def test_gates_are_judged_by_their_own_words(recall: float, rate: float, kept: int, passed: tuple[bool, bool]) -> None:
    """G5: recall .90 with at most one and a half times the promise; G6: 95 % of blocks."""
    found = {
        "alpha": 0.005,
        "false_positives": {"recalibrated": {"by_flows": rate, "by_networks": None}},
        "incidents": {"many_flows": {"recall": recall, "seen": 1, "attack_captures": 1}},
        "blocks": [{"kept": number < kept} for number in range(20)],
    }
    assert tuple(gate["passed"] for gate in figures.gates(found)) == passed


def test_without_data_a_gate_is_not_passed() -> None:
    """It says that there was nothing to judge by."""
    found = {
        "alpha": 0.005,
        "false_positives": {"recalibrated": {"by_flows": None, "by_networks": None}},
        "incidents": {"many_flows": {"recall": None, "seen": 0, "attack_captures": 0}},
        "blocks": [],
    }
    assert [gate["passed"] for gate in figures.gates(found)] == [None, None]
