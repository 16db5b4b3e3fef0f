"""What is shown to both models: rows nobody lied about, rows nothing was fitted on, and a mark that is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protos import contract
from trainer.corpora.corpus import Corpus
from trainer.corpora.held import Held
from trainer.corpora.rows import Verdict
from trainer.corpora.split import Role, Split
from trainer.judging import frozen, standing
from trainer.judging.gate import Grounds, Standing, judge

F = len(contract.FEATURES)


@dataclass
class Champion:
    """A model that alerts on what its first feature says."""

    digest: str = "c"
    threshold: float = 3.0
    replay: dict[str, Any] = field(default_factory=dict)

    @property
    def manifest(self) -> Any:
        return SimpleNamespace(
            feature_digest="f",
            provenance={"replay": self.replay},
            threshold_for=lambda _: SimpleNamespace(score=self.threshold),
        )

    def score(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0]


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """These models have no file to check."""
    monkeypatch.setattr(standing, "find_fault", lambda entry: getattr(entry, "fault", ""))


def _corpus(scores: list[float], names: list[str], *, verdict: list[int] | None = None, **columns: Any) -> Corpus:
    count = len(scores)
    features = np.zeros((count, F), dtype=np.float32)
    features[:, 0] = scores
    defaults = {
        "time_ms": np.arange(count, dtype=np.int64),
        "family": np.zeros(count, dtype=np.int32),
        "origin": np.arange(count, dtype=np.int32) % len(names),
    }
    return Corpus(
        features=features,
        weights=np.ones(count, dtype=np.float32),
        kind=np.zeros(count, dtype=np.int64),
        verdict=np.array(verdict or [0] * count, dtype=np.int8),
        host=np.zeros(count, dtype=np.int64),
        origins=tuple(names),
        **(defaults | columns),
    )


@pytest.mark.parametrize(
    ("thresholds", "left"),
    [
        ({}, [1, 2.9]),  # nobody alerted yet: the champion's own threshold
        ({("a", "c"): 5.0}, [1, 2.9, 4]),  # recalibrated on this network
        ({("b", "c"): 5.0}, [1, 2.9, 4]),  # an agent that never alerts is held to what others are held to
        ({("a", "other"): 9.0}, [1, 2.9]),  # another model's
    ],
)
def test_an_agent_that_lies_about_scores_is_not_believed(thresholds: dict, left: list[float]) -> None:
    """What the champion would have alerted on is not benign because its agent says so."""
    corpus = standing.screen(_corpus([1, 2.9, 4, 9], ["agent:a"]), Champion(), Held({}, thresholds), 0.01)
    assert corpus.features[:, 0].tolist() == pytest.approx(left)
    assert corpus.counts.screened == 4 - len(left)


def test_verdicts_and_captures_are_not_screened() -> None:
    """A person's word is stronger, and a capture has no agent."""
    corpus = _corpus([9, 9], ["agent:a", "f" * 64], verdict=[Verdict.BENIGN, Verdict.NONE])
    assert len(standing.screen(corpus, Champion(), None, 0.01)) == 2
    lone = _corpus([9], ["agent:a"])
    assert len(standing.screen(lone, None, None, 0.01)) == 1
    foreign = Champion()
    foreign.fault = "another contract"  # type: ignore[attr-defined]
    assert len(standing.screen(lone, foreign, None, 0.01)) == 1


def _sets(family: list[str]) -> standing.Sets:
    made = object.__new__(standing.Sets)
    rows = np.arange(len(family) * F, dtype=np.float32).reshape(-1, F)
    made.attacks = frozen.Frozen(rows, np.array(family, dtype=str))
    made.golden = frozen.empty()
    return made


def test_the_best_recall_travels_from_model_to_model_while_the_set_stays() -> None:
    """Another set begins anew."""
    sets = _sets(["scan"] * 10 + ["beacon"] * 10)
    first = sets.best(None, {"scan": 0.9, "beacon": 0.5})
    second = sets.best(Champion(replay=first), {"scan": 0.8, "beacon": 0.7})
    assert second == {"digest": sets.attacks.digest, "recall": {"scan": 0.9, "beacon": 0.7}}
    assert _sets(["scan"]).mark(Champion(replay=second)) == {}
    assert sets.mark(Champion()) == {}


def test_a_slow_drift_is_stopped_although_every_step_is_small() -> None:
    """A poisoner takes one row in a hundred a time: each step passes alone, all together do not."""
    rows = 200
    sets = _sets(["beacon"] * rows)
    caught, champion, steps = rows, Champion(), 0
    champion.replay = sets.best(None, {"beacon": 1.0})
    while caught > 0:
        masks = [np.arange(rows) < count for count in (caught, caught - 2)]
        none = np.zeros(0, dtype=bool)
        grounds = Grounds(none, 0.01, replay_family=np.full(rows, "beacon"), replay_best=sets.mark(champion))
        verdict = judge(*(Standing("d", "f", none, none, none, replay=mask) for mask in masks), grounds)
        failed = [check.name for check in verdict.checks if check.passed is False]
        if failed:
            break
        caught, steps = caught - 2, steps + 1
        champion.replay = sets.best(champion, {"beacon": caught / rows})
    assert failed == ["replay_drift"]
    assert 1 < steps <= 5
    assert caught >= 0.95 * rows


def test_recall_is_judged_on_attacks_that_taught_nothing_where_there_are_such() -> None:
    """A family that was taught whole is judged by what there is."""
    family = np.array([1, 1, 2, 2, 0], dtype=np.int32)
    corpus = _corpus([1] * 5, ["agent:a"], verdict=[2, 2, 2, 2, 0], family=family, families=("", "beacon", "scan"))
    dealt = Split(
        role=np.full(5, Role.TEST, dtype=np.int8),
        exception=np.zeros(5, dtype=bool),
        malicious=np.array([True] * 4 + [False]),
        thinned=np.ones(5, dtype=bool),
        taught=np.array([True, False, True, True, False]),
    )
    assert standing.judged_attacks(corpus, dealt).tolist() == [1, 2, 3]


def test_the_last_days_are_an_agents_last_days() -> None:
    """Captures have no last days."""
    day = 86_400_000
    times = np.array([0, 10 * day, 9 * day, 2 * day], dtype=np.int64)
    dealt = Split(np.full(4, Role.TEST, dtype=np.int8), *(np.zeros(4, bool),) * 2, np.ones(4, bool), np.zeros(4, bool))
    corpus = _corpus([1] * 4, ["agent:a"], time_ms=times)
    assert standing.recent_rows(corpus, dealt).tolist() == [1, 2]
    assert standing.recent_rows(_corpus([1] * 4, ["f" * 64], time_ms=times), dealt).tolist() == []
