"""Collecting: from files to the corpus, in which every row a fit may use is once, in a stable order.

Promises:

- No feature vector is in twice. A row that repeats another is dropped and counted, whichever file it came from; one
  that a person labelled wins over the same row unlabelled; rows labelled both ways are dropped altogether.
- Rows without a verdict are bounded by `max_rows`. What stays is a uniform sample of the distinct rows: each row's key
  is a seeded hash of its features and the smallest keys stay (bottom-k sampling). So the sample depends neither on the
  order of the files nor on how often a row repeats, and a repeat of a dropped row is dropped as well. Rows with a
  verdict are never sampled out.
- Memory is bounded by about twice `max_rows` unlabelled rows, whatever the sources hold.

Repeats are not added up into weights: a corpus describes which flows occur, and a frequent flow lies in the bulk, where
dropping its repeats makes a false-positive promise stricter, never looser.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.hashing import WORDS, finish
from protos import contract
from trainer.corpora import beside, caps, held
from trainer.corpora.corpus import Corpus, Counts
from trainer.corpora.sources import Rows, SourceFile, Verdict, find, find_suspects, read_benign, read_labelled
from trainer.errors import SourceMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from protos.manifest import CaptureProfile


class Collector:
    """Takes rows as they are read and holds no more of them than it must."""

    def __init__(self, *, max_rows: int, seed: int) -> None:
        self._max_rows = max_rows
        chance = np.random.default_rng(seed).integers(1, 1 << 63, size=len(contract.FEATURES) + 1, dtype=np.uint64)
        self._coefficients = chance[:-1] * np.uint64(2) + np.uint64(1)
        self._offset = chance[-1]
        self._held = _Block.empty()
        self._fresh: list[_Block] = []
        self._fresh_rows = 0
        self._origins: dict[str, int] = {}
        self._families: dict[str, int] = {"": 0}
        self._read = self._duplicates = self._conflicting = self._sampled_out = 0
        self._limit: int | None = None
        self._peers_known = True

    def add(self, rows: Rows) -> None:
        """Take some rows. Costs a sort now and then, when as many fresh rows as `max_rows` have come."""
        origin = self._origins.setdefault(rows.origin, len(self._origins))
        families = np.array([self._families.setdefault(name, len(self._families)) for name in rows.families], np.int32)
        self._read += len(rows.features)
        self._peers_known &= rows.peer is not None
        # Adding zero turns -0.0 into 0.0: equal values must have equal bytes.
        features = rows.features + np.float32(0)
        block = _Block(
            key=self._keys(features),
            features=features,
            weights=rows.weights,
            time_ms=rows.time_ms,
            kind=rows.kind,
            verdict=rows.verdict,
            host=rows.host,
            peer=np.zeros(len(features), dtype=np.int64) if rows.peer is None else rows.peer,
            family=families[rows.family],
            origin=np.full(len(features), origin, dtype=np.int32),
        )
        self._fresh.append(block)
        self._fresh_rows += len(features)
        if self._fresh_rows >= max(self._max_rows, 4096):
            self._compact()

    def corpus(self, files: Sequence[SourceFile] = (), labelled_files: Sequence[SourceFile] = ()) -> Corpus:
        """Everything taken so far, without repeats and in order."""
        self._compact()
        held = self._held
        # Conflicting rows stay among the held ones until now, so that a third copy does not come back as if alone.
        held = held.take(held.verdict != _CONFLICT)
        names = sorted(self._origins, key=str)
        rank = np.empty(len(names), dtype=np.int32)
        for position, name in enumerate(names):
            rank[self._origins[name]] = position
        origin = rank[held.origin] if len(held.key) else held.origin
        families = sorted(self._families)
        family_rank = np.array([families.index(name) for name in self._families], dtype=np.int32)
        order = np.lexsort((held.key, held.time_ms, origin))
        held = held.take(order)
        return Corpus(
            features=held.features,
            weights=held.weights,
            time_ms=held.time_ms,
            kind=held.kind,
            verdict=held.verdict,
            host=held.host,
            family=family_rank[held.family],
            origin=origin[order],
            origins=tuple(names),
            families=tuple(families),
            peer=held.peer if self._peers_known else None,
            counts=Counts(self._read, self._duplicates, self._conflicting, self._sampled_out),
            files=tuple(files),
            labelled_files=tuple(labelled_files),
        )

    def _keys(self, features: NDArray[np.float32]) -> NDArray[np.uint64]:
        """A seeded 64-bit hash of every row: multilinear over its words, then mixed (`agent.hashing.finish`)."""
        words = np.ascontiguousarray(features).view(np.uint32).astype(np.uint64)
        with np.errstate(over="ignore"):
            # Round numbers end in many zero bits; spread them before they meet their coefficient.
            words *= WORDS[0]
            words ^= words >> np.uint64(32)
            # The offset gives the all-zero row a chance like any other's.
            key = (words * self._coefficients).sum(axis=1, dtype=np.uint64) + self._offset
            return finish(key)

    def _compact(self) -> None:
        if not self._fresh:
            return
        block = _Block.join([self._held, *self._fresh])
        self._fresh, self._fresh_rows = [], 0
        block = self._without_repeats(block)
        quiet = block.verdict == Verdict.NONE
        if int(quiet.sum()) > self._max_rows:
            # Keys are sorted and a hash: the first ones are a uniform sample of the distinct rows.
            keep = ~quiet | (np.cumsum(quiet) <= self._max_rows)
            self._sampled_out += int(len(keep) - keep.sum())
            block = block.take(keep)
        self._held = block

    def _without_repeats(self, block: _Block) -> _Block:
        """One row a feature vector, sorted by key: the labelled one, and of equals the earliest."""
        order = np.lexsort((block.origin, block.time_ms, block.verdict == Verdict.NONE, block.key))
        block = block.take(order)
        repeats = np.zeros(len(block.key), dtype=np.bool_)
        repeats[1:] = block.key[1:] == block.key[:-1]
        # Equal keys are equal rows, but for a collision of the hash, which would cost one row.
        first = np.flatnonzero(~repeats)
        verdict = block.verdict[first].copy()
        if len(first):
            benign, malicious, conflict = (
                np.logical_or.reduceat(block.verdict == side, first)
                for side in (Verdict.BENIGN, Verdict.MALICIOUS, _CONFLICT)
            )
            against = conflict | (benign & malicious)
            self._conflicting += int((against & ~conflict).sum())
            verdict[against] = _CONFLICT
        self._duplicates += int(repeats.sum())
        kept = block.take(first)
        kept.verdict[:] = verdict
        return kept


_CONFLICT: Final = 3
"""Internal verdict of a row that was labelled both ways."""


@dataclass(frozen=True, slots=True)
class _Block:
    key: NDArray[np.uint64]
    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    time_ms: NDArray[np.int64]
    kind: NDArray[np.int64]
    verdict: NDArray[np.int8]
    host: NDArray[np.int64]
    peer: NDArray[np.int64]
    family: NDArray[np.int32]
    origin: NDArray[np.int32]

    @classmethod
    def empty(cls) -> _Block:
        return cls(
            np.empty(0, np.uint64),
            np.empty((0, len(contract.FEATURES)), np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty(0, np.int8),
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty(0, np.int32),
            np.empty(0, np.int32),
        )

    @classmethod
    def join(cls, blocks: list[_Block]) -> _Block:
        return cls(*(np.concatenate([getattr(block, name) for block in blocks]) for name in cls.__slots__))

    def take(self, chosen: NDArray) -> _Block:
        return _Block(*(getattr(self, name)[chosen] for name in self.__slots__))


def collect(
    benign: Sequence[Path],
    labelled: Sequence[Path],
    *,
    profile: CaptureProfile,
    max_rows: int,
    seed: int,
    progress: Callable[[float, str], None],
    held_back: Path | None = None,
) -> Corpus:
    """Read every file below `benign` and `labelled` into one corpus; `progress(fraction, message)` follows the files.

    `held_back` names the file of what the aggregator holds back (held.py); then come the caps of caps.py, and
    what was called benign beside an attack leaves (beside.py).
    Raises `DataError`, or the agent's `SourceError` for a capture that cannot be read.
    """
    collector = Collector(max_rows=max_rows, seed=seed)
    benign_files, labelled_files = find(benign), find(labelled)
    total = len(benign_files) + len(labelled_files)
    read, read_with_verdict = [], []
    suspects = find_suspects(benign_files)
    holding = None if held_back is None else held.read(held_back)
    for number, found in enumerate(benign_files):
        progress(number / total, f"reading {found.name}")
        read.append(read_benign(found, profile, collector.add, suspects, holding))
    for number, found in enumerate(labelled_files, start=len(benign_files)):
        progress(number / total, f"reading labelled rows of {found.name}")
        read_with_verdict.extend(read_labelled(found, profile, collector.add))
    corpus = beside.spare(caps.apply(collector.corpus(read, read_with_verdict), seed))
    if not np.any(corpus.verdict != Verdict.MALICIOUS):
        raise SourceMissing(
            f"reading benign rows: there are none{_left_out(read)}; give captures or lake Parquet of ordinary traffic"
        )
    return corpus


def _left_out(files: Sequence[SourceFile]) -> str:
    """Why rows of `files` were left out, for whoever wonders where they are."""
    found: Counter[str] = Counter()
    for file in files:
        found.update(file.left_out)
    told = ", ".join(f"{reason} {count}" for reason, count in found.most_common(4))
    return f" (left out: {told})" if told else ""
