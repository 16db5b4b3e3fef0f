"""Rows of the lake: Parquet files of the aggregator, with what people said of them.

- A file is read only if it says that it follows this installation's feature contract. One of another contract is
  refused when it was named, and left out and counted when it lay in a folder: an upgrade leaves such files behind.
- Nothing becomes "benign" without a reason: an unlabelled row counts as benign only if it raised no alert, none of
  its hosts was raising them (suspects.py), and the aggregator does not hold it back (held.py). What was left out is
  counted by reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract
from trainer.corpora.held import CAPPED
from trainer.corpora.rows import UNNAMED, Found, Rows, SourceFile, Verdict, file_digest, host_numbers, kind_of
from trainer.corpora.suspects import Suspects
from trainer.errors import ForeignRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.corpora.held import Held

SUFFIX: Final = ".parquet"
DIGEST_KEY: Final = b"anomaflow.feature_digest"
_IDENTITY: Final = ("agent_id", "src_ip", "dst_ip", "protocol", "dst_port", "last_seen_ms", "decision", "weight")
_OPTIONAL: Final = {"verdict", "family", "score", "model_digest"}
_ALERT_COLUMNS: Final = ("src_ip", "dst_ip", "last_seen_ms", "decision")
_BATCH_ROWS: Final = 16_384
_RAISE: Final = 1


def find_suspects(files: Sequence[Found]) -> Suspects:
    """Hosts that raised alerts nobody called benign, over all lake files. Raises `ForeignRows`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    alerts = []
    for found in files:
        if found.path.suffix != SUFFIX:
            continue
        try:
            file = pq.ParquetFile(found.path)
            names = set(file.schema_arrow.names)
            if not names.issuperset(_ALERT_COLUMNS):
                continue  # read_benign says what is missing
            table = file.read(columns=[*_ALERT_COLUMNS, *({"verdict"} & names)])
        except (pa.ArrowException, OSError) as error:
            raise ForeignRows(f"reading {found.path}: not a Parquet file that can be read ({error})") from error
        text = np.array(table["verdict"].to_pylist() if "verdict" in names else [None] * len(table), dtype=object)
        rows = np.flatnonzero((table["decision"].to_numpy() == _RAISE) & (text != "benign"))
        alerts.append(
            (
                np.array(table["src_ip"].to_pylist(), dtype=object)[rows].astype(str),
                np.array(table["dst_ip"].to_pylist(), dtype=object)[rows].astype(str),
                table["last_seen_ms"].to_numpy()[rows],
            )
        )
    return Suspects(alerts)


def read(
    found: Found,
    sink: Callable[[Rows], None],
    *,
    labelled_only: bool,
    suspects: Suspects | None = None,
    held: Held | None = None,
) -> SourceFile:
    """Hand the rows of one file to `sink`: those that may be taken for benign, or those that carry a verdict.

    Raises `ForeignRows` for a file that is damaged, or named and of another contract.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(found.path)
        names = set(file.schema_arrow.names)
        digest = (file.schema_arrow.metadata or {}).get(DIGEST_KEY, b"").decode("ascii", "replace")
        if digest != contract.DIGEST and not found.named:
            left_out = {"another feature contract": int(file.metadata.num_rows)}
            return SourceFile(found.name, "lake", file_digest(found.path), 0, left_out)
        _require_ours(found.path, names, digest)
        columns = [*_IDENTITY, *contract.FEATURES, *(_OPTIONAL & names)]
        rows, left_out = 0, {"unlabelled alerts": 0, "unsure": 0, "malicious": 0, "unlabelled": 0, "near alerts": 0}
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            table = {name: batch.column(name) for name in batch.schema.names}
            chosen, verdict = _choose(table, left_out, labelled_only=labelled_only)
            for spare in (None if held is None else _hold(held), None if suspects is None else _spare(suspects)):
                if spare is not None:
                    keep = (verdict != Verdict.NONE) | spare(table, chosen, left_out)
                    chosen, verdict = chosen[keep], verdict[keep]
            rows += len(chosen)
            _hand_over(table, chosen, verdict, sink)
    except (pa.ArrowException, OSError) as error:
        raise ForeignRows(f"reading {found.path}: not a Parquet file that can be read ({error})") from error
    return SourceFile(found.name, "lake", file_digest(found.path), rows, {k: v for k, v in left_out.items() if v})


def _require_ours(path: Path, names: set[str], digest: str) -> None:
    if digest != contract.DIGEST:
        raise ForeignRows(
            f"reading {path}: its feature digest is {digest[:12] or 'missing'}, this installation's is "
            f"{contract.DIGEST[:12]}; train with rows of the same version"
        )
    missing = [name for name in (*_IDENTITY, *contract.FEATURES) if name not in names]
    if missing:
        raise ForeignRows(f"reading {path}: no column {missing[0]!r}; give a file of the aggregator's lake or staging")


def _choose(
    table: dict[str, Any], left_out: dict[str, int], *, labelled_only: bool
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Positions of the rows to use and the verdict of each; the others are counted by reason."""
    text = np.array(_said(table), dtype=object)
    benign, malicious, unsure = text == "benign", text == "malicious", text == "unsure"
    unlabelled = ~(benign | malicious | unsure)
    raised = np.asarray(table["decision"].to_numpy(zero_copy_only=False)) == _RAISE
    left_out["unsure"] += int(unsure.sum())
    if labelled_only:
        used = benign | malicious
        left_out["unlabelled"] += int(unlabelled.sum())
    else:
        used = benign | (unlabelled & ~raised)
        left_out["malicious"] += int(malicious.sum())
        left_out["unlabelled alerts"] += int((unlabelled & raised).sum())
    verdict = np.select([benign, malicious], [Verdict.BENIGN, Verdict.MALICIOUS], Verdict.NONE).astype(np.int8)
    chosen = np.flatnonzero(used)
    return chosen, verdict[chosen]


