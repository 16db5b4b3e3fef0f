"""The review queue: few questions, each with a reason, spread over what there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.learning import review
from aggregator.learning.review import (
    CONTRADICTION,
    DISPUTE,
    NEAR_MISS,
    REPRESENTATIVE,
    UNCERTAIN,
    Candidates,
    Judged,
    choose,
)

F = 12
NOBODY = Judged(np.empty((0, F), np.float32), np.empty(0, dtype=bool))


def crowd(sizes: list[int], *, raised: bool = True, scores: float = 6.0, seed: int = 1) -> Candidates:
    """Clusters of flows that resemble each other, far apart; a group of its own each."""
    chance = np.random.default_rng(seed)
    middles = chance.integers(0, 2, (len(sizes), F)) * 1e4
    rows = np.concatenate([middle + chance.random((size, F)) for middle, size in zip(middles, sizes, strict=True)])
    count = len(rows)
    return Candidates(
        features=rows.astype(np.float32),
        score=np.full(count, scores),
        threshold=np.full(count, 3.0),
        raised=np.full(count, raised),
        disputed=np.zeros(count, dtype=bool),
        group=np.arange(count, dtype=np.int64),
        kind=("flood",) * count,
    )


def put(found: Candidates, **changes: object) -> Candidates:
    return Candidates(**{name: changes.get(name, getattr(found, name)) for name in Candidates.__slots__})


def both(alerts: Candidates, flows: Candidates) -> Candidates:
    parts = {
        name: getattr(alerts, name) + getattr(flows, name)
        if name == "kind"
        else np.concatenate([getattr(alerts, name), getattr(flows, name)])
        for name in Candidates.__slots__
    }
    parts["group"] = np.arange(len(parts["score"]), dtype=np.int64)
    return Candidates(**parts)


def test_one_question_speaks_for_a_crowd() -> None:
    """Of four kinds of flows, however unequal, each is asked about before any is asked twice."""
    sizes = [300, 40, 8, 1]
    picks = choose(crowd(sizes), NOBODY, alerts=4, flows=0)
    edges = np.cumsum(sizes)
    assert sorted(int(np.searchsorted(edges, pick.place, side="right")) for pick in picks) == [0, 1, 2, 3]
    assert sorted(pick.stands_for for pick in picks) == sorted(sizes)
    assert {pick.why for pick in picks} == {REPRESENTATIVE}


def test_what_resembles_the_judged_is_not_asked_again() -> None:
    """A verdict on one of a crowd takes the crowd out of the next questions, as long as there are others."""
    found = crowd([50, 50])
    judged = Judged(found.features[:1], np.array([True]))
    [pick] = choose(found, judged, alerts=1, flows=0)
    assert pick.place >= 50


def test_disputes_come_first_then_contradictions_then_the_uncertain() -> None:
    """Each with its own reason."""
    found = crowd([30, 30, 30])
    score = found.score.copy()
    score[70] = 3.05
    disputed = found.disputed.copy()
    disputed[40] = True
    judged = Judged(found.features[5:6], np.array([False]))  # called benign, and the model alerts on its like
    picks = choose(put(found, score=score, disputed=disputed), judged, alerts=10, flows=0)
    assert [pick.why for pick in picks[:2]] == [DISPUTE, CONTRADICTION]
    assert picks[0].place == 40
    assert picks[1].place < 30
    assert UNCERTAIN in [pick.why for pick in picks]
    assert "3.05" in next(pick.reason for pick in picks if pick.why == UNCERTAIN)


def test_quiet_flows_are_asked_when_near_the_threshold_or_like_an_attack() -> None:
    """What the model lets pass is where it learns most."""
    quiet = crowd([40, 40], raised=False, scores=0.5)
    score = quiet.score.copy()
    score[3] = 2.9
    judged = Judged(quiet.features[60:61], np.array([True]))
    picks = choose(put(quiet, score=score), judged, alerts=0, flows=5)
    why = {pick.why: pick.place for pick in picks}
    assert why[NEAR_MISS] == 3
    assert why[CONTRADICTION] >= 40
    assert all("alert" in pick.reason or "below" in pick.reason or "quiet" in pick.reason for pick in picks)


def test_an_incident_is_asked_about_once_and_kinds_take_turns() -> None:
    """A flood of a thousand alerts is one question."""
    found = crowd([50, 50])
    group = np.array([1] * 50 + list(range(100, 150)), dtype=np.int64)
    kind = ("flood",) * 50 + ("beacon",) * 10 + ("tunnel",) * 40
    score = np.full(100, 3.01)
    picks = choose(put(found, group=group, kind=kind, score=score), NOBODY, alerts=9, flows=0)
    assert len({int(group[pick.place]) for pick in picks}) == len(picks)
    uncertain = [kind[pick.place] for pick in picks if pick.why == UNCERTAIN]
    assert set(uncertain) == {"flood", "beacon", "tunnel"}


def test_alerts_come_before_flows_and_both_are_bounded() -> None:
    """The list never grows with the traffic."""
    found = both(crowd([400]), crowd([400], raised=False, scores=1.0))
    picks = choose(found, NOBODY, alerts=10, flows=5)
    sorts = [bool(found.raised[pick.place]) for pick in picks]
    assert sorts == sorted(sorts, reverse=True)
    assert (sum(sorts), len(sorts) - sum(sorts)) == (10, 5)


def test_nothing_to_ask_is_an_empty_list() -> None:
    """A new installation has no candidates."""
    assert choose(crowd([1]), NOBODY, alerts=0, flows=0) == ()
    empty = Candidates(*(np.empty((0, F), np.float32), *(np.empty(0),) * 2, *(np.empty(0, bool),) * 2), np.empty(0), ())
    assert choose(empty, NOBODY, alerts=5, flows=5) == ()


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    alerts=st.integers(0, 12),
    flows=st.integers(0, 6),
    seed=st.integers(0, 99),
)
def test_laws_of_the_queue(sizes: list[int], alerts: int, flows: int, seed: int) -> None:
    """Bounded, no flow twice, only of its sort, and the same for the same candidates."""
    found = both(crowd(sizes, seed=seed, scores=3.2), crowd(sizes, raised=False, scores=2.9, seed=seed + 1))
    picks = choose(found, NOBODY, alerts=alerts, flows=flows)
    places = [pick.place for pick in picks]
    assert len(set(places)) == len(places)
    assert sum(bool(found.raised[place]) for place in places) <= alerts
    assert sum(not found.raised[place] for place in places) <= flows
    assert picks == choose(found, NOBODY, alerts=alerts, flows=flows)
    assert all(pick.stands_for >= 1 for pick in picks)
    if alerts:
        assert places


def test_features_of_all_sizes_weigh_alike() -> None:
    """Bytes in millions do not drown a flag."""
    chance = np.random.default_rng(3)
    rows = np.zeros((60, F), dtype=np.float32)
    rows[:, 0] = chance.random(60) * 1e8 + 1e8
    rows[59, 5] = 1  # the only one with the flag
    found = put(crowd([60]), features=rows)
    picks = choose(found, Judged(rows[:1], np.array([True])), alerts=1, flows=0)
    assert [pick.place for pick in picks] == [59]


def test_the_reasons_are_sentences() -> None:
    """They are read by people."""
    picks = choose(crowd([30, 3]), NOBODY, alerts=6, flows=0)
    assert all(pick.reason.endswith(".") and pick.reason[0].isupper() for pick in picks)
    assert review.NEAR > 0


@pytest.mark.parametrize("rows", [1, 2])
def test_a_lone_flow_can_be_asked(rows: int) -> None:
    """Deviations of one row are nothing to divide by."""
    assert len(choose(crowd([rows]), NOBODY, alerts=5, flows=5)) == rows
