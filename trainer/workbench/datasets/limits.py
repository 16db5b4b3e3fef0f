"""What a data set may at most be. Every refusal names the limit it stands on, and this is the one place they come from.

The defaults suit a machine with two cores and a few gigabytes; `parse` takes others from a command line, such as
`max-rows=100000`. Sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final, Self

from trainer.errors import DatasetRefused, SettingsUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB: Final = 1 << 20
_UNITS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one import."""

    max_bytes: int = 2 << 30
    """Bytes of the file as it came, or of a remote file as it arrives."""
    max_expanded_bytes: int = 8 << 30
    """Bytes after unpacking gzip, zip or an Excel file."""
    max_ratio: int = 200
    """How many times larger a file may become by unpacking, once it is over 64 MiB."""
    max_rows: int = 5_000_000
    max_columns: int = 2_000
    max_cell_bytes: int = MIB
    """Bytes of one value."""
    max_depth: int = 32
    """How deep JSON values may lie in each other."""
    max_excel_cells: int = 20_000_000
    """Cells of one Excel sheet, empty ones within its used area included."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Limits from `name=value` texts, several allowed in one with commas. Raises `SettingsUnusable`."""
        known = {field.name.replace("_", "-"): field.name for field in fields(cls)}
        given: dict[str, int] = {}
        for text in (part for whole in texts for part in whole.split(",") if part):
            name, _, value = text.partition("=")
            if name.strip() not in known:
                raise SettingsUnusable(f"reading limits: there is no limit {name!r}; there are {', '.join(known)}")
            given[known[name.strip()]] = _amount(name.strip(), value.strip().lower())
        return replace(cls(), **given)


def _amount(name: str, text: str) -> int:
    unit = _UNITS.get(text[-1:], 0)
    digits = text[:-1] if unit else text
    if not digits.isdecimal() or int(digits) < 1:
        raise SettingsUnusable(
            f"reading limits: {name} is {text!r}; give a whole number above zero, such as 1000 or 2g"
        )
    return int(digits) * (unit or 1)


def check_columns(count: int, name: str, limits: Limits) -> None:
    """Refuse a table that is too wide. Raises `DatasetRefused`."""
    if count > limits.max_columns:
        raise DatasetRefused(
            f"importing {name}: it has {count:,} columns, and the limit is {limits.max_columns:,} (max-columns); "
            "leave out columns that say little, or turn the table on its side if rows and columns are swapped"
        )


def check_rows(count: int, name: str, limits: Limits) -> None:
    """Refuse a table that is too long. Raises `DatasetRefused`."""
    if count > limits.max_rows:
        raise DatasetRefused(
            f"importing {name}: it has more than {limits.max_rows:,} rows, and that is the limit (max-rows); "
            "give a sample of the rows, or ask whoever runs this installation to raise the limit"
        )


def check_bytes(count: int, name: str, limits: Limits) -> None:
    """Refuse a file that is too large. Raises `DatasetRefused`."""
    if count > limits.max_bytes:
        raise DatasetRefused(
            f"importing {name}: it is larger than {size(limits.max_bytes)}, and that is the limit (max-bytes); "
            "give a part of it, or compress it with gzip"
        )


def check_expanded(count: int, packed: int, name: str, limits: Limits) -> None:
    """Refuse what grows too much while it is unpacked. Raises `DatasetRefused`."""
    if count > limits.max_expanded_bytes:
        raise DatasetRefused(
            f"importing {name}: unpacked it is larger than {size(limits.max_expanded_bytes)}, and that is the limit "
            "(max-expanded-bytes); give a part of the table"
        )
    if count > 64 * MIB and count > limits.max_ratio * max(packed, 1):
        raise DatasetRefused(
            f"importing {name}: it becomes more than {limits.max_ratio} times larger by unpacking, which real tables "
            "do not (max-ratio); unpack it yourself and give the plain file"
        )


def size(count: int) -> str:
    """Bytes as people say them."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"
