"""The table of offers."""

from __future__ import annotations

import dataclasses

import pytest

from aggregator.models.rollout import Standing, Target, choose
from aggregator.rows import Model, ModelState, Policy

POLICY = Policy(4, "", 3.0, 0.001, 0.05, 600, 1, "ada", "")


def model(digest, state):
    return Model(digest, "n", "k", 1, state, 1, "f", 1, 1, "x", None, False, 0, 0, {})


CHAMPION = model("a", ModelState.CHAMPION)
MODELS = [model("b", ModelState.RETIRED), CHAMPION, model("c", ModelState.CANDIDATE)]


@pytest.mark.parametrize(
    ("agent", "models", "wants_model", "wants_policy"),
    [
        (Standing("", 0), [], None, True),
        (Standing("", 4), [], None, False),
        (Standing("", 4), MODELS, "a", False),
        (Standing("b", 3), MODELS, "a", True),
        (Standing("a", 4), MODELS, None, False),
        (Standing("b", 4, refused_digest="a"), MODELS, None, False),
        (Standing("b", 9), MODELS, "a", True),
    ],
)
def test_who_is_offered_what(agent, models, wants_model, wants_policy):
    """The champion to whoever does not run it and did not refuse it; the current policy to whoever has another."""
    offer = choose(agent, models, POLICY)
    assert (offer.model.digest if offer.model else None) == wants_model
    assert (offer.policy is POLICY) == wants_policy


def test_an_agent_follows_its_group_and_else_the_default() -> None:
    """A group without a policy of its own, and an agent nobody put anywhere, follow the default group."""
    plant = dataclasses.replace(POLICY, version=9, group="plant")
    target = Target(None, {"default": POLICY, "plant": plant}, {"edge": "plant", "lone": "empty"})
    assert target.policy_of("edge") is plant
    assert target.policy_of("lone") is POLICY
    assert target.policy_of("unheard of") is POLICY
