"""JSON: a list of records, or one record a line. Read twice, piece by piece: first for the columns, then for the rows.

- Fields of an object inside a record become columns of their own (`host.name`); a list becomes text.
- Records may lack fields (missing values); a column exists if any record has it.
- Also read: one object whose members are columns of equal length, or that wraps one list of records.
- Nesting and the size of a record are limited, since both are how such files exhaust a reader.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused
from trainer.workbench.datasets.formats import texts
from trainer.workbench.datasets.formats.raw import LOOSE_ROWS, Raw, loose_columns, rows_at_once, text_of
from trainer.workbench.datasets.limits import MIB, Limits, check_columns, check_rows, size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RECORD_BYTES: Final = 16 * MIB
_SPACE: Final = " \t\r\n"
_NEAR_END: Final = 64


def read(path: Path, name: str, limits: Limits, *, encoding: str | None) -> Raw:
    """Open a JSON file. Raises `DatasetRefused`."""
    text = texts.survey(path, name, encoding)
    columns: dict[str, None] = {}
    rows = 0
    for record in _records(path, text.encoding, name, limits):
        rows += 1
        check_rows(rows, name, limits)
        columns.update(dict.fromkeys(record))
        check_columns(len(columns), name, limits)
    if rows == 0:
        raise DatasetRefused(f"importing {name}: there are no records in it; give a list of objects, one for each row")
    if not columns:
        raise DatasetRefused(f"importing {name}: the records in it are empty; give objects with fields")
    names = tuple(columns)
    batches = _batches(path, text.encoding, name, limits, names)
    return Raw(names, batches, loose=True, warnings=list(text.warnings), total=rows)


def _batches(path: Path, encoding: str, name: str, limits: Limits, names: tuple[str, ...]) -> Iterator[list[Any]]:
    most = rows_at_once(len(names), LOOSE_ROWS)
    rows: list[list[Any]] = []
    held = 0
    for record in _records(path, encoding, name, limits):
        row = [text_of(record.get(column)) for column in names]
        for value in row:
            if value is not None and len(value) > 1024:
                held += len(value)
                if len(value.encode(errors="replace")) > limits.max_cell_bytes:
                    raise DatasetRefused(
                        f"importing {name}: a value is larger than {size(limits.max_cell_bytes)}, and that is the "
                        "limit (max-cell-bytes); leave out columns of long texts"
                    )
        rows.append(row)
        if len(rows) >= most or held > 64 * MIB:
            yield loose_columns(rows, len(names))
            rows, held = [], 0
    if rows:
        yield loose_columns(rows, len(names))


def _records(path: Path, encoding: str, name: str, limits: Limits) -> Iterator[dict[str, Any]]:
    """Every record, flat."""
    values = _Values(path, encoding, name, limits).each()
    first = next(values, None)
    if first is None:
        return
    second = next(values, None)
    if second is None and isinstance(first, dict) and (inside := _wrapped(first)) is not None:
        yield from (_flat(record, name, limits) for record in inside)
        return
    yield _flat(first, name, limits)
    if second is not None:
        yield _flat(second, name, limits)
    for value in values:
        yield _flat(value, name, limits)


def _wrapped(whole: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The records in one object: columns of equal length, or one list of records; None if it is a record itself."""
    if whole and all(isinstance(value, list) for value in whole.values()):
        lengths = {len(value) for value in whole.values()}
        if len(whole) == 1:
            only = next(iter(whole.values()))
            if only and all(isinstance(record, dict) for record in only):
                return only
        if len(lengths) == 1:
            return [dict(zip(whole, row, strict=True)) for row in zip(*whole.values(), strict=True)]
    if whole and all(isinstance(value, dict) for value in whole.values()):
        keys = [list(value) for value in whole.values()]
        if (
            keys[0]
            and all(one == keys[0] for one in keys)
            and not any(isinstance(inner, dict) for value in whole.values() for inner in value.values())
        ):
            return [{column: value[key] for column, value in whole.items()} for key in keys[0]]
    lists = [value for value in whole.values() if isinstance(value, list)]
    if len(lists) == 1 and lists[0] and all(isinstance(record, dict) for record in lists[0]):
        return lists[0]
    return None


