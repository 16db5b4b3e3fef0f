"""Beacons planted in benign captures: the flows of a host's own conversation, again and again at a pace.

No capture at hand holds a beacon slower than a second, so one is made of what is there: a short TCP exchange that a
host really had is repeated towards an address nobody else uses, every `period_s` give or take `jitter`. Only the
context can tell such flows from the ones they were copied from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agent.context_facts import exchanges
from agent.flow import FLOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACES: Final = ((10.0, 0.0), (10.0, 0.2), (30.0, 0.1), (60.0, 0.1), (120.0, 0.1))
"""Period in seconds and jitter as a part of it."""
_LEAST_S: Final = 900
_LEAST_EXCHANGES: Final = 5
_WARM_UP: Final = 5
"""A beat begins to be one after so many repeats; the flows before it are left out of the figures."""


def fits(flows: NDArray) -> bool:
    """Whether a capture lasts long enough, and holds something to copy."""
    if not len(flows):
        return False
    span_ms = int(flows["ended_ms"].max()) - int(flows["ended_ms"].min())
    return _LEAST_S * 1000 <= span_ms <= 40 * _LEAST_S * 1000 and int(exchanges(flows).sum()) >= _LEAST_EXCHANGES


def plant(flows: NDArray, period_s: float, jitter: float, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """`flows` with a beacon among them, in order of `ended_ms`, and which rows are the beacon's later beats."""
    begin, end = int(flows["bidirectional_first_seen_ms"].min()), int(flows["ended_ms"].max())
    count = int((end - begin) / 1000 / period_s)
    pace = period_s * (1 + jitter * rng.uniform(-1, 1, count))
    starts = begin + (1000 * (np.cumsum(pace) - rng.uniform(0, period_s))).astype(np.int64)
    one = flows[rng.choice(np.flatnonzero(exchanges(flows)))]
    beacon = np.repeat(one[None], count)
    home = rng.integers(1, 254, 16, dtype=np.uint8)
    if one["ip_version"] != 6:
        home[:12] = one["dst_ip"][:12]
        home[12] = 100
    beacon["dst_ip"] = home
    beacon["src_port"] = rng.integers(32_768, 61_000, count)
    beacon["ended_ms"] = starts + int(one["ended_ms"]) - int(one["bidirectional_first_seen_ms"])
    beacon["bidirectional_first_seen_ms"] = starts
    together: NDArray = np.concatenate([flows, beacon]).astype(FLOW)
    later = np.concatenate([np.zeros(len(flows), dtype=bool), np.arange(count) >= _WARM_UP])
    order = np.argsort(together["ended_ms"], kind="stable")
    return together[order], later[order]
