"""One sheet of an Excel file as an Arrow stream of text, in a process whose memory is limited.

Started by excel.py: path, target, most cells, address space, sheet (name, number from 1, or empty for the first). Ends
with 0, or with 10 and one sentence on standard output. Anything else means the reader itself broke.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any, Final

from trainer.workbench.datasets.raw import LOOSE_ROWS, loose_columns, rows_at_once, text_of

REFUSED: Final = 10


def main(arguments: list[str]) -> int:
    """Read the sheet; returns the exit code."""
    path, target, cells, room, sheet = arguments
    resource.setrlimit(resource.RLIMIT_AS, (int(room), int(room)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _read(path, target, int(cells), sheet)
    except _SheetRefused as refused:
        print(refused)
        return REFUSED
    return 0


class _SheetRefused(Exception):  # noqa: N818 - one sentence for the parent
    """The sheet cannot be used; the text says why and what to do."""


def _read(path: str, target: str, cells: int, wanted: str) -> None:
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_path(path)
        name = _choose(list(book.sheet_names), wanted)
        sheet = book.get_sheet_by_name(name)
    except (calamine.CalamineError, OSError, ValueError) as error:
        if type(error).__name__ == "PasswordError":
            raise _SheetRefused("it is locked by a password; save it without one") from error
        raise _SheetRefused(f"the Excel file is damaged or of an unusual kind ({error}); save it again") from error
    if sheet.height == 0 or sheet.width == 0:
        raise _SheetRefused(f"the sheet {name!r} is empty; name another one, of {', '.join(book.sheet_names)}")
    if sheet.height * sheet.width > cells:
        raise _SheetRefused(
            f"the sheet {name!r} spans {sheet.height * sheet.width:,} cells, and the limit is {cells:,} "
            "(max-excel-cells); save the sheet as CSV"
        )
    note = ""
    if len(book.sheet_names) > 1 and not wanted:
        others = ", ".join(one for one in book.sheet_names if one != name)
        note = f"the file has more than one sheet; {name!r} was read, not {others[:200]}"
    _write(sheet, target, note)


def _choose(names: list[str], wanted: str) -> str:
    if not names:
        raise _SheetRefused("there is no sheet in it; save it again")
    if not wanted:
        return names[0]
    if wanted in names:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    raise _SheetRefused(f"there is no sheet {wanted!r} in it; there are {', '.join(names)[:300]}")


def _write(sheet: Any, target: str, note: str) -> None:
    import pyarrow as pa

    rows = ([_cell(value) for value in row] for row in sheet.iter_rows())
    header: list[Any] = next((row for row in rows if any(cell is not None for cell in row)), [])
    while header and header[-1] is None:
        header.pop()
    width = len(header)
    if not width:
        raise _SheetRefused("the sheet holds no values; name another one")
    most = rows_at_once(width, LOOSE_ROWS)
    count = 0
    held: list[list[Any]] = []
    schema = pa.schema([pa.field(f"c{at}", pa.string()) for at in range(width)])
    with pa.OSFile(target, "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for row in rows:
            if any(cell is not None for cell in row[width:]):
                raise _SheetRefused(
                    f"a row below the header has values in more columns than the header has names ({width}); the table "
                    "must begin in the first used row, with one name above each column"
                )
            if any(cell is not None for cell in row):
                held.append(row[:width] + [None] * (width - len(row)))
                count += 1
            if len(held) >= most:
                writer.write_batch(pa.RecordBatch.from_arrays(loose_columns(held, width), schema=schema))
                held = []
        if held:
            writer.write_batch(pa.RecordBatch.from_arrays(loose_columns(held, width), schema=schema))
    names = [text_of(cell) or "" for cell in header]
    Path(f"{target}.json").write_text(json.dumps({"names": names, "rows": count, "note": note}), encoding="utf-8")


def _cell(value: Any) -> Any:
    """Calamine gives an empty text for an empty cell."""
    return None if value is None or value == "" else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
