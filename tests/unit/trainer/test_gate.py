"""The gate, as a table of cases."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.gate import Standing, Verdict, judge

PROMISED = 0.01
EMPTY = np.zeros(0, dtype=bool)


def _mask(hits: int, rows: int) -> np.ndarray:
    return np.arange(rows) < hits


def _standing(
    labelled: np.ndarray = EMPTY, malicious: np.ndarray = EMPTY, benign: np.ndarray = EMPTY, **other: str
) -> Standing:
    return Standing(
        other.get("digest", "d"), other.get("features", "f"), labelled, malicious, benign, other.get("fault", "")
    )


def _judge(champion: Standing, challenger: Standing, held_back: np.ndarray | None = None) -> Verdict:
    held = np.zeros(len(challenger.labelled), dtype=bool) if held_back is None else held_back
    return judge(champion, challenger, held_back=held, promised=PROMISED)


def _answer(verdict: Verdict, name: str) -> bool | None:
    return next(check.passed for check in verdict.checks if check.name == name)


@pytest.mark.parametrize(
    ("champion", "challenger", "expected"),
    [
        (_mask(10, 10), _mask(0, 10), True),
        (_mask(10, 10), _mask(2, 10), True),
        (_mask(10, 10), _mask(3, 10), False),
        (_mask(10, 10), _mask(10, 10), False),
        (_mask(0, 10), _mask(0, 10), None),
        (EMPTY, EMPTY, None),
        (_mask(5, 100), ~_mask(90, 100), False),  # fixed the five, and raised ten others
    ],
)
def test_false_positives_must_be_fixed(champion: np.ndarray, challenger: np.ndarray, expected: bool | None) -> None:
    """A stated share of what the champion raised, and no others in their place."""
    verdict = _judge(_standing(labelled=champion), _standing(labelled=challenger))
    assert _answer(verdict, "false_positives_fixed") is expected
    assert verdict.passed is (expected is not False)


@pytest.mark.parametrize(
    ("held", "still", "expected"), [(10, 5, True), (10, 6, False), (5, 0, True), (4, 4, None), (0, 0, None)]
)
def test_the_kind_must_be_learned_not_the_rows(held: int, still: int, expected: bool | None) -> None:
    """Held-back rows decide whether a verdict was understood; a handful of them proves nothing."""
    champion = np.ones(50, dtype=bool)
    held_back = _mask(held, 50)
    verdict = _judge(_standing(labelled=champion), _standing(labelled=_mask(still, 50)), held_back)
    assert _answer(verdict, "held_back_false_positives") is expected


@pytest.mark.parametrize(
    ("champion", "challenger", "expected"),
    [(_mask(90, 100), _mask(86, 100), True), (_mask(90, 100), _mask(84, 100), False), (EMPTY, EMPTY, None)],
)
def test_recall_may_not_fall(champion: np.ndarray, challenger: np.ndarray, expected: bool | None) -> None:
    """Beyond a small tolerance."""
    verdict = _judge(_standing(malicious=champion), _standing(malicious=challenger))
    assert _answer(verdict, "recall") is expected


@pytest.mark.parametrize(
    ("alerts", "rows", "expected"),
    [(0, 1000, True), (15, 1000, True), (40, 1000, False), (1, 20, True), (8, 20, False), (0, 0, None)],
)
def test_the_promise_must_be_kept(alerts: int, rows: int, expected: bool | None) -> None:
    """Within the factor; few rows may look worse than they can prove."""
    champion = _standing(benign=_mask(alerts, rows))
    assert _answer(_judge(champion, _standing(benign=_mask(alerts, rows))), "realised_fpr") is expected


@pytest.mark.parametrize(
    ("champion", "challenger", "expected"),
    [
        (_mask(0, 1000), _mask(9, 1000), True),  # significantly more, and within the promise
        (_mask(0, 1000), _mask(20, 1000), False),  # significantly more, and beyond it
        (_mask(19, 1000), _mask(20, 1000), True),  # beyond it, as the champion was
        (_mask(30, 1000), _mask(0, 1000), True),
    ],
)
def test_it_may_not_be_significantly_worse_than_the_champion(
    champion: np.ndarray, challenger: np.ndarray, expected: bool
) -> None:
    """And beyond its own promise: the champion is flattered by rows it was fitted on."""
    verdict = _judge(_standing(benign=champion), _standing(benign=challenger))
    assert _answer(verdict, "fpr_not_worse") is expected


def test_other_features_fail_and_leave_nothing_to_compare() -> None:
    """Agents of the champion could not feed the challenger."""
    champion = _standing(digest="c", features="old", fault="trained on another feature contract")
    verdict = _judge(champion, _standing(features="new", labelled=_mask(1, 2)))
    assert not verdict.passed
    assert _answer(verdict, "contract") is False
    assert [check.passed for check in verdict.checks[2:]] == [None] * 5


def test_a_challenger_that_fails_its_self_test_fails() -> None:
    """Whatever else it does."""
    verdict = _judge(_standing(), _standing(fault="a self-test row scores 1 off"))
    assert not verdict.passed
    assert _answer(verdict, "self_test") is False


def test_what_cannot_be_asked_is_said_and_not_passed() -> None:
    """No labelled rows of a kind: not applicable, in words."""
    found = _judge(_standing(benign=_mask(0, 100)), _standing(benign=_mask(0, 100))).to_json()
    assert found["passed"] is True
    silent = [check for check in found["checks"] if check["passed"] is None]
    assert {check["name"] for check in silent} == {"false_positives_fixed", "held_back_false_positives", "recall"}
    assert all("not applicable" in check["detail"] for check in silent)
