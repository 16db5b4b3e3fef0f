"""Short-window memory of hosts and pairs: what a flow looks like among its neighbours.

A scan or a brute force is made of ordinary flows; what is strange is how many there are. For every finished
flow this gives damped counts over the flows that ended before it or with it, per initiator, responder, pair and
service, over each of `HORIZONS_S`. A flow of age a weighs exp(-a / horizon), as in damped incremental statistics
(Mirsky et al., Kitsune, NDSS 2018). A distinct count weighs each peer or port by the age of its latest flow,
D(t) = sum over peers of exp(-(t - last seen) / horizon): a new peer adds 1, a returning one 1 - exp(-gap / horizon).

Promises:

- Only header facts enter: addresses and ports as identities, never as numbers.
- Time is traffic time (`ended_ms`), so live and replay agree. Cutting the same flows into other batches changes nothing
  beyond rounding, as long as no set of the tables overflows.
- Memory is fixed: tables are arrays, set-associative like a processor cache; in a full set the least recently seen
  entry gives way. The hash is keyed, so nobody outside can aim at a set.
- No Python object and no loop per flow: a batch costs a handful of numpy passes per table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agent.flow import TCP

if TYPE_CHECKING:
    from numpy.typing import NDArray

HORIZONS_S: Final = (10, 300)
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
NAMES: Final = tuple(f"{measure}_{horizon}s" for horizon in HORIZONS_S for measure in MEASURES)
"""Names of the columns of `Context.update`, in their order."""

_RATES: Final = 1.0 / np.asarray(HORIZONS_S, dtype=np.float64)
_WAYS: Final = 8
_UNSEEN: Final = -np.inf
_ROUNDS: Final = 2 * _WAYS
_CLOCK_SET_S: Final = 30.0
"""A step back larger than any disorder among ends of flows."""
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Context:
    """The memory of one sensor run, or of one capture. `entries` bounds every table."""

    def __init__(self, seed: int = 0, entries: int = 16_384) -> None:
        self._seed = np.uint64(seed * 2 + 1)
        self._sources, self._destinations = _Table(entries, 4), _Table(entries, 4)
        self._pairs, self._services = _Table(entries, 2), _Table(entries, 1)
        self._source_ports, self._pair_services = _Table(entries, 0), _Table(entries, 0)
        self._pair_port_counts = _Table(entries, 1)
        self._origin_ms: int | None = None
        self._now = 0.0

    def update(self, flows: NDArray) -> NDArray[np.float32]:
        """Context of each of `flows` (`FLOW`, in order), including itself: `[n, len(NAMES)]`, non-negative."""
        rows = len(flows)
        if not rows:
            return np.zeros((0, len(NAMES)), dtype=np.float32)
        times = self._times(flows["ended_ms"])
        source, destination = _fold(flows["src_ip"], self._seed), _fold(flows["dst_ip"], self._seed)
        port = flows["dst_port"].astype(np.uint64) | (flows["protocol"].astype(np.uint64) << np.uint64(16))
        pair = _mix(source, destination + _MIX[0])
        service = _mix(destination, port + _MIX[1])
        failed = np.repeat(unanswered(flows).astype(np.float64)[:, None], len(HORIZONS_S), axis=1)
        one = np.ones((rows, len(HORIZONS_S)))

        pairs = _Visit(self._pairs, pair, times)
        services = _Visit(self._services, service, times)
        source_ports = _Visit(self._source_ports, _mix(source, port + _MIX[2]), times)
        pair_services = _Visit(self._pair_services, _mix(pair, port), times)
        sources = _Visit(self._sources, source, times)
        destinations = _Visit(self._destinations, destination, times)
        port_counts = _Visit(self._pair_port_counts, pair, times)

        new_peer, new_port = pairs.novelty(), services.novelty()
        of_source = sources.accumulate(np.stack([one, new_peer, source_ports.novelty(), failed], 2))
        of_destination = destinations.accumulate(np.stack([one, new_peer, new_port, failed], 2))
        of_pair = pairs.accumulate(np.stack([one, failed], 2))
        of_pair_ports = port_counts.accumulate(pair_services.novelty()[:, :, None])
        of_service = services.accumulate(one[:, :, None])
        source_ports.touch()
        pair_services.touch()
        columns = np.concatenate(
            [of_source, of_destination, of_pair[:, :, :1], of_pair_ports, of_pair[:, :, 1:], of_service], axis=2
        )
        return columns.reshape(rows, len(NAMES)).astype(np.float32)

    def _times(self, ended_ms: NDArray) -> NDArray[np.float64]:
        if self._origin_ms is None:
            self._origin_ms = int(ended_ms[0])
        if int(ended_ms[0]) - self._origin_ms < (self._now - _CLOCK_SET_S) * 1000:
            # The clock was set back. What is remembered keeps its age as of now, or nothing would fade until then.
            self._origin_ms = int(ended_ms[0]) - int(self._now * 1000)
        seconds = (ended_ms.astype(np.int64) - self._origin_ms) / 1000.0
        times: NDArray[np.float64] = np.maximum.accumulate(np.maximum(seconds, self._now))
        self._now = float(times[-1])
        return times


def unanswered(flows: NDArray) -> NDArray[np.bool_]:
    """Flows whose responder never answered, or refused: no packet back, or a TCP SYN that no SYN came back for."""
    silent = flows["dst2src_packets"] == 0
    refused = (flows["protocol"] == TCP) & (flows["src2dst_syn_packets"] > 0) & (flows["dst2src_syn_packets"] == 0)
    result: NDArray[np.bool_] = silent | refused
    return result


class _Table:
    """Fixed arrays of `entries` keys: identity, time last seen, and `measures` damped sums per horizon."""

    def __init__(self, entries: int, measures: int) -> None:
        sets = max(1, entries // _WAYS)
        if sets & (sets - 1):
            raise ValueError(f"a context table of {entries} entries: {_WAYS} times a power of two is needed")
        self.mask = np.uint64(sets - 1)
        self.keys = np.zeros((sets, _WAYS), dtype=np.uint64)
        self.seen = np.full((sets, _WAYS), _UNSEEN)
        self.sums = np.zeros((sets, _WAYS, len(HORIZONS_S), measures), dtype=np.float32)

    def locate(self, keys: NDArray[np.uint64], now: float) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
        """Set and way of each of the distinct `keys`, making room where needed, and which were there already."""
        sets = (keys & self.mask).astype(np.intp)
        same = (self.keys[sets] == keys[:, None]) & (self.seen[sets] > _UNSEEN)
        known = same.any(axis=1)
        ways = same.argmax(axis=1)
        if known.all():
            return sets, ways, known
        held = self.seen[sets[known], ways[known]]
        self.seen[sets[known], ways[known]] = now  # an entry in use now is not a victim
        open_ = np.flatnonzero(~known)
        for _ in range(_ROUNDS):
            victims = self.seen[sets[open_]].argmin(axis=1)
            _, first = np.unique(sets[open_], return_index=True)
            chosen = open_[first]
            ways[chosen] = victims[first]
            self.seen[sets[chosen], ways[chosen]] = now
            open_ = np.delete(open_, first)
            if not len(open_):
                break
        ways[open_] = 0  # more newcomers than ways in one batch: the last one stays
        self.seen[sets[known], ways[known]] = held
        return sets, ways, known


class _Visit:
    """One batch at one table: rows grouped by key, so that each group is a run of the same key in time order."""

    def __init__(self, table: _Table, keys: NDArray[np.uint64], times: NDArray[np.float64]) -> None:
        self._table = table
        self._order = np.argsort(keys, kind="stable")
        self._times = times[self._order]
        ordered = keys[self._order]
        first = np.empty(len(keys), dtype=bool)
        first[0] = True
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
        self._starts = np.flatnonzero(first)
        self._ends = np.append(self._starts[1:], len(keys)) - 1
        group = np.cumsum(first) - 1
        self._position = np.arange(len(keys)) - self._starts[group]
        self._keys = ordered[self._starts]
        self._sets, self._ways, known = table.locate(self._keys, float(times[-1]))
        self._before = np.where(known, table.seen[self._sets, self._ways], _UNSEEN)
        self._known = known

    def novelty(self) -> NDArray[np.float64]:
        """`[n, horizons]`: 1 for a key never seen, 1 - exp(-gap / horizon) for one that returns, in row order."""
        previous = np.empty(len(self._times))
        previous[1:] = self._times[:-1]
        previous[self._starts] = self._before
        gained = -np.expm1(-(self._times - previous)[:, None] * _RATES)
        result = np.empty_like(gained)
        result[self._order] = gained
        return result

    def accumulate(self, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """Damped sums `[n, horizons, measures]` after each row, given what each row adds; the table remembers them.

        c(i) = c(i-1) exp(-(t(i) - t(i-1)) / horizon) + gain(i) is a linear recurrence: it is solved in log2(longest
        group) passes of pairwise combination instead of row by row.
        """
        sums = gains[self._order]
        times, position = self._times, self._position
        age = times[self._starts] - np.where(self._known, self._before, times[self._starts])
        held = self._table.sums[self._sets, self._ways] * self._known[:, None, None]
        sums[self._starts] += held * np.exp(-age[:, None] * _RATES)[:, :, None]
        step, longest = 1, int(position.max()) + 1
        while step < longest:
            rows = np.flatnonzero(position >= step)
            fade = np.exp(-(times[rows] - times[rows - step])[:, None] * _RATES)[:, :, None]
            sums[rows] += sums[rows - step] * fade  # the right side is evaluated before anything is written
            step *= 2
        self._table.sums[self._sets, self._ways] = sums[self._ends]
        self.touch()
        result = np.empty_like(sums)
        result[self._order] = sums
        return result

    def touch(self) -> None:
        """Remember the keys and when they were last seen."""
        self._table.keys[self._sets, self._ways] = self._keys
        self._table.seen[self._sets, self._ways] = self._times[self._ends]


def _fold(addresses: NDArray, seed: np.uint64) -> NDArray[np.uint64]:
    halves = np.ascontiguousarray(addresses).view("<u8").reshape(-1, 2)
    return _mix(halves[:, 0] * _MIX[0] ^ seed, halves[:, 1])


def _mix(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A 64-bit hash of two words (the finaliser of SplitMix64)."""
    word = first * _MIX[1] + second
    word = (word ^ (word >> np.uint64(30))) * _MIX[1]
    word = (word ^ (word >> np.uint64(27))) * _MIX[2]
    return word ^ (word >> np.uint64(31))
