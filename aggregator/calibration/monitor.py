"""Does a promise still hold? Promised against realised exceedances, hour by hour. Pure.

A threshold promises that at most a share alpha of benign flows reaches it. The counts of every hour (attacks that are
known taken out) say how many did. Looking again and again until something looks wrong would find something wrong in
the end, so the test is made for being looked at for ever.

**The test.** For each rate q that is a multiple of the tolerated rate p = `TOLERANCE` x alpha, an hour with n flows of
which x exceed multiplies a wager by (q / p)^x ((1 - q) / (1 - p))^(n - x). While the true rate is at most p, the wager
grows by no more than 1 on average (a likelihood ratio with monotone likelihoods is an e-process for the composite
hypothesis). Every wager that fell below 1 begins again at 1, as Page's CUSUM does (Biometrika, 1954), and the mean
over all q is looked at. That is an e-detector: its mean time to a false alarm is at least its alarm level, counted in
looks (Shin, Ramdas, Rinaldo, "E-detectors", New England Journal of Statistics in Data Science, 2023). `ALARM` hours are
ninety days. No correction for looking often is needed.

**Clumps.** Flows of a host are alike: one odd machine gives many exceedances that are one event. So an hour's figures
are divided by the exceedances in an exceeding host-window on average, before the wager is placed: x becomes the number
of exceeding host-windows, n shrinks with it. It is the design effect of cluster samples (Kish, 1965), estimated hour by
hour; the stated time to a false alarm holds for clumps as far as it describes them.

**Three answers.** *expired* when the mean wager reached `ALARM`; *holds* when with 95 % confidence the realised rate is
at most `HOLDS` times the promised one (Clopper and Pearson); *unsure* otherwise, above all while little was counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from protos.certificates import interval, upper_rate

if TYPE_CHECKING:
    from collections.abc import Iterable

TOLERANCE: Final = 1.5
"""How many times the promise is still no breach of it."""

HOLDS: Final = 2.0
MULTIPLES: Final = (1.5, 2.0, 4.0, 8.0, 16.0)
ALARM: Final = 24 * 90
_CEILING: Final = math.log(ALARM) + 3
"""A wager is capped here, so that a promise that holds again is believed within days."""


class State(StrEnum):
    """What the counts say of a promise."""

    HOLDS = "holds"
    UNSURE = "unsure"
    EXPIRED = "expired"
    NONE = "no promise"


@dataclass(frozen=True, slots=True)
class Block:
    """One hour: flows, those that reach the threshold, and the host-windows that hold them."""

    hour_ms: int
    flows: int
    exceeding: int
    windows: int


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer, since when an expired promise looks broken, and the figures it rests on."""

    state: State
    since_ms: int | None
    flows: int
    exceeding: int
    realised: float | None
    low: float
    high: float
    evidence: float
    why: str


def watch(blocks: Iterable[Block], alpha: float | None) -> Finding:
    """What `blocks`, in any order, say of the promise `alpha`; None for a threshold that promises nothing."""
    ordered = sorted(blocks, key=lambda block: block.hour_ms)
    flows, exceeding = sum(block.flows for block in ordered), sum(block.exceeding for block in ordered)
    rows, hits = _independent(flows, exceeding, sum(min(block.windows, block.exceeding) for block in ordered))
    low, high = interval(hits, rows)
    realised = exceeding / flows if flows else None
    if alpha is None:
        why = "the threshold was set by hand and promises nothing"
        return Finding(State.NONE, None, flows, exceeding, realised, low, high, 0.0, why)
    wager, since_ms = _wager(ordered, alpha)
    if wager >= ALARM:
        state, why = (
            State.EXPIRED,
            f"{exceeding} of {flows} flows reach the threshold, {_times(exceeding, flows, alpha)}",
        )
    elif rows and upper_rate(hits, rows) <= HOLDS * alpha:
        state, why = State.HOLDS, f"{exceeding} of {flows} flows reach the threshold, {_times(exceeding, flows, alpha)}"
    elif flows:
        state = State.UNSURE
        why = f"{exceeding} of {flows} flows reach the threshold: too few to tell whether {alpha:.3g} is kept"
    else:
        state, why = State.UNSURE, "nothing was counted yet"
    return Finding(
        state, since_ms if state is State.EXPIRED else None, flows, exceeding, realised, low, high, round(wager, 3), why
    )


def _wager(ordered: list[Block], alpha: float) -> tuple[float, int | None]:
    """The mean wager after the last hour, and the hour in which the largest one last began to grow."""
    tolerated = min(TOLERANCE * alpha, 0.5)
    rates = [min(multiple * tolerated, (1 + tolerated) / 2) for multiple in MULTIPLES]
    logs = [0.0] * len(rates)
    began: list[int | None] = [None] * len(rates)
    for block in ordered:
        rows, hits = _independent(block.flows, block.exceeding, block.windows)
        for place, rate in enumerate(rates):
            gain = hits * math.log(rate / tolerated) + (rows - hits) * math.log((1 - rate) / (1 - tolerated))
            if logs[place] <= 0:
                logs[place], began[place] = 0.0, block.hour_ms
            logs[place] = min(logs[place] + gain, _CEILING)
    best = max(range(len(rates)), key=lambda place: logs[place])
    return sum(math.exp(log) for log in logs) / len(logs), began[best]


def _independent(flows: int, exceeding: int, windows: int) -> tuple[int, int]:
    """How many independent rows, and exceedances among them, these flows are worth."""
    if not exceeding:
        return flows, 0
    hits = max(1, min(windows, exceeding))
    return max(hits, flows * hits // exceeding), hits


def _times(exceeding: int, flows: int, alpha: float) -> str:
    return f"{exceeding / flows / alpha:.2f} times the promised {alpha:.3g}"
