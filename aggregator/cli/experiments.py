"""Noun: experiments, models tried on tables of the workbench."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator.cli import candidates, verbs
from aggregator.cli.client import ClientError
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
KINDS: Final = ("ml", "dl")
CHECKED: Final = {True: "ok", False: "FAILED", None: "differs"}


def add_verbs(parsers: Any) -> None:
    """`list`, `get`, `defaults`, `run`, `watch`, `rename`, ..., and what candidates.py asks of one of its models."""
    made = verbs.add(parsers, "list", list_experiments)
    verbs.add_limit(made)
    made.add_argument("--dataset", type=int, metavar="ID", help="only those on this data set")
    made.add_argument("--kind", choices=KINDS, help="only those of models that learn in one go, or of networks")
    made.add_argument("--state", help="only those queued, running, done, stopped, failed, cancelled, timed_out, ...")
    verbs.add(parsers, "get", get_experiment).add_argument("id", type=int)
    made = verbs.add(parsers, "defaults", defaults)
    _add_begin(made)
    made.add_argument("--out", type=Path, metavar="FILE", help="where the YAML goes; standard output if not given")
    _add_run(verbs.add(parsers, "run", run))
    made = verbs.add(parsers, "rename", rename)
    made.add_argument("id", type=int)
    made.add_argument("name")
    for name, verb in (("watch", watch), ("cancel", cancel), ("stop", stop), ("resume", resume), ("delete", delete)):
        verbs.add(parsers, name, verb).add_argument("id", type=int)
    made = verbs.add(parsers, "log", show_log)
    made.add_argument("id", type=int)
    made.add_argument("--lines", type=int, default=50, help="how many (default: 50)")
    made = verbs.add(parsers, "leaderboard", leaderboard)
    made.add_argument("id", type=int)
    made.add_argument("--sort", metavar="FIGURE", help="such as test.recall or fit_s")
    verbs.add(parsers, "compare", compare).add_argument("ids", type=int, nargs="+")
    verbs.add(parsers, "verify", verify).add_argument("id", type=int)
    candidates.add_verbs(parsers)


def list_experiments(client: Client, options: argparse.Namespace) -> None:
    """Experiments, newest first."""
    rows = client.pages(
        "/experiments", limit=options.limit, dataset_id=options.dataset, kind=options.kind, state=options.state
    )
    show(rows, COLUMNS, as_json=options.json)


def get_experiment(client: Client, options: argparse.Namespace) -> None:
    """One experiment."""
    verbs.print_one(client.get(f"/experiments/{options.id}"), options, hidden=("settings",))


def defaults(client: Client, options: argparse.Namespace) -> None:
    """What an experiment on a data set begins with, as settings in YAML."""
    found, _ = _begun(client, options)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for said in (found["why_task"], *found["warnings"]):
        print(f"note: {clean(said)}", file=sys.stderr)
    text = client.post("/experiments/settings/yaml", {"settings": found["settings"]})
    if options.out is None:
        print(text, end="")
        return
    try:
        options.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClientError(f"writing {options.out}: {error.strerror}", ExitCode.USAGE) from error
    print(options.out)


def run(client: Client, options: argparse.Namespace) -> int:
    """Start an experiment on a data set."""
    found, given = _begun(client, options)
    settings = found["settings"]
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
        "test_version": options.test_version,
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


def rename(client: Client, options: argparse.Namespace) -> None:
    """Give an experiment another name."""
    _told(client.patch(f"/experiments/{options.id}", {"name": options.name}), options)


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


def _begun(client: Client, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the aggregator would begin with, and what was said of it here."""
    chosen = {"label": options.label, "kind": options.kind}
    given = {name: value for name, value in chosen.items() if value is not None}
    return client.get(f"/datasets/{options.dataset}/defaults", version=options.version, **given), given


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


def _add_begin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=int, help="id of the data set")
    parser.add_argument("--version", type=int, metavar="N", help="which version (default: the newest)")
    parser.add_argument("--label", metavar="COLUMN", help="to predict; guessed if not given, empty for none")
    parser.add_argument("--kind", choices=KINDS, help="models that learn in one go, or networks (default: ml)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_begin(parser)
    parser.add_argument("--test-dataset", type=int, metavar="ID", help="rows that judge, and nothing else")
    parser.add_argument("--test-version", type=int, metavar="N", help="of that data set (default: the newest)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings as YAML")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, such as time_budget_s=60"
    )
    parser.add_argument("--wait", action="store_true", help="show progress until it ends")
