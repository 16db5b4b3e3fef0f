"""Comparisons the gate is made of: pure functions from who alerted on which rows to a check.

**Falls.** Of n rows that both models saw, the challenger loses some that the champion catches and gains others. It has
fallen when it catches over `TOLERANCE` less *and* that is no chance: the exact sign test on the rows where the two
differ has p < `SIGNIFICANT`. With few rows no test can tell, so a second rule holds there: a family of which the
champion catches at least `FEW` rows has also fallen when the challenger catches less than half of those. Rows of one
attack resemble each other, so p is a lower bound of the truth: the gate is rather too strict than too lax.

**Drift.** Losses that each are too small to count may add up. So recall is also held against the best that any champion
had on the same rows: not more than `DRIFT` below it, where that is at least `FEW` rows.

**False-positive rates.** Few rows prove little, so what must lie within `FPR_FACTOR` times the promise is the lower end
of the 95 % interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.judging.evaluate import interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TOLERANCE: Final = 0.01
SIGNIFICANT: Final = 0.05
FEW: Final = 3
DRIFT: Final = 0.05
FPR_FACTOR: Final = 1.5
RECENT_FACTOR: Final = 3.0
"""For the last days alone: they are one network's, whose agents set their own threshold (recalibration)."""
_LISTED: Final = 6


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the challenger. `passed` is None where it is not applicable."""

    name: str
    passed: bool | None
    detail: str
    champion: float | str | None = None
    challenger: float | str | None = None


def has_fallen(champion: NDArray[np.bool_], challenger: NDArray[np.bool_]) -> bool:
    """Whether the challenger catches less of the rows `[n]` than can be tolerated or chance."""
    before, after = int(champion.sum()), int(challenger.sum())
    if before >= FEW and after < before / 2:
        return True
    return before - after > TOLERANCE * len(champion) and worse_by(champion & ~challenger, challenger & ~champion)


def worse_by(lost: NDArray[np.bool_], gained: NDArray[np.bool_]) -> bool:
    """Whether more rows are `lost` than `gained` beyond chance (exact one-sided sign test)."""
    return sign_test(int(lost.sum()), int(gained.sum())) < SIGNIFICANT


def sign_test(lost: int, gained: int) -> float:
    """The chance that at least `lost` of the rows that differ are lost if losing and gaining were as likely."""
    from scipy import stats

    if lost + gained == 0:
        return 1.0
    return float(stats.binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue)


def recall(name: str, champion: NDArray[np.bool_], challenger: NDArray[np.bool_], what: str) -> Check:
    """Recall over all rows `[n]`; `what` says what they are."""
    if len(champion) == 0:
        return Check(name, None, f"not applicable: there are no {what}")
    before, after = float(champion.mean()), float(challenger.mean())
    return Check(
        name,
        not has_fallen(champion, challenger),
        f"catches {after:.1%} of {len(champion)} {what}, the champion {before:.1%} "
        f"(up to {TOLERANCE:.0%} less is tolerated, and what chance explains)",
        before,
        after,
    )


def recall_by_family(
    name: str, champion: NDArray[np.bool_], challenger: NDArray[np.bool_], family: NDArray[np.str_], what: str
) -> Check:
    """Recall of every family `[n]` apart. The figures are those of the family that lost most."""
    if len(champion) == 0:
        return Check(name, None, f"not applicable: there are no {what}")
    worst, fallen, lines = (2.0, 0.0, 0.0), [], []
    for one in np.unique(family).tolist():
        mine = family == one
        before, after = float(champion[mine].mean()), float(challenger[mine].mean())
        worst = min(worst, (after - before, before, after))
        line = f"{one} {before:.0%} to {after:.0%} of {int(mine.sum())}"
        if has_fallen(champion[mine], challenger[mine]):
            fallen.append(line)
        elif abs(after - before) > TOLERANCE:
            lines.append(line)
    if fallen:
        detail = "fell: " + ", ".join(fallen[:_LISTED]) + (" and others" if len(fallen) > _LISTED else "")
    else:
        detail = f"no family of {what} fell" + (f"; changed: {', '.join(lines[:_LISTED])}" if lines else "")
    return Check(name, not fallen, detail, worst[1], worst[2])


def drift(name: str, challenger: NDArray[np.bool_], family: NDArray[np.str_], best: Mapping[str, float]) -> Check:
    """Recall of every family `[n]` against the best that a champion ever had on these rows."""
    known = sorted(set(np.unique(family).tolist()) & set(best))
    if not known:
        return Check(name, None, "not applicable: no champion was judged by these rows before")
    fallen, worst = [], (2.0, 0.0, 0.0)
    for one in known:
        mine = family == one
        now = float(challenger[mine].mean())
        worst = min(worst, (now - best[one], best[one], now))
        if now < best[one] - DRIFT and round((best[one] - now) * int(mine.sum())) >= FEW:
            fallen.append(f"{one} {best[one]:.0%} at best, {now:.0%} now, of {int(mine.sum())}")
    detail = "fell: " + ", ".join(fallen[:_LISTED]) if fallen else "no family is far below the best a champion had"
    return Check(name, not fallen, detail, worst[1], worst[2])


def rate(
    name: str,
    champion: NDArray[np.bool_],
    challenger: NDArray[np.bool_],
    promised: float,
    what: str,
    *,
    factor: float = FPR_FACTOR,
) -> Check:
    """The rate of alerts on benign rows `[n]` against `factor` times the promise."""
    if len(challenger) == 0:
        return Check(name, None, f"not applicable: there are no {what}")
    alerts, rows = int(challenger.sum()), len(challenger)
    low, high = interval(alerts, rows)
    return Check(
        name,
        low <= factor * promised,
        f"alerts on {alerts} of {rows} {what}: {alerts / rows:.3%} (95 % interval {low:.3%} to {high:.3%}), "
        f"promised {promised:.3%}, allowed {factor} times that",
        float(champion.mean()),
        alerts / rows,
    )


def not_worse(
    name: str, champion: NDArray[np.bool_], challenger: NDArray[np.bool_], promised: float, what: str
) -> Check:
    """Whether it alerts significantly more often than the champion on benign rows `[n]` while beyond the factor."""
    if len(challenger) == 0:
        return Check(name, None, f"not applicable: there are no {what}")
    gained, lost = int((challenger & ~champion).sum()), int((champion & ~challenger).sum())
    chance, share = sign_test(gained, lost), float(challenger.mean())
    return Check(
        name,
        chance >= SIGNIFICANT or share <= FPR_FACTOR * promised,
        f"alerts on {gained} {what} where the champion does not, the other way on {lost} "
        f"(sign test p = {chance:.3f}; its rate is {share:.3%}, its promise {promised:.3%})",
        float(champion.mean()),
        share,
    )
