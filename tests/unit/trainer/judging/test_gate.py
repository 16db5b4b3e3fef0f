"""The gate, as a table of cases."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.judging.gate import COMPARED, Grounds, Standing, Verdict, judge

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
    return judge(champion, challenger, Grounds(held, PROMISED))


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
    assert [check.passed for check in verdict.checks[3:]] == [None] * len(COMPARED)


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
    asked = {"self_test", "contract", "frozen_sets", "realised_fpr", "fpr_not_worse"}
    assert {check["name"] for check in silent} == set(COMPARED) - asked
    assert all("not applicable" in check["detail"] for check in silent)


@pytest.mark.parametrize(
    ("champion", "challenger", "expected"),
    [
        ({"scan": (90, 100), "beacon": (5, 5)}, {"scan": (90, 100), "beacon": (0, 5)}, False),  # one family goes dark
        ({"scan": (90, 100), "beacon": (5, 5)}, {"scan": (95, 100), "beacon": (4, 5)}, True),  # one row proves nothing
        ({"scan": (90, 100), "beacon": (2, 5)}, {"scan": (90, 100), "beacon": (0, 5)}, True),  # too few to judge
        ({"scan": (90, 100), "flood": (0, 100)}, {"scan": (80, 100), "flood": (100, 100)}, False),  # no set-off
        ({"scan": (990, 1000)}, {"scan": (981, 1000)}, True),  # less than a point
        ({"scan": (990, 1000)}, {"scan": (975, 1000)}, False),
    ],
)
def test_no_family_of_attacks_may_be_lost(champion: dict, challenger: dict, expected: bool) -> None:
    """A gain elsewhere does not pay for it; on the replay set and on labelled rows alike."""
    family = np.concatenate([np.full(rows, name) for name, (_, rows) in champion.items()])
    before, after = (
        np.concatenate([_mask(hits, rows) for hits, rows in counts.values()]) for counts in (champion, challenger)
    )
    for field, check in (("replay", "replay_by_family"), ("malicious", "recall_by_family")):
        standings = [_with(**{field: mask}) for mask in (before, after)]
        grounds = Grounds(EMPTY, PROMISED, malicious_family=family, replay_family=family)
        assert _answer(judge(*standings, grounds), check) is expected


def test_the_family_that_fell_is_named() -> None:
    """Whoever reads the gate must know where to look."""
    family = np.array(["port scan"] * 50 + ["beacon"] * 50)
    standings = [_with(replay=np.ones(100, dtype=bool)), _with(replay=np.arange(100) < 50)]
    verdict = judge(*standings, Grounds(EMPTY, PROMISED, replay_family=family))
    [check] = [check for check in verdict.checks if check.name == "replay_by_family"]
    assert check.detail == "fell: beacon 100% to 0% of 50"
    assert not verdict.passed


@pytest.mark.parametrize(
    ("field", "check"), [("golden", "golden_fpr"), ("recent", "recent_fpr"), ("benign", "realised_fpr")]
)
@pytest.mark.parametrize(("alerts", "expected"), [(15, True), (60, False)])
def test_benign_rows_of_every_kind_hold_it_to_its_promise(field: str, check: str, alerts: int, expected: bool) -> None:
    """What somebody vouches for, what came later, and the last days."""
    standings = [_with(**{field: _mask(hits, 1000)}) for hits in (5, alerts)]
    assert _answer(judge(*standings, Grounds(EMPTY, PROMISED)), check) is expected


def test_a_frozen_set_that_cannot_be_used_fails_the_gate() -> None:
    """It must be made again, not forgotten."""
    verdict = judge(_with(), _with(), Grounds(EMPTY, PROMISED, faults=("set a holds features of another contract",)))
    assert _answer(verdict, "frozen_sets") is False
    assert not verdict.passed


def _with(**masks: np.ndarray) -> Standing:
    return Standing("d", "f", **({"labelled": EMPTY, "malicious": EMPTY, "benign": EMPTY} | masks))
