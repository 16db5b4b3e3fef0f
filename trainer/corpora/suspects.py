"""Hosts that were raising alerts: their quiet flows of those minutes are not known to be benign.

A person judges alerts, not the quiet flows around them. While a host attacks or is attacked, its other flows carry the
attack in their context features; learnt as benign, they teach the model that an attack is ordinary. So an unlabelled
quiet row may be trained on only if neither of its hosts had `MANY` alerts, not judged benign, within `REACH_MS` of it.
The reach is the longest horizon of a context feature.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.context_tables import HORIZONS_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

REACH_MS: Final = 1000 * max(HORIZONS_S)
MANY: Final = 5


class Suspects:
    """When which host took part in alerts. Built once from every lake file, then asked for rows of each."""

    def __init__(self, alerts: Iterable[tuple[NDArray, NDArray, NDArray]] = ()) -> None:
        """`alerts`: initiators `[n]`, responders `[n]` and times `[n]` (milliseconds), any number of times."""
        times: dict[str, list[NDArray[np.int64]]] = defaultdict(list)
        for sources, targets, at in alerts:
            if not len(at):
                continue
            for hosts in (sources, targets):
                order = np.argsort(hosts, kind="stable")
                names, starts = np.unique(hosts[order], return_index=True)
                for name, part in zip(names.tolist(), np.split(at[order], starts[1:]), strict=True):
                    times[name].append(part.astype(np.int64))
        self._times = {host: np.sort(np.concatenate(parts)) for host, parts in times.items()}

    def cover(self, sources: NDArray, targets: NDArray, time_ms: NDArray) -> NDArray[np.bool_]:
        """Which rows have a host under suspicion at their time: `[n]`."""
        covered = np.zeros(len(time_ms), dtype=bool)
        at = time_ms.astype(np.int64)
        for hosts in (sources, targets):
            for host in np.unique(hosts).tolist():
                known = self._times.get(host)
                if known is None or len(known) < MANY:
                    continue
                rows = np.flatnonzero(hosts == host)
                nearby = np.searchsorted(known, at[rows] + REACH_MS, "right") - np.searchsorted(
                    known, at[rows] - REACH_MS, "left"
                )
                covered[rows] |= nearby >= MANY
        return covered
