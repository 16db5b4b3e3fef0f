"""The rows of a prediction as CSV for people with a spreadsheet, guarded against formulas.

A text that begins with `= + - @`, a tab or a line break would be run by a spreadsheet as a formula (OWASP, "CSV
injection"); it gets a leading apostrophe, which spreadsheets show as text. Numbers are numbers and stay as they are.
The table is gone through in batches, and the file appears by rename.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from trainer.errors import OutputError
from trainer.workbench.prediction.incoming import from_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMULA: Final = r"^[=+\-@\t\r\n]"


def guarded(text: str) -> str:
    """A text no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else text


def save(table: Path, out: Path) -> int:
    """Write the Parquet `table` as CSV to `out`; the number of rows. Raises `TrainerError`."""
    incoming = from_parquet(table)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as stream:
                write(incoming.names, incoming.batches(), stream)
            Path(partial).chmod(0o644)
            Path(partial).replace(out)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"writing {out}: {error.strerror}; check the folder and the space left") from error
    return incoming.rows


def write(names: Iterable[str], batches: Iterable[Any], stream: IO[bytes]) -> None:
    """Write a header and Arrow record `batches` to `stream`."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    header = [guarded(name) for name in names]
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in header)
    stream.write(f"{quoted}\n".encode())
    options = pacsv.WriteOptions(include_header=False)
    for batch in batches:
        columns = [_guarded(column) for column in batch.columns]
        pacsv.write_csv(pa.RecordBatch.from_arrays(columns, names=header), stream, options)


def _guarded(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    risky = pc.match_substring_regex(column, FORMULA)
    marked = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(risky, marked, column)
