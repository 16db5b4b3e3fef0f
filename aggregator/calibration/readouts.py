"""From an operator's wish to a threshold, and what that threshold would do: alerts a day, false positives, detection.

Pure. A wish is one number: alerts a day, a false-positive rate, a recall on the report's curve, or a threshold.

- Alerts a day B over N counted flows a day are a rate alpha = B / N.
- A rate becomes a threshold by what the group counted (recalibration.py), or by the model's own calibration while too
  little was counted or a few hosts own the counts.
- A recall becomes the highest threshold at which the report's labelled attacks still reach it; its rate is then the
  bound that the counts give, so that what follows is a promise like the others and is watched.

Precision is not measured but follows from recall R, rate F and base rate b by Bayes: b R / (b R + (1 - b) F). Its ends
combine the ends of both, which is wider than 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator.calibration.monitor import Block
from aggregator.calibration.promised import CurvePoint, Preview
from aggregator.calibration.recalibration import FEWEST, HostWindows, Outcome, Recalibrated, own_threshold, recalibrate
from aggregator.errors import Conflict, Invalid
from protos import histogram
from protos.certificates import interval, upper_rate

if TYPE_CHECKING:
    from aggregator.calibration.counts import Quiet, Tally
    from aggregator.rows import Policy
    from protos.manifest import Threshold

LARGEST_RATE: Final = 0.5
BASE_RATE: Final = 0.001
CURVE_POINTS: Final = 60
TIMES: Final = {"alerts_per_day": (0, 1e9), "fpr": (0, LARGEST_RATE), "recall": (0, 1), "threshold": (0, 100)}


@dataclass(frozen=True, slots=True)
class Wish:
    """At most one of these; none of them means: what is promised now."""

    alerts_per_day: float | None = None
    fpr: float | None = None
    recall: float | None = None
    threshold: float | None = None

    def check(self) -> None:
        """Raise `Invalid` for two wishes, or one out of range."""
        given = [(name, getattr(self, name)) for name in TIMES if getattr(self, name) is not None]
        if len(given) > 1:
            raise Invalid(f"give one of {', '.join(TIMES)}, not {' and '.join(name for name, _ in given)}")
        for name, value in given:
            low, high = TIMES[name]
            if not (math.isfinite(value) and low < value <= high):
                raise Invalid(f"{name} = {value} must be above {low} and at most {high:g}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A threshold, the rate it promises (None: none), what it rests on, and why."""

    threshold: float
    promised_fpr: float | None
    basis: str
    rows: int
    why: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the report says of labelled attacks: `(threshold, recall, precision)` rising in threshold, and how many."""

    points: tuple[tuple[float, float, float], ...] = ()
    attack_rows: int = 0
    prevalence: float = 0.0

    def recall_at(self, threshold: float) -> float | None:
        """Share of labelled attacks known to reach `threshold`; None without any."""
        if not self.points or not self.attack_rows:
            return None
        return next((recall for at, recall, _ in self.points if at >= threshold - 1e-9), 0.0)

    def fpr_at(self, threshold: float) -> float | None:
        """Share of the report's benign rows that reach `threshold`, worked back from its precision."""
        if not self.points or not 0 < self.prevalence < 1:
            return None
        for at, recall, precision in self.points:
            if at >= threshold - 1e-9 and precision > 0:
                odds = self.prevalence / (1 - self.prevalence)
                return min(1.0, odds * recall * (1 - precision) / precision)
        return 0.0

    def threshold_for(self, recall: float) -> float:
        """The highest threshold of the curve whose recall is at least `recall`. Raises `Conflict`."""
        fitting = [at for at, found, _ in self.points if found >= recall - 1e-9]
        if not fitting:
            raise Conflict(
                "the champion's report has no labelled attacks, so nothing is known of its recall; choose alerts a day "
                "or a false-positive rate"
                if not self.points
                else f"no threshold of the champion's report reaches a recall of {recall:g}"
            )
        return max(fitting)


