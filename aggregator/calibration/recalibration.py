"""From a group's own quiet scores to a threshold that keeps a promised rate there: a pure function of counts.

A model's thresholds were calibrated on the traffic it was fitted beside. On another network benign flows score
otherwise, and the promise does not carry over. What does carry over is the method: the k-th largest of n scores of the
network itself bounds the rate of later ones (`protos/certificates.py`) as long as what comes is like what was counted.

| the group has counted               | the threshold is                                           | it is     |
|-------------------------------------|------------------------------------------------------------|-----------|
| fewer than `FEWEST` flows           | the one that holds                                         | kept      |
| enough for a Beta certificate       | just above the k-th largest score                          | certified |
| enough, but few hosts own the top   | the same with those weighing less, or as far as others ask | estimated |
| fewer                               | the model's own, raised to where a tail fitted to the      | estimated |
|                                     | group's largest scores meets the rate, and above them all  |           |
| scores that ask for more than `UP`  | the ceiling                                                | estimated |
| a raise that a few hosts ask for    | the one that holds                                         | refused   |

**Nobody owns the histogram.** Sensors count at most so many flows of a host in a window of ten minutes
(`agent/counting.py`), and beside flows the host-windows themselves, by their highest score, once by initiator and once
by responder. Above any score one host-window is left out, and the others weigh at most `MOST_EACH` flows on average (a
responder, whom many ask, twice that). So no host can move a threshold alone within ten minutes, nor by much within a
day. If a raise still rests on host-windows that are a minority and hold more strange flows than that each, it goes only
as far as others ask for it too, and is refused where none do: that is what an attack looks like, or a noisy machine
somebody should look at; a network that is merely different looks strange a little everywhere.

**Flows of a host-window are alike**, so n flows prove less than n independent ones. Where host-windows are given, rows
and rank are divided by the mean number of strange flows in a strange host-window before the certificate is asked
(the design effect of cluster samples; Kish, Survey Sampling, 1965).

**Bounds.** A threshold never falls below the model's own for that rate: on a laboratory's captures that had been left
out of the fit, a lower one, certified on the earlier half, let 2.1 % of the later half alert where the model's own let
.2 %. Quiet days prove little about the others; who wants more alerts asks for a higher rate. It rises at most `UP`
above it, so no histogram silences a group: an attack that scores higher is seen whatever was counted.

**Tail.** Above a score u that a tenth of the flows reaches, excesses of `-log10 p` are taken as exponential (a
generalised Pareto tail of the raw score). Its mean has a Gamma prior of `PRIOR` excesses at 1/ln 10, which is what the
score means where the model's own calibration holds. The predictive tail is Lomax:
P(S > t) = P(S > u) (1 + (t - u) / B)^-A with A = PRIOR + excesses, B = PRIOR / ln 10 + their sum; t is where it meets
alpha. It averages over what is not known of the tail, so few rows ask for a higher threshold than many.

Without host-windows, and where nothing is refused, a stricter rate never gets a lower threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from protos import histogram as scores
from protos.certificates import certified_rank, rows_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from protos.manifest import Threshold

FEWEST: Final = 50
"""Flows below which a network is not known at all."""

MOST_EACH: Final = 8
"""Flows above any one score that a host-window of an initiator counts for; one of a responder counts for twice that."""

MINORITY: Final = 0.5
"""Share of the host-windows below which those with many strange flows are a minority."""

TRIFLE: Final = 4 * scores.STEP
"""A threshold that weighing lowers by more than this is not certified."""

UP: Final = 2.0
"""How far, in score, a threshold may rise above the model's own: to where alerts are a hundredfold rarer."""

PRIOR: Final = 5.0
_TAIL_SHARE: Final = 0.1
_FEWEST_EXCESSES: Final = 10
_CLUSTER_SHARE: Final = 0.01
_BELOW: Final = 4 * scores.STEP
"""How far below a threshold one looks for those that ask for it."""

_LN10: Final = math.log(10)


class Outcome(StrEnum):
    """What became of a recalibration. Only the first two changed the threshold for what was counted."""

    CERTIFIED = "certified"
    ESTIMATED = "estimated"
    KEPT = "kept"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class HostWindows:
    """Host-windows by their highest score: histograms `[BINS]`, by initiator and by responder."""

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """A threshold, what it rests on, and one sentence why. `rows` are the flows counted."""

    threshold: float
    certified: bool
    rows: int
    why: str
    outcome: Outcome


