"""Caps: nobody decides alone what is normal, and what is left out is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import contract
from trainer.corpora import caps
from trainer.corpora.corpus import Corpus
from trainer.corpora.rows import Verdict

F = len(contract.FEATURES)


def _corpus(origin: list[int], host: list[int], names: list[str], verdict: list[int] | None = None) -> Corpus:
    count = len(origin)
    features = np.zeros((count, F), dtype=np.float32)
    features[:, 0] = np.arange(count)
    return Corpus(
        features=features,
        weights=np.ones(count, dtype=np.float32),
        time_ms=np.arange(count, dtype=np.int64),
        kind=np.zeros(count, dtype=np.int64),
        verdict=np.array(verdict or [Verdict.NONE] * count, dtype=np.int8),
        host=np.array(host, dtype=np.int64),
        family=np.zeros(count, dtype=np.int32),
        origin=np.array(origin, dtype=np.int32),
        origins=tuple(names),
    )


def test_a_host_that_floods_the_lake_is_held_to_its_share() -> None:
    """Fifty hosts of 20 flows and one of 9,000: it keeps a twentieth of what is left."""
    host = np.repeat(np.arange(50), 20).tolist() + [99] * 9000
    corpus = caps.apply(_corpus([0] * len(host), host, ["agent:office"]), 1)
    mine = int((corpus.host == 99).sum())
    assert mine / len(corpus) == pytest.approx(caps.SHARE, abs=0.002)
    assert len(corpus) - mine == 1000
    assert corpus.counts.capped_by_host == 9000 - mine
    [named] = corpus.counts.capped
    assert named.source == "agent:office"
    assert named.before == 10_000
    assert named.host_share == 0.9


def test_a_small_network_is_not_starved() -> None:
    """With four hosts each may have twice its equal share; with one there is nothing to cap."""
    host = [0] * 300 + [1] * 100 + [2] * 100 + [3] * 100
    assert len(caps.apply(_corpus([0] * 600, host, ["agent:a"]), 1)) == 600
    assert len(caps.apply(_corpus([0] * 100, [7] * 100, ["agent:a"]), 1)) == 100


def test_one_capture_of_many_does_not_stand_for_the_world_and_a_lone_agent_does() -> None:
    """Captures are capped among captures, agents among agents."""
    origin = [0] * 3000 + np.repeat(np.arange(1, 51), 20).tolist()
    names = ["agent:lone", *(f"{number:064x}" for number in range(50))]
    host = list(range(len(origin)))
    assert (caps.apply(_corpus(origin, host, names), 1).origin == 0).sum() == 3000
    names[0] = f"{99:064x}"
    capped = caps.apply(_corpus(origin, host, names), 1)
    assert (capped.origin == 0).sum() / len(capped) == pytest.approx(caps.SHARE, abs=0.002)
    assert capped.counts.capped_by_source == len(origin) - len(capped)


def test_the_labels_of_one_host_and_day_are_limited_and_other_labels_are_not() -> None:
    """One verdict on an incident of thousands of alerts is one decision."""
    verdict = [Verdict.BENIGN] * 700 + [Verdict.MALICIOUS] * 30 + [Verdict.NONE] * 10
    corpus = caps.apply(_corpus([0] * 740, [1] * 740, ["agent:a"], verdict), 1)
    assert (corpus.verdict == Verdict.BENIGN).sum() == caps.LABELLED
    assert (corpus.verdict == Verdict.MALICIOUS).sum() == 30
    assert corpus.counts.capped_labels == 200


def test_a_flood_that_invents_its_hosts_is_limited_as_a_family() -> None:
    """Every row from a host of its own: the source's day and the attack's family bound it."""
    count = 5000
    corpus = _corpus([0] * count, list(range(count)), ["agent:a"], [Verdict.MALICIOUS] * count)
    assert len(caps.apply(corpus, 1)) == 4 * caps.LABELLED


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=80), share=st.floats(0.01, 0.5))
def test_no_group_has_more_than_its_share_afterwards(sizes: list[int], share: float) -> None:
    """The law of the level: the share, or twice an equal one, of what is left; and nothing is cut without need."""
    weights = np.array(sizes, dtype=np.float64)
    most = caps.level(weights, share)
    left = np.minimum(weights, most)
    allowed = max(share, 2 / len(sizes))
    assert left.max() <= allowed * left.sum() * (1 + 1e-9) or len(sizes) == 1
    if weights.max() <= allowed * weights.sum():
        assert left.sum() == weights.sum()


def test_the_same_seed_keeps_the_same_rows() -> None:
    """A cap is part of the recipe."""
    host = np.repeat(np.arange(50), 20).tolist() + [99] * 3000
    first, again, other = (caps.apply(_corpus([0] * 4000, host, ["agent:a"]), seed) for seed in (1, 1, 2))
    assert np.array_equal(first.features, again.features)
    assert not np.array_equal(first.features, other.features)


def test_a_verdict_on_one_row_does_not_decide_which_others_stay() -> None:
    """So that what detectors are fitted on is the same before and after somebody spoke."""
    origin, host = [0] * 2000 + [1] * 3000, list(range(2000)) + [7] * 1500 + list(range(1500))
    names = ["agent:a", "agent:b"]
    silent = caps.apply(_corpus(origin, host, names), 1)
    places = (0, 1000, 2500, 4999)
    spoken = _corpus(
        [*origin, 0, 0, 1, 1], [*host, 3, 4, 7, 7], names, [0] * len(origin) + [Verdict.BENIGN, Verdict.MALICIOUS] * 2
    )
    order = np.argsort([*range(len(origin)), *(place + 0.5 for place in places)])
    told = caps.apply(caps.take(spoken, order), 1)
    ordinary = told.features[told.verdict == Verdict.NONE, 0]
    assert silent.counts.capped_by_host > 0
    assert np.array_equal(ordinary, silent.features[:, 0])
    assert (told.verdict != Verdict.NONE).sum() == 4
