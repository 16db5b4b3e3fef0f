"""Noun: experiments, models tried on tables of the workbench."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator.cli import verbs
from aggregator.cli.client import ClientError
from aggregator.cli.datasets import print_rows
from aggregator.cli.tables import align, clean, field, show, when
from protos.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("name", lambda row: row["name"]),
    ("kind", lambda row: row["kind"]),
    ("data", lambda row: f"{row['dataset_name']} v{row['dataset_version']}"),
    ("state", lambda row: row["state"]),
    ("done", lambda row: f"{row['fraction']:.0%}"),
    ("best", lambda row: row["best_title"]),
    ("metric", lambda row: row["metric"]),
    ("value", lambda row: field("value", row["value"])),
    ("test", lambda row: field("value", row["test_value"])),
    ("started", lambda row: when(row["started_ms"])),
    ("by", lambda row: row["by"]),
    ("message", lambda row: row["error"] or row["message"]),
)
BOARD = (
    ("model", lambda row: row["name"]),
    ("state", lambda row: row["state"]),
    *(
        (f"{part} {name}", lambda row, part=part, name=name: field("value", (row.get(part) or {}).get(name)))
        for part in ("train", "test")
        for name in ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision")
    ),
    ("fit s", lambda row: field("value", row.get("fit_s"))),
    ("why", lambda row: row.get("why") or ""),
)
POLL_S: Final = 1.0
UNDER_WAY: Final = ("queued", "running")
CHECKED: Final = {True: "ok", False: "FAILED", None: "differs"}
FILES: Final = {"model": "model.onnx", "script": "script.py"}


def add_verbs(parsers: Any) -> None:
    """`list`, `get`, `run`, `watch`, `cancel`, `stop`, `resume`, `leaderboard`, `compare`, `predict`, `explain`, ..."""
    made = verbs.add(parsers, "list", list_experiments)
    verbs.add_limit(made)
    made.add_argument("--dataset", type=int, metavar="ID", help="only those on this data set")
    verbs.add(parsers, "get", get_experiment).add_argument("id", type=int)
    _add_run(verbs.add(parsers, "run", run))
    for name, verb in (("watch", watch), ("cancel", cancel), ("stop", stop), ("resume", resume), ("delete", delete)):
        verbs.add(parsers, name, verb).add_argument("id", type=int)
    made = verbs.add(parsers, "log", show_log)
    made.add_argument("id", type=int)
    made.add_argument("--lines", type=int, default=50, help="how many (default: 50)")
    made = verbs.add(parsers, "leaderboard", leaderboard)
    made.add_argument("id", type=int)
    made.add_argument("--sort", metavar="FIGURE", help="such as test.recall or fit_s")
    verbs.add(parsers, "compare", compare).add_argument("ids", type=int, nargs="+")
    _add_predict(verbs.add(parsers, "predict", predict))
    made = verbs.add(parsers, "explain", explain)
    _add_model(made)
    made.add_argument("--method", required=True, help="shap, shap-row, lime, importance or partial")
    made.add_argument("--row", type=int, metavar="N", help="which row, counted from 0")
    made.add_argument("--feature", metavar="COLUMN", help="which column, for partial")
    made.add_argument("--class", dest="of_class", metavar="CLASS", help="whose chance is explained, not strangeness")
    made.add_argument("--prediction", type=int, metavar="ID", help="the row is one of this prediction")
    verbs.add(parsers, "verify", verify).add_argument("id", type=int)
    made = verbs.add(parsers, "download", download)
    _add_model(made)
    made.add_argument("--what", choices=(*FILES, "settings"), default="model", help="(default: model)")
    made.add_argument("--out", type=Path, required=True, metavar="FILE")
    made = verbs.add(parsers, "promote", promote)
    _add_model(made)
    made.add_argument("--reason", default="", help="for the audit log")


def list_experiments(client: Client, options: argparse.Namespace) -> None:
    """Experiments, newest first."""
    rows = client.pages("/experiments", limit=options.limit, dataset_id=options.dataset)
    show(rows, COLUMNS, as_json=options.json)


def get_experiment(client: Client, options: argparse.Namespace) -> None:
    """One experiment."""
    verbs.print_one(client.get(f"/experiments/{options.id}"), options, hidden=("settings",))


def run(client: Client, options: argparse.Namespace) -> int:
    """Start an experiment on a data set."""
    chosen = {"label": options.label, "kind": options.kind}
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = client.get(f"/datasets/{options.dataset}/defaults", version=options.version, **given)["settings"]
    if options.settings is not None:
        body = {"text": _read(options.settings), "settings": settings}
        settings = client.post("/experiments/settings/read", body) | given
    for word in options.set:
        name, equals, text = word.partition("=")
        if not equals:
            raise ClientError(f"--set {word!r} is not NAME=VALUE", ExitCode.USAGE)
        settings[name] = _value(text)
    body = {
        "dataset_id": options.dataset,
        "version": options.version,
        "test_dataset_id": options.test_dataset,
        "settings": settings,
    }
    made = client.post("/experiments", body)
    if options.wait:
        return _follow(client, made["id"], options)
    _told(made, options, f"; follow it with: anomaflow experiments watch {made['id']}")
    return ExitCode.OK


def watch(client: Client, options: argparse.Namespace) -> int:
    """Show an experiment's progress until it ends."""
    return _follow(client, options.id, options)


