"""What a number of rows proves about a rate: the Beta certificate, its rank, and exact intervals.

Of n exchangeable rows with a continuous score, the share of future rows that exceed the k-th largest is distributed as
Beta(k, n - k + 1) over the draw of the n rows (order statistics of a uniform sample; Vovk, "Conditional validity of
inductive conformal predictors", 2012). So the k-th largest score is a threshold whose rate is at most alpha with the
confidence BetaCDF(alpha; k, n - k + 1), which is P(Binomial(n, alpha) >= k).

scipy computes the beta function, imported where it is needed: a sensor has no scipy and never asks.
"""

from __future__ import annotations

import math
from typing import Final

CONFIDENCE: Final = 0.95


def beta_cdf(x: float, a: float, b: float) -> float:
    """The distribution function of Beta(a, b), that is the regularised incomplete beta function I_x(a, b)."""
    from scipy.special import betainc

    return float(betainc(a, b, x))


def beta_quantile(share: float, a: float, b: float) -> float:
    """The x with `beta_cdf(x, a, b)` = `share`."""
    from scipy.special import betaincinv

    return float(betaincinv(a, b, share))


def certified_rank(rows: int, alpha: float, confidence: float = CONFIDENCE) -> int:
    """The largest k with BetaCDF(alpha; k, rows - k + 1) >= `confidence`; 0 when `rows` are too few for any."""
    # The CDF falls as k grows, so the largest k is found by bisection.
    low, high = 0, rows
    while low < high:
        middle = (low + high + 1) // 2
        if beta_cdf(alpha, middle, rows - middle + 1) >= confidence:
            low = middle
        else:
            high = middle - 1
    return low


def rows_needed(alpha: float, confidence: float = CONFIDENCE) -> int:
    """The fewest rows that certify `alpha` at all: (1 - alpha) ** rows <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-alpha) - 1e-9)


def upper_rate(hits: int, rows: int, confidence: float = CONFIDENCE) -> float:
    """The rate that `hits` of `rows` do not exceed with `confidence` (one side; Clopper and Pearson, 1934)."""
    return 1.0 if hits >= rows else beta_quantile(confidence, hits + 1, rows - hits)


def interval(hits: int, rows: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided Clopper-Pearson interval of a rate; (0, 1) without rows."""
    if rows <= 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, hits, rows - hits + 1) if hits > 0 else 0.0
    high = beta_quantile(1 - tail, hits + 1, rows - hits) if hits < rows else 1.0
    return low, high
