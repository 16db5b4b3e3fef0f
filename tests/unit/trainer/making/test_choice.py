"""The choice among candidates: a rule that is written down, on evidence that is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer.detectors.portfolio import Portfolio
from trainer.making import choice, probes
from trainer.making.choice import Candidate, decide


def _candidate(*members: str, merit: float, struck: str = "") -> Candidate:
    return Candidate(members, 0.01, (0.0, 0.02), (0.01,), {"swapped": merit}, merit, struck)


@pytest.mark.parametrize(
    ("found", "taken"),
    [
        ([_candidate("a", merit=0.5), _candidate("b", merit=0.9), _candidate("a", "b", merit=0.6)], ("b",)),
        ([_candidate("a", merit=0.9), _candidate("b", merit=0.5), _candidate("a", "b", merit=0.86)], ("a", "b")),
        ([_candidate("a", merit=0.9, struck="x"), _candidate("b", merit=0.8), _candidate("a", "b", merit=0.2)], ("b",)),
        ([_candidate("a", merit=0.9, struck="x"), _candidate("b", merit=0.5), _candidate("a", "b", merit=0.2)], ("a",)),
        ([_candidate("a", merit=0.9, struck="x"), _candidate("b", merit=0.5, struck="x")], ("a",)),
        ([_candidate("a", merit=0.1), _candidate("a", "b", merit=0.9), _candidate("b", "c", merit=0.901)], ("b", "c")),
    ],
)
def test_the_rule(found: list[Candidate], taken: tuple[str, ...]) -> None:
    """The best wins, unless one of more members is as good; a broken promise strikes, unless it strikes all."""
    assert decide(found, 0.01, 500).taken == taken


def test_the_sentence_says_what_decided() -> None:
    """Who, how much, against whom, and why the best was not taken."""
    found = [_candidate("mahalanobis", merit=0.9), _candidate("mahalanobis", "std_count", merit=0.89)]
    said = decide(found, 0.01, 500).why
    assert "mahalanobis and std count notices 89.0%" in said
    assert "best single detector, mahalanobis, 90.0%" in said
    assert "most members" in said
    struck = decide([*found, _candidate("neighbours", merit=1.0, struck="x")], 0.01, 500).why
    assert "1 of 3 candidates were struck" in struck


def test_all_combinations_are_compared_and_the_better_member_wins(synthetic: Any) -> None:
    """On real members: every combination has figures, and the table is in order of merit."""
    rows = synthetic.benign(900, 1)
    members = ("std_count", "mahalanobis", "neighbours")
    portfolio = Portfolio(members=members, coreset=32, seed=1).fit(rows, calibrate=synthetic.benign(300, 2))
    held = synthetic.benign(600, 3)
    strange = probes.make(held, np.zeros(600, dtype=np.int64), [f"f{at}" for at in range(rows.shape[1])], 1)
    found = choice.choose(portfolio, synthetic.benign(300, 2), held, strange)
    assert len(found.candidates) == 7
    merits = [entry.merit for entry in found.candidates if not entry.struck]
    assert merits == sorted(merits, reverse=True)
    assert found.rate == 0.01
    assert all(0 <= share <= 1 for entry in found.candidates for share in (*entry.probes.values(), entry.realised))
    assert found.to_json()["taken"] == list(found.taken)
    counted = next(entry for entry in found.candidates if entry.members == ("std_count",))
    assert counted.probes["blurred"] < found.candidates[0].probes["blurred"]


def test_few_rows_are_compared_at_a_looser_rate(synthetic: Any) -> None:
    """One alert among eighty rows says nothing about one in a hundred."""
    portfolio = Portfolio(members=("std_count",)).fit(synthetic.benign(300, 1))
    found = choice.choose(portfolio, synthetic.benign(80, 2), synthetic.benign(80, 3), {})
    assert found.rate == 0.05
    assert found.taken == ("std_count",)
