"""Fixed tables of what was seen, and one block of flows visiting them. No Python object and no loop per flow.

A table is set-associative like a processor cache: a key belongs to one set of `_WAYS` entries, and in a full set the
least recently seen entry gives way. So memory stays as it is whatever a flood does, and what is busy stays.

Damped sums are solved in closed form. With c(i) = c(i-1) exp(-(t(i) - t(i-1)) / h) + gain(i), the product
c(i) exp((t(i) - T) / h) is a plain running sum, where T is the last moment of the block. That holds to rounding as long
as exp((t - T) / h) stays far from the edge of float64, so a block spans at most `BLOCK_S` of traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

HORIZONS_S: Final = (10, 300)
BLOCK_S: Final = 4.0 * min(HORIZONS_S)
MOST: Final = 16
"""Most measures that are scaled in one go."""
NEVER: Final = -np.inf

_CLOCK_SET_S: Final = 30.0
"""A step back larger than any disorder among ends of flows."""

_H: Final = len(HORIZONS_S)
_RATES: Final = 1.0 / np.asarray(HORIZONS_S, dtype=np.float64)
_WAYS: Final = 8
_ROUNDS: Final = 2 * _WAYS


class TrafficTime:
    """Seconds since the first flow, which never run backwards."""

    __slots__ = ("_now", "_origin_ms")

    def __init__(self) -> None:
        self._origin_ms: int | None = None
        self._now = 0.0

    def seconds(self, times_ms: NDArray) -> NDArray[np.float64]:
        """The times `[n]`, at least one, of the next flows in order."""
        first = int(times_ms[0])
        if self._origin_ms is None:
            self._origin_ms = first
        if first - self._origin_ms < (self._now - _CLOCK_SET_S) * 1000:
            # The clock was set back. What is remembered keeps its age as of now, or nothing would fade until then.
            self._origin_ms = first - int(self._now * 1000)
        seconds = (times_ms.astype(np.int64) - self._origin_ms) / 1000.0
        times: NDArray[np.float64] = np.maximum.accumulate(np.maximum(seconds, self._now))
        self._now = float(times[-1])
        return times


class Block:
    """Times `[n]` of rows in order, in seconds, and what a row of each weighs at the last of them, over each horizon.

    `weights` and `grown` (one over the weight) are `[n, MOST * horizons]`: a row's weights for one measure after the
    other, so that any number of measures up to `MOST` is scaled by plain products of whole rows.
    """

    __slots__ = ("grown", "times", "weights")

    def __init__(self, times: NDArray[np.float64]) -> None:
        self.times = times
        self.weights = np.tile(np.exp((times - times[-1])[:, None] * _RATES), (1, MOST))
        self.grown = 1.0 / self.weights


class Table:
    """Fixed arrays of `entries` keys: identity, time last seen, and `measures` damped sums over each horizon."""

    __slots__ = ("keys", "mask", "seen", "sums")

    def __init__(self, entries: int, measures: int, dtype: DTypeLike = np.float32) -> None:
        sets = max(1, entries // _WAYS)
        if sets & (sets - 1) or entries != sets * _WAYS:
            raise ValueError(f"a context table of {entries} entries: {_WAYS} times a power of two is needed")
        self.mask = np.uint64(sets - 1)
        self.keys = np.zeros(entries, dtype=np.uint64)
        self.seen = np.full(entries, NEVER)
        self.sums = np.zeros((entries, measures * _H), dtype=dtype)

    def locate(self, keys: NDArray[np.uint64], now: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Slot of each of the distinct `keys`, making room where needed, and when each was last seen (`NEVER`: new)."""
        sets = (keys & self.mask).astype(np.intp)
        slots = sets * _WAYS + (self.keys.reshape(-1, _WAYS).take(sets, axis=0) == keys[:, None]).argmax(axis=1)
        before = self.seen.take(slots)
        before[self.keys.take(slots) != keys] = NEVER
        missing = np.flatnonzero(before == NEVER)
        if len(missing):
            self.seen[slots[before > NEVER]] = now  # in use now, so no victim; the visit writes the true time
            self._make_room(sets, slots, missing, now)
        return slots, before

    def _make_room(self, sets: NDArray[np.intp], slots: NDArray[np.intp], missing: NDArray, now: float) -> None:
        seen = self.seen.reshape(-1, _WAYS)
        for _ in range(_ROUNDS):
            wanted = sets[missing]
            slots[missing] = wanted * _WAYS + seen.take(wanted, axis=0).argmin(axis=1)
            order = np.argsort(wanted, kind="stable")
            again = np.zeros(len(missing), dtype=bool)
            again[order[1:]] = wanted[order[1:]] == wanted[order[:-1]]
            self.seen[slots[missing[~again]]] = now
            missing = missing[again]
            if not len(missing):
                return
        # More newcomers of one set than ways in one block: they share an entry, and the last one stays.