def recalibrate(
    histogram: NDArray[np.int64],
    model_thresholds: Sequence[Threshold],
    alpha: float,
    *,
    hosts: HostWindows | None = None,
    current: float | None = None,
) -> Recalibrated:
    """The threshold for a rate of `alpha` from a group's quiet scores.

    `histogram` counts flows `[BINS]`, those of attacks left out as far as they are known; `hosts` counts the
    host-windows of the same flows. `current` is the threshold that holds now; the model's own for `alpha` when None.
    Raises `ValueError` for an `alpha` outside 0 to 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"recalibrating for a rate of {alpha}: it must lie between 0 and 1")
    own = _own_score(model_thresholds, alpha)
    holds = own_threshold(model_thresholds, alpha) if current is None else current
    rows = int(histogram.sum())
    if rows < FEWEST:
        why = f"{rows} flows were counted and {FEWEST} are needed to know a network; the threshold stays"
        return Recalibrated(holds, False, rows, why, Outcome.KEPT)
    counts = _Counts.of(histogram, hosts)
    threshold, certified, why = _wanted(counts, rows, alpha, own)
    if threshold > own:
        backed = _backed(counts, threshold, own)
        objection = _objection(counts, own) or (_objection(counts, threshold - _BELOW) if backed <= own else "")
        if objection:
            return Recalibrated(holds, False, rows, objection, Outcome.REFUSED)
        if backed < min(threshold, scores.TOP):
            threshold, certified = backed, False
            why = f"{rows} flows of this group: raised as far as more than a few hosts ask for it"
    ceiling = _edge(own + UP)
    if threshold > ceiling:
        why = (
            f"{rows} flows ask for a threshold above {ceiling:.2f}, the most that counting may raise it to; beyond it "
            "the promise is not kept: fit a model beside this network's traffic"
        )
        return Recalibrated(ceiling, False, rows, why, Outcome.ESTIMATED)
    if threshold < own:
        threshold = _edge(own)
        why += f"; the model's own {threshold:.2f} stays all the same, since quiet days prove little about the others"
    return Recalibrated(threshold, certified, rows, why, Outcome.CERTIFIED if certified else Outcome.ESTIMATED)


def own_threshold(model_thresholds: Sequence[Threshold], alpha: float) -> float:
    """The model's own threshold for `alpha`: that of its largest rate not above it, and on from its strictest one.

    So it promises `alpha` wherever the model's calibration holds.
    """
    fitting = [entry for entry in model_thresholds if entry.alpha <= alpha * (1 + 1e-9)]
    if fitting:
        return max(fitting, key=lambda entry: entry.alpha).score
    if not model_thresholds:
        return -math.log10(alpha)
    strictest = min(model_thresholds, key=lambda entry: entry.alpha)
    return strictest.score + math.log10(strictest.alpha / alpha)


def _own_score(model_thresholds: Sequence[Threshold], alpha: float) -> float:
    """Where the model's own calibration has `alpha`, between its thresholds as well: what counts are compared with."""
    known = sorted(model_thresholds, key=lambda entry: entry.alpha, reverse=True)
    place = -math.log10(alpha)
    if not known:
        return place
    rates, found = [-math.log10(entry.alpha) for entry in known], [entry.score for entry in known]
    beyond = max(place - rates[-1], 0.0) + min(place - rates[0], 0.0)  # a score is -log10 p: its slope is 1
    return max(float(np.interp(place, rates, found)) + beyond, 0.0)


@dataclass(frozen=True, slots=True)
class _Counts:
    """What lies in each bin or above it `[BINS]`: all flows, flows as far as they weigh, and host-windows by role."""

    flows: NDArray[np.int64]
    weighed: NDArray[np.int64]
    roles: tuple[tuple[str, int, NDArray[np.int64]], ...]
    """Name of the role, the most flows a host-window of it weighs, and its host-windows."""

    @classmethod
    def of(cls, histogram: NDArray[np.int64], hosts: HostWindows | None) -> _Counts:
        flows = _reaching(histogram)
        if hosts is None:
            return cls(flows, flows, ())
        roles = (
            ("initiator", MOST_EACH, _reaching(hosts.sources)),
            ("responder", 2 * MOST_EACH, _reaching(hosts.targets)),
        )
        most_flows = np.minimum.reduce([most * np.maximum(windows - 1, 0) for _, most, windows in roles])
        # Flows too many above a score are too many above every lower one as well: the same host-windows hold them.
        too_many = np.maximum.accumulate(np.maximum(flows - most_flows, 0)[::-1])[::-1]
        return cls(flows, flows - too_many, roles)

    def cluster(self) -> float:
        """Strange flows in a strange host-window on average; 1 where nothing is known of host-windows."""
        if not self.roles:
            return 1.0
        wanted = min(max(20, int(self.flows[0] * _CLUSTER_SHARE)), int(self.flows[0]))
        place = int(np.flatnonzero(self.flows >= wanted)[-1])
        windows = min(int(reaching[place]) for _, _, reaching in self.roles)
        return max(1.0, float(self.weighed[place]) / max(1, windows))