def _flat(record: Any, name: str, limits: Limits) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise DatasetRefused(
            f"importing {name}: it holds a {_called(record)} where a record is expected; give a list of objects, "
            'such as [{"bytes": 10, "flag": "SF"}, ...]'
        )
    if not any(isinstance(value, (dict, list)) for value in record.values()):
        return record
    flat: dict[str, Any] = {}
    waiting = [("", record, 1)]
    while waiting:
        prefix, members, depth = waiting.pop()
        inner = []
        for key, value in members.items():
            if isinstance(value, dict) and value:
                inner.append((f"{prefix}{key}.", value, depth + 1))
            elif isinstance(value, list) and _depth(value) + depth > limits.max_depth:
                raise _deep(name, limits)
            else:
                flat[f"{prefix}{key}"] = value
        if inner and depth + 1 > limits.max_depth:
            raise _deep(name, limits)
        waiting.extend(reversed(inner))
    return flat


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        inside = one.values() if isinstance(one, dict) else one
        waiting.extend((each, depth + 1) for each in inside if isinstance(each, (dict, list)))
    return deepest


class _Values:
    """The values of a JSON file one after another: the elements of its list, or those that simply follow each other."""

    def __init__(self, path: Path, encoding: str, name: str, limits: Limits) -> None:
        self._blocks = texts.blocks(path, encoding, name)
        self._name = name
        self._limits = limits
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._decoder = json.JSONDecoder()

    def each(self) -> Iterator[Any]:
        in_list = self._peek() == "["
        if in_list:
            self._at += 1
        first = True
        while (mark := self._peek()) and not (in_list and mark == "]"):
            if in_list and not first:
                if mark != ",":
                    raise self._wrong("a comma is missing between two records")
                self._at += 1
                if self._peek() == "]":
                    break
            yield self._value()
            first = False
        if in_list:
            if not self._peek():
                raise self._wrong("the list is never closed; the file may be cut off")
            self._at += 1
            if self._peek():
                raise self._wrong("something follows after the list")

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                mark = self._text[self._at]
                if mark not in _SPACE and mark != "\ufeff":
                    return mark
                self._at += 1
            if not self._more():
                return ""

    def _more(self) -> bool:
        if self._ended:
            return False
        block = next(self._blocks, None)
        if block is None:
            self._ended = True
            return False
        self._line += self._text.count("\n", 0, self._at)
        self._text = self._text[self._at :] + block
        self._at = 0
        return True

    def _value(self) -> Any:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) - _NEAR_END or error.msg.startswith("Unterminated")
                if not cut or len(self._text) - self._at > _RECORD_BYTES or not self._more():
                    if len(self._text) - self._at > _RECORD_BYTES:
                        raise DatasetRefused(
                            f"importing {self._name}: near line {self._line:,} one record is larger than "
                            f"{size(_RECORD_BYTES)}, and that is the limit; give a list of records, one for each row"
                        ) from error
                    line = self._line + self._text.count("\n", 0, error.pos)
                    raise DatasetRefused(
                        f"importing {self._name}: line {line:,} is not JSON ({error.msg}); correct it, or write the "
                        "file again"
                    ) from error
            except RecursionError as error:
                raise _deep(self._name, self._limits) from error
            except ValueError as error:
                raise self._wrong(f"a number has too many digits ({error})") from error
            else:
                # A number at the end of a piece may go on in the next one.
                if end == len(self._text) and not isinstance(value, (dict, list, str)) and self._more():
                    continue
                self._at = end
                return value

    def _wrong(self, what: str) -> DatasetRefused:
        line = self._line + self._text.count("\n", 0, self._at)
        return DatasetRefused(f"importing {self._name}: near line {line:,} {what}; correct it, or write the file again")


def _deep(name: str, limits: Limits) -> DatasetRefused:
    return DatasetRefused(
        f"importing {name}: its values lie deeper in each other than {limits.max_depth} levels, and that is the limit "
        "(max-depth); write one flat object for each row"
    )


def _called(value: Any) -> str:
    return {list: "list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "number")