class Visit:
    """One block at one table: rows grouped by key, each group a run of the same key in order of time."""

    __slots__ = ("_block", "_table", "back", "before", "ends", "group", "order", "slots", "starts", "times")

    def __init__(self, table: Table, keys: NDArray[np.uint64], block: Block) -> None:
        self._table, self._block = table, block
        self.order = np.argsort(keys, kind="stable")
        ordered = keys.take(self.order)
        first = np.empty(len(keys), dtype=bool)
        first[0] = True
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
        self.starts = np.flatnonzero(first)
        self.ends = np.append(self.starts[1:], len(keys)) - 1
        self.group = np.cumsum(first) - 1
        self.back = np.empty_like(self.order)
        self.back[self.order] = np.arange(len(keys))
        self.times = block.times.take(self.order)
        distinct = ordered[self.starts]
        self.slots, self.before = table.locate(distinct, float(block.times[-1]))
        table.keys[self.slots] = distinct
        table.seen[self.slots] = self.times[self.ends]

    def novelty(self) -> NDArray[np.float64]:
        """`[n, horizons]`: 1 for a key never seen, 1 - exp(-gap / horizon) for one that returns, in row order."""
        previous = np.empty(len(self.times))
        previous[1:] = self.times[:-1]
        previous[self.starts] = self.before
        gained: NDArray[np.float64] = -np.expm1((previous - self.times)[:, None] * _RATES)
        return gained.take(self.back, axis=0)

    def accumulate(self, *gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """Damped sums `[n, measures, horizons]` after each row, in row order; the table remembers them.

        `gains`: what each row adds times its weight in the block, each part `[n, some measures * horizons]`.
        """
        block, table = self._block, self._table
        gained = np.concatenate(gains, axis=1).take(self.order, axis=0)
        width = gained.shape[1]
        # One column waits for its own last sum only, so two of them added as one complex number take half the time.
        sums = np.cumsum(gained.view(np.complex128), axis=0).view(np.float64)
        carried = np.zeros((len(self.starts), width))
        np.negative(sums.take(self.ends[:-1], axis=0), out=carried[1:])  # the running sum of the groups before
        fade = np.exp((self.before - block.times[-1])[:, None] * _RATES)
        carried += table.sums.take(self.slots, axis=0) * np.tile(fade, (1, width // _H))
        sums += carried.take(self.group, axis=0)
        np.maximum(sums, 0.0, out=sums)  # rounding may leave a hair below zero
        sums = sums.take(self.back, axis=0)
        sums *= block.grown[:, :width]
        table.sums[self.slots] = sums.take(self.order.take(self.ends), axis=0)
        return sums.reshape(len(sums), -1, _H)


class Starts:
    """When a conversation last began at each entry of a table of as many `entries`."""

    __slots__ = ("_begun", "_cut")

    def __init__(self, entries: int) -> None:
        self._begun = np.full(entries, NEVER)
        self._cut = np.zeros(entries, dtype=bool)

    def pauses(
        self,
        visit: Visit,
        began: NDArray[np.float64],
        fresh: NDArray[np.bool_],
        cut: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Seconds since the conversation before began at the same entry, in row order; -1 where there is none.

        `began` is when each row began, `fresh` whether a conversation may have begun with it, and `cut` whether the
        meter ended it while it went on: what follows a cut is its continuation and begins nothing.
        """
        rows, group, starts, ends = len(began), visit.group, visit.starts, visit.ends
        known = visit.before > NEVER
        held = np.where(known, self._begun[visit.slots], NEVER)
        cut = cut.take(visit.order)
        continued = np.empty(rows, dtype=bool)
        continued[1:] = cut[:-1]
        continued[starts] = self._cut[visit.slots] & known
        begins = fresh.take(visit.order) & ~continued
        began = began.take(visit.order)
        latest = np.maximum.accumulate(np.where(begins, np.arange(rows), -1))
        earlier = np.empty(rows, dtype=np.intp)
        earlier[0] = -1
        earlier[1:] = latest[:-1]
        previous = np.where(earlier >= starts.take(group), began.take(earlier), held.take(group))
        self._begun[visit.slots] = np.where(latest[ends] >= starts, began.take(latest[ends]), held)
        self._cut[visit.slots] = cut[ends]
        pauses = np.where(begins & (previous > NEVER), np.maximum(began - previous, 0.0), -1.0)
        return pauses.take(visit.back)
