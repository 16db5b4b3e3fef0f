"""Metrics, curves and thresholds on cases whose answer is known, and settings that are all explained."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from trainer.workbench.contest import curves, metrics
from trainer.workbench.contest.blending import surer
from trainer.workbench.contest.board import Entry, choose
from trainer.workbench.contest.folder import plain
from trainer.workbench.contest.search import perfect
from trainer.workbench.contest.threshold import threshold
from trainer.workbench.meanings import SENTENCES, meanings
from trainer.workbench.settings import Settings


def test_metrics_of_two_classes_are_those_of_the_strange_one() -> None:
    """Three of four right, one strange row of two found, no false alert."""
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], dtype=np.float32)
    found = metrics.of_classes(chances, np.array([0, 0, 1, 1]), 1)
    assert found["accuracy"] == 0.75
    assert (found["precision"], found["recall"]) == (1.0, 0.5)
    assert found["roc_auc"] == 1.0
    assert found["tpr_at_1_percent_fpr"] == 1.0


def test_a_class_never_learnt_is_wrong() -> None:
    """Whatever is answered."""
    chances = np.eye(3, dtype=np.float32)
    found = metrics.of_classes(chances, np.array([0, 1, -1]), 1)
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_rare_strange_rows_lower_average_precision() -> None:
    """The same ranking at 1 % is worth less than at 50 %."""
    chance = np.random.default_rng(1)
    strange = np.repeat([False, True], 500)
    found = metrics.one_of(chance.normal(0, 1, 1000) + strange, strange)
    assert found["average_precision_at_1_percent"] is not None
    assert found["average_precision"] is not None
    assert found["average_precision_at_1_percent"] < 0.5 * found["average_precision"]


def test_nothing_is_made_up_where_all_rows_are_of_one_kind() -> None:
    """None, not a number."""
    assert metrics.one_of(np.arange(3.0), np.ones(3, dtype=np.bool_)) == metrics.NONE
    assert metrics.of_strangeness(np.zeros(3, dtype=np.float32), None, 1.0) == metrics.NONE


def test_a_blend_is_surer_only_beyond_chance() -> None:
    """A twentieth less is enough where many rows agree on it, and not where one row says it; less is never enough."""
    chance = np.random.default_rng(5)
    best = chance.exponential(0.05, 2000)
    assert surer(0.9 * best, best)
    assert not surer(0.97 * best, best)
    few = best[:100].copy()
    few[0] = 3.0
    one = few.copy()
    one[0] = 0.0
    assert one.mean() < 0.95 * few.mean()
    assert not surer(one, few)
    assert not surer(best[:1] / 2, best[:1])


@pytest.mark.parametrize(
    ("value", "loss", "enough"),
    [(1.0, 0.0005, True), (1.0, 0.01, False), (0.99, 0.0005, False), (1.0, None, True), (0.99, None, False)],
)
def test_a_search_ends_early_only_where_nothing_can_be_better(value: float, loss: float | None, enough: bool) -> None:
    """Ranks that are right to the last row leave chances to be improved; a detector has none."""
    assert perfect(value, loss) is enough


def test_curves_are_short_and_keep_their_ends() -> None:
    """At most 200 points, from corner to corner."""
    chance = np.random.default_rng(2)
    strange = chance.random(5000) < 0.3
    scores = np.clip(chance.normal(0.4, 0.2, 5000) + 0.2 * strange, 0, 1)
    told = curves.curves(scores, strange, chance=True)
    for name, x, y in (("roc", "fpr", "tpr"), ("pr", "recall", "precision")):
        assert len(told[name][x]) == len(told[name][y]) <= 200
        assert {min(told[name][x]), max(told[name][x])} == {0.0, 1.0}
    assert sum(told["calibration"]["rows"]) == 5000


def test_a_threshold_keeps_its_promise_or_calls_itself_an_estimate() -> None:
    """With 2,000 rows at most 1 % are above; with 50 it is a quantile with a sentence."""
    scores = np.random.default_rng(3).normal(0, 1, 2000).astype(np.float32)
    found = threshold(scores)
    assert found.certified
    assert (scores > found.value).mean() <= 0.01
    few = threshold(scores[:50])
    assert not few.certified
    assert "299" in few.note


def test_what_is_equal_within_chance_is_parted_by_how_sure_it_was() -> None:
    """A hair more F1 does not outweigh a loss twice as large; a clear lead does."""
    sure = Entry("a", "A", select={"f1": 0.990}, loss=0.02)
    lucky = Entry("b", "B", select={"f1": 0.991}, loss=0.04)
    assert choose([sure, lucky], "f1", 1000, judged=True)[0] == "a"
    assert choose([sure, lucky], "f1", 1_000_000, judged=True)[0] == "b"
    assert choose([Entry("most-frequent", "M", select={"f1": 1.0}), sure], "f1", 100, judged=True)[0] == "a"
    assert choose([Entry("a", "A", state="failed")], "f1", 10, judged=True) == (None, "No model could be fitted.")


def test_json_never_holds_what_it_has_no_word_for() -> None:
    """NaN and infinities become null, arrays lists."""
    told = {"a": float("nan"), "b": [np.float32("inf"), np.int64(2)], "c": np.array([1.0])}
    assert plain(told) == {"a": None, "b": [None, 2], "c": [1.0]}


def test_every_setting_is_explained() -> None:
    """In the order of the settings, none too many."""
    assert list(SENTENCES) == [field.name for field in fields(Settings)]
    assert all(sentence.endswith(".") for *_, sentence in meanings())