def labelled(report: dict[str, Any] | None) -> Labelled:
    """The curve of a model's report; an empty one when it has none, or one that cannot be understood."""
    try:
        figures = (report or {})["metrics"]["model"]
        points = sorted((float(at), float(r), float(p)) for r, p, at in report["curves"]["model"]["precision_recall"])  # type: ignore[index]
        return Labelled(tuple(points), int(figures["attack_rows"]), float(figures["prevalence"] or 0.0))
    except (KeyError, TypeError, ValueError):
        return Labelled()


def plan(wish: Wish, policy: Policy, quiet: Quiet, thresholds: list[Threshold], known: Labelled) -> Plan:
    """What to set for `wish`. Raises `Invalid`, `Conflict`."""
    wish.check()
    if wish.threshold is not None:
        return Plan(wish.threshold, None, "hand", 0, "set by hand: it promises nothing")
    if wish.recall is not None:
        return _of_recall(wish.recall, quiet, thresholds, known)
    rate = _rate(wish, policy, quiet)
    if rate is None:
        return Plan(policy.threshold, None, policy.basis, 0, "the threshold that holds, set by hand")
    found = counted(quiet, thresholds, rate)
    if found.outcome in (Outcome.KEPT, Outcome.REFUSED):
        return Plan(own_threshold(thresholds, rate), rate, "model", found.rows, found.why, found.outcome)
    return Plan(found.threshold, rate, found.outcome.value, found.rows, found.why, found.outcome)


def counted(quiet: Quiet, thresholds: list[Threshold], alpha: float, *, current: float | None = None) -> Recalibrated:
    """The recalibration that the group's counts give."""
    hosts = HostWindows(quiet.sources, quiet.targets)
    return recalibrate(quiet.weighed, thresholds, alpha, hosts=hosts, current=current)


def preview(
    found: Plan, policy: Policy, quiet: Quiet, thresholds: list[Threshold], known: Labelled, *, base_rate: float
) -> Preview:
    """What the threshold of a plan would do. Raises `Invalid` for a base rate outside 0 to 1."""
    if not 0 < base_rate < 1:
        raise Invalid(f"base_rate = {base_rate} must be between 0 and 1")
    fpr, low, high = _false_positives(found, quiet, known)
    recall = known.recall_at(found.threshold)
    caught = interval(round((recall or 0) * known.attack_rows), known.attack_rows)
    rows = int(quiet.weighed.sum())
    share = histogram.at_least(quiet.weighed, found.threshold) / rows if rows else None
    return Preview(
        group=policy.group,
        threshold=found.threshold,
        promised_fpr=found.promised_fpr,
        basis=found.basis,
        why=found.why,
        rows=found.rows,
        flows_per_day=quiet.flows_per_day,
        expected_alerts_per_day=None if share is None else share * quiet.flows_per_day,
        fpr=fpr,
        fpr_low=low,
        fpr_high=high,
        windows=_windows(found.threshold, quiet, thresholds),
        base_rate=base_rate,
        attack_rows=known.attack_rows,
        recall=recall,
        recall_low=None if recall is None else caught[0],
        recall_high=None if recall is None else caught[1],
        precision=precision(recall, fpr, base_rate),
        precision_low=None if recall is None else precision(caught[0], high, base_rate),
        precision_high=None if recall is None else precision(caught[1], low, base_rate),
        max_alerts_per_minute=policy.max_alerts_per_minute,
        current_threshold=policy.threshold,
        current_promised_fpr=policy.promised_fpr,
        curve=_curve(quiet, known, base_rate),
    )


def precision(recall: float | None, fpr: float | None, base_rate: float) -> float | None:
    """Share of alerts that are attacks, by Bayes; None when one of both is unknown or nothing alerts."""
    if recall is None or fpr is None:
        return None
    hits, misses = base_rate * recall, (1 - base_rate) * fpr
    return hits / (hits + misses) if hits + misses > 0 else None


