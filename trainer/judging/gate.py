"""The gate: may the challenger replace the champion? A pure function from what both did on the same rows to checks.

Every check says what it compared. A check whose rows do not exist is *not applicable* (`passed` is None) and says so:
it neither passes nor fails. The gate passes when no check failed.

What is asked of the challenger:

- `self_test`, `contract`: the file answers as promised, and wants the very features that the champion's agents send.
- `frozen_sets`: every frozen set that was handed in can be used. One that cannot is not passed over in silence.
- `false_positives_fixed`: of the rows labelled benign on which the champion alerts, at least `FIXED_SHARE` no longer
  alert, and the challenger alerts on no more labelled rows than the champion.
- `held_back_false_positives`: the same for the labelled rows that were not fitted, with `HELD_SHARE`, where the
  champion alerts on at least `FEWEST_HELD` of them: a kind was learned, not a list of rows.
- `recall`, `recall_by_family`: of the rows labelled malicious that were not fitted it catches no fewer, over all and in
  every family; `replay_recall`, `replay_by_family`: the same on the attack-replay set. What counts as fewer, and how
  few rows are judged, is `checks.has_fallen`.
- `replay_drift`: of no family of that set it catches over `checks.DRIFT` less than the best champion did since the set
  is used, so that many small losses do not add up.
- `golden_fpr`: it keeps its promise on the golden set, whose rows somebody vouches for.
- `realised_fpr`, `recent_fpr`: it keeps its promise on later benign rows, and on those of the last days.
- `fpr_not_worse`: it does not alert significantly more often than the champion (exact sign test on the rows where the
  two differ) while being beyond that factor. Being worse than the champion is not enough to fail: the champion is
  flattered by these rows, as it was fitted on some of them, and those of the lake on which it alerted and nobody gave a
  verdict are not among them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.judging import checks
from trainer.judging.checks import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["FEWEST_HELD", "FIXED_SHARE", "HELD_SHARE", "Check", "Grounds", "Standing", "Verdict", "judge"]

FIXED_SHARE: Final = 0.8
HELD_SHARE: Final = 0.5
FEWEST_HELD: Final = 5


def _none() -> NDArray[np.bool_]:
    return np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Standing:
    """One model before the gate. The masks say on which rows it alerts; both models are shown the same rows.

    `labelled` `[a]` are the rows labelled benign, `malicious` `[b]` those labelled malicious, `benign` `[c]` later
    benign test rows, `recent` `[d]` those of them of the last days, `replay` `[r]` the attack-replay set, `golden`
    `[g]` the golden set. `fault` says why the file cannot be trusted or scored, and is empty when it can.
    """

    digest: str
    feature_digest: str
    labelled: NDArray[np.bool_]
    malicious: NDArray[np.bool_]
    benign: NDArray[np.bool_]
    fault: str = ""
    recent: NDArray[np.bool_] = field(default_factory=_none)
    replay: NDArray[np.bool_] = field(default_factory=_none)
    golden: NDArray[np.bool_] = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known of the rows that both are shown.

    `held_back` `[a]` marks the labelled rows that taught nothing, `malicious_family` `[b]` and `replay_family` `[r]`
    name attacks, `replay_best` is the best recall a family ever had under a champion, `promised` the false-positive
    rate, `faults` say which frozen sets cannot be used.
    """

    held_back: NDArray[np.bool_]
    promised: float
    malicious_family: NDArray[np.str_] | None = None
    replay_family: NDArray[np.str_] | None = None
    replay_best: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says."""

    champion: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """No check failed."""
        return all(check.passed is not False for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As reports and results show it."""
        return {"passed": self.passed, "champion": self.champion, "checks": [asdict(check) for check in self.checks]}


COMPARED: Final = (
    "false_positives_fixed",
    "held_back_false_positives",
    "recall",
    "recall_by_family",
    "replay_recall",
    "replay_by_family",
    "replay_drift",
    "golden_fpr",
    "realised_fpr",
    "recent_fpr",
    "fpr_not_worse",
)
"""Checks that need both models' answers."""


def judge(champion: Standing, challenger: Standing, grounds: Grounds) -> Verdict:
    """Compare the two."""
    own = [
        Check(
            "self_test",
            challenger.fault == "",
            challenger.fault or "the challenger answers its self-test rows as its manifest says",
        ),
        Check(
            "contract",
            champion.feature_digest == challenger.feature_digest,
            "both want the same features"
            if champion.feature_digest == challenger.feature_digest
            else "the challenger wants other features than the champion: agents must be upgraded first",
            champion.feature_digest[:12],
            challenger.feature_digest[:12],
        ),
        Check("frozen_sets", not grounds.faults, "; ".join(grounds.faults) or "every frozen set can be used"),
    ]
    if champion.fault or challenger.fault:
        reason = f"not applicable: {champion.fault or challenger.fault}"
        return Verdict(champion.digest, (*own, *(Check(name, None, reason) for name in COMPARED)))
    return Verdict(champion.digest, (*own, *_compare(champion, challenger, grounds)))


def _compare(champion: Standing, challenger: Standing, grounds: Grounds) -> tuple[Check, ...]:
    held, promised = grounds.held_back, grounds.promised
    before, after = champion, challenger
    labelled, replayed = "rows labelled malicious", "rows of the attack-replay set"
    later, recent, golden = "later benign rows", "benign rows of the last days", "golden rows"
    return (
        _fixed("false_positives_fixed", before.labelled, after.labelled, FIXED_SHARE, fewest=1),
        _fixed(
            "held_back_false_positives", before.labelled[held], after.labelled[held], HELD_SHARE, fewest=FEWEST_HELD
        ),
        checks.recall("recall", before.malicious, after.malicious, labelled),
        checks.recall_by_family(
            "recall_by_family",
            before.malicious,
            after.malicious,
            _names(grounds.malicious_family, before.malicious),
            labelled,
        ),
        checks.recall("replay_recall", before.replay, after.replay, replayed),
        checks.recall_by_family(
            "replay_by_family", before.replay, after.replay, _names(grounds.replay_family, before.replay), replayed
        ),
        checks.drift("replay_drift", after.replay, _names(grounds.replay_family, after.replay), grounds.replay_best),
        checks.rate("golden_fpr", before.golden, after.golden, promised, golden),
        checks.rate("realised_fpr", before.benign, after.benign, promised, later),
        checks.rate("recent_fpr", before.recent, after.recent, promised, recent, factor=checks.RECENT_FACTOR),
        checks.not_worse("fpr_not_worse", before.benign, after.benign, promised, "benign rows"),
    )


def _names(given: NDArray[np.str_] | None, rows: NDArray[np.bool_]) -> NDArray[np.str_]:
    return np.full(len(rows), "attack") if given is None else given


def _fixed(
    name: str, champion: NDArray[np.bool_], challenger: NDArray[np.bool_], share: float, *, fewest: int
) -> Check:
    alerting = int(champion.sum())
    if alerting < fewest:
        return Check(
            name,
            None,
            f"not applicable: the champion alerts on {alerting} of {len(champion)} such labelled rows, "
            f"at least {fewest} are needed",
        )
    fixed = int((champion & ~challenger).sum())
    passed = fixed >= share * alerting and int(challenger.sum()) <= alerting
    return Check(
        name,
        passed,
        f"{fixed} of {alerting} labelled false positives no longer alert ({share:.0%} are asked for)",
        alerting,
        int(challenger.sum()),
    )
