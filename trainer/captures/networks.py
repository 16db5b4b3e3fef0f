"""False alarms by network, and thresholds recalibrated as the product does it on a network of its own.

Quiet traffic is that of benign captures nothing was fitted on. In time order, the captures that hold the earlier half
of a network's quiet flows are counted by the agent's own counting and recalibrated on by the aggregator's own
arithmetic; the later half is tested, and only it. A single capture is cut by the time its flows ended. A network with
fewer than `FEWEST` earlier flows stays on the model's own threshold, and is reported apart.

Realised rates are given flow by flow (`by_flows`, where one large network speaks loudest) and as the mean over networks
with at least `HEARD` tested flows (`by_networks`, where every network has one vote).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.counting import Hour, Tally
from aggregator.calibration.recalibration import HostWindows, Recalibrated, recalibrate
from trainer.judging import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from protos.manifest import Threshold
    from trainer.captures.seen import Seen

FEWEST: Final = 300
"""Earlier flows below which a network is not recalibrated: with fewer not even one per cent can be certified, and an
aggregator recalibrates no group by itself before it has counted hours of traffic."""

HEARD: Final = 100
"""Tested flows below which a network has no vote in the mean over networks: one alert would be a whole per cent."""

BLOCK: Final = 2.0
"""Alerts that a later block may hold by the promise: 400 flows at half a per cent."""

BATCH: Final = 1024
"""Flows that a sensor counts at once."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet flows of one network in order of time: the capture of each (an index), its record and its score, `[n]`."""

    capture: NDArray[np.int64]
    flows: NDArray
    scores: NDArray[np.float32]

    def take(self, chosen: NDArray) -> Quiet:
        """The flows at `chosen`."""
        return Quiet(*(getattr(self, name)[chosen] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Network:
    """One network: its captures in order of time, their quiet flows, the later ones, and the threshold that holds."""

    name: str
    captures: tuple[str, ...]
    quiet: Quiet
    later: NDArray[np.bool_]
    threshold: float
    recalibrated: bool
    certified: bool
    why: str

    @property
    def tested(self) -> NDArray[np.float32]:
        """Scores of the flows that are tested: the later half, or all where nothing was recalibrated."""
        return self.quiet.scores[self.later]

    @property
    def later_captures(self) -> frozenset[str]:
        """Names of the captures that are tested, at least in part."""
        return frozenset(self.captures[number] for number in np.unique(self.quiet.capture[self.later]))


def survey(
    captures: Iterable[Seen], model_thresholds: Sequence[Threshold], own: Threshold, *, recalibrated: bool
) -> dict[str, Network]:
    """The networks of benign captures, by name. `own` is the model's threshold for the promised rate."""
    grouped: dict[str, list[Seen]] = {}
    for seen in captures:
        if seen.entry.label == "benign" and seen.counts:
            grouped.setdefault(seen.entry.network, []).append(seen)
    return {name: _network(name, grouped[name], model_thresholds, own, recalibrated) for name in sorted(grouped)}


def _network(
    name: str, captures: list[Seen], model_thresholds: Sequence[Threshold], own: Threshold, recalibrated: bool
) -> Network:
    captures = sorted(captures, key=lambda seen: (seen.begun_ms, seen.entry.name))
    quiet = _in_order(captures)
    names = tuple(seen.entry.name for seen in captures)
    later = later_half(quiet)
    everything = np.ones(len(quiet.scores), dtype=np.bool_)
    if not recalibrated:
        return Network(name, names, quiet, everything, own.score, False, own.certified, "not recalibrated")
    earlier = quiet.take(~later)
    if len(earlier.scores) < FEWEST or not later.any():
        why = f"{len(earlier.scores)} earlier flows; the model's own threshold stays"
        return Network(name, names, quiet, everything, own.score, False, own.certified, why)
    found = _recalibrated(earlier, model_thresholds, own.alpha)
    return Network(name, names, quiet, later, found.threshold, True, found.certified, found.why)


def later_half(quiet: Quiet) -> NDArray[np.bool_]:
    """The flows after the half, cut between captures, or by time inside an only one."""
    rows = len(quiet.scores)
    if not rows or quiet.capture[0] == quiet.capture[-1]:
        return np.arange(rows) >= rows // 2
    ends = np.flatnonzero(np.diff(quiet.capture)) + 1
    cut = int(ends[np.argmin(np.abs(ends - rows / 2))])
    return np.arange(rows) >= cut


def _in_order(captures: Sequence[Seen]) -> Quiet:
    parts = []
    for number, seen in enumerate(captures):
        order = np.argsort(seen.flows["ended_ms"], kind="stable")
        parts.append(Quiet(np.full(len(order), number, dtype=np.int64), seen.flows[order], seen.scores["model"][order]))
    return Quiet(*(np.concatenate([getattr(part, name) for part in parts]) for name in Quiet.__slots__))


def _counted(quiet: Quiet) -> Hour:
    """What the sensors of the network would have counted, as one agent that saw one capture after the other."""
    tally = Tally(run="", seed=0)
    for number in np.unique(quiet.capture):
        one = np.flatnonzero(quiet.capture == number)
        for start in range(0, len(one), BATCH):
            rows = one[start : start + BATCH]
            tally.add(quiet.flows[rows], quiet.scores[rows], "", now_ms=0)
    [hour] = tally.hours.values()
    return hour


def summary(networks: Mapping[str, Network], own: Threshold, flows_per_day: float) -> dict[str, Any]:
    """Promised against realised, by network, flow by flow and network by network."""
    rows = [_row(network, own) for network in networks.values()]
    done = [row for row in rows if row["recalibrated"]]
    return {
        "promised": own.alpha,
        "model_threshold": _total(rows, "at_model_threshold", flows_per_day),
        "recalibrated": _total(done, "at_own_threshold", flows_per_day),
        "same_networks_before": _total(done, "at_model_threshold", flows_per_day),
        "too_small": _total([row for row in rows if not row["recalibrated"]], "at_model_threshold", flows_per_day),
        "networks": rows,
    }


def _row(network: Network, own: Threshold) -> dict[str, Any]:
    tested = network.tested
    return {
        "network": network.name,
        "captures": len(network.captures),
        "flows": len(network.quiet.scores),
        "tested": len(tested),
        "recalibrated": network.recalibrated,
        "certified": network.certified,
        "threshold": network.threshold,
        "why": network.why,
        "at_own_threshold": _rate(tested, network.threshold),
        "at_model_threshold": _rate(tested, own.score),
        "all_flows_at_model_threshold": _rate(network.quiet.scores, own.score),
    }


def _rate(scores: NDArray[np.float32], threshold: float) -> dict[str, Any]:
    alerts = int((scores >= threshold).sum())
    return {
        "rows": len(scores),
        "alerts": alerts,
        "realised": alerts / len(scores) if len(scores) else None,
        "interval": evaluate.interval(alerts, len(scores)),
    }


def _total(rows: Sequence[dict[str, Any]], which: str, flows_per_day: float) -> dict[str, Any]:
    flows, alerts = sum(row[which]["rows"] for row in rows), sum(row[which]["alerts"] for row in rows)
    voices = [row[which]["realised"] for row in rows if row[which]["rows"] >= HEARD]
    by_flows = alerts / flows if flows else None
    return {
        "networks": len(rows),
        "rows": flows,
        "alerts": alerts,
        "by_flows": by_flows,
        "interval": evaluate.interval(alerts, flows),
        "by_networks": float(np.mean(voices)) if voices else None,
        "networks_heard": len(voices),
        "alerts_a_day": None if by_flows is None else by_flows * flows_per_day,
        "flows_a_day": flows_per_day,
    }


def blocks(
    networks: Mapping[str, Network], model_thresholds: Sequence[Threshold], own: Threshold, *, most: float = 1.5
) -> list[dict[str, Any]]:
    """Quiet flows of recalibrated networks in blocks of about `BLOCK` / alpha, each with its realised rate.

    A block is judged at the threshold that a recalibration on all flows before it gives, as a network that recalibrates
    again and again would have it; the first `FEWEST` flows are no block. `kept` says whether the rate is at most `most`
    times the promised one.
    """
    size = round(BLOCK / own.alpha)
    found = []
    for network in networks.values():
        quiet = network.quiet
        count = (len(quiet.scores) - FEWEST + size // 2) // size
        if not network.recalibrated or count < 1:
            continue
        edges = np.linspace(FEWEST, len(quiet.scores), count + 1).astype(int).tolist()
        for begin, end in pairwise(edges):
            threshold = _recalibrated(quiet.take(np.arange(begin)), model_thresholds, own.alpha).threshold
            rate = _rate(quiet.scores[begin:end], threshold)
            found.append({"network": network.name, **rate, "kept": rate["realised"] <= most * own.alpha})
    return found


def _recalibrated(earlier: Quiet, model_thresholds: Sequence[Threshold], alpha: float) -> Recalibrated:
    counted = _counted(earlier)
    hosts = HostWindows(counted.sources, counted.targets)
    return recalibrate(counted.weighed, model_thresholds, alpha, hosts=hosts)
