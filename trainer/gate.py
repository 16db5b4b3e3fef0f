"""The gate: may the challenger replace the champion? A pure function from what both did on the same rows to checks.

Every check says what it compared. A check whose rows do not exist is *not applicable* (`passed` is None) and says so:
it neither passes nor fails. The gate passes when no check failed.

What is asked of the challenger:

- `self_test`, `contract`: the file answers as promised, and wants the very features that the champion's agents send.
- `false_positives_fixed`: of the rows labelled benign on which the champion alerts, at least `FIXED_SHARE` no longer
  alert, and the challenger alerts on no more labelled rows than the champion.
- `held_back_false_positives`: the same for the labelled rows that were not fitted, with `HELD_SHARE`, where the
  champion alerts on at least `FEWEST_HELD` of them: a kind was learned, not a list of rows.
- `recall`: of the rows labelled malicious it catches no fewer, beyond `RECALL_TOLERANCE`.
- `realised_fpr`: on later benign rows it keeps its promise within a factor of `FPR_FACTOR`. Few rows prove little, so
  what must lie within the factor is the lower end of the 95 % interval.
- `fpr_not_worse`: it does not alert significantly more often than the champion (exact sign test on the rows where the
  two differ) while being beyond that factor. Being worse than the champion is not enough to fail: the champion is
  flattered by these rows, as it was fitted on some of them, and those of the lake on which it alerted and nobody gave a
  verdict are not among them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from trainer.evaluate import interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIXED_SHARE: Final = 0.8
HELD_SHARE: Final = 0.5
FEWEST_HELD: Final = 5
RECALL_TOLERANCE: Final = 0.05
FPR_FACTOR: Final = 1.5
SIGNIFICANT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Standing:
    """One model before the gate. The masks say on which rows it alerts; both models are shown the same rows.

    `labelled` `[a]` are the rows labelled benign, `malicious` `[b]` those labelled malicious, `benign` `[c]` later
    benign test rows. `fault` says why the file cannot be trusted or scored, and is empty when it can.
    """

    digest: str
    feature_digest: str
    labelled: NDArray[np.bool_]
    malicious: NDArray[np.bool_]
    benign: NDArray[np.bool_]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the challenger. `passed` is None where it is not applicable."""

    name: str
    passed: bool | None
    detail: str
    champion: float | str | None = None
    challenger: float | str | None = None


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


def judge(champion: Standing, challenger: Standing, *, held_back: NDArray[np.bool_], promised: float) -> Verdict:
    """Compare the two. `held_back` `[a]` marks the labelled rows that were not fitted; `promised` is the FPR."""
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
    ]
    if champion.fault or challenger.fault:
        reason = f"not applicable: {champion.fault or challenger.fault}"
        names = ("false_positives_fixed", "held_back_false_positives", "recall", "realised_fpr", "fpr_not_worse")
        return Verdict(champion.digest, (*own, *(Check(name, None, reason) for name in names)))
    return Verdict(
        champion.digest,
        (
            *own,
            _fixed("false_positives_fixed", champion.labelled, challenger.labelled, FIXED_SHARE, fewest=1),
            _fixed(
                "held_back_false_positives",
                champion.labelled[held_back],
                challenger.labelled[held_back],
                HELD_SHARE,
                fewest=FEWEST_HELD,
            ),
            _recall(champion.malicious, challenger.malicious),
            _realised(champion.benign, challenger.benign, promised),
            _not_worse(champion.benign, challenger.benign, promised),
        ),
    )


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


def _recall(champion: NDArray[np.bool_], challenger: NDArray[np.bool_]) -> Check:
    if len(champion) == 0:
        return Check("recall", None, "not applicable: there are no rows labelled malicious")
    before, after = float(champion.mean()), float(challenger.mean())
    return Check(
        "recall",
        after >= before - RECALL_TOLERANCE,
        f"catches {after:.1%} of {len(champion)} rows labelled malicious, the champion {before:.1%} "
        f"({RECALL_TOLERANCE:.0%} less is tolerated)",
        before,
        after,
    )


def _realised(champion: NDArray[np.bool_], challenger: NDArray[np.bool_], promised: float) -> Check:
    if len(challenger) == 0:
        return Check("realised_fpr", None, "not applicable: there are no later benign rows")
    alerts, rows = int(challenger.sum()), len(challenger)
    low, high = interval(alerts, rows)
    return Check(
        "realised_fpr",
        low <= FPR_FACTOR * promised,
        f"alerts on {alerts} of {rows} later benign rows: {alerts / rows:.3%} (95 % interval {low:.3%} to {high:.3%}), "
        f"promised {promised:.3%}, allowed {FPR_FACTOR} times that",
        float(champion.mean()),
        alerts / rows,
    )


def _not_worse(champion: NDArray[np.bool_], challenger: NDArray[np.bool_], promised: float) -> Check:
    if len(challenger) == 0:
        return Check("fpr_not_worse", None, "not applicable: there are no later benign rows")
    from scipy import stats

    gained, lost = int((challenger & ~champion).sum()), int((champion & ~challenger).sum())
    chance = float(stats.binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue) if gained + lost else 1.0
    rate = float(challenger.mean())
    return Check(
        "fpr_not_worse",
        chance >= SIGNIFICANT or rate <= FPR_FACTOR * promised,
        f"alerts on {gained} benign rows where the champion does not, the other way on {lost} "
        f"(sign test p = {chance:.3f}; its rate is {rate:.3%}, its promise {promised:.3%})",
        float(champion.mean()),
        rate,
    )
