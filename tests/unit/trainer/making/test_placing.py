"""Placing: a verdict reaches as far as its own rows and the usual distances say, never to an attack nor from one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer.detectors.neighbours import Neighbours
from trainer.detectors.places import Places, Space, distances
from trainer.detectors.portfolio import Portfolio
from trainer.detectors.reminded import RAISE, Reminded
from trainer.making import placing
from trainer.making.teaching import Ground
from trainer.runtime import tensorflow

F32 = np.float32


@pytest.fixture(scope="module")
def space(synthetic: Any) -> Space:
    """The space of sixty-four centres of ordinary rows."""
    return Space.of(Neighbours(size=64, knots=6).fit(synthetic.benign(900, 1)))


def _judged(benign: np.ndarray, attacks: np.ndarray, kinds: int = 1) -> placing.Judged:
    kind = (np.arange(len(benign)) % kinds).astype(np.intp)
    return placing.Judged(benign, kind, attacks, np.zeros(len(attacks), dtype=np.intp), ("scan",))


def _place(space: Space, judged: placing.Judged, quiet: np.ndarray, *, seed: int, raises: bool = True) -> Any:
    half = len(quiet) // 2
    rows = quiet[:0]
    ground = Ground(rows, np.ones(len(rows), np.float32), quiet[:half], quiet[half:], {}, seed=seed)
    return placing.place(space, judged, ground, judged.families if raises else ())


def _calm(places: Places, rows: np.ndarray) -> np.ndarray:
    return places.answers(rows)[0]


def _alike(places: Places, rows: np.ndarray) -> np.ndarray:
    return places.answers(rows)[1]


@pytest.fixture(scope="module")
def quiet(synthetic: Any) -> np.ndarray:
    """Benign rows that nothing was fitted on."""
    rows: np.ndarray = synthetic.benign(600, 2)
    return rows


def test_a_kind_called_benign_is_calm_and_attacks_are_not(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """Two dozen verdicts on a backup calm the backups of other nights, and no scan."""
    places, told = _place(space, _judged(synthetic.backup(24, 3), synthetic.scan(20, 4)), quiet, seed=1)
    assert np.mean(_calm(places, synthetic.backup(200, 5)) > 0.5) > 0.8
    assert (_calm(places, synthetic.scan(200, 6)) == 0).all()
    assert (told.kinds, told.too_near_to_attacks) == (1, 0)
    assert told.benign_centres == placing.KIND_CENTRES


def test_one_verdict_claims_no_more_than_is_usual(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """The middle distance from an ordinary row to the nearest ordinary centre."""
    places, _ = _place(space, _judged(synthetic.backup(1, 3), synthetic.scan(0, 4)), quiet, seed=1)
    usual = np.median(distances(space.place(quiet), space.ordinary).min(axis=1))
    assert places.reach == pytest.approx([usual], rel=1e-5)
    assert len(places.attack) == 0


def test_what_lies_beside_an_attack_calms_nothing(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """Scans called benign by one person and malicious by another: the labelled attack keeps its score."""
    scans = synthetic.scan(40, 4)
    places, told = _place(space, _judged(scans[:20] * F32(1.0001), scans), quiet, seed=1)
    assert (_calm(places, scans) == 0).all()
    assert told.too_near_to_attacks > 0
    near, _ = _place(space, _judged(synthetic.scan(20, 8), scans), quiet, seed=1)
    assert (_calm(near, scans) < 1e-6).all()


def test_what_is_like_a_labelled_attack_is_alike(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """Scans of other hosts, and none of the benign rows held back, nor a backup that was called benign."""
    places, told = _place(space, _judged(synthetic.backup(24, 3), synthetic.scan(40, 4)), quiet, seed=1)
    assert np.mean(_alike(places, synthetic.scan(200, 6)) > 0.2) > 0.9
    assert (_alike(places, quiet) == 0).all()
    assert (_alike(places, synthetic.backup(100, 7)) == 0).all()
    assert 0 < told.attack_centres <= placing.FAMILY_CENTRES
    assert (places.limit <= placing.SHARE).all()


def test_an_attack_that_looks_ordinary_raises_nothing(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """Ordinary rows called malicious, by mistake or by malice, do not make ordinary rows alert."""
    places, told = _place(space, _judged(synthetic.benign(0, 3), quiet[:200].copy()), quiet, seed=1)
    assert (_alike(places, quiet) == 0).all()
    assert told.too_near_to_ordinary > 0
    assert np.mean(_alike(places, synthetic.benign(500, 9)) > 0) < 0.05


def test_attacks_that_may_not_raise_still_bound_what_is_calmed(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """So a lesson that failed its trial does not let a benign one reach further."""
    judged = _judged(synthetic.scan(20, 8), synthetic.scan(40, 4))
    places, told = _place(space, judged, quiet, seed=1, raises=False)
    assert told.attack_centres == 0
    assert (_alike(places, synthetic.scan(50, 6)) == 0).all()
    assert (_calm(places, synthetic.scan(40, 4)) < 1e-6).all()


def test_no_more_places_than_an_agent_can_afford(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """However many kinds people speak of."""
    benign, attacks = synthetic.backup(700, 3), synthetic.scan(600, 4)
    judged = placing.Judged(
        benign, np.arange(700, dtype=np.intp), attacks, np.arange(600, dtype=np.intp) // 20, tuple(map(str, range(30)))
    )
    places, told = _place(space, judged, quiet, seed=1)
    assert len(places.benign) <= placing.MOST_CENTRES
    assert len(places.attack) <= placing.MOST_CENTRES
    assert told.to_json()["kinds"] == 700


def test_far_from_every_verdict_the_score_is_the_detectors(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """What nobody spoke of does not move; what was calmed only falls, what is alike only rises, and by a bound."""
    base = Portfolio(members=("std_count", "mahalanobis")).fit(synthetic.benign(900, 1), calibrate=quiet)
    places, _ = _place(space, _judged(synthetic.backup(24, 3), synthetic.scan(40, 4)), quiet, seed=1)
    reminded = Reminded(base, places)
    rows = np.concatenate([synthetic.benign(300, 9), synthetic.backup(100, 5), synthetic.scan(100, 6)])
    before, after = base.raw_score(rows), reminded.raw_score(rows)
    calm, alike = places.answers(rows)
    untouched = (calm == 0) & (alike == 0)
    assert after[untouched] == pytest.approx(before[untouched], rel=1e-6)
    assert (after[calm > 0] < before[calm > 0]).all()
    assert (after[(alike > 0) & (calm == 0)] > before[(alike > 0) & (calm == 0)]).all()
    assert (after - before).max() <= RAISE + 1e-4
    assert (after >= 1).all()
    assert reminded.kind == base.kind
    assert np.array_equal(reminded.explain(rows)[0], base.explain(rows)[0])


def test_the_same_verdicts_make_the_same_places(space: Space, quiet: np.ndarray, synthetic: Any) -> None:
    """To the last bit."""
    judged = _judged(synthetic.backup(60, 3), synthetic.scan(60, 4), kinds=3)
    first, again = (_place(space, judged, quiet, seed=4)[0] for _ in range(2))
    for name in ("benign", "reach", "attack", "limit"):
        assert np.array_equal(getattr(first, name), getattr(again, name))


def test_places_hear_what_members_hear(quiet: np.ndarray, synthetic: Any) -> None:
    """A feature left unheard neither takes a row out of a verdict's reach nor into it, however far off it is."""
    width = quiet.shape[1]
    heard = np.ones(width, F32)
    heard[0] = 0
    space = Space.of(Neighbours(size=64, knots=6).fit(synthetic.benign(900, 1) * heard), heard)
    benign, attacks = synthetic.backup(24, 3), synthetic.scan(40, 4)
    benign[:, 0], attacks[:, 0] = 1e9, -1e9
    places, _ = _place(space, _judged(benign, attacks), quiet, seed=1)
    rows = np.concatenate([synthetic.backup(100, 5), synthetic.scan(100, 6), synthetic.benign(100, 9)])
    other = rows.copy()
    other[:, 0] = 1e9
    assert (_calm(places, rows[:100]) > 0.5).mean() > 0.8
    assert (_alike(places, rows[100:200]) > 0.2).mean() > 0.9
    assert np.array_equal(places.answers(other), places.answers(rows))
    everything = Space.of(Neighbours(size=64, knots=6).fit(synthetic.benign(900, 1)))
    assert not np.array_equal(everything.place(other), everything.place(rows))


def test_the_graph_of_places_hears_no_more(quiet: np.ndarray, synthetic: Any) -> None:
    """Agents run the graph: what is unheard in Python is unheard there, and the answers agree."""
    tf = tensorflow()
    heard = np.ones(quiet.shape[1], F32)
    heard[0] = 0
    space = Space.of(Neighbours(size=64, knots=6).fit(synthetic.benign(900, 1) * heard), heard)
    places, _ = _place(space, _judged(synthetic.backup(24, 3), synthetic.scan(40, 4)), quiet, seed=1)
    rows = np.concatenate([synthetic.backup(50, 5), synthetic.scan(50, 6), synthetic.benign(50, 9)])
    other = rows.copy()
    other[:, 0] = 1e9
    drawn = [[part.numpy() for part in places.graph(tf.constant(some), tf)] for some in (rows, other)]
    assert np.array_equal(drawn[0], drawn[1])
    assert drawn[0] == pytest.approx(np.array(places.answers(rows)), abs=1e-3)
