"""Policies: versions only rise, thresholds follow from calibration or are marked as set by hand."""

from __future__ import annotations

import json

import pytest

from aggregator.calibration import policies
from aggregator.errors import Conflict, Invalid
from aggregator.storage.store import Store


@pytest.fixture
def store(tmp_path, parts):
    opened = Store(tmp_path / "aggregator.db").open()
    opened.write_now(lambda db: policies.ensure_first(db, parts.config(tmp_path), now_ms=1))
    yield opened
    opened.close()


def change(store, **what):
    settled = {"promised_fpr": None, "threshold": None, "keep_fraction": None, "max_alerts_per_minute": None, **what}
    return store.write_now(lambda db: policies.change(db, **settled, by="ada", reason="test", now_ms=2))


def crown(store):
    thresholds = [{"alpha": a, "score": s, "certified": True} for a, s in ((0.1, 1.0), (0.01, 2.0), (0.001, 3.1))]
    described = json.dumps({"thresholds": thresholds})
    store.write_now(
        lambda db: db.execute(
            "INSERT INTO models VALUES ('d', 1, 'n', 'k', 'champion', 1, 'f', 1, 1, 'x', NULL, 0, ?)", (described,)
        )
    )
    return store.write_now(
        lambda db: policies.for_champion(db, "d", default_fpr=0.01, by="ada", reason="promote", now_ms=2)
    )


def test_there_is_always_a_policy(store, parts, tmp_path):
    """The first one comes from the configuration, once."""
    first = store.read(policies.current)
    assert (first.version, first.threshold, first.keep_fraction) == (1, 3.0, 0.05)
    store.write_now(lambda db: policies.ensure_first(db, parts.config(tmp_path), now_ms=9))
    assert store.read(lambda db: policies.find(db, limit=5)).items == (first,)


def test_what_is_left_out_stays(store):
    """And who changed what is on record."""
    changed = change(store, keep_fraction=0.5)
    assert (changed.version, changed.keep_fraction, changed.threshold, changed.by) == (2, 0.5, 3.0, "ada")
    assert change(store, max_alerts_per_minute=5).keep_fraction == 0.5


def test_a_threshold_by_hand_promises_nothing(store):
    """The promised rate is gone, because nothing stands behind it any more."""
    assert change(store, threshold=4.5).promised_fpr is None


def test_a_promise_sets_the_champions_threshold(store):
    """The strictest entry that does not exceed the promise."""
    crown(store)
    assert change(store, promised_fpr=0.05).threshold == 2.0
    assert change(store, promised_fpr=0.5).threshold == 1.0
    assert change(store, promised_fpr=1e-6).threshold == 3.1


def test_a_promotion_keeps_the_promise(store):
    """Or takes the configured one after a threshold was set by hand."""
    assert crown(store).threshold == 3.1
    change(store, threshold=9.0)
    again = store.write_now(lambda db: policies.for_champion(db, "d", default_fpr=0.01, by="ada", reason="", now_ms=3))
    assert (again.threshold, again.promised_fpr, again.model_digest) == (2.0, 0.01, "d")


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({"promised_fpr": 0.1, "threshold": 1.0}, Invalid),
        ({"promised_fpr": 0.0}, Invalid),
        ({"promised_fpr": 0.01}, Conflict),
        ({"threshold": float("nan")}, Invalid),
        ({"threshold": -1.0}, Invalid),
        ({"keep_fraction": 1.5}, Invalid),
        ({"max_alerts_per_minute": 0}, Invalid),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(store, what, error):
    """Each with what would be right."""
    with pytest.raises(error):
        change(store, **what)
    assert store.read(policies.current).version == 1


def test_groups_follow_the_default_until_they_have_a_policy_of_their_own(store):
    """Versions rise over all groups together; what was changed in one stays in it, and can be undone."""
    first = store.read(policies.current)
    assert store.read(lambda db: policies.current(db, "plant")) == first
    plant = change(store, threshold=4.0, group="plant")
    assert (plant.version, plant.group, plant.basis) == (first.version + 1, "plant", "hand")
    assert store.read(policies.current) == first
    assert store.read(policies.groups_with_policy) == ("default", "plant")
    assert change(store, keep_fraction=0.5).version == plant.version + 1
    assert store.read(lambda db: policies.current(db, "plant")).keep_fraction == first.keep_fraction
    later = change(store, threshold=5.0, group="plant")
    undone = store.write_now(lambda db: policies.undo(db, group="plant", by="ada", reason="no", now_ms=8))
    assert (undone.version, undone.threshold) == (later.version + 1, 4.0)
    assert "back to what version" in undone.reason


def test_a_new_champion_sets_every_groups_policy_anew(store):
    """Each keeps its own promise, by the new model's own calibration."""
    crown(store)
    change(store, promised_fpr=0.1, group="plant")
    made = store.write_now(
        lambda db: policies.for_champion(db, "d", default_fpr=0.01, by="ada", reason="again", now_ms=9)
    )
    plant = store.read(lambda db: policies.current(db, "plant"))
    assert (plant.promised_fpr, plant.threshold, plant.reason) == (0.1, 1.0, "again")
    assert made.group == "default"
    assert made.version > plant.version
