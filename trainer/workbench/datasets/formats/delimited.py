"""Delimited text: CSV, TSV and their kin. The delimiter and the header are found by looking, and can be told.

- Values are handed on as text; types are found later, over all rows.
- A row with more or fewer values than the header ends the import with its line number: whoever reads on guesses.
- Quoted values may hold delimiters and line ends. Memory stays bounded however long the file is.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused, SettingsUnusable
from trainer.workbench.datasets.formats import texts
from trainer.workbench.datasets.formats.raw import Raw
from trainer.workbench.datasets.limits import MIB, Limits, check_columns, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from trainer.workbench.datasets.formats.texts import Text

DELIMITERS: Final = (",", ";", "\t", "|")
NAMED: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MISSING: Final = (
    *("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None", "<NA>", "#N/A", "#N/A N/A", "#NA"),
    *("?", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Spellings that mean: there is no value. As pandas has them, and the question mark of the older public tables."""

_BLOCK: Final = 8 * MIB
_LOOK_ROWS: Final = 200
_NUMBER: Final = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Told:
    """What a person said of the file; None and `auto` are found by looking."""

    delimiter: str | None = None
    encoding: str | None = None
    header: str = "auto"
    """`auto`, `yes` or `no`."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the file is to be cut."""

    path: Path
    name: str
    encoding: str
    mark: str
    width: int
    limits: Limits


def read(path: Path, name: str, limits: Limits, told: Told = Told()) -> Raw:
    """Open a delimited text. Raises `DatasetRefused`, `SettingsUnusable`."""
    text = texts.survey(path, name, told.encoding)
    warnings = list(text.warnings)
    mark = _mark(told.delimiter) or sniff(text.sample)
    rows = _first_rows(text, mark, name, limits)
    if not rows:
        raise DatasetRefused(f"importing {name}: the file is empty; give a table with a header and rows")
    check_columns(len(rows[0]), name, limits)
    named = told.header == "yes" or (told.header == "auto" and has_header(rows))
    names = [cell.lstrip("\ufeff") for cell in rows[0]] if named else [f"column_{at + 1}" for at in range(len(rows[0]))]
    if not named and told.header == "auto":
        warnings.append("the first line holds values, so it was taken for a row; the columns are called by number")
    if named and len(rows) == 1 and text.whole:
        raise DatasetRefused(f"importing {name}: there is a header and no row below it; give a table with rows")
    layout = _Layout(path, name, text.encoding, mark, len(names), limits)
    return Raw(tuple(names), _batches(layout, skip=named), loose=True, warnings=warnings)


def sniff(sample: str) -> str:
    """The delimiter that cuts the first rows most evenly into most values; a comma where none does."""
    best, found = (0.0, 0), ","
    for mark in DELIMITERS:
        widths = [len(row) for row in _rows(sample, mark)]
        if not widths or widths[0] < 2:
            continue
        even = sum(width == widths[0] for width in widths) / len(widths)
        if (round(even, 2), widths[0]) > best:
            best, found = (round(even, 2), widths[0]), mark
    return found


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: no number in it, or a word above numbers."""
    first, rest = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if not any(_NUMBER.fullmatch(cell.strip()) for cell in first):
        return True
    for at, cell in enumerate(first):
        below = [row[at].strip() for row in rest if row[at].strip() not in MISSING]
        if cell.strip() and not _NUMBER.fullmatch(cell.strip()) and cell.strip() not in MISSING:
            numbers = sum(bool(_NUMBER.fullmatch(value)) for value in below)
            if below and numbers > 0.9 * len(below):
                return True
    return False


def _mark(delimiter: str | None) -> str | None:
    if delimiter is None or delimiter == "auto":
        return None
    mark = NAMED.get(delimiter, delimiter)
    if len(mark) != 1 or mark in "\"'\r\n\0" or not mark.isascii():
        raise SettingsUnusable(
            f"reading the delimiter: {delimiter!r} is none; give one character, or one of {', '.join(NAMED)}"
        )
    return mark


def _rows(sample: str, mark: str) -> list[list[str]]:
    """The first rows of a sample; the last one is left out, since it may be cut."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=mark):
            if row:
                rows.append(row)
            if len(rows) > _LOOK_ROWS:
                break
    except csv.Error:
        pass
    return rows[:-1] if len(rows) > 1 else rows


def _first_rows(text: Text, mark: str, name: str, limits: Limits) -> list[list[str]]:
    rows: list[list[str]] = []
    csv.field_size_limit(max(limits.max_cell_bytes, 1024))
    try:
        for row in csv.reader(io.StringIO(text.sample, newline=""), delimiter=mark):
            if row:
                rows.append(row)
            if len(rows) > _LOOK_ROWS:
                break
    except csv.Error as error:
        if not rows:
            raise _huge(name, limits) from error
    # A sample may end inside a row.
    return rows if text.whole or len(rows) < 2 else rows[:-1]


def _batches(layout: _Layout, *, skip: bool) -> Iterator[list[Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow

    names = [f"c{at}" for at in range(layout.width)]
    ragged = False

    def odd(_row: Any) -> str:
        nonlocal ragged
        ragged = True
        return "error"

    try:
        with arrow.open_csv(
            str(layout.path),
            read_options=arrow.ReadOptions(
                column_names=names,
                skip_rows_after_names=int(skip),
                block_size=_BLOCK,
                encoding="utf-8" if layout.encoding == "utf-8-sig" else layout.encoding,
                use_threads=True,
            ),
            parse_options=arrow.ParseOptions(delimiter=layout.mark, newlines_in_values=True, invalid_row_handler=odd),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=list(MISSING)
            ),
        ) as reader:
            for batch in reader:
                if batch.num_rows == 0:
                    continue
                for column in batch.columns:
                    longest = pc.max(pc.binary_length(column)).as_py()
                    if longest is not None and longest > layout.limits.max_cell_bytes:
                        raise _huge(layout.name, layout.limits)
                yield batch.columns
    except (pa.ArrowInvalid, pa.ArrowException, OSError, UnicodeError) as error:
        raise _explained(layout, error, ragged=ragged) from error


def _explained(layout: _Layout, error: Exception, *, ragged: bool) -> DatasetRefused:
    """The refusal with its line: the text is read once more, slowly, up to the first row that does not fit."""
    line, name, width, limits = 0, layout.name, layout.width, layout.limits
    csv.field_size_limit(max(limits.max_cell_bytes, 1024))
    try:
        with layout.path.open(encoding=layout.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=layout.mark)
            for row in reader:
                if row and len(row) != width:
                    return DatasetRefused(
                        f"importing {name}: line {reader.line_num:,} has {len(row):,} values and the first line has "
                        f"{width:,}; every line must have as many values: correct the file, or name another delimiter"
                    )
                line = reader.line_num
    except csv.Error:
        return DatasetRefused(
            f"importing {name}: after line {line:,} a value is larger than {size(limits.max_cell_bytes)}, and that is "
            "the limit (max-cell-bytes); often a quotation mark is opened there and never closed"
        )
    except (OSError, UnicodeError):
        pass
    if ragged:
        return DatasetRefused(f"importing {name}: a line has more or fewer values than the first one; correct the file")
    return DatasetRefused(
        f"importing {name}: it could not be read as delimited text ({_short(error)}); a row may be at most "
        f"{size(_BLOCK)} long, and every quotation mark must be closed"
    )


def _huge(name: str, limits: Limits) -> DatasetRefused:
    return DatasetRefused(
        f"importing {name}: a value is larger than {size(limits.max_cell_bytes)}, and that is the limit "
        "(max-cell-bytes); often a quotation mark is opened and never closed"
    )


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
