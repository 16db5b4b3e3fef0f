"""What benign hosts score together: the rows of a corpus in the order they came, as an agent would have added them up.

An agent sees every flow, a corpus holds a part. So a row counts as many flows as it stands for: its weight in the lake,
times what was sampled out of the corpus. That takes the flows nobody kept for as strange as the one that was kept,
which overstates what two benign hosts score together and leaves a threshold too high rather than too low. What an agent
counts itself mends that (docs/calibration.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agent.conversations import Conversations
from agent.hashing import mix

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus

_ROWS: Final = 8192
_MOST_ENTRIES: Final = 1 << 17


def among(
    rows: Corpus,
    held: NDArray[np.intp],
    benign: NDArray[np.bool_],
    score: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> NDArray[np.float32] | None:
    """What the hosts of the rows at `held` scored together at that moment, `[m]`; None where responders are not known.

    `benign` `[n]` marks the rows that are added up, the held ones among them; `score` gives `-log10 p` of features.
    """
    if rows.peer is None:
        return None
    pairs = mix(rows.host.view(np.uint64), rows.peer.view(np.uint64))
    stands_for = rows.weights * (1 + rows.counts.sampled_out / max(len(rows), 1))
    found = np.zeros(len(rows), dtype=np.float32)
    for origin in np.unique(rows.origin[held]).tolist():
        mine = np.flatnonzero(benign & (rows.origin == origin))
        mine = mine[np.argsort(rows.time_ms[mine], kind="stable")]
        memory = Conversations(entries=_entries(len(np.unique(pairs[mine]))))
        for start in range(0, len(mine), _ROWS):
            part = mine[start : start + _ROWS]
            scores = score(rows.features[part])
            found[part] = memory.add(pairs[part], rows.time_ms[part], scores, stands_for[part])
    return found[held]


def _entries(pairs: int) -> int:
    """Room for `pairs` with few that share a set, a power of two."""
    return min(max(1 << (4 * pairs).bit_length(), 64), _MOST_ENTRIES)
