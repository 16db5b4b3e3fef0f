"""Excel files: one sheet, read by calamine in a process of its own.

- Before anything is read, an xlsx is looked through as the zip of XML it is: every part is unpacked and counted, document
  types (entity bombs) are refused, and the corners of each sheet are measured, since a reader lays out the whole area
  between the first and the last used cell.
- The reading itself happens in a child with a memory ceiling: a file made to break the reader breaks the child.
- Formulas are never run; a cell is what Excel last saved in it. Macros are never looked at.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused
from trainer.workbench.datasets.limits import MIB, Limits, check_columns, check_expanded, check_rows
from trainer.workbench.datasets.raw import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK: Final = MIB
_OVERLAP: Final = 64
_CELL: Final = re.compile(rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]{1,3})(\d{1,7})"')
_REPEAT: Final = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_ROOM: Final = 3 << 30
"""Address space of the child: far above what the cell limit needs, far below what a bomb asks for."""
_SECONDS: Final = 600
_REFUSED: Final = 10


def read(path: Path, name: str, kind: str, limits: Limits, folder: Path, *, sheet: str | None = None) -> Raw:
    """Open a sheet; `folder` takes the rows in between. Raises `DatasetRefused`."""
    if kind == "xlsx":
        inspect(path, name, limits)
    rows = folder / "sheet"
    command = [sys.executable, "-Im", "trainer.workbench.datasets.excel_child", str(path), str(rows)]
    command += [str(limits.max_excel_cells), str(_ROOM), sheet or ""]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DatasetRefused(
            f"importing {name}: reading the Excel file took longer than {_SECONDS // 60} minutes, and that is the limit; "
            "save the sheet as CSV"
        ) from error
    if done.returncode == _REFUSED:
        raise DatasetRefused(f"importing {name}: {done.stdout.strip()}")
    if done.returncode != 0:
        raise DatasetRefused(
            f"importing {name}: the Excel file is damaged, or claims more than its reader may take; open it in Excel and "
            "save it again, or save the sheet as CSV"
        )
    told = json.loads(rows.with_name(f"{rows.name}.json").read_text(encoding="utf-8"))
    check_columns(len(told["names"]), name, limits)
    check_rows(told["rows"], name, limits)
    if told["rows"] == 0:
        raise DatasetRefused(f"importing {name}: there is a header and no row below it; give a table with rows")
    warnings = [told["note"]] if told["note"] else []
    return Raw(tuple(told["names"]), _batches(rows, name, limits), loose=True, warnings=warnings, total=told["rows"])


def _batches(path: Path, name: str, limits: Limits) -> Iterator[list[Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            if any((pc.max(pc.binary_length(column)).as_py() or 0) > limits.max_cell_bytes for column in batch.columns):
                raise DatasetRefused(f"importing {name}: a value is larger than the limit (max-cell-bytes)")
            yield batch.columns


def inspect(path: Path, name: str, limits: Limits) -> None:
    """Look through an xlsx before it is read. Raises `DatasetRefused`."""
    expanded = 0
    packed = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    raise DatasetRefused(f"importing {name}: it is locked by a password; save it without one")
                corners = _Corners()
                before = b""
                with archive.open(member) as part:
                    while block := part.read(_BLOCK):
                        expanded += len(block)
                        check_expanded(expanded, packed, name, limits)
                        if not member.filename.endswith((".xml", ".rels")):
                            continue
                        seen = before + block
                        if _REPEAT.search(seen):
                            raise DatasetRefused(
                                f"importing {name}: it defines XML entities, which Excel never does and which can be made "
                                "to fill any memory; save it again with Excel"
                            )
                        if "worksheets/" in member.filename:
                            corners.see(seen)
                        before = seen[-_OVERLAP:]
                if corners.area > limits.max_excel_cells:
                    raise DatasetRefused(
                        f"importing {name}: a sheet spans {corners.area:,} cells, and the limit is "
                        f"{limits.max_excel_cells:,} (max-excel-cells); save the sheet as CSV, or delete stray cells far "
                        "outside the table"
                    )
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, ValueError) as error:
        raise DatasetRefused(
            f"importing {name}: the Excel file is damaged or cut off ({error}); save it again"
        ) from error


class _Corners:
    """The area between the first and the last used cell of a sheet."""

    def __init__(self) -> None:
        self._rows: set[int] = set()
        self._low = self._high = (0, 0)
        self._any = False

    def see(self, xml: bytes) -> None:
        for letters, digits in _CELL.findall(xml):
            place = (int(digits), column_number(letters))
            if not self._any:
                self._low = self._high = place
                self._any = True
            self._low = (min(self._low[0], place[0]), min(self._low[1], place[1]))
            self._high = (max(self._high[0], place[0]), max(self._high[1], place[1]))

    @property
    def area(self) -> int:
        if not self._any:
            return 0
        return (self._high[0] - self._low[0] + 1) * (self._high[1] - self._low[1] + 1)


def column_number(letters: bytes) -> int:
    """A as 1, Z as 26, AA as 27."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
