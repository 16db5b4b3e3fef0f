"""The split: four roles that never overlap, later rows judge earlier ones, attacks are never learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos import contract
from trainer.corpora.corpus import Corpus
from trainer.corpora.sources import Verdict
from trainer.corpora.split import CUT_ROWS, Role, relative_weights, split
from trainer.errors import NotEnoughRows
from trainer.making.recipe import Shares

SHARES = Shares()
F = len(contract.FEATURES)


def _corpus(sizes: list[int], *, step_ms: int = 100, seed: int = 0, **columns: np.ndarray) -> Corpus:
    count = sum(sizes)
    chance = np.random.default_rng(seed)
    origin = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    time_ms = np.concatenate([np.sort(chance.integers(0, max(size * step_ms, 1), size)) for size in sizes])
    defaults = {
        "features": np.zeros((count, F), dtype=np.float32),
        "weights": np.ones(count, dtype=np.float32),
        "time_ms": time_ms.astype(np.int64),
        "kind": np.zeros(count, dtype=np.int64),
        "verdict": np.zeros(count, dtype=np.int8),
        "host": np.zeros(count, dtype=np.int64),
        "family": np.zeros(count, dtype=np.int32),
    }
    return Corpus(**(defaults | columns), origin=origin, origins=tuple(f"s{number}" for number in range(len(sizes))))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
    attacks=st.floats(0, 0.3),
    labelled=st.floats(0, 0.2),
)
def test_the_laws_of_the_split(sizes: list[int], seed: int, attacks: float, labelled: float) -> None:
    """Roles follow each other in time within a source that is cut; malicious rows are test rows; kinds are learned."""
    count = sum(sizes)
    chance = np.random.default_rng(seed)
    verdict = np.where(chance.random(count) < labelled, Verdict.BENIGN, Verdict.NONE).astype(np.int8)
    verdict[chance.random(count) < attacks] = Verdict.MALICIOUS
    corpus = _corpus(sizes, seed=seed, verdict=verdict, kind=chance.integers(0, 4, count))
    try:
        dealt = split(corpus, SHARES, seed)
    except NotEnoughRows:
        return
    assert set(np.unique(dealt.role)) <= {int(role) for role in Role}
    assert (dealt.role[dealt.malicious] == Role.TEST).all()
    assert not (dealt.taught & ~dealt.malicious).any()
    assert dealt.exception.sum() == (verdict == Verdict.BENIGN).sum()
    ordinary = verdict == Verdict.NONE
    for origin in range(len(sizes)):
        mine = ordinary & (corpus.origin == origin)
        if mine.sum() >= CUT_ROWS:
            _require_order(corpus.time_ms[mine], dealt.role[mine])
        for kind in range(4):
            _require_exceptions(corpus, dealt.role, dealt.exception & (corpus.origin == origin) & (corpus.kind == kind))


def _require_order(time_ms: np.ndarray, role: np.ndarray) -> None:
    for earlier, later in ((Role.FIT, Role.SELECT), (Role.SELECT, Role.CALIBRATE), (Role.CALIBRATE, Role.TEST)):
        before, after = time_ms[role <= earlier], time_ms[role >= later]
        if len(before) and len(after):
            assert before.max() < after.min()


def _require_exceptions(corpus: Corpus, role: np.ndarray, mine: np.ndarray) -> None:
    count = int(mine.sum())
    fitted, held = corpus.time_ms[mine & (role == Role.FIT)], corpus.time_ms[mine & (role != Role.FIT)]
    assert len(held) == count // 3
    if len(held):
        assert fitted.max() <= held.min()


def test_one_source_is_cut_by_the_shares() -> None:
    """Roles come in about the sizes that the recipe says."""
    dealt = split(_corpus([10_000]), SHARES, 1)
    sizes = [len(dealt.rows(role)) / 10_000 for role in Role]
    assert sizes == pytest.approx([SHARES.fit, SHARES.select, SHARES.calibrate, 0.15], abs=0.01)


def test_many_small_sources_stay_whole() -> None:
    """By capture, never by flow: rows of one small capture never judge each other."""
    corpus = _corpus([5 + number % 20 for number in range(200)])
    dealt = split(corpus, SHARES, 1)
    for origin in range(200):
        assert len(set(dealt.role[corpus.origin == origin])) == 1
    assert len(dealt.rows(Role.FIT)) / len(corpus) == pytest.approx(SHARES.fit, abs=0.03)
    assert not np.array_equal(dealt.role, split(corpus, SHARES, 2).role)
    assert np.array_equal(dealt.role, split(corpus, SHARES, 1).role)


def test_rows_of_one_millisecond_stay_together() -> None:
    """A tie is not cut, so that later means later."""
    corpus = _corpus([400], time_ms=np.repeat(np.arange(20, dtype=np.int64), 20))
    dealt = split(corpus, SHARES, 1)
    for moment in range(20):
        assert len(set(dealt.role[corpus.time_ms == moment])) == 1


@pytest.mark.parametrize("corpus", [_corpus([30]), _corpus([500], time_ms=np.zeros(500, dtype=np.int64))])
def test_too_few_rows_or_no_time_at_all_is_an_error_that_says_what_to_give(corpus: Corpus) -> None:
    """A role of a handful of rows would only look like evidence."""
    with pytest.raises(NotEnoughRows, match="more benign traffic"):
        split(corpus, SHARES, 1)


def test_where_everything_is_labelled_benign_it_is_the_traffic() -> None:
    """Without unlabelled rows there is nothing that labelled ones could be exceptions to."""
    dealt = split(_corpus([1000], verdict=np.full(1000, Verdict.BENIGN, dtype=np.int8)), SHARES, 1)
    assert not dealt.exception.any()
    assert len(dealt.rows(Role.CALIBRATE)) > 200


def test_rows_called_benign_set_no_threshold() -> None:
    """A few flows of a kind the model did not know are judged by its thresholds and do not make them."""
    verdict = np.zeros(2000, dtype=np.int8)
    verdict[::20] = Verdict.BENIGN
    dealt = split(_corpus([2000], verdict=verdict), SHARES, 1)
    held = dealt.rows(Role.CALIBRATE)
    assert dealt.exception[held].any()
    assert np.array_equal(dealt.calibration, held[~dealt.exception[held]])
    assert dealt.exception[dealt.benign_test].any()
    assert dealt.held_back.sum() == dealt.exception.sum() // 3


def test_thinning_makes_weighted_rows_plain_draws() -> None:
    """A row that stands for a tenth of what others stand for stays a tenth as often, within its source."""
    weights = np.tile(np.array([10, 1], dtype=np.float32), 10_000)
    corpus = _corpus([20_000], weights=weights)
    dealt = split(corpus, SHARES, 1)
    held = np.zeros(20_000, dtype=bool)
    held[dealt.calibration] = True
    rows = dealt.rows(Role.CALIBRATE)
    heavy, light = rows[weights[rows] == 10], rows[weights[rows] == 1]
    assert held[heavy].all()
    assert held[light].mean() == pytest.approx(0.1, abs=0.03)
    assert dealt.thinned[dealt.rows(Role.FIT)].all()


def test_weights_are_relative_to_their_own_source() -> None:
    """A capture beside a lake that samples one flow in fifty is not thinned to nothing."""
    corpus = _corpus([100, 100], weights=np.repeat(np.array([50, 1], dtype=np.float32), 100))
    assert (relative_weights(corpus) == 1).all()


def test_a_few_absurd_weights_do_not_thin_the_others_away() -> None:
    """A compromised agent that says one of its rows stands for a billion flows loses nothing else by it."""
    weights = np.full(1000, 20, dtype=np.float32)
    weights[500] = 1e9
    relative = relative_weights(_corpus([1000], weights=weights))
    assert (relative == 1).all()


@pytest.mark.parametrize(("cases", "taught"), [([6, 6, 6], [6, 6, 0]), ([9], [6]), ([2], [2]), ([3, 3], [2, 2])])
def test_cases_are_taught_whole_where_there_are_enough(cases: list[int], taught: list[int]) -> None:
    """The last third of a family's cases is held back, or the last third of each case where they are few."""
    count = sum(cases)
    host = np.repeat(np.arange(len(cases), dtype=np.int64), cases)
    quiet = 400
    corpus = _corpus(
        [quiet + count],
        host=np.append(np.full(quiet, -1, dtype=np.int64), host),
        verdict=np.append(np.zeros(quiet), np.full(count, Verdict.MALICIOUS)).astype(np.int8),
        family=np.append(np.zeros(quiet), np.ones(count)).astype(np.int32),
    )
    dealt = split(corpus, SHARES, 1)
    assert [int(dealt.taught[corpus.host == number].sum()) for number in range(len(cases))] == taught
    assert len(dealt.attack_test) == count - sum(taught)
