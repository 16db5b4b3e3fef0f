"""A batch of a table becomes what the graph is fed, and what was odd about it is counted, not hidden.

Promises:

- A number is float32, NaN where it is missing or cannot be read; a text is as it stands, empty where it is missing.
- A text where a number was learnt is read as a number if it is one; what is not counts as missing and is named.
- A word that the model has not seen goes to it as it is: its graph has a place for "another". It is counted and named.
- What is remembered of odd values is bounded, whatever the table holds.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.prediction.schema import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.workbench.prediction.opened import Values, Wanted

MISSING: Final = ""
"""How a missing text is fed."""
_MOST_NAMED: Final = 20
_MOST_REMEMBERED: Final = 5_000
_LONGEST: Final = 80
_FAR: Final = 1.0
"""A number is far outside beyond this many widths of the fitted range on either side."""


@dataclass(slots=True)
class Oddities:
    """What was odd about one column so far."""

    unseen: Counter[str] = field(default_factory=Counter)
    unparsed: Counter[str] = field(default_factory=Counter)
    unseen_rows: int = 0
    unparsed_rows: int = 0
    missing: int = 0
    outside: int = 0
    lowest: float = float("inf")
    highest: float = float("-inf")


class Cells:
    """Turns batches into values for the columns `wanted`, of which the table calls each `taken` (None: not there)."""

    def __init__(self, wanted: Sequence[Wanted], taken: Sequence[str | None]) -> None:
        self._wanted = tuple(wanted)
        self._taken = tuple(taken)
        self.odd: dict[str, Oddities] = {column.name: Oddities() for column in wanted}

    def values(self, batch: Any, *, count: bool = True) -> list[Values]:
        """What the graph is fed for an Arrow record batch, in the order of `wanted`."""
        made = []
        for wanted, name in zip(self._wanted, self._taken, strict=True):
            odd = self.odd[wanted.name] if count else Oddities()
            if name is None:
                made.append(filled(wanted, batch.num_rows))
            elif wanted.kind == "word":
                made.append(_words(batch.column(name), wanted, odd))
            else:
                made.append(_numbers(batch.column(name), wanted, odd))
        return made

    def told(self) -> dict[str, Any]:
        """`unseen`, `unparsed` and `outside` as a summary shows them, and `notes` in sentences."""
        unseen: list[dict[str, Any]] = []
        unparsed: list[dict[str, Any]] = []
        outside: list[dict[str, Any]] = []
        for column in self._wanted:
            odd = self.odd[column.name]
            if odd.unseen_rows:
                named = [word for word, _ in odd.unseen.most_common(_MOST_NAMED)]
                unseen.append({"column": column.name, "values": named, "rows": odd.unseen_rows})
            if odd.unparsed_rows:
                named = [word for word, _ in odd.unparsed.most_common(_MOST_NAMED)]
                unparsed.append({"column": column.name, "values": named, "rows": odd.unparsed_rows})
            if odd.outside:
                found = {"column": column.name, "rows": odd.outside, "lowest": odd.lowest, "highest": odd.highest}
                outside.append(found | {"low": column.low, "high": column.high})
        notes = []
        if unseen:
            each = [f"{one['column']}: {', '.join(one['values'][:3])} ({_rows(one['rows'])})" for one in unseen]
            notes.append(f'Values the model has never seen, which count as "another": {listed(each)}.')
        if unparsed:
            each = [f"{one['column']}: {', '.join(one['values'][:3])} ({_rows(one['rows'])})" for one in unparsed]
            notes.append(f"No numbers where the model was made on numbers, so they count as missing: {listed(each)}.")
        if outside:
            each = [
                f"{one['column']} from {one['lowest']:g} to {one['highest']:g}, known from {one['low']:g} to "
                f"{one['high']:g} ({_rows(one['rows'])})"
                for one in outside
            ]
            notes.append(f"Far outside what the model was made on, so do not rely on it there: {listed(each)}.")
        return {"unseen": unseen, "unparsed": unparsed, "outside": outside, "notes": notes}


def filled(wanted: Wanted, rows: int) -> Values:
    """`rows` times what is typical of a column."""
    if wanted.kind == "word":
        return np.full(rows, wanted.typical, dtype=object)
    return np.full(rows, wanted.typical, dtype=np.float32)


def texts(array: Any) -> Any:
    """An Arrow array of any type as a dictionary array of texts; numbers as a run writes them, `1` and not `1.0`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.string()))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.dictionary_encode(array.cast(pa.string()))
    if pa.types.is_temporal(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pc.dictionary_encode(array.cast(pa.string()))
    numbers = pc.dictionary_encode(_floats(array).cast(pa.float32()))
    written = [MISSING if math.isnan(value) else f"{value:.9g}" for value in numbers.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(numbers.indices, pa.array(written, pa.string()))


def _floats(array: Any) -> Any:
    """An Arrow array of numbers, truth values or times (seconds since 1970) as float64, nulls kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        milliseconds = array.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        return pc.divide(milliseconds.cast(pa.float64(), safe=False), 1000.0)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    return array.cast(pa.float64(), safe=False)


def _words(array: Any, wanted: Wanted, odd: Oddities) -> Values:
    encoded = texts(array)
    words = [MISSING if word is None else word for word in encoded.dictionary.to_pylist()]
    vocabulary = np.array([*words, MISSING], dtype=object)
    places = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    counts = np.bincount(places, minlength=len(vocabulary))
    for place in np.flatnonzero(counts).tolist():
        word = vocabulary[place]
        if word == MISSING:
            odd.missing += int(counts[place])
        elif word not in wanted.words:
            odd.unseen_rows += int(counts[place])
            _remember(odd.unseen, word, int(counts[place]))
    return vocabulary[places]


def _numbers(array: Any, wanted: Wanted, odd: Oddities) -> Values:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = _read(array, odd)
    else:
        values = _floats(array).to_numpy(zero_copy_only=False)
    values = np.array(values, dtype=np.float64)
    _look(values, wanted, odd)
    infinite = np.isinf(values)
    if infinite.any():
        low, high = (np.nan if bound is None else bound for bound in (wanted.low, wanted.high))
        bound = np.where(values > 0, high, low)
        values[infinite] = bound[infinite]
    limit = float(np.finfo(np.float32).max)
    return np.clip(values, -limit, limit).astype(np.float32)


def _read(array: Any, odd: Oddities) -> Any:
    encoded = texts(array)
    words = encoded.dictionary.to_pylist()
    read = [_number(word) for word in words]
    places = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    counts = np.bincount(places, minlength=len(words) + 1)
    for place, (word, value) in enumerate(zip(words, read, strict=True)):
        if value is None and word and word.strip() and counts[place]:
            odd.unparsed_rows += int(counts[place])
            _remember(odd.unparsed, word, int(counts[place]))
    return np.array([*(np.nan if value is None else value for value in read), np.nan])[places]


def _number(word: str | None) -> float | None:
    try:
        return None if word is None else float({"true": "1", "false": "0"}.get(word.strip().lower(), word))
    except ValueError:
        return None


def _look(values: Any, wanted: Wanted, odd: Oddities) -> None:
    odd.missing += int(np.isnan(values).sum())
    if wanted.low is None or wanted.high is None:
        return
    room = _FAR * max(wanted.high - wanted.low, abs(wanted.high) * 1e-6, 1e-12)
    far = (values < wanted.low - room) | (values > wanted.high + room)
    if far.any():
        finite = np.clip(values[far], -1e308, 1e308)
        odd.outside += int(far.sum())
        odd.lowest, odd.highest = min(odd.lowest, float(finite.min())), max(odd.highest, float(finite.max()))


def _remember(counter: Counter[str], word: str, rows: int) -> None:
    word = word[:_LONGEST]
    if word in counter or len(counter) < _MOST_REMEMBERED:
        counter[word] += rows


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
