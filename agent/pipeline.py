"""One batch of finished flows, from record to decision: features, score, decide, reasons. No clock, no disk.

The same object serves the sensor, `score` and `show`, so that what an operator tries out is what the sensor does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from agent import features
from agent.batch import Origin, Rows
from agent.context import Context
from agent.conversations import Conversations, judge
from agent.detector import AlertBudget, Decision, Rule, decide
from agent.policy import effective_threshold
from agent.reasons import strongest, with_others
from protos import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from agent.policy import Policy
    from agent.reasons import Reason
    from agent.scorer import Scorer

_PAIR_FLOWS: Final = contract.index("pair_flows_300s")


class Pipeline:
    """Everything between the meter and the spool. Hand it every batch of a source in order.

    `chance(n)` gives n numbers drawn uniformly from [0, 1). `threshold` overrules policy and model.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        chance: Callable[[int], NDArray[np.float64]],
        threshold: float | None = None,
        promised_fpr: float = 0.001,
        seed: int = 0,
    ) -> None:
        self._chance = chance
        self._override = threshold
        self._promised_fpr = promised_fpr
        self._seed = seed
        self._scorer: Scorer | None = None
        self._context = Context(seed)
        self._conversations = Conversations(seed)
        self._budget = AlertBudget(policy.max_alerts_per_minute)
        self._policy = policy
        self.origin = Origin("", policy.version, math.inf)
        self.alerts = 0
        self.capped = 0

    @property
    def scorer(self) -> Scorer | None:
        """The model that scores now."""
        return self._scorer

    @property
    def policy(self) -> Policy:
        """The policy that decides now."""
        return self._policy

    def restart(self) -> None:
        """Forget the context: another capture begins."""
        self._context, self._conversations = Context(self._seed), Conversations(self._seed)

    def use_model(self, scorer: Scorer | None) -> None:
        """Score with another model from the next batch on, or with none."""
        self._scorer = scorer
        self._conversations = Conversations(self._seed)  # scores of another model add up to nothing
        self._refresh()

    def use_policy(self, policy: Policy) -> None:
        """Decide by another policy from the next batch on. What is spent of the alert budget stays spent."""
        self._policy = policy
        self._budget.per_minute = policy.max_alerts_per_minute
        self._refresh()

    def _refresh(self) -> None:
        digest = self._scorer.digest if self._scorer else ""
        threshold = effective_threshold(
            self._policy,
            digest=digest,
            manifest=self._scorer.manifest if self._scorer else None,
            override=self._override,
            promised_fpr=self._promised_fpr,
        )
        self.origin = Origin(digest, self._policy.version, threshold)

    def measure(self, flows: NDArray) -> NDArray[np.float32]:
        """The feature matrix `[n, F]`. Once a batch: the context remembers."""
        return features.compute(flows, self._context)

    def judge(self, flows: NDArray, matrix: NDArray[np.float32]) -> Rows:
        """Every row, at least one, with its decision. Raises `ModelRefused` when the graph fails."""
        alone = self._scorer.score(matrix) if self._scorer else np.zeros(len(flows), dtype=np.float32)
        scores = self._together(flows, alone)
        rule = Rule(self.origin.threshold, self._policy.keep_fraction)
        left = self._budget.left(int(flows["ended_ms"][-1]))
        decided = decide(scores, rule, left, self._chance(len(flows)))
        raised = decided.raised
        reasons, families = self._tell(matrix, raised, alone, scores)
        self._budget.spend(len(raised))
        self.alerts += len(raised)
        self.capped += decided.capped
        return Rows(
            flows=flows,
            matrix=matrix,
            scores=scores,
            codes=decided.codes,
            weights=decided.weights,
            reasons=reasons,
            families=families,
        )

    def _together(self, flows: NDArray, alone: NDArray[np.float32]) -> NDArray[np.float32]:
        """What decides: scores, raised where the flows of two hosts are stranger together than any alone."""
        handicap = self._scorer.manifest.together if self._scorer else None
        if handicap is None:
            return alone
        return judge(alone, self._conversations.together(flows, alone), handicap)

    def _tell(
        self,
        matrix: NDArray[np.float32],
        raised: NDArray[np.intp],
        alone: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> tuple[dict[int, tuple[Reason, ...]], dict[int, tuple[str, float]]]:
        """Of each alert, by row: its reasons, and the family it looks like with its share, if the model names one."""
        if not len(raised) or self._scorer is None:
            return {}, {}
        observed = matrix[raised]
        contributions, expected, named = self._scorer.tell(observed)
        reasons = {
            row: with_others(
                strongest(contract.FEATURES, observed[place], contributions[place], expected[place]),
                own=float(alone[row]),
                score=float(scores[row]),
                flows=float(observed[place, _PAIR_FLOWS]),
                usual=float(expected[place, _PAIR_FLOWS]),
            )
            for place, row in enumerate(raised.tolist())
        }
        alike = zip(raised.tolist(), named, strict=True)
        # A share rounded above 1 would be refused on the wire.
        return reasons, {row: (likely[0], min(likely[1], 1.0)) for row, likely in alike if likely is not None}


def leaving(rows: Rows) -> Rows:
    """The rows that are sent: alerts and kept ones."""
    return rows.only(np.flatnonzero(rows.codes != Decision.IGNORE))
