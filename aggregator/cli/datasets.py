"""Noun: datasets, tables of the workbench."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator.cli import verbs
from aggregator.cli.client import ClientError
from aggregator.cli.tables import align, clean, field, show, size, when
from protos.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("version", lambda row: str(row["version"])),
    ("name", lambda row: row["name"]),
    ("state", lambda row: row["state"]),
    ("rows", lambda row: field("rows", row["rows"])),
    ("columns", lambda row: field("columns", row["columns"])),
    ("size", lambda row: size(row["bytes"])),
    ("source", lambda row: row["source_what"]),
    ("label", lambda row: field("label", row["label"])),
    ("digest", lambda row: field("digest", row["digest"])),
    ("created", lambda row: when(row["created_ms"])),
    ("by", lambda row: row["by"]),
    ("message", lambda row: row["error"] or row["message"]),
)
PLOTS = (
    ("plot", lambda row: str(row["id"])),
    ("version", lambda row: str(row["version"])),
    ("title", lambda row: row["title"]),
    ("kind", lambda row: row["kind"]),
    ("created", lambda row: when(row["created_ms"])),
    ("by", lambda row: row["by"]),
)
POLL_S: Final = 0.5
READING: Final = ("sheet", "delimiter", "encoding", "header")
IMAGES: Final = (".svg", ".png")


def add_verbs(parsers: Any) -> None:
    """`list`, `get`, `room`, `upload`, `connect`, `log`, `preview`, `profile`, `plot`, `plots`, `rename`, ..."""
    made = verbs.add(parsers, "list", list_datasets)
    verbs.add_limit(made)
    made.add_argument("--search", metavar="TEXT", help="only those with it in their name")
    _add_id(verbs.add(parsers, "get", get_dataset))
    verbs.add(parsers, "room", room)
    made = verbs.add(parsers, "upload", upload)
    made.add_argument("file", type=Path, help="CSV, Excel, JSON, Parquet or capture; text ones also as .gz")
    _add_new(made)
    _add_reading(made)
    made = verbs.add(parsers, "connect", connect)
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--url-file", metavar="FILE", help="a database: file with its URL, - for standard input")
    source.add_argument("--remote", metavar="URL", help="a file at an address such as s3://bucket/file.csv")
    source.add_argument("--lake", action="store_true", help="flows that agents sent")
    made.add_argument("--query", metavar="SQL", help="one SELECT, for a database")
    made.add_argument("--options-file", type=Path, metavar="FILE", help="credentials of a storage, as a JSON object")
    made.add_argument("--days", type=int, metavar="N", help="only flows of the last N days")
    _add_new(made)
    _add_reading(made)
    made = verbs.add(parsers, "log", show_log)
    _add_id(made)
    made.add_argument("--lines", type=int, default=50, help="how many (default: 50)")
    made = verbs.add(parsers, "preview", preview)
    _add_id(made)
    verbs.add_limit(made, 20)
    made.add_argument("--offset", type=int, default=0, metavar="N", help="rows to leave out at the beginning")
    made.add_argument("--sort", metavar="COLUMN", help="sorted by it")
    made.add_argument("--descending", action="store_true", help="largest first")
    made = verbs.add(parsers, "profile", profile)
    _add_id(made)
    made.add_argument("--label", metavar="COLUMN", help="profile again, and look for what gives this column away")
    made = verbs.add(parsers, "plot", plot)
    _add_id(made)
    made.add_argument("--kind", required=True, help="histogram, box, scatter, heatmap, counts or embedding")
    for name in ("x", "y", "by"):
        made.add_argument(f"--{name}", metavar="COLUMN")
    made.add_argument("--method", choices=("pca", "tsne"), help="of an embedding (default: pca)")
    made.add_argument("--out", type=Path, metavar="FILE", help="a .json, .svg or .png file")
    made.add_argument("--save", metavar="TITLE", help="keep it with the data set, too")
    made = verbs.add(parsers, "plots", list_plots)
    made.add_argument("id", type=int)
    verbs.add_limit(made)
    made = verbs.add(parsers, "plot-get", get_plot)
    made.add_argument("plot", type=int)
    made.add_argument("--out", type=Path, metavar="FILE", help="a .json file; standard output if not given")
    verbs.add(parsers, "plot-delete", delete_plot).add_argument("plot", type=int)
    made = verbs.add(parsers, "rename", rename)
    made.add_argument("id", type=int)
    made.add_argument("name")
    _add_id(verbs.add(parsers, "cancel", cancel))
    _add_id(verbs.add(parsers, "delete", delete))


def list_datasets(client: Client, options: argparse.Namespace) -> None:
    """Data sets at their newest version, newest first."""
    show(client.pages("/datasets", limit=options.limit, search=options.search), COLUMNS, as_json=options.json)


def get_dataset(client: Client, options: argparse.Namespace) -> None:
    """One data set with its columns."""
    found = client.get(f"/datasets/{options.id}", version=options.version)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    verbs.print_one(found["dataset"], options)
    lines = [[clean(one["name"]), one["type"], str(one["missing"])] for one in found["columns"]]
    if lines:
        print("\n" + align(["column", "type", "missing"], lines))


def room(client: Client, options: argparse.Namespace) -> None:
    """What may be uploaded, and how much room is taken."""
    verbs.print_one(client.get("/datasets/room"), options)


def upload(client: Client, options: argparse.Namespace) -> int:
    """Upload a file as a data set, or as a new version of one."""
    limit = client.get("/datasets/room")["upload_bytes"]
    try:
        length = options.file.stat().st_size
    except OSError as error:
        raise ClientError(f"reading {options.file}: {error.strerror}", ExitCode.USAGE) from error
    if length > limit:
        raise ClientError(f"{options.file} has {size(length)}; at most {size(limit)} may be uploaded", ExitCode.DATA)
    reading = {name: getattr(options, name) for name in READING}
    if options.version_of is None:
        made = client.send("/datasets/upload", options.file, filename=options.file.name, name=options.name, **reading)
    else:
        path = f"/datasets/{options.version_of}/upload"
        made = client.send(path, options.file, filename=options.file.name, **reading)
    return _arrived(client, made, options)


def connect(client: Client, options: argparse.Namespace) -> int:
    """Import a table from a database, a remote file, or the flows that agents sent."""
    target = {"name": options.name, "dataset_id": options.version_of}
    if options.lake:
        return _arrived(client, client.post("/datasets/lake", {**target, "days": options.days}), options)
    if options.remote is not None:
        credentials = {} if options.options_file is None else _read_json(options.options_file)
        reading = {name: getattr(options, name) for name in READING}
        body = {**target, **reading, "url": options.remote, "options": credentials}
        return _arrived(client, client.post("/datasets/remote", body), options)
    if options.query is None:
        raise ClientError("a database needs --query", ExitCode.USAGE)
    body = {**target, "url": _read_line(options.url_file), "query": options.query}
    return _arrived(client, client.post("/datasets/sql", body), options)


def show_log(client: Client, options: argparse.Namespace) -> None:
    """The last lines of the log of an import and profile."""
    lines = client.get(f"/datasets/{options.id}/log", version=options.version, lines=options.lines)
    print(json.dumps(lines) if options.json else "\n".join(clean(line) for line in lines))


def preview(client: Client, options: argparse.Namespace) -> None:
    """Some rows of a data set."""
    found = client.get(
        f"/datasets/{options.id}/preview",
        version=options.version,
        offset=options.offset,
        limit=options.limit,
        sort=options.sort,
        descending=options.descending,
    )
    print_rows(found, as_json=options.json)


def profile(client: Client, options: argparse.Namespace) -> int:
    """What a data set looks like: types, figures, duplicates, suspects."""
    if options.label is not None:
        again = _at_version(f"/datasets/{options.id}/profile", options)
        _settled(client, client.post(again, {"label": options.label}))
    found = client.get(f"/datasets/{options.id}/profile", version=options.version)
    if found is None:
        raise ClientError("there is no profile yet; it comes with the import", ExitCode.DATA)
    if options.json:
        print(json.dumps(found, indent=1))
        return ExitCode.OK
    print(f"{found['rows']} rows, {found['columns']} columns")
    for part in ("properties", "numeric", "categorical"):
        rows = found.get(part) or []
        if rows:
            lines = [[clean(field(name, row.get(name))) for name in rows[0]] for row in rows]
            print(f"\n{align(list(rows[0]), lines)}")
    for warning in found.get("warnings") or []:
        print(f"note: {clean(str(warning))}")
    return ExitCode.OK


def plot(client: Client, options: argparse.Namespace) -> None:
    """A picture of a data set, as ECharts JSON or as an image."""
    wanted = {name: getattr(options, name) for name in ("kind", "x", "y", "by", "method")}
    if options.save is not None:
        client.post(_at_version(f"/datasets/{options.id}/plots", options), {**wanted, "title": options.save})
    if options.out is not None and options.out.suffix in IMAGES:
        path = f"/datasets/{options.id}/plot/image"
        client.fetch(path, options.out, **wanted, version=options.version, format=options.out.suffix[1:])
        print(options.out)
        return
    _kept(client.work_out(f"/datasets/{options.id}/plot", **wanted, version=options.version), options.out)


def list_plots(client: Client, options: argparse.Namespace) -> None:
    """Plots kept with a data set, newest first."""
    show(client.pages(f"/datasets/{options.id}/plots", limit=options.limit), PLOTS, as_json=options.json)


def get_plot(client: Client, options: argparse.Namespace) -> None:
    """A kept plot, as ECharts JSON."""
    _kept(client.get(f"/datasets/plots/{options.plot}"), options.out)


def delete_plot(client: Client, options: argparse.Namespace) -> None:
    """Remove a kept plot."""
    client.delete(f"/datasets/plots/{options.plot}")
    print(json.dumps({"deleted": options.plot}) if options.json else f"plot {options.plot} is removed")


def rename(client: Client, options: argparse.Namespace) -> None:
    """Give a data set another name."""
    _told(client.patch(f"/datasets/{options.id}", {"name": options.name}), options)


def cancel(client: Client, options: argparse.Namespace) -> None:
    """End an import or profile under way."""
    _told(client.post(_at_version(f"/datasets/{options.id}/cancel", options)), options)


def delete(client: Client, options: argparse.Namespace) -> None:
    """Delete a data set with its files, or one version of it."""
    client.delete(f"/datasets/{options.id}", version=options.version)
    print(json.dumps({"deleted": options.id}) if options.json else f"data set {options.id} is deleted")


def print_rows(found: dict[str, Any], *, as_json: bool) -> None:
    """A page of rows, as JSON lines of objects or as a table."""
    if as_json:
        for row in found["rows"]:
            print(json.dumps(dict(zip(found["columns"], row, strict=True))))
        return
    names = found["columns"]
    lines = [[clean(field("value", value)) for value in row] for row in found["rows"]]
    print(align([clean(name) for name in names], lines) if lines else "(nothing)")


def _arrived(client: Client, made: dict[str, Any], options: argparse.Namespace) -> int:
    """Show what became of an import; wait for it first, unless asked not to."""
    if not options.no_wait:
        made = _settled(client, made)
    if options.json:
        print(json.dumps(made))
    elif made["state"] == "failed":
        print(f"data set {made['id']} could not be imported: {clean(made['error'])}", file=sys.stderr)
    else:
        what = (
            "is being imported"
            if made["state"] == "importing"
            else f"has {made['rows']} rows, {made['columns']} columns"
        )
        print(f"data set {made['id']} ({clean(made['name'])}, version {made['version']}) {what}")
        for warning in made["warnings"]:
            print(f"note: {clean(warning)}")
    return ExitCode.DATA if made["state"] == "failed" else ExitCode.OK


def _settled(client: Client, made: dict[str, Any]) -> dict[str, Any]:
    while made["busy"]:
        time.sleep(POLL_S)
        made = client.get(f"/datasets/{made['id']}", version=made["version"])["dataset"]
    return made


def _told(made: dict[str, Any], options: argparse.Namespace) -> None:
    print(json.dumps(made) if options.json else f"data set {made['id']} ({clean(made['name'])}) is {made['state']}")


def _kept(plot: dict[str, Any], out: Path | None) -> None:
    text = json.dumps(plot, indent=1)
    if out is None:
        print(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClientError(f"writing {out}: {error.strerror}", ExitCode.USAGE) from error
    print(out)


def _at_version(path: str, options: argparse.Namespace) -> str:
    return path if options.version is None else f"{path}?version={options.version}"


def _read_line(source: str) -> str:
    try:
        text = sys.stdin.readline() if source == "-" else Path(source).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"reading the database's URL from {source}: {error}", ExitCode.USAGE) from error
    return text.strip()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ClientError(f"reading {path}: {error}", ExitCode.USAGE) from error
    if not isinstance(told, dict):
        raise ClientError(f"reading {path}: it is no JSON object", ExitCode.USAGE)
    return told


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int)
    parser.add_argument("--version", type=int, metavar="N", help="which version (default: the newest)")


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="of the data set; after the source if not given")
    parser.add_argument("--version-of", type=int, metavar="ID", help="as a new version of this data set")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the import")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sheet", help="of an Excel file; the first if not given")
    parser.add_argument("--delimiter", help="between the columns of a text file; found by looking otherwise")
    parser.add_argument("--encoding", help="of a text file; found by looking otherwise")
    parser.add_argument("--header", choices=("auto", "yes", "no"), help="whether the first line names the columns")