def _spare(suspects: Suspects) -> Callable[[dict[str, Any], NDArray[np.intp], dict[str, int]], NDArray[np.bool_]]:
    """A judge of rows that leaves out those of hosts that were raising alerts at the time."""

    def judge(table: dict[str, Any], chosen: NDArray[np.intp], left_out: dict[str, int]) -> NDArray[np.bool_]:
        near = suspects.cover(*_ends(table, chosen))
        return ~_count(near, "near alerts", table, chosen, left_out)

    return judge


def _hold(held: Held) -> Callable[[dict[str, Any], NDArray[np.intp], dict[str, int]], NDArray[np.bool_]]:
    """A judge of rows that leaves out what the aggregator holds back."""

    def judge(table: dict[str, Any], chosen: NDArray[np.intp], left_out: dict[str, int]) -> NDArray[np.bool_]:
        why = held.reasons(*_ends(table, chosen))
        if "score" in table and "model_digest" in table:
            agents, models = _texts(table, "agent_id", chosen), _texts(table, "model_digest", chosen)
            capped = held.capped(agents, models, np.asarray(table["score"].to_numpy(zero_copy_only=False))[chosen])
            why[capped & (why == "")] = CAPPED
        for reason in sorted(set(why.tolist()) - {""}):
            _count(why == reason, reason, table, chosen, left_out)
        return np.asarray(why == "", dtype=np.bool_)

    return judge


def _count(
    mask: NDArray[np.bool_], reason: str, table: dict[str, Any], chosen: NDArray[np.intp], left_out: dict[str, int]
) -> NDArray[np.bool_]:
    """Count the unlabelled rows under `mask`; returns the mask."""
    unlabelled = np.array([said is None for said in _said(table)], dtype=np.bool_)[chosen]
    left_out[reason] = left_out.get(reason, 0) + int((mask & unlabelled).sum())
    return mask


def _said(table: dict[str, Any]) -> list[str | None]:
    return table["verdict"].to_pylist() if "verdict" in table else [None] * len(table["decision"])


def _texts(table: dict[str, Any], name: str, chosen: NDArray[np.intp]) -> NDArray:
    return np.array(table[name].to_pylist(), dtype=object)[chosen].astype(str)


def _ends(table: dict[str, Any], chosen: NDArray[np.intp]) -> tuple[NDArray, NDArray, NDArray]:
    times = np.asarray(table["last_seen_ms"].to_numpy(zero_copy_only=False))[chosen]
    return _texts(table, "src_ip", chosen), _texts(table, "dst_ip", chosen), times


def _hand_over(
    table: dict[str, Any], chosen: NDArray[np.intp], verdict: NDArray[np.int8], sink: Callable[[Rows], None]
) -> None:
    if len(chosen) == 0:
        return

    def column(name: str, dtype: Any) -> NDArray:
        return np.asarray(table[name].to_numpy(zero_copy_only=False))[chosen].astype(dtype)

    features = np.column_stack([column(name, np.float32) for name in contract.FEATURES])
    weights = column("weight", np.float32)
    if not (np.isfinite(features).all() and np.isfinite(weights).all() and (weights > 0).all()):
        raise ForeignRows(
            "reading lake rows: a feature is not finite or a weight is not above zero; "
            "the file is damaged: set it aside and let the aggregator write it again"
        )
    agents = column("agent_id", object)
    families, family = _families(column("family", object) if "family" in table else None, verdict)
    whole = Rows(
        origin="",
        features=features,
        weights=weights,
        time_ms=column("last_seen_ms", np.int64),
        kind=kind_of(column("protocol", np.int64), column("dst_port", np.int64)),
        verdict=verdict,
        host=_numbers(column("src_ip", object)),
        peer=_numbers(column("dst_ip", object)),
        family=family,
        families=families,
    )
    for agent in sorted({str(agent) for agent in agents}):
        sink(replace(whole.take(agents == agent), origin=f"agent:{agent}"))


def _numbers(addresses: NDArray) -> NDArray[np.int64]:
    different, places = np.unique(addresses.astype(str), return_inverse=True)
    return host_numbers(different.tolist())[places]


def _families(named: NDArray | None, verdict: NDArray[np.int8]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Names of families, the empty one first, and which of them each row belongs to."""
    malicious = verdict == Verdict.MALICIOUS
    texts = np.full(len(verdict), UNNAMED, dtype=object) if named is None else named
    texts = np.array([(text or UNNAMED) if bad else "" for text, bad in zip(texts, malicious, strict=True)], dtype=str)
    different, places = np.unique(np.append(texts, ""), return_inverse=True)  # the empty text sorts first
    return tuple(different.tolist()), places[:-1].astype(np.int32)
