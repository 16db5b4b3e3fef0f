"""What an agent should be offered now. Pure: the whole decision is this table of cases.

| the agent                                      | model             | policy      |
|------------------------------------------------|-------------------|-------------|
| there is no champion                           | none              | if it lags  |
| runs the champion                              | none              | if it lags  |
| has refused the champion on this stream        | none              | if it lags  |
| runs another model, or none                    | the champion      | if it lags  |

The policy is that of the agent's group. Versions rise over all groups together, so an agent that changes its group is
sent a newer version, never an older one.

Rings, shadows and canaries of a staged rollout are further rows of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregator.calibration.policies import DEFAULT
from aggregator.rows import Model, ModelState, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Standing:
    """What an agent runs, as far as this stream knows."""

    model_digest: str = ""
    policy_version: int = 0
    refused_digest: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What the fleet should run: the champion, the policies of groups, and the groups agents belong to."""

    champion: Model | None
    policies: Mapping[str, Policy]
    groups: Mapping[str, str]

    def policy_of(self, agent_id: str) -> Policy:
        """The policy of the agent's group; the default group's where it has none of its own."""
        group = self.groups.get(agent_id, DEFAULT)
        return self.policies.get(group, self.policies[DEFAULT])


@dataclass(frozen=True, slots=True)
class Offer:
    """What to send. None means: nothing to say."""

    model: Model | None = None
    policy: Policy | None = None


def choose(agent: Standing, models: Iterable[Model], policy: Policy) -> Offer:
    """The offer for `agent`."""
    champion = next((model for model in models if model.state is ModelState.CHAMPION), None)
    wanted = champion is not None and champion.digest not in {agent.model_digest, agent.refused_digest}
    return Offer(
        model=champion if wanted else None,
        policy=policy if policy.version != agent.policy_version else None,
    )
