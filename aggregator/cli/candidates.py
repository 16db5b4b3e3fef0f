"""Verbs of `experiments` that ask one of its models: how it came about, what it says, why, and how it leaves."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator.cli import verbs
from aggregator.cli.client import ClientError
from aggregator.cli.datasets import print_rows
from aggregator.cli.tables import align, clean, field, table
from protos.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

POLL_S: Final = 1.0
UNDER_WAY: Final = ("queued", "running")
FILES: Final = {"model": "model.onnx", "script": "script.py"}


def add_verbs(parsers: Any) -> None:
    """`model`, `history`, `form`, `predict`, `explain`, `download`, `promote`, `promotion`."""
    for name, verb in (("model", model), ("history", history), ("form", form)):
        _add_model(verbs.add(parsers, name, verb))
    _add_predict(verbs.add(parsers, "predict", predict))
    made = verbs.add(parsers, "explain", explain)
    _add_model(made)
    made.add_argument("--method", required=True, help="shap, shap-row, lime, importance or partial")
    made.add_argument("--row", type=int, metavar="N", help="which row, counted from 0")
    made.add_argument("--feature", metavar="COLUMN", help="which column, for partial")
    made.add_argument("--class", dest="of_class", metavar="CLASS", help="whose chance is explained, not strangeness")
    made.add_argument("--prediction", type=int, metavar="ID", help="the row is one of this prediction")
    made = verbs.add(parsers, "download", download)
    _add_model(made)
    made.add_argument("--what", choices=(*FILES, "settings"), default="model", help="(default: model)")
    made.add_argument("--out", type=Path, required=True, metavar="FILE")
    made = verbs.add(parsers, "promote", promote)
    _add_model(made)
    made.add_argument("--reason", default="", help="for the audit log")
    verbs.add(parsers, "promotion", promotion).add_argument("id", type=int)


def model(client: Client, options: argparse.Namespace) -> None:
    """One model of an experiment: its figures, and what matters to it."""
    found = client.get(_path(client, options))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    entry = found["entry"] or {}
    print(clean(f"{found.get('title') or entry.get('title')}: {entry.get('state', 'under way')}"))
    parts = {part: entry.get(part) or {} for part in ("train", "select", "test")}
    figures = [name for name, value in parts["test"].items() if not isinstance(value, dict | list)]
    for rows in (
        [{"figure": name, **{part: told.get(name) for part, told in parts.items()}} for name in figures],
        found.get("by_class") or [],
        found.get("importance") or [],
    ):
        if rows:
            print("\n" + table(rows))


def history(client: Client, options: argparse.Namespace) -> None:
    """Accuracy and loss of a network, epoch by epoch; also while it learns."""
    rows = client.get(f"{_path(client, options)}/history")
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def form(client: Client, options: argparse.Namespace) -> None:
    """What one row for a model consists of: its columns, with typical values and known words."""
    rows = client.get(f"{_path(client, options)}/form")
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def predict(client: Client, options: argparse.Namespace) -> int:
    """Predict a data set, a file, a pasted table, or one row."""
    path = f"/experiments/{options.id}/predict"
    if options.row is not None:
        body = {"row": _object(options.row), "model": options.model, "reasons": options.reasons}
        print(json.dumps(client.post(f"{path}/row", body), indent=1))
        return ExitCode.OK
    how = {"model": options.model, "reasons": options.reasons}
    how |= {"rename_alike": options.rename_alike, "fill_missing": options.fill_missing}
    if options.file is not None:
        made = client.send(f"{path}/upload", options.file, filename=options.file.name, **how, rename=options.rename)
    else:
        how |= {"rename": dict(map(_renamed, options.rename))}
        if options.text:
            made = client.post(f"{path}/text", {**how, "text": sys.stdin.read()})
        else:
            made = client.post(path, {**how, "dataset_id": options.dataset, "version": options.version})
    while made["state"] in UNDER_WAY:
        time.sleep(POLL_S)
        made = client.get(f"/predictions/{made['id']}")
    if made["state"] != "done":
        raise ClientError(f"prediction {made['id']} {made['state']}: {made['error']}", ExitCode.DATA)
    if options.out is not None:
        client.fetch(f"/predictions/{made['id']}/rows.csv", options.out)
    if options.json:
        print(json.dumps(made))
        return ExitCode.OK
    print(f"prediction {made['id']}: {made['rows']} rows, {field('value', made['anomalies'])} anomalies")
    if options.out is None:
        print_rows(client.get(f"/predictions/{made['id']}/rows", limit=20), as_json=False)
    return ExitCode.OK


def explain(client: Client, options: argparse.Namespace) -> None:
    """Why a model says what it says."""
    told = client.work_out(
        f"/experiments/{options.id}/explanation",
        method=options.method,
        model=options.model,
        row=options.row,
        feature=options.feature,
        **{"class": options.of_class},
        prediction_id=options.prediction,
    )
    if options.json or not told.get("items"):
        print(json.dumps(told, indent=1))
        return
    print(clean(str(told.get("title", ""))))
    names = list(told["items"][0])
    print(align(names, [[clean(field(name, item.get(name))) for name in names] for item in told["items"]]))


def download(client: Client, options: argparse.Namespace) -> None:
    """A model's file, a script of its fit, or an experiment's settings."""
    path = f"/experiments/{options.id}/settings.yaml"
    if options.what in FILES:
        path = f"{_path(client, options)}/{FILES[options.what]}"
    written = client.fetch(path, options.out)
    print(json.dumps({"file": str(options.out), "bytes": written}) if options.json else options.out)


def promote(client: Client, options: argparse.Namespace) -> int:
    """Offer a model on flow features to agents: into the registry, past the gate."""
    body = {"model": options.model, "reason": options.reason}
    made = client.post(f"/experiments/{options.id}/promote", body)
    while made["work"]["state"] in UNDER_WAY:
        time.sleep(POLL_S)
        made = client.get(f"/experiments/{options.id}/promotion")
    return _offered(made, options)


def promotion(client: Client, options: argparse.Namespace) -> int:
    """What became of the latest offer to agents."""
    made = client.get(f"/experiments/{options.id}/promotion")
    if made is None:
        raise ClientError(f"no model of experiment {options.id} was offered to agents", ExitCode.DATA)
    return _offered(made, options)


def _offered(made: dict[str, Any], options: argparse.Namespace) -> int:
    work = made["work"]
    print(json.dumps(made) if options.json else clean(work["error"] or work["message"] or work["state"]))
    if work["state"] in UNDER_WAY:
        return ExitCode.OK
    if work["state"] != "done":
        return ExitCode.DATA
    return ExitCode.GATE if made["gate_passed"] is False else ExitCode.OK


def _path(client: Client, options: argparse.Namespace) -> str:
    """Where the model asked for is, the best one by default."""
    name = options.model or client.get(f"/experiments/{options.id}")["best"]
    if not name:
        raise ClientError(f"experiment {options.id} has no model yet", ExitCode.DATA)
    return f"/experiments/{options.id}/models/{name}"


def _renamed(pair: str) -> tuple[str, str]:
    theirs, equals, mine = pair.partition("=")
    if not equals:
        raise ClientError(f"--rename {pair!r} is not THEIRS=MINE, such as src-bytes=src_bytes", ExitCode.USAGE)
    return theirs, mine


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ClientError("--row is a JSON object such as '{\"bytes\": 12}'", ExitCode.USAGE)
    return told


def _add_predict(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--dataset", type=int, metavar="ID", help="a data set of the workbench")
    rows.add_argument("--file", type=Path, metavar="FILE", help="a file of yours")
    rows.add_argument("--text", action="store_true", help="a table on standard input, with a line of headings")
    rows.add_argument("--row", metavar="JSON", help="one row, such as '{\"bytes\": 12}'")
    parser.add_argument("--version", type=int, metavar="N", help="of the data set (default: the newest)")
    parser.add_argument("--reasons", type=int, default=3, metavar="N", help="columns named a row (default: 3)")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="THEIRS=MINE", help="which of the model's columns one is"
    )
    parser.add_argument("--rename-alike", action="store_true", help="take columns whose names differ in spelling only")
    parser.add_argument("--fill-missing", action="store_true", help="typical values, however many columns are missing")
    parser.add_argument("--out", type=Path, metavar="CSV", help="all rows with their predictions")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int)
    parser.add_argument("--model", metavar="NAME", help="which model (default: the best)")
