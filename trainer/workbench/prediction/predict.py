"""A prediction: a model and a table in, `rows.parquet` and `summary.json` out, in bounded memory.

    once through the table:   cells -> answer, kept in a few bytes a row
    the strangest rows:       reasons, at most `MOST_REASONED` of them
    once more through it:     its columns, prediction, score, chance and reasons are written

Both files appear by rename, the summary last: where it is, the rows are whole. Which rows get reasons does not depend
on how the table is cut into batches: flagged ones, the strangest first; of others only the first rows a person sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.appearing import appearing
from trainer.workbench.contest.folder import write
from trainer.workbench.prediction import labelled, schema, summary
from trainer.workbench.prediction.cells import Cells, texts
from trainer.workbench.prediction.reasons import reasons

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.prediction.incoming import Incoming
    from trainer.workbench.prediction.opened import Opened
    from trainer.workbench.prediction.reasons import Reason
    from trainer.workbench.telling import Tell

ROWS: Final = "rows.parquet"
SUMMARY: Final = "summary.json"
MADE: Final = ("prediction", "score", "chance", "reasons")
"""Columns a prediction adds; one of the table's own with such a name is shown as `name (given)`."""
MOST_REASONED: Final = 5_000
NOTHING: Final = "nothing stands out"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prediction is asked for."""

    reasons: int = 3
    """Columns named a row; 0 for no reasons."""
    reasoned_rows: int = MOST_REASONED
    renames: Mapping[str, str] = field(default_factory=dict)
    rename_alike: bool = False
    fill_missing: bool = False
    label: str | None = None


def predict(opened: Opened, incoming: Incoming, out: Path, asked: Asked, tell: Tell) -> dict[str, Any]:
    """Predict every row of `incoming` into the folder `out`; the summary. Raises `TrainerError`."""
    matched = _match(opened, incoming, asked)
    cells = Cells(opened.columns, matched.taken)
    label = asked.label if asked.label in incoming.names else None
    kept = summary.Kept()
    done = 0
    for batch in incoming.batches():
        if batch.num_rows == 0:
            continue
        answer = opened.ask(cells.values(batch))
        kept.add(answer)
        if label is not None:
            encoded = texts(batch.column(label))
            words = [*encoded.dictionary.to_pylist(), None]
            kept.add_labels(words, encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False), answer)
        done += batch.num_rows
        tell("predict", 0.6 * done / max(incoming.rows, 1), f"{done} rows predicted")
    whole = kept.whole()
    chosen = _chosen(whole, asked)
    tell("predict", 0.6, f"finding reasons for {len(chosen)} rows")
    found = _reasons(opened, incoming, cells, chosen, asked.reasons)
    tell("predict", 0.8, "writing the rows")
    preview = _write(_named(incoming, opened, matched.taken), whole, found, out / ROWS)
    odd = cells.told()
    seen = {
        "missing": list(matched.missing),
        "extra": list(matched.extra),
        "suggestions": [{"found": one.found, "wanted": one.wanted} for one in matched.suggestions],
        **{key: value for key, value in odd.items() if key != "notes"},
        "notes": [*matched.notes, *odd["notes"]],
    }
    more: dict[str, Any] = {
        "model": {"title": opened.title, "judges": opened.told["judges"], "threshold": opened.threshold},
        "score_means": opened.meaning,
        "source": incoming.name,
        "notes": _notes(whole, len(chosen), asked, opened),
        "reasoned": len(chosen),
        "preview": preview,
    }
    if label is not None:
        more |= {"label": label, "labelled": labelled.metrics(whole, opened)}
    told = summary.told(whole, seen, more)
    write(out / SUMMARY, told)
    tell("predict", 1.0, "done")
    return told


def _match(opened: Opened, incoming: Incoming, asked: Asked) -> schema.Matched:
    renames = dict(asked.renames)
    if asked.rename_alike:
        alike = schema.match(opened.columns, incoming.names, renames=renames, label=asked.label, fill=True)
        renames |= {one.found: one.wanted for one in alike.suggestions}
    return schema.match(opened.columns, incoming.names, renames=renames, label=asked.label, fill=asked.fill_missing)


def _chosen(whole: summary.Whole, asked: Asked) -> NDArray[np.intp]:
    """Places of the rows that get reasons, in the order of the table."""
    if asked.reasons == 0:
        return np.empty(0, dtype=np.intp)
    flagged = np.flatnonzero(whole.flagged)
    strangest = flagged[np.argsort(-whole.score[flagged], kind="stable")][: asked.reasoned_rows]
    first = np.arange(min(summary.PREVIEW_ROWS, len(whole.score), asked.reasoned_rows))
    return np.union1d(strangest, first)


def _reasons(
    opened: Opened, incoming: Incoming, cells: Cells, chosen: NDArray[np.intp], most: int
) -> dict[int, tuple[Reason, ...]]:
    found: dict[int, tuple[Reason, ...]] = {}
    for start, batch in _numbered(incoming) if len(chosen) else ():
        mine = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, start + batch.num_rows)]
        if len(mine):
            values = cells.values(batch.take(mine - start), count=False)
            found.update(zip(mine.tolist(), reasons(opened, values, most), strict=True))
    return found


def _numbered(incoming: Incoming) -> Iterator[tuple[int, Any]]:
    start = 0
    for batch in incoming.batches():
        yield start, batch
        start += batch.num_rows


def _named(incoming: Incoming, opened: Opened, taken: Sequence[str | None]) -> Incoming:
    """The table with the model's names for columns that were renamed: its rows can be explained as they are."""
    told = {name: column.name for column, name in zip(opened.columns, taken, strict=True) if name is not None}
    return replace(incoming, names=tuple(told.get(name, name) for name in incoming.names))


