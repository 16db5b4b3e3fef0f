"""A table in, from wherever it lies: `table.parquet` and `about.json` in one folder, or a refusal in clear words.

    source -> (remote: fetched) -> unpacked -> recognised -> read -> staged -> typed -> written -> described

Every step is a module. Both files appear by rename, `about.json` last: a folder that has it is whole. What lies between
is in a folder beside them that is removed in any case. Memory stays bounded however large the table is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused, OutputError, SourceMissing
from trainer.workbench.datasets import naming, staging, writing
from trainer.workbench.datasets.limits import Limits, check_columns
from trainer.workbench.datasets.sources import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainer.workbench.datasets.formats.raw import Raw
    from trainer.workbench.telling import Tell

FORMAT: Final = "anomaflow-dataset-1"
TABLE: Final = "table.parquet"
ABOUT: Final = "about.json"
_MOST_WARNINGS: Final = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What to bring in, and how."""

    source: str
    """A path; `sql:`; a URL; a folder of captures or of lake Parquet."""
    out: Path
    name: str | None = None
    """What people call the data set; the source's own name if not given."""
    file_name: str | None = None
    """What the uploaded file was called, if the path does not say."""
    sheet: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: str = "auto"
    query: str | None = None
    url: str | None = field(default=None, repr=False)
    """Of a database. It may hold a password, so nothing prints it."""
    schemes: tuple[str, ...] = ("https", "s3", "gs", "gcs", "az", "abfs")
    allow_loopback: bool = False
    lake: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Opened:
    """A source with its rows ready to be taken."""

    raw: Raw
    name: str
    source: dict[str, Any]


def import_table(asked: Asked, tell: Tell) -> dict[str, Any]:
    """Bring the table in; returns what stands in `about.json`.

    Raises `SourceMissing`, `DatasetRefused`, `SourceUnreachable`, `SettingsUnusable`, `OutputError`.
    """
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
        with _between(asked.out) as folder:
            tell("open", 0.01, "looking at the source")
            opened = open_source(asked, folder, tell)
            return _bring(opened, asked, folder, tell)
    except MemoryError as error:
        raise DatasetRefused(
            f"importing {asked.name or asked.source}: this computer's memory, or the memory this import may use, is "
            "not enough for it; give a part of the table, or save it as Parquet or CSV"
        ) from error
    except OSError as error:
        raise OutputError(f"importing into {asked.out}: {error.strerror or error}; check space and rights") from error


def open_source(asked: Asked, folder: Path, tell: Tell) -> Opened:
    """Open whatever `asked.source` is."""
    from trainer.workbench.datasets.formats import captured
    from trainer.workbench.datasets.sources import database, flowlake, remote

    if asked.source == "sql:":
        raw = database.read(asked.url, asked.query, asked.limits)
        return Opened(raw, asked.name or "query", {"kind": "sql", "what": database.shown(asked.url), "format": "sql"})
    if remote.is_url(asked.source):
        tell("fetch", 0.02, "fetching the remote file")
        got = remote.fetch(
            asked.source, folder / "fetched", asked.limits, asked.schemes, allow_loopback=asked.allow_loopback
        )
        opened = _open_file(got.path, asked, folder, file_name=asked.file_name or got.name)
        return Opened(opened.raw, opened.name, {**opened.source, "kind": "remote", "what": got.what})
    path = Path(asked.source)
    if path.is_dir():
        if asked.lake:
            raw, what = flowlake.read(path, asked.limits)
            return Opened(raw, asked.name or path.name, {"kind": "lake", "what": what, "format": "parquet"})
        raw, what = captured.read_folder(path, asked.limits)
        return Opened(raw, asked.name or path.name, {"kind": "captures", "what": what, "format": "captures"})
    if asked.lake:
        raise SourceMissing(f"importing flows: {path} is not a folder; give the folder of the lake")
    return _open_file(path, asked, folder, file_name=asked.file_name)


def _open_file(path: Path, asked: Asked, folder: Path, file_name: str | None) -> Opened:
    plain = unpack.unpack(path, folder, asked.limits, name=file_name)
    source = {
        "kind": "captures" if plain.format == "captures" else "file",
        "what": file_name or path.name,
        "format": plain.format,
        "bytes": plain.bytes,
        "sha256": plain.sha256,
    }
    return Opened(_read(plain, asked, folder), asked.name or file_name or path.name, source)


def _read(plain: unpack.Plain, asked: Asked, folder: Path) -> Raw:
    if plain.format == "csv":
        from trainer.workbench.datasets.formats import delimited

        told = delimited.Told(asked.delimiter, asked.encoding, asked.header)
        return delimited.read(plain.path, plain.name, asked.limits, told)
    if plain.format == "parquet":
        from trainer.workbench.datasets.formats import columnar

        return columnar.read(plain.path, plain.name, asked.limits)
    if plain.format in {"json", "jsonl"}:
        from trainer.workbench.datasets.formats import records

        return records.read(plain.path, plain.name, asked.limits, encoding=asked.encoding)
    if plain.format == "captures":
        from trainer.workbench.datasets.formats import captured

        return captured.read(plain.path, plain.name, asked.limits)
    from trainer.workbench.datasets.formats import excel

    return excel.read(plain.path, plain.name, plain.format, asked.limits, folder, sheet=asked.sheet)


def _bring(opened: Opened, asked: Asked, folder: Path, tell: Tell) -> dict[str, Any]:
    raw = opened.raw
    check_columns(len(raw.names), opened.name, asked.limits)
    named = naming.clean(raw.names)

    def staged_so_far(rows: int) -> None:
        done = rows / raw.total if raw.total else rows / (rows + 200_000)
        tell("read", 0.05 + 0.6 * min(done, 1.0), f"{rows:,} rows read")

    staged = staging.stage(
        raw, named.names, folder / "stage", name=opened.name, limits=asked.limits, told=staged_so_far
    )
    tell("write", 0.65, "finding the types")
    written = writing.write(
        staged,
        named.names,
        folder / TABLE,
        lambda rows: tell("write", 0.65 + 0.34 * rows / staged.rows, f"{rows:,} rows written"),
    )
    warnings = [*raw.warnings, *named.warnings, *(text for column in staged.columns for text in column.warnings)]
    if len(warnings) > _MOST_WARNINGS:
        warnings = [*warnings[:_MOST_WARNINGS], f"and {len(warnings) - _MOST_WARNINGS} more of this kind"]
    about = {
        "format": FORMAT,
        "name": opened.name,
        "source": opened.source,
        "rows": staged.rows,
        "columns": [
            {"name": name, "type": kind, "missing": missing} | ({"was": named.was[name]} if name in named.was else {})
            for name, kind, missing in zip(named.names, written.types, written.missing, strict=True)
        ],
        "bytes": (folder / TABLE).stat().st_size,
        "digest": written.digest,
        "warnings": warnings,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    (asked.out / ABOUT).unlink(missing_ok=True)
    for part in (TABLE, ABOUT):
        (folder / part).replace(asked.out / part)
    tell("done", 1.0, f"{staged.rows:,} rows and {len(named.names):,} columns")
    return about


@contextlib.contextmanager
def _between(out: Path) -> Iterator[Path]:
    """A folder beside the result that is gone afterwards."""
    folder = out / f".importing-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
