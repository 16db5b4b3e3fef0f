"""A table of flows becomes the rows that models for agents are fitted on.

The table is one made of captures or of the flow lake: it has every feature of the contract under its own name. Who sent
a flow, when, and what kind it is are read from the columns an import gives such a table; where one is missing flows
count as of one host, in the order of the table. Ordinary rows are those whose label means so, or all where there is no
label; the others are attacks and only judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract
from trainer.corpora import caps
from trainer.corpora.collecting import Collector
from trainer.corpora.rows import Rows, SourceFile, Verdict, file_digest, host_numbers, kind_of
from trainer.errors import NotPromotable, SourceMissing
from trainer.workbench.prediction.cells import texts
from trainer.workbench.prediction.incoming import from_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus

TIMES: Final = ("last_seen_ms", "last_seen", "first_seen_ms", "first_seen", "time")
HOSTS: Final = ("src_ip",)
ORIGINS: Final = ("capture", "agent", "source", "file")


def corpus(path: Path, *, label: str | None, benign: Sequence[str], max_rows: int, seed: int) -> Corpus:
    """The rows of the table at `path`. Raises `NotPromotable` where a feature is missing, `SourceMissing`."""
    incoming = from_parquet(path)
    require_flows(incoming.names)
    digest = file_digest(path)
    collector = Collector(max_rows=max_rows, seed=seed)
    left_out = {"unlabelled": 0, "not a number": 0}
    start, taken = 0, 0
    for batch in incoming.batches():
        features = np.stack([_floats(batch.column(name)) for name in contract.FEATURES], axis=1)
        names = [""] * batch.num_rows if label is None else [word or "" for word in _words(batch, label)]
        known = np.ones(batch.num_rows, dtype=np.bool_) if label is None else np.array([name != "" for name in names])
        sound = np.isfinite(features).all(axis=1)
        left_out["unlabelled"] += int((~known).sum())
        left_out["not a number"] += int((known & ~sound).sum())
        kept = known & sound
        strange = np.array([label is not None and name not in benign for name in names], dtype=np.bool_)
        origins = _column(batch, ORIGINS) or [digest] * batch.num_rows
        whole = _Table(batch, features, strange, names, start)
        for origin in dict.fromkeys(origins):
            mine = kept & np.array([one == origin for one in origins])
            if mine.any():
                collector.add(whole.rows(f"{digest}:{origin}" if origin != digest else digest, np.flatnonzero(mine)))
                taken += int(mine.sum())
        start += batch.num_rows
    file = SourceFile(path.name, "table", digest, taken, {key: count for key, count in left_out.items() if count})
    found = caps.apply(collector.corpus([file]), seed)
    if not np.any(found.verdict != Verdict.MALICIOUS):
        raise SourceMissing("promoting: the table has no ordinary flows; name the label values that mean ordinary")
    return found


def require_flows(names: Sequence[str]) -> None:
    """Raise `NotPromotable` unless every feature of the contract is among `names`."""
    missing = [name for name in contract.FEATURES if name not in set(names)]
    if missing:
        raise NotPromotable(
            f"promoting: agents compute {len(contract.FEATURES)} features of a flow, and this table lacks "
            f"{len(missing)} of them ({', '.join(missing[:5])}, ...); only a run on a data set made of captures or of "
            "the flow lake can be promoted: import those, and run the experiment on them"
        )


class _Table:
    """A batch with what was found out about its rows."""

    def __init__(
        self, batch: Any, features: NDArray[np.float32], strange: NDArray[np.bool_], names: list[str], start: int
    ) -> None:
        self._features = features
        self._strange = strange
        self._names = names
        count = batch.num_rows
        at = next((name for name in TIMES if name in batch.schema.names), None)
        self._time = np.arange(start, start + count) if at is None else _milliseconds(batch.column(at))
        hosts = _column(batch, HOSTS)
        self._host = np.zeros(count, dtype=np.int64) if hosts is None else host_numbers(hosts)
        if {"protocol", "dst_port"} <= set(batch.schema.names):
            self._kind = kind_of(_whole(batch.column("protocol")), _whole(batch.column("dst_port")))
        else:
            self._kind = np.zeros(count, dtype=np.int64)

    def rows(self, origin: str, chosen: NDArray[np.intp]) -> Rows:
        """The rows at `chosen`, all of `origin`."""
        strange = self._strange[chosen]
        called = [self._names[row] if odd else "" for row, odd in zip(chosen.tolist(), strange.tolist(), strict=True)]
        families = ("", *sorted(set(called) - {""}))
        return Rows(
            origin=origin,
            features=self._features[chosen],
            weights=np.ones(len(chosen), dtype=np.float32),
            time_ms=self._time[chosen].astype(np.int64),
            kind=self._kind[chosen],
            verdict=np.where(strange, Verdict.MALICIOUS, Verdict.NONE).astype(np.int8),
            host=self._host[chosen],
            family=np.array([families.index(name) for name in called], dtype=np.int32),
            families=families,
        )


def _column(batch: Any, names: Sequence[str]) -> list[str] | None:
    """The first of the columns `names` that is there, as texts."""
    found = next((name for name in names if name in batch.schema.names), None)
    return None if found is None else [word or "" for word in _words(batch, found)]


def _words(batch: Any, name: str) -> list[str | None]:
    words: list[str | None] = texts(batch.column(name)).to_pylist()
    return words


def _whole(column: Any) -> NDArray[np.int64]:
    """Whole numbers; words, such as a protocol's name, as one number each."""
    import pyarrow as pa

    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.nan_to_num(_floats(column)).astype(np.int64)
    return host_numbers([word or "" for word in texts(column).to_pylist()]) & 0xFFFF


def _floats(column: Any) -> NDArray[np.float32]:
    import pyarrow as pa

    values: NDArray[np.float32] = (
        column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float32)
    )
    return values


def _milliseconds(column: Any) -> NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.int64())
    return pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False).astype(np.int64)