def block(tally: Tally, threshold: float) -> Block:
    """An hour of an agent as the monitor looks at it."""
    windows = min(histogram.at_least(tally.sources, threshold), histogram.at_least(tally.targets, threshold))
    return Block(tally.hour_ms, int(tally.weighed.sum()), histogram.at_least(tally.weighed, threshold), windows)


def _rate(wish: Wish, policy: Policy, quiet: Quiet) -> float | None:
    if wish.fpr is not None:
        return wish.fpr
    if wish.alerts_per_day is None:
        return policy.promised_fpr
    if not quiet.flows_per_day:
        raise Conflict(
            "alerts a day need flows a day, and agents of this group have counted none yet under this model; give a "
            "false-positive rate, or wait for the first heartbeats"
        )
    return min(wish.alerts_per_day / quiet.flows_per_day, LARGEST_RATE)


def _of_recall(recall: float, quiet: Quiet, thresholds: list[Threshold], known: Labelled) -> Plan:
    wanted = known.threshold_for(recall)
    # Down to an edge, so that no attack that was counted as caught is missed.
    threshold = max(math.floor(wanted / histogram.STEP) * histogram.STEP, histogram.STEP)
    rows = int(quiet.weighed.sum())
    why = f"the highest threshold at which {recall:.0%} of {known.attack_rows} labelled attack rows alert"
    if rows >= FEWEST:
        hits, independent = _independent(quiet, threshold)
        rate = min(upper_rate(hits, independent), LARGEST_RATE)
        return Plan(threshold, rate, "certified", rows, f"{why}; {rows} counted flows bound its rate by {rate:.3g}")
    covered = [entry.alpha for entry in thresholds if entry.score <= threshold]
    rate = min(covered, default=min(10**-threshold, LARGEST_RATE))
    return Plan(threshold, rate, "model", rows, f"{why}; its rate is that of the model's own calibration")


def _false_positives(found: Plan, quiet: Quiet, known: Labelled) -> tuple[float | None, float | None, float | None]:
    rows = int(quiet.weighed.sum())
    if rows >= FEWEST:
        hits, independent = _independent(quiet, found.threshold)
        return histogram.at_least(quiet.weighed, found.threshold) / rows, *interval(hits, independent)
    if found.promised_fpr is not None:
        return found.promised_fpr, None, None
    return known.fpr_at(found.threshold), None, None


def _independent(quiet: Quiet, threshold: float) -> tuple[int, int]:
    """Exceedances and rows, divided by the exceedances in an exceeding host-window."""
    rows, hits = int(quiet.weighed.sum()), histogram.at_least(quiet.weighed, threshold)
    if not hits:
        return 0, rows
    events = max(1, min(quiet.strange(threshold), hits))
    return events, max(events, rows * events // hits)


def _windows(threshold: float, quiet: Quiet, thresholds: list[Threshold]) -> float | None:
    """Share of initiators' ten minutes that hold an alert: as counted here, or as the model's calibration bounds it."""
    if int(quiet.weighed.sum()) >= FEWEST:
        return quiet.strange(threshold) / int(quiet.sources.sum())
    known = [entry.windows for entry in thresholds if entry.score <= threshold and entry.windows is not None]
    return min(known, default=None)


def _curve(quiet: Quiet, known: Labelled, base_rate: float) -> tuple[CurvePoint, ...]:
    """The report's curve at `base_rate`, with the false positives the group counted where it counted enough."""
    step = max(1, len(known.points) // CURVE_POINTS)
    rows = int(quiet.weighed.sum())
    drawn = []
    for at, recall, _ in known.points[::step]:
        fpr = histogram.at_least(quiet.weighed, at) / rows if rows >= FEWEST else known.fpr_at(at)
        share = precision(recall, fpr, base_rate)
        if share is not None:
            drawn.append(CurvePoint(at, recall, share))
    return tuple(drawn)
