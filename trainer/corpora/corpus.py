"""The corpus: every row a fit may use, once, in a stable order, with where it came from (collecting.py makes it)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.corpora.rows import SourceFile


@dataclass(frozen=True, slots=True)
class Capped:
    """A source that was capped: its rows without a verdict before and after, and the most that one host held of them.

    `host_share` is the largest share of one host among the source's own rows, before.
    """

    source: str
    before: int
    after: int
    host_share: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened to the rows that were read. See caps.py, beside.py and standing.py."""

    read: int = 0
    duplicates: int = 0
    conflicting: int = 0
    sampled_out: int = 0
    capped_by_host: int = 0
    capped_by_source: int = 0
    capped_labels: int = 0
    frozen: int = 0
    screened: int = 0
    beside_attack: int = 0
    capped: tuple[Capped, ...] = ()


@dataclass(frozen=True, slots=True)
class Corpus:
    """Rows `[n]` ordered by origin and time. `origin` indexes `origins`, `family` indexes `families` (see rows.py)."""

    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    time_ms: NDArray[np.int64]
    kind: NDArray[np.int64]
    verdict: NDArray[np.int8]
    host: NDArray[np.int64]
    family: NDArray[np.int32]
    origin: NDArray[np.int32]
    origins: tuple[str, ...]
    families: tuple[str, ...] = ("",)
    peer: NDArray[np.int64] | None = None
    counts: Counts = Counts()
    files: tuple[SourceFile, ...] = ()
    labelled_files: tuple[SourceFile, ...] = ()

    def __len__(self) -> int:
        return len(self.features)