def cancel(client: Client, options: argparse.Namespace) -> None:
    """End an experiment at once."""
    _told(client.post(f"/experiments/{options.id}/cancel"), options)


def stop(client: Client, options: argparse.Namespace) -> None:
    """Ask an experiment to finish with what it has."""
    _told(client.post(f"/experiments/{options.id}/stop"), options)


def resume(client: Client, options: argparse.Namespace) -> None:
    """Go on with an experiment that ended before its time."""
    _told(client.post(f"/experiments/{options.id}/resume"), options)


def delete(client: Client, options: argparse.Namespace) -> None:
    """Delete an experiment with its models and predictions."""
    client.delete(f"/experiments/{options.id}")
    print(json.dumps({"deleted": options.id}) if options.json else f"experiment {options.id} is deleted")


def show_log(client: Client, options: argparse.Namespace) -> None:
    """The last lines of an experiment's log."""
    lines = client.get(f"/experiments/{options.id}/log", lines=options.lines)
    print(json.dumps(lines) if options.json else "\n".join(clean(line) for line in lines))


def leaderboard(client: Client, options: argparse.Namespace) -> None:
    """An experiment's models, best first."""
    show(client.get(f"/experiments/{options.id}/leaderboard", sort=options.sort), BOARD, as_json=options.json)


def compare(client: Client, options: argparse.Namespace) -> None:
    """Experiments side by side."""
    found = client.get("/experiments/compare", ids=options.ids)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(found["note"])
    heads = ["model", *(f"{one['id']} {clean(one['name'])}" for one in found["experiments"])]
    metrics = [one["metric"].replace("-", "_") for one in found["experiments"]]
    lines = [
        [
            row["title"],
            *(
                field("value", ((entry or {}).get("test") or {}).get(metric))
                for entry, metric in zip(row["entries"], metrics, strict=True)
            ),
        ]
        for row in found["rows"]
    ]
    print(align(heads, lines) if lines else "(nothing)")


def predict(client: Client, options: argparse.Namespace) -> int:
    """Predict a data set, a file, or one row."""
    path = f"/experiments/{options.id}/predict"
    if options.row is not None:
        body = {"row": _object(options.row), "model": options.model, "reasons": options.reasons}
        print(json.dumps(client.post(f"{path}/row", body), indent=1))
        return ExitCode.OK
    how = {"model": options.model, "reasons": options.reasons}
    if options.file is not None:
        made = client.send(f"{path}/upload", options.file, filename=options.file.name, **how)
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


