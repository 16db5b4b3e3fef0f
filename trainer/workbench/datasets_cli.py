"""`anomaflow-trainer workbench import`, `profile` and `plot`: tables in, a first look at them, pictures of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from protos.exits import ExitCode
from trainer.errors import SettingsUnusable
from trainer.workbench.telling import add_progress, ended, teller

if TYPE_CHECKING:
    import argparse

    from trainer.progress import Progress

_SCHEMES: Final = "https,s3,gs,gcs,az,abfs"
KINDS: Final = ("histogram", "box", "scatter", "heatmap", "counts", "embedding")
URL_VARIABLE: Final = "ANOMAFLOW_DATABASE_URL"


def add_arguments(verbs: Any) -> None:
    """Add the verbs of data sets to `workbench`."""
    _add_import(verbs)
    _add_profile(verbs)
    _add_plot(verbs)


def _add_import(verbs: Any) -> None:
    parser = verbs.add_parser("import", help="bring a table in: check it, find its types, write it as Parquet")
    parser.set_defaults(run=_import)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a file (CSV, Excel, JSON, Parquet, capture; plain, gzip or zip), a URL, a folder of captures, "
        "a folder of the lake with --lake, or the word sql: for a database",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for table.parquet and about.json"
    )
    parser.add_argument("--name", help="what people call the data set; the source's own name if not given")
    parser.add_argument("--file-name", metavar="NAME", help="what the file was called before it was uploaded")
    parser.add_argument("--sheet", help="sheet of an Excel file, by name or number; the first if not given")
    parser.add_argument("--delimiter", help="one character, or comma, semicolon, tab, pipe; found by looking otherwise")
    parser.add_argument("--encoding", help="such as utf-8, latin-1, utf-16; found by looking otherwise")
    parser.add_argument(
        "--header", choices=("auto", "yes", "no"), default="auto", help="whether the first line names the columns"
    )
    parser.add_argument("--query", metavar="SQL", help="one SELECT, for a database")
    parser.add_argument(
        "--url-file", type=Path, metavar="FILE", help=f"file with the database's URL; {URL_VARIABLE} otherwise"
    )
    parser.add_argument(
        "--schemes", default=_SCHEMES, metavar="LIST", help=f"kinds of URL that may be fetched (default {_SCHEMES})"
    )
    parser.add_argument("--allow-loopback", action="store_true", help="let a URL or database lie on this very host")
    parser.add_argument("--lake", action="store_true", help="SOURCE is a folder of the aggregator's flow lake")
    parser.add_argument(
        "--limits", nargs="+", default=[], metavar="NAME=N", help="such as max-rows=100000 max-bytes=1g max-columns=500"
    )
    _add_output(parser)


def _add_profile(verbs: Any) -> None:
    parser = verbs.add_parser("profile", help="a first look at a data set: types, figures, duplicates, suspects")
    parser.set_defaults(run=_profile)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with table.parquet and about.json")
    parser.add_argument("--label", metavar="COLUMN", help="the column to predict: what gives it away is looked for")
    _add_output(parser)


def _add_plot(verbs: Any) -> None:
    parser = verbs.add_parser("plot", help="a picture of a data set, for the console or as an image file")
    parser.set_defaults(run=_plot)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with table.parquet and about.json")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--x", metavar="COLUMN", help="the column to draw")
    parser.add_argument("--y", metavar="COLUMN", help="the second column, of a scatter plot or box plot")
    parser.add_argument("--by", metavar="COLUMN", help="draw each value of this column on its own, such as the label")
    parser.add_argument("--method", choices=("pca", "tsne"), default="pca", help="of an embedding (default pca)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .json, .svg or .png file; standard output if not given"
    )
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_progress(parser)


def _import(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.datasets.importing import Asked, import_table
    from trainer.workbench.datasets.limits import Limits

    asked = Asked(
        source=options.source,
        out=options.out,
        name=options.name,
        file_name=options.file_name,
        sheet=options.sheet,
        delimiter=options.delimiter,
        encoding=options.encoding,
        header=options.header,
        query=options.query,
        url=_url(options.url_file) if options.source == "sql:" else None,
        schemes=tuple(part.strip().lower() for part in options.schemes.split(",") if part.strip()),
        allow_loopback=options.allow_loopback,
        lake=options.lake,
        limits=Limits.parse(options.limits),
    )
    about = import_table(asked, teller(options, progress))
    progress.end()
    if options.json:
        print(json.dumps(about, ensure_ascii=False))
    elif not ended(options, f"{about['rows']:,} rows, {len(about['columns']):,} columns"):
        print(
            f"{about['name']}: {about['rows']:,} rows, {len(about['columns']):,} columns, digest {about['digest'][:12]}"
        )
        for warning in about["warnings"]:
            print(f"  note: {warning}")
    return ExitCode.OK


def _profile(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.datasets.exploration import profiling

    profile = profiling.profile(options.folder, options.label, teller(options, progress))
    progress.end()
    if options.json:
        print(json.dumps(profile, ensure_ascii=False))
    elif not ended(options, f"{profile['rows']:,} rows looked at"):
        from trainer.workbench.datasets.exploration import printing

        print(printing.profile(profile))
    return ExitCode.OK


def _plot(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.datasets.plots import plotting

    asked = plotting.Asked(options.kind, options.x, options.y, options.by, options.method)
    plot = plotting.plot(options.folder, asked, options.out)
    progress.end()
    if options.out is None or options.json:
        print(json.dumps(plot, ensure_ascii=False))
    else:
        print(options.out)
    return ExitCode.OK


def _url(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(URL_VARIABLE)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnusable(
            f"reading the database's URL from {path}: {error}; give a text file with one line"
        ) from error
