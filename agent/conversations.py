"""Evidence of two hosts added up: flows that are each a little strange, again and again, are very strange together.

A guessed password, a beacon or a tunnel is many flows between the same two hosts, none of which need be strange enough
for an alert. Each flow's score becomes a normal deviate, and those of one initiator and one responder are added over
the last minutes, damped as in `context.py`. Flows of two hosts are alike, so n of them say less than n independent
ones: with a correlation r between any two, the sum of n deviates has the variance n + n (n - 1) r, and

    z = sum of z(i) / sqrt(n + n (n - 1) r)

is again a normal deviate (Hartung, Biometrical Journal 41, 1999: p-values that depend on each other). Its score is
`-log10` of its tail. An ordinary flow speaks against the others, but no louder than one at `ORDINARY`, so that nobody
hides a beat among much chatter for nothing.

What two hosts must reach together is made at the fit, on benign rows in the order they came (the trainer's
`making/together.py`): a model's manifest says how much stranger than one flow flows together must be before they count
the same, and its thresholds are certified for both ways to raise an alert at once. A model without that figure is
judged flow by flow.

Time is traffic time, and cutting the same flows into other batches changes nothing beyond rounding, so live and replay
agree. Memory is one table of fixed size (`context_tables.py`).
"""

from __future__ import annotations

from math import erfc, log10, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.context_tables import BLOCK_S, HORIZONS_S, Block, Table, TrafficTime, Visit
from agent.hashing import fold, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORRELATION: Final = 0.3
"""r: what two flows of the same hosts share. It is no estimate, since thresholds are what is calibrated: at .2 benign
hosts that are odd all day weigh more, at .5 hardly anything adds up (docs/adr/0010-evidence-adds-up.md)."""
ORDINARY: Final = 0.9
"""p-value below which a flow's own counts; p = .9 is a deviate of -1.28."""

_LONG: Final = len(HORIZONS_S) - 1
_DEVIATES: Final = np.linspace(-1.2815515655, 37.0, 1920)
"""From p = `ORDINARY` to the last one whose tail is a float64."""
_LEVELS: Final = np.array([-log10(erfc(z / sqrt(2)) / 2) for z in _DEVIATES.tolist()])
_LEAST: Final = float(_DEVIATES[0])


class Conversations:
    """The memory of one sensor run under one model, or of one capture. `entries` bounds it."""

    def __init__(self, seed: int = 0, entries: int = 16_384) -> None:
        self._seed = np.uint64(seed * 2 + 1)
        self._pairs = Table(entries, 2)
        self._time = TrafficTime()

    def together(self, flows: NDArray, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score of each flow's hosts together `[n]`, itself included, of `flows` (`FLOW`) with their `scores`.

        Hand it every batch of a source in order, once.
        """
        pairs = mix(fold(flows["src_ip"], self._seed), fold(flows["dst_ip"], self._seed))
        return self.add(pairs, flows["ended_ms"], scores)

    def add(
        self,
        pairs: NDArray[np.uint64],
        times_ms: NDArray,
        scores: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """The same of flows whose hosts are numbers `[n]`. A row of weight w stands for w flows like it."""
        result = np.zeros(len(scores), dtype=np.float32)
        if not len(scores):
            return result
        times = self._time.seconds(times_ms)
        counts = np.ones(len(scores)) if weights is None else np.maximum(weights.astype(np.float64), 1.0)
        gains = np.stack([counts, counts * (deviates(scores) - _LEAST)], axis=1)
        at = 0
        while at < len(scores):
            to = int(np.searchsorted(times, times[at] + BLOCK_S, side="right"))
            result[at:to] = self._measure(pairs[at:to], Block(times[at:to]), gains[at:to])
            at = to
        return result

    def _measure(self, pairs: NDArray[np.uint64], block: Block, gains: NDArray[np.float64]) -> NDArray[np.float32]:
        weighed = np.repeat(gains, len(HORIZONS_S), axis=1)
        weighed *= block.weights[:, : weighed.shape[1]]
        sums = Visit(self._pairs, pairs, block).accumulate(weighed)[:, :, _LONG]
        count = np.maximum(sums[:, 0], 1.0)
        # Sums of a table are never negative, so deviates are kept above the least one.
        return levels((sums[:, 1] + _LEAST * count) / np.sqrt(count + count * (count - 1.0) * CORRELATION))


def judge(scores: NDArray[np.float32], together: NDArray[np.float32], handicap: float) -> NDArray[np.float32]:
    """What decides `[n]`: a flow's own score, or that of its hosts together less the `handicap`, if that is more."""
    decisive: NDArray[np.float32] = np.maximum(scores, together - np.float32(handicap))
    return decisive


def deviates(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """The normal deviate whose upper tail a score `[n]` is `-log10` of, at least that of `ORDINARY`."""
    found: NDArray[np.float64] = np.interp(scores.astype(np.float64), _LEVELS, _DEVIATES)
    return found


def levels(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The inverse; 0 where two hosts are no stranger together than half of all would be."""
    found = np.interp(values, _DEVIATES, _LEVELS)
    return np.where(values > 0, found, 0.0).astype(np.float32)
