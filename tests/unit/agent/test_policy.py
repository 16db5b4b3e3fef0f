"""Which threshold holds: a table of who overrules whom."""

from __future__ import annotations

import math

import pytest

from agent.config import AgentConfig
from agent.policy import (
    Policy,
    PolicyRefused,
    effective_threshold,
    follow,
    from_json,
    initial_policy,
    read_policy,
    to_json,
)
from agent.state import replace_json
from protos.manifest import Manifest, Threshold

A, B = "a" * 64, "b" * 64


def manifest(*thresholds: Threshold) -> Manifest:
    return Manifest("m", "test", (), "", 0, thresholds=thresholds)


CALIBRATED = manifest(Threshold(0.01, 2.1, True), Threshold(0.001, 3.2, True))


@pytest.mark.parametrize(
    ("policy", "digest", "model", "override", "expected"),
    [
        (Policy(1, A, 2.5), "", None, 1.0, math.inf),
        (Policy(1, A, 2.5), A, CALIBRATED, 1.5, 1.5),
        (Policy(1, A, 2.5), A, CALIBRATED, None, 2.5),
        (Policy(1, "", 2.5), B, CALIBRATED, None, 2.5),
        (Policy(1, A, 2.5), B, CALIBRATED, None, 3.2),
        (Policy(2, A, 2.5, thresholds=((B, 4.4), (A, 2.5))), B, CALIBRATED, None, 4.4),
        (Policy(0), A, CALIBRATED, None, 3.2),
        (Policy(0), A, manifest(), None, 3.0),
    ],
)
def test_who_overrules_whom(policy, digest, model, override, expected) -> None:
    """Operator, policy for this model, policy it had before, the model's own, and what a score means."""
    threshold = effective_threshold(policy, digest=digest, manifest=model, override=override, promised_fpr=0.001)
    assert threshold == pytest.approx(expected)


def test_a_policy_remembers_what_it_follows() -> None:
    """While a new model is on its way the running one keeps its threshold; memory is bounded."""
    policy = follow(None, Policy(1, A, 2.5, 0.1, 5))
    policy = follow(policy, Policy(2, B, 4.0, 0.1, 5))
    assert dict(policy.thresholds) == {A: 2.5, B: 4.0}
    for number in range(30):
        policy = follow(policy, Policy(3 + number, f"{number:064d}", 1.0, 0.1, 5))
    assert len(policy.thresholds) == 8
    assert policy.thresholds[-1] == (f"{29:064d}", 1.0)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(1, A, math.nan),
        Policy(1, A, math.inf),
        Policy(1, A, 1, -0.1),
        Policy(1, A, 1, 1.1),
        Policy(1, A, 1, 0, -1),
    ],
)
def test_nonsense_is_refused(policy: Policy) -> None:
    """A policy out of range changes nothing."""
    with pytest.raises(PolicyRefused, match="the old policy stays"):
        follow(None, policy)


def test_round_trip(tmp_path) -> None:
    """What is written is what is read; anything else is no policy."""
    policy = follow(None, Policy(4, A, 2.25, 0.5, 9))
    replace_json(tmp_path / "policy.json", to_json(policy))
    assert read_policy(tmp_path / "policy.json") == policy
    assert read_policy(tmp_path / "absent") is None
    assert from_json({**to_json(policy), "threshold": "high"}) is None
    assert from_json({"version": 1}) is None


def test_until_a_policy_comes_the_configuration_holds() -> None:
    """Sample and cap come from the settings, the threshold from the model."""
    policy = initial_policy(AgentConfig(keep_fraction=0.3, max_alerts_per_minute=11))
    assert (policy.version, policy.keep_fraction, policy.max_alerts_per_minute) == (0, 0.3, 11)