def _wanted(counts: _Counts, rows: int, alpha: float, own: float) -> tuple[float, bool, str]:
    """The threshold before any bound, whether it is certified, and why."""
    cluster = counts.cluster()
    rank = int(certified_rank(int(rows / cluster), alpha) * cluster)
    alike = f", which count as {int(rows / cluster)} because flows of one host are alike" if cluster > 1.05 else ""
    if rank:
        # Leaving hosts out must not make a certificate: where it changes little, every flow counts.
        plain, weighed = _above_rank(counts.flows, rank), _above_rank(counts.weighed, rank)
        if plain <= weighed + TRIFLE:
            why = f"{rows} flows of this group{alike}: fewer than {rank} reach it, which certifies {alpha:.3g}"
            return plain, True, why
        why = (
            f"{rows} flows of this group{alike}; the strangest are of few hosts, which weigh less: nothing is certified"
        )
        return max(_edge(own), weighed), False, why
    tail, highest = _tail(counts.weighed, rows, alpha), _above_rank(counts.weighed, 1)
    needed = math.ceil(rows_needed(alpha) * cluster)
    why = f"{rows} flows of this group{alike}, fewer than the {needed} that certify a rate of {alpha:.3g}: " + (
        "estimated from the tail of its largest scores"
        if max(tail, highest) > own
        else "its scores stay within the model's own threshold"
    )
    return _edge(max(own, tail, highest)), False, why


def _tail(reaching: NDArray[np.int64], rows: int, alpha: float) -> float:
    """Where the predictive tail meets `alpha`."""
    wanted = min(max(_FEWEST_EXCESSES, int(rows * _TAIL_SHARE)), int(reaching[0]))
    start = int(np.flatnonzero(reaching >= wanted)[-1])
    excesses = int(reaching[start])
    # A bin's flows lie half a step above its edge on average: the sum of excesses is the area under the counts.
    total = float(reaching[start + 1 :].sum() + excesses / 2) * scores.STEP
    shape, scale = PRIOR + excesses, PRIOR / _LN10 + total
    ratio = excesses / rows / alpha
    return float(scores.EDGES[start]) + scale * (max(ratio, 1.0) ** (1 / shape) - 1)


def _objection(counts: _Counts, level: float) -> str:
    """Why flows at or above `level` rest on too few host-windows to speak for a network, or nothing."""
    place = int(np.searchsorted(scores.EDGES, min(level, scores.TOP), side="left"))
    flows = int(counts.flows[place])
    for role, most, reaching in counts.roles:
        windows, of = int(reaching[place]), int(reaching[0])
        if flows > most * windows and windows < MINORITY * of:
            return (
                f"refused: {flows} flows reach a score of {level:.2f}, but only {windows} of {of} {role} "
                "host-windows of ten minutes hold them. That is how an attack looks, or one noisy machine: look at "
                "the alerts of these hosts and call them benign or malicious"
            )
    return ""


def _backed(counts: _Counts, threshold: float, own: float) -> float:
    """How far from `own` towards `threshold` a raise is asked for by more than a few hosts."""
    level = min(_edge(threshold), scores.TOP)
    while level > own and _objection(counts, max(own, level - _BELOW)):
        level -= scores.STEP
    return max(level, own)


def _reaching(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many lie in each bin or above it `[BINS]`."""
    return np.cumsum(histogram[::-1])[::-1]


def _above_rank(reaching: NDArray[np.int64], rank: int) -> float:
    """The smallest edge that fewer than `rank` reach; infinite when that many overflow."""
    below = np.flatnonzero(reaching < rank)
    return float(scores.EDGES[below[0]]) if len(below) else math.inf


def _edge(score: float) -> float:
    return scores.edge_above(score) if score <= scores.TOP else score