def _write(
    incoming: Incoming, whole: summary.Whole, found: Mapping[int, tuple[Reason, ...]], path: Path
) -> list[dict[str, Any]]:
    """Write the rows by rename; the first of them as objects."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*(f"{name} (given)" if name in MADE else name for name in incoming.names), *_made(whole)]
    preview: list[dict[str, Any]] = []
    writer = None
    with appearing(path) as beside:
        for start, batch in _numbered(incoming):
            columns = [*batch.columns, *_added(whole, found, start, batch.num_rows)]
            table = pa.Table.from_arrays([_single(column) for column in columns], names=names)
            if writer is None:
                writer = pq.ParquetWriter(beside, table.schema, compression="zstd")
            writer.write_table(table)
            if len(preview) < summary.PREVIEW_ROWS:
                rows = table.slice(0, summary.PREVIEW_ROWS - len(preview)).to_pylist()
                preview += [{key: summary.clean(value) for key, value in row.items()} for row in rows]
        if writer is None:
            empty = {name: pa.array([], pa.string()) for name in names}
            pq.write_table(pa.table(empty), beside)
        else:
            writer.close()
    return preview


def _made(whole: summary.Whole) -> list[str]:
    return [name for name in MADE if name != "chance" or whole.chance is not None]


def _added(whole: summary.Whole, found: Mapping[int, tuple[Reason, ...]], start: int, rows: int) -> list[Any]:
    import pyarrow as pa

    part = slice(start, start + rows)
    names = pa.array([str(name) for name in whole.names], pa.string())
    told = [None if row not in found else _sentence(found[row]) for row in range(start, start + rows)]
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(whole.prediction[part].astype(np.int32)), names),
        pa.array(whole.score[part]),
    ]
    if whole.chance is not None:
        columns.append(pa.array(whole.chance[part]))
    return [*columns, pa.array(told, pa.string())]


def _sentence(found: tuple[Reason, ...]) -> str:
    return "; ".join(str(reason) for reason in found) or NOTHING


def _single(column: Any) -> Any:
    """Texts without a dictionary: batches of one file may have different ones, and a file has one schema."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _notes(whole: summary.Whole, reasoned: int, asked: Asked, opened: Opened) -> list[str]:
    notes = []
    flagged = int(whole.flagged.sum())
    if asked.reasons and flagged > asked.reasoned_rows:
        notes.append(f"Reasons are given for the {asked.reasoned_rows} strangest of {flagged} anomalies.")
    elif asked.reasons and reasoned < len(whole.score):
        notes.append("Reasons are given for anomalies and for the first rows.")
    if opened.judges_classes and not set(opened.benign) & set(opened.classes):
        notes.append("No class is known to be ordinary, so no row is called an anomaly.")
    if not opened.judges_classes and opened.threshold is None:
        notes.append("The model has no threshold, so rows are ranked by strangeness and none is called an anomaly.")
    return notes