def verify(client: Client, options: argparse.Namespace) -> int:
    """Whether an experiment can be done again here, as things are now."""
    told = client.work_out(f"/experiments/{options.id}/verification")
    if options.json:
        print(json.dumps(told))
    else:
        for check in told["checks"]:
            print(f"{CHECKED[check['passed']]:<8} {clean(check['name'])}: {clean(check['detail'])}")
        print(clean(told["note"]))
    return ExitCode.OK if told["reproducible"] else ExitCode.DATA


def download(client: Client, options: argparse.Namespace) -> None:
    """A model's file, a script of its fit, or an experiment's settings."""
    path = f"/experiments/{options.id}/settings.yaml"
    if options.what in FILES:
        model = options.model or client.get(f"/experiments/{options.id}")["best"]
        if not model:
            raise ClientError(f"experiment {options.id} has no model yet", ExitCode.DATA)
        path = f"/experiments/{options.id}/models/{model}/{FILES[options.what]}"
    written = client.fetch(path, options.out)
    print(json.dumps({"file": str(options.out), "bytes": written}) if options.json else options.out)


def promote(client: Client, options: argparse.Namespace) -> int:
    """Offer a model on flow features to agents: into the registry, past the gate."""
    body = {"model": options.model, "reason": options.reason}
    made = client.post(f"/experiments/{options.id}/promote", body)
    while made["work"]["state"] in UNDER_WAY:
        time.sleep(POLL_S)
        made = client.get(f"/experiments/{options.id}/promotion")
    if options.json:
        print(json.dumps(made))
    else:
        print(clean(made["work"]["error"] or made["work"]["message"]))
    if made["work"]["state"] != "done":
        return ExitCode.DATA
    return ExitCode.GATE if made["gate_passed"] is False else ExitCode.OK


def _follow(client: Client, experiment_id: int, options: argparse.Namespace) -> int:
    shown = ""
    while True:
        one = client.get(f"/experiments/{experiment_id}")
        line = f"{one['fraction']:4.0%}  {one['stage']:<9} {clean(one['error'] or one['message'])}"
        if line != shown and not options.json:
            shown = line
            print(line, file=sys.stderr, flush=True)
        if one["state"] not in UNDER_WAY:
            _told(one, options)
            return ExitCode.OK if one["state"] in {"done", "stopped"} else ExitCode.DATA
        time.sleep(POLL_S)


def _told(one: dict[str, Any], options: argparse.Namespace, more: str = "") -> None:
    print(json.dumps(one) if options.json else f"experiment {one['id']} ({clean(one['name'])}) is {one['state']}{more}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"reading {path}: {error}", ExitCode.USAGE) from error


def _value(text: str) -> Any:
    """A setting's value: JSON where it is JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _object(text: str) -> dict[str, Any]:
    told = _value(text)
    if not isinstance(told, dict):
        raise ClientError("--row is a JSON object such as '{\"bytes\": 12}'", ExitCode.USAGE)
    return told


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=int, help="id of the data set")
    parser.add_argument("--version", type=int, metavar="N", help="which version (default: the newest)")
    parser.add_argument("--label", metavar="COLUMN", help="to predict; guessed if not given, empty for none")
    parser.add_argument("--kind", choices=("ml", "dl"), help="models that learn in one go, or networks (default: ml)")
    parser.add_argument("--test-dataset", type=int, metavar="ID", help="rows that judge, and nothing else")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings as YAML")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, such as time_budget_s=60"
    )
    parser.add_argument("--wait", action="store_true", help="show progress until it ends")


def _add_predict(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--dataset", type=int, metavar="ID", help="a data set of the workbench")
    rows.add_argument("--file", type=Path, metavar="FILE", help="a file of yours")
    rows.add_argument("--row", metavar="JSON", help="one row, such as '{\"bytes\": 12}'")
    parser.add_argument("--version", type=int, metavar="N", help="of the data set (default: the newest)")
    parser.add_argument("--reasons", type=int, default=3, metavar="N", help="columns named a row (default: 3)")
    parser.add_argument("--out", type=Path, metavar="CSV", help="all rows with their predictions")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int)
    parser.add_argument("--model", metavar="NAME", help="which model (default: the best)")
