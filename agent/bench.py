"""`bench`: how fast this host meters, computes features and scores, on captures of the operator's choice."""

from __future__ import annotations

import resource
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agent import features
from agent.context import Context
from agent.meter import FileSource, Meter
from agent.pipeline import Pipeline
from agent.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.scorer import Scorer
    from protos.manifest import CaptureProfile

_CAP: Final = 120
_BLOCK: Final = 8192
_BLOCKS: Final = 16


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates in flows per second, the best of the rounds. A rate of 0 was not measured."""

    captures: int
    packets: int
    flows: int
    rounds: int
    meter_flows_per_s: float
    with_features_flows_per_s: float
    with_scoring_flows_per_s: float
    model_rows_per_s: float
    peak_rss_mib: float


def measure(
    files: Sequence[Path],
    profile: CaptureProfile,
    scorer: Scorer | None,
    *,
    rounds: int,
    monotonic: Callable[[], float],
) -> Figures:
    """Meter the captures `rounds` times for each stage. Raises the `SourceError` tree."""
    packets = flows = 0
    best: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        best[name] = min(best.get(name, float("inf")), seconds)

    for _ in range(rounds):
        started = monotonic()
        packets = flows = 0
        for file in files:
            meter = Meter(FileSource(file), profile)
            for batch in meter.batches():
                flows += len(batch)
            packets += meter.stats.packets
        note("meter", monotonic() - started)

        started = monotonic()
        for file in files:
            context = Context()
            for batch in Meter(FileSource(file), profile).batches():
                features.compute(batch, context)
        note("features", monotonic() - started)

        if scorer is not None:
            started = monotonic()
            pipeline = Pipeline(Policy(keep_fraction=0.05, max_alerts_per_minute=_CAP), chance=_spread)
            pipeline.use_model(scorer)
            for file in files:
                pipeline.restart()
                for batch in Meter(FileSource(file), profile).batches():
                    if len(batch):
                        pipeline.judge(batch, pipeline.measure(batch))
            note("scoring", monotonic() - started)
            rows, _ = scorer.manifest.self_test()
            block = np.tile(rows, (1 + _BLOCK // len(rows), 1))[:_BLOCK]
            started = monotonic()
            for _ in range(_BLOCKS):
                scorer.score(block)
            note("model", (monotonic() - started) * max(1, flows) / (_BLOCK * _BLOCKS))

    def rate(name: str) -> float:
        return round(flows / best[name], 1) if best.get(name) else 0.0

    return Figures(
        captures=len(files),
        packets=packets,
        flows=flows,
        rounds=rounds,
        meter_flows_per_s=rate("meter"),
        with_features_flows_per_s=rate("features"),
        with_scoring_flows_per_s=rate("scoring"),
        model_rows_per_s=rate("model"),
        peak_rss_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def _spread(count: int) -> NDArray[np.float64]:
    return np.linspace(0, 1, count, endpoint=False)


def readable(figures: Figures) -> str:
    """The figures as text."""
    lines = [
        f"{figures.flows} flows of {figures.packets} packets in {figures.captures} captures, best of {figures.rounds}"
    ]
    for label, rate in (
        ("metering", figures.meter_flows_per_s),
        ("metering and features", figures.with_features_flows_per_s),
        ("metering, features, scoring and decisions", figures.with_scoring_flows_per_s),
        ("the model alone, rows", figures.model_rows_per_s),
    ):
        lines.append(f"  {label}: {rate:,.0f}/s" if rate else f"  {label}: not measured, give --model")
    lines.append(f"  peak memory: {figures.peak_rss_mib:.0f} MiB")
    return "\n".join(lines)


def as_dict(figures: Figures) -> dict[str, float]:
    """For JSON."""
    return asdict(figures)
