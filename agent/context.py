"""Short-window memory of hosts and pairs: what a flow looks like among its neighbours.

A scan, a guessed password or a beacon is made of ordinary flows; what is strange is how many there are, how alike, and
how regular. For every finished flow this gives damped sums over the flows that ended before it or with it, per
initiator, responder, pair, service (responder and port) and repeat (pair and port), over `HORIZONS_S`. A flow of age a
weighs exp(-a / horizon), as in damped incremental statistics (Mirsky et al., Kitsune, NDSS 2018). A distinct count
weighs each peer or port by the age of its latest flow, D(t) = sum over peers of exp(-(t - last seen) / horizon): a new
peer adds 1, a returning one 1 - exp(-gap / horizon). A rate is a damped sum over its horizon.

Promises:

- Only header facts enter: addresses and ports as identities, never as numbers.
- Time is traffic time (`ended_ms`), so live and replay agree. Cutting the same flows into other batches changes nothing
  beyond rounding, as long as no set of the tables overflows.
- Every value is finite and not negative, and after a quiet while it is what it was in the beginning: nothing grows with
  the age of an agent.
- Memory is fixed (`context_tables.py`). The hash is keyed, so nobody outside can aim at a set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agent import context_facts as facts
from agent.context_tables import BLOCK_S, HORIZONS_S, Block, Starts, Table, TrafficTime, Visit
from agent.hashing import WORDS, fold, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURES: Final = (
    "src_flows",
    "src_peers",
    "src_ports",
    "src_unanswered",
    "dst_flows",
    "dst_peers",
    "dst_ports",
    "dst_unanswered",
    "pair_flows",
    "pair_ports",
    "pair_unanswered",
    "service_flows",
)
"""Counted over each horizon, in this order."""
PATTERNS: Final = (
    "src_refused_300s",
    "src_out_bytes_per_second_300s",
    "dst_in_bytes_per_second_300s",
    "pair_out_bytes_per_second_300s",
    "pair_in_bytes_per_second_300s",
    "src_service_peers_10s",
    "src_service_peers_300s",
    "service_held_10s",
    "service_held_300s",
    "repeat_exchanges_10s",
    "repeat_exchanges_300s",
    "repeat_paced_10s",
    "repeat_paced_300s",
    "repeat_alike_10s",
    "repeat_alike_300s",
    "repeat_routine_300s",
    "dns_packets_per_minute_300s",
    "dns_bytes_per_second_300s",
    "dns_large_bytes_per_second_300s",
    "icmp_packets_per_minute_300s",
    "icmp_bytes_per_second_300s",
    "icmp_large_bytes_per_second_300s",
)
"""Volumes and patterns, each over the horizons that carry it (docs/ablation.md)."""
NAMES: Final = (*(f"{measure}_{horizon}s" for horizon in HORIZONS_S for measure in MEASURES), *PATTERNS)
"""Names of the columns of `Context.update`, in their order."""

_H: Final = len(HORIZONS_S)
_LONG: Final = 1
"""Position of the longer horizon."""
_SPREAD_WEIGHT: Final = 4.0
_SPREAD_EDGE: Final = 0.01

# Columns of what each flow adds. The ones a table takes together stand together.
_UNANSWERED, _REFUSED, _OUT, _IN, _HELD, _ONE, _EXCHANGE, _PAUSES, _SIZES, _VOLUME, _GAINS = (
    0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 15,
)  # fmt: skip


class Context:
    """The memory of one sensor run, or of one capture. `entries` bounds every table."""

    def __init__(self, seed: int = 0, entries: int = 16_384) -> None:
        self._seed = np.uint64(seed * 2 + 1)
        self._sources, self._destinations = Table(entries, 6), Table(entries, 5)
        self._pairs, self._services = Table(entries, 5), Table(entries, 2)
        self._source_ports = Table(entries, 4)
        self._repeats = Table(entries, 7, np.float64)  # differences of squares need the digits
        self._starts = Starts(entries)
        self._time = TrafficTime()

    def update(self, flows: NDArray) -> NDArray[np.float32]:
        """Context of each of `flows` (`FLOW`, in order), including itself: `[n, len(NAMES)]`, non-negative."""
        result = np.empty((len(flows), len(NAMES)), dtype=np.float32)
        if not len(flows):
            return result
        times = self._time.seconds(flows["ended_ms"])
        at = 0
        while at < len(flows):
            to = int(np.searchsorted(times, times[at] + BLOCK_S, side="right"))
            self._measure(flows[at:to], Block(times[at:to]), result[at:to])
            at = to
        return result

    def _measure(self, flows: NDArray, block: Block, result: NDArray[np.float32]) -> None:
        source, destination = fold(flows["src_ip"], self._seed), fold(flows["dst_ip"], self._seed)
        port = flows["dst_port"].astype(np.uint64) | (flows["protocol"].astype(np.uint64) << np.uint64(16))
        pair = mix(source, destination + WORDS[0])

        pairs = Visit(self._pairs, pair, block)
        services = Visit(self._services, mix(destination, port + WORDS[1]), block)
        source_ports = Visit(self._source_ports, mix(source, port + WORDS[2]), block)
        repeats = Visit(self._repeats, mix(pair, port), block)
        sources = Visit(self._sources, source, block)
        destinations = Visit(self._destinations, destination, block)

        pauses = self._starts.pauses(
            repeats, block.times - facts.lasted_s(flows), facts.begins(flows), facts.cut_off(flows)
        )
        gains = np.repeat(_gains(flows, pauses), _H, axis=1)
        gains *= block.weights[:, : gains.shape[1]]
        one, unanswered, out = _part(gains, _ONE), _part(gains, _UNANSWERED), _part(gains, _OUT)
        new_pair, new_service, new_port, new_repeat = (
            visit.novelty() * block.weights[:, :_H] for visit in (pairs, services, source_ports, repeats)
        )
        of_source = sources.accumulate(one, new_pair, new_port, _part(gains, _UNANSWERED, _IN))
        of_destination = destinations.accumulate(one, new_pair, new_service, unanswered, out)
        of_pair = pairs.accumulate(one, new_repeat, unanswered, _part(gains, _OUT, _HELD))
        of_service = services.accumulate(one, _part(gains, _HELD))
        of_source_port = source_ports.accumulate(new_repeat, _part(gains, _VOLUME, _GAINS))
        of_repeat = repeats.accumulate(_part(gains, _ONE, _VOLUME))

        counts = np.concatenate([of_source[:, :4], of_destination[:, :4], of_pair[:, :3], of_service[:, :1]], axis=1)
        result[:, : len(MEASURES) * len(HORIZONS_S)] = counts.transpose(0, 2, 1).reshape(len(flows), -1)
        column = dict(zip(PATTERNS, result[:, len(MEASURES) * len(HORIZONS_S) :].T, strict=True))
        horizon = HORIZONS_S[_LONG]
        column["src_refused_300s"][:] = of_source[:, 4, _LONG]
        column["src_out_bytes_per_second_300s"][:] = of_source[:, 5, _LONG] / horizon
        column["dst_in_bytes_per_second_300s"][:] = of_destination[:, 4, _LONG] / horizon
        column["pair_out_bytes_per_second_300s"][:] = of_pair[:, 3, _LONG] / horizon
        column["pair_in_bytes_per_second_300s"][:] = of_pair[:, 4, _LONG] / horizon
        paced = _discount(of_repeat[:, 2], of_repeat[:, 3], of_repeat[:, 4])
        alike = _discount(of_repeat[:, 0], of_repeat[:, 5], of_repeat[:, 6])
        for position, window in enumerate(HORIZONS_S):
            column[f"src_service_peers_{window}s"][:] = of_source_port[:, 0, position]
            column[f"service_held_{window}s"][:] = of_service[:, 1, position]
            column[f"repeat_exchanges_{window}s"][:] = of_repeat[:, 1, position]
            column[f"repeat_paced_{window}s"][:] = of_repeat[:, 2, position] * paced[:, position]
            column[f"repeat_alike_{window}s"][:] = of_repeat[:, 0, position] * alike[:, position]
        column["repeat_routine_300s"][:] = of_repeat[:, 1, _LONG] * paced[:, _LONG] * alike[:, _LONG]
        volume = of_source_port[:, 1:, _LONG] * (60.0 / horizon, 1.0 / horizon, 1.0 / horizon)
        for name, chosen in (("dns", facts.dns(flows)), ("icmp", facts.icmp(flows))):
            mine = volume * chosen[:, None]
            column[f"{name}_packets_per_minute_300s"][:] = mine[:, 0]
            column[f"{name}_bytes_per_second_300s"][:] = mine[:, 1]
            column[f"{name}_large_bytes_per_second_300s"][:] = mine[:, 2]


def _part(gains: NDArray[np.float64], first: int, end: int = 0) -> NDArray[np.float64]:
    """The columns of the measures from `first` to before `end`; of one measure without it."""
    return gains[:, first * _H : (end or first + 1) * _H]


def _gains(flows: NDArray, pauses: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each flow adds to the sums, `[n, _GAINS]`, in the order of the positions above."""
    gains = np.empty((len(flows), _GAINS))
    gains[:, _UNANSWERED] = facts.unanswered(flows)
    gains[:, _REFUSED] = facts.refused(flows)
    gains[:, _OUT] = flows["src2dst_bytes"]
    gains[:, _IN] = flows["dst2src_bytes"]
    gains[:, _HELD] = facts.held(flows)
    gains[:, _ONE] = 1.0
    gains[:, _EXCHANGE] = facts.exchanges(flows)
    paused = pauses >= 0
    logs = np.log1p(np.maximum(pauses, 0.0))
    gains[:, _PAUSES], gains[:, _PAUSES + 1], gains[:, _PAUSES + 2] = paused, logs, logs * logs
    sizes = np.log1p(flows["bidirectional_bytes"].astype(np.float64))
    gains[:, _SIZES], gains[:, _SIZES + 1] = sizes, sizes * sizes
    gains[:, _VOLUME], gains[:, _VOLUME + 1], gains[:, _VOLUME + 2] = facts.volume(flows)
    return gains


def _discount(count: NDArray, total: NDArray, squares: NDArray) -> NDArray[np.float64]:
    """1 / (1 + 4 sd) of damped values, given their count, sum and sum of squares; 1 where there is no value.

    With one value there is no spread either, but a count of one is not many. The edge keeps rounding of two nearly
    equal squares from showing.
    """
    count = np.maximum(count, 1e-12)
    variance = np.maximum(squares / count - (total / count) ** 2, 0.0)
    spread = np.sqrt(variance + _SPREAD_EDGE**2) - _SPREAD_EDGE
    result: NDArray[np.float64] = 1.0 / (1.0 + _SPREAD_WEIGHT * spread)
    return result
