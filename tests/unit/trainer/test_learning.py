"""The benchmark of learning: nobody peeks, verdicts are what a person could give, and the gate does its sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.flow import FLOW
from protos import contract
from trainer.corpora.rows import Rows, Verdict
from trainer.learning import study, text
from trainer.learning.asking import ask
from trainer.learning.roles import Capture, Part, Plan, deal
from trainer.learning.study import summarise
from trainer.main import main

F = len(contract.FEATURES)
PLAN = Plan(Path("m.csv"))


def _capture(name: str, family: str = "", flows: int = 20, attacks: int | None = None) -> Capture:
    records = np.zeros(flows, dtype=FLOW)
    records["src_ip"][:, 15] = 7
    records["dst_ip"][:, 15] = 9
    records["dst_port"] = 443
    records["protocol"] = 6
    records["bidirectional_first_seen_ms"] = np.arange(flows) * 1000
    records["bidirectional_last_seen_ms"] = np.arange(flows) * 1000 + 500
    features = np.zeros((flows, F), dtype=np.float32)
    features[:, 0] = np.arange(flows)
    rows = Rows(
        name, features, np.ones(flows, np.float32), np.arange(flows, dtype=np.int64), np.zeros(flows, np.int64),
        np.zeros(flows, np.int8), np.zeros(flows, np.int64), np.zeros(flows, np.int32), ("", family) if family else ("",),
    )  # fmt: skip
    count = (flows if family else 0) if attacks is None else attacks
    return Capture(name, family, rows, records, np.arange(flows) >= flows - count)


CAPTURES = [
    *(_capture(f"b{number:02d}") for number in range(10)),
    *(_capture(f"scan{number}", "scan") for number in range(5)),
    _capture("guess", "bruteforce"),
    _capture("beacon", "c2"),
    _capture("tunnel", "tunnel"),
]


@pytest.mark.parametrize("seed", range(1, 9))
def test_no_row_is_both_labelled_and_tested(seed: int) -> None:
    """By capture where a family has several, by time where it has one; some families are never labelled."""
    dealt = deal(CAPTURES, PLAN, seed)
    seen = {(part.capture.name, row) for part in dealt.seen for row in part.rows.tolist()}
    tested = {(part.capture.name, row) for part in dealt.attack_test for row in part.rows.tolist()}
    assert not seen & tested
    assert len(seen | tested) == 8 * 20
    assert dealt.never
    assert not dealt.never & {part.capture.family for part in dealt.seen}
    for part in dealt.seen:
        later = [other for other in dealt.attack_test if other.capture is part.capture]
        for other in later:
            assert part.capture.rows.time_ms[part.rows].max() < part.capture.rows.time_ms[other.rows].min()
    fitted, live, quiet = (
        {part.capture.name for part in parts} for parts in (dealt.fitted, dealt.live, dealt.benign_test)
    )
    assert len(fitted | live | quiet) == len(fitted) + len(live) + len(quiet) == 10
    assert live
    assert len(fitted) == round(PLAN.fit_share * 10)


def _first(rows: np.ndarray) -> np.ndarray:
    return rows[:, 0]


def test_verdicts_are_given_on_whole_incidents_by_the_truth() -> None:
    """Alerts get them, and quiet flows only where they are asked about one by one."""
    capture, calm = _capture("guess", "bruteforce"), _capture("b00", flows=12)
    parts = [Part(capture, np.arange(20)), Part(calm, np.arange(12))]
    said = ask(parts, _first, 15.0, 3, seed=1)
    verdicts = said.verdicts["guess"]
    assert (verdicts[15:] == Verdict.MALICIOUS).all()
    assert said.malicious + said.benign == 3
    assert said.single_flows == 2
    judged = sum(int((verdict != Verdict.NONE).sum()) for verdict in said.verdicts.values())
    assert judged == 5 + 2
    assert not (verdicts[:15] == Verdict.BENIGN).any()
    assert not (said.verdicts["b00"] == Verdict.MALICIOUS).any()


def test_no_more_verdicts_than_asked_for_and_false_alarms_are_called_benign() -> None:
    """An incident of benign flows is a false positive, and said to be one."""
    parts = [Part(_capture("b00"), np.arange(20))]
    said = ask(parts, _first, 10.0, 1, seed=1)
    assert (said.malicious, said.benign, said.single_flows, said.reported) == (0, 1, 0, 0)
    assert (said.verdicts["b00"][10:] == Verdict.BENIGN).all()


def test_the_queue_ends_when_nothing_is_left_to_ask() -> None:
    """Twelve flows cannot take fifty verdicts."""
    said = ask([Part(_capture("b00", flows=12), np.arange(12))], _first, 10.0, 50, seed=1)
    assert (said.verdicts["b00"] == Verdict.BENIGN).all()
    assert said.benign <= 12


def test_attacks_known_from_elsewhere_are_judged_whole_and_families_take_turns() -> None:
    """Whatever the model says of them: here it alerts on nothing."""
    parts = [Part(capture, np.arange(20)) for capture in CAPTURES if capture.family]
    said = ask(parts, _first, 1e9, 4, seed=1, reported=4)
    assert (said.malicious, said.reported, said.single_flows) == (4, 4, 0)
    families = {part.capture.family for part in parts if said.verdicts[part.capture.name].any()}
    assert families == {"bruteforce", "c2", "scan", "tunnel"}
    for verdict in said.verdicts.values():
        assert (verdict == Verdict.MALICIOUS).all() or not verdict.any()


def _round(families: dict[str, tuple[bool, float, float, int]]) -> dict[str, Any]:
    figures = {
        name: {
            "labelled": labelled,
            "rows": rows,
            "judges": rows >= study.FEWEST,
            "before": dict.fromkeys(study.PREVALENCES, before),
            "after": dict.fromkeys(study.PREVALENCES, after),
        }
        for name, (labelled, before, after, rows) in families.items()
    }
    verdicts = {"malicious": 1, "benign": 1, "single_flows": 0, "reported": 0, "rows": 9}
    realised = {"before": 0.004, "after": 0.005}
    return {"seed": 1, "families": figures, "verdicts": verdicts, "realised_fpr": realised, "taught": "nothing"}


@pytest.mark.parametrize(
    ("families", "passed"),
    [
        ({"scan": (True, 0.5, 0.7, 99), "c2": (False, 0.4, 0.4, 99)}, True),
        ({"scan": (True, 0.5, 0.59, 99)}, False),  # too little
        ({"scan": (True, 0.5, 0.9, 99), "c2": (False, 0.4, 0.38, 99)}, False),  # fell elsewhere
        ({"scan": (True, 0.5, 0.9, 99), "c2": (False, 0.4, 0.1, 3)}, True),  # too few rows to judge
        ({"c2": (False, 0.4, 0.9, 99)}, False),  # nothing was labelled
    ],
)
def test_the_gate_of_the_benchmark(families: dict, passed: bool) -> None:
    """The labelled families rise by ten points on average, and none falls by more than one."""
    told = summarise([_round(families)])
    assert told["ap"]["passed"] is passed


def test_families_without_room_are_told_apart() -> None:
    """What is at 0.99 cannot rise by ten points."""
    told = summarise([_round({"ddos": (True, 0.99, 0.99, 99), "c2": (True, 0.1, 0.5, 99)})])["ap"]
    assert told["labelled_rise"] == pytest.approx(0.2)
    assert told["labelled_with_room_rise"] == pytest.approx(0.4)
    rounds = [_round({"c2": (True, 0.1, 0.5, 99)})]
    said = text.as_text({"summary": {"queue": {"ap": told}}, "rounds": {"queue": rounds}})
    assert "queue:" in said
    assert "0.40% to 0.50%" in said
    assert "+0.400" in said
    assert "c2" in said


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code of missing data."""
    assert main(["benchmark", "learning", "--manifest", str(tmp_path / "no.csv"), "--progress", "none"]) != 0
    assert "no.csv" in capsys.readouterr().err
