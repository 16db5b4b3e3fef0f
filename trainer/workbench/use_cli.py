"""`workbench predict, download, explain, script, verify, promote`: arguments, and what is done with them.

Nothing heavy is imported until a verb runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from protos.exits import ExitCode
from trainer.arguments import amount, positive, rate
from trainer.errors import SettingsUnusable
from trainer.workbench.telling import add_progress, ended, teller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainer.progress import Progress
    from trainer.workbench.prediction.incoming import Incoming
    from trainer.workbench.telling import Tell

STDIN: Final = "-"


def add_arguments(verbs: Any) -> None:
    """Add the verbs that use what a run has made."""
    _add_predict(verbs)
    _add_explain(verbs)
    script: argparse.ArgumentParser = verbs.add_parser("script", help="write a model of a run as a Python script")
    script.set_defaults(run=_script)
    script.add_argument("folder", type=Path, metavar="RUNDIR", help="folder of the run")
    script.add_argument("candidate", metavar="MODEL", help="name of the model")
    script.add_argument("--out", type=Path, required=True, metavar="FILE.py")
    verify: argparse.ArgumentParser = verbs.add_parser("verify", help="say whether a run can be done again here")
    verify.set_defaults(run=_verify)
    verify.add_argument("folder", type=Path, metavar="RUNDIR", help="folder of the run")
    verify.add_argument("--out", type=Path, metavar="FILE", help="write every check as JSON, whatever the answer")
    verify.add_argument("--json", action="store_true", help="print every check as JSON")
    _add_promote(verbs)
    download: argparse.ArgumentParser = verbs.add_parser("download", help="write the rows of a prediction as CSV")
    download.set_defaults(run=_download)
    download.add_argument("folder", type=Path, metavar="DIR", help="folder of a prediction")
    download.add_argument("--out", type=Path, required=True, metavar="CSV")


def _add_predict(verbs: Any) -> None:
    predict: argparse.ArgumentParser = verbs.add_parser("predict", help="predict new rows with a model of a run")
    predict.set_defaults(run=_predict)
    predict.add_argument("--model", type=Path, required=True, metavar="MODELDIR", help="folder of the model")
    predict.add_argument(
        "--data",
        required=True,
        metavar="FILE",
        help="a table.parquet, a file a data set can be made of, or - for a pasted table or JSON row on standard input",
    )
    predict.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for rows.parquet, summary.json")
    predict.add_argument(
        "--reasons", type=_count, default=3, metavar="N", help="columns named a row (default 3); 0: none"
    )
    predict.add_argument("--reason-rows", type=positive, metavar="N", help="most rows that get reasons (default 5000)")
    predict.add_argument("--limit-rows", type=positive, metavar="N", help="only the first rows")
    predict.add_argument(
        "--label", metavar="COLUMN", help="column that says what rows are; that of the run if not given"
    )
    predict.add_argument(
        "--rename", action="append", default=[], metavar="THEIRS=MINE", help="which of the model's columns one is"
    )
    predict.add_argument("--rename-alike", action="store_true", help="take columns whose names differ in spelling only")
    predict.add_argument(
        "--fill-missing", action="store_true", help="fill with typical values, however many are missing"
    )
    predict.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_progress(predict)


def _add_explain(verbs: Any) -> None:
    explain: argparse.ArgumentParser = verbs.add_parser("explain", help="say why a model says what it says")
    explain.set_defaults(run=_explain)
    explain.add_argument("--model", type=Path, required=True, metavar="MODELDIR", help="folder of the model")
    explain.add_argument(
        "--table",
        required=True,
        metavar="FILE",
        help="the rows: a table.parquet, or another file a data set can be made of",
    )
    explain.add_argument("--method", choices=("shap", "shap-row", "lime", "importance", "partial"), required=True)
    explain.add_argument("--row", type=int, metavar="N", help="which row, from 0, for shap-row and lime")
    explain.add_argument("--feature", metavar="COLUMN", help="which column, for partial")
    explain.add_argument("--class", dest="wanted", metavar="CLASS", help="the class whose chance is explained")
    explain.add_argument("--label", metavar="COLUMN", help="the column that says what rows are, for importance")
    explain.add_argument(
        "--background", type=Path, metavar="FILE", help="table that rows are compared with; the run's own if not given"
    )
    explain.add_argument("--rows", type=positive, metavar="N", help="most rows looked at")
    explain.add_argument("--seconds", type=amount, default=60.0, help="about how long it may take (default 60)")
    explain.add_argument("--seed", type=int, default=7, help="seed of everything random (default 7)")
    explain.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes; standard output if not given")
    explain.add_argument("--json", action="store_true", help="print it as JSON as well")
    add_progress(explain)


def _add_promote(verbs: Any) -> None:
    promote: argparse.ArgumentParser = verbs.add_parser(
        "promote", help="make a model for agents of a detector of a run on flows"
    )
    promote.set_defaults(run=_promote)
    promote.add_argument("folder", type=Path, metavar="RUNDIR", help="folder of the run")
    promote.add_argument("candidate", metavar="MODEL", help="name of the detector, such as portfolio")
    promote.add_argument("--out", type=Path, required=True, metavar="ONNX", help="where the model file goes")
    promote.add_argument(
        "--report", type=Path, metavar="DIR", help="folder of the report; beside the model if not given"
    )
    promote.add_argument("--name", help="name of the model; the name of the file if not given")
    promote.add_argument(
        "--champion", type=Path, metavar="MODEL", help="the model in use; the new one must pass the gate"
    )
    promote.add_argument("--attacks", nargs="+", default=[], metavar="PATH", help="attack-replay set of the gate")
    promote.add_argument("--golden", nargs="+", default=[], metavar="PATH", help="golden set of the gate")
    promote.add_argument("--alpha", type=rate, default=5e-3, help="false-positive rate to compare at (default 0.005)")
    promote.add_argument("--json", action="store_true", help="print the result as JSON")
    add_progress(promote)


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 100")
    return value


def _predict(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.prediction.opened import label_of, open_model
    from trainer.workbench.prediction.predict import MOST_REASONED, Asked, predict

    asked = Asked(
        reasons=options.reasons,
        reasoned_rows=options.reason_rows or MOST_REASONED,
        renames=_renames(options.rename),
        rename_alike=options.rename_alike,
        fill_missing=options.fill_missing,
        label=options.label or label_of(options.model),
    )
    opened = open_model(options.model)
    tell = teller(options, progress)
    with _incoming(options.data, options.limit_rows, tell) as incoming:
        told = predict(opened, incoming, options.out, asked, tell)
    progress.end()
    if options.json:
        print(json.dumps(told))
    elif not ended(options, f"{told['rows']:,} rows, {told['anomalies']:,} anomalies"):
        counts = ", ".join(f"{name} {rows}" for name, rows in told["counts"].items())
        print(f"rows       {told['rows']}\ncounts     {counts}\nanomalies  {told['anomalies']}")
        for note in (*told["schema"]["notes"], *told["notes"]):
            print(f"note       {note}")
    return ExitCode.OK


def _explain(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.explanation import explain
    from trainer.workbench.prediction.incoming import from_parquet
    from trainer.workbench.prediction.opened import label_of, open_model, table_of

    asked = explain.Asked(
        options.method,
        row=options.row,
        feature=options.feature,
        wanted=options.wanted,
        rows=options.rows,
        label=options.label or label_of(options.model),
        seed=options.seed,
    )
    ends = time.monotonic() + options.seconds
    opened, tell = open_model(options.model), teller(options, progress)
    with _incoming(options.table, None, tell) as incoming:
        path = options.background or table_of(options.model)
        told = explain.explain(
            opened,
            incoming,
            incoming if path is None else from_parquet(path),
            asked,
            seconds_left=lambda: ends - time.monotonic(),
            tell=tell,
        )
    progress.end()
    if options.out is not None:
        explain.save(told, options.out)
    if options.json or options.out is None:
        print(json.dumps(told))
    elif not ended(options, told["title"]):
        print(told["title"])
        for item in told["items"][:10]:
            print(f"  {item['feature']:<32} {item['value']!s:<20} {item['effect']}")
    return ExitCode.OK


def _promote(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.making import fitting
    from trainer.workbench.promotion import promote, recorded

    run = recorded.read(options.folder)
    request = fitting.Request(
        benign=(),
        labelled=(),
        out=options.out,
        name=options.name or options.out.stem,
        champion=options.champion,
        report_dir=options.report,
        seed=run.settings.seed,
        alpha=options.alpha,
        max_rows=run.settings.max_rows,
        attacks=tuple(options.attacks),
        golden=tuple(options.golden),
    )
    result = promote.promote(run, options.candidate, request, progress, lambda: time.time_ns() // 1_000_000)
    progress.end()
    passed = result.gate is None or result.gate.passed
    told = {
        "model": str(result.model),
        "digest": result.digest,
        "report": str(result.report),
        "gate": None if result.gate is None else result.gate.to_json(),
    }
    if options.json:
        print(json.dumps(told))
    elif not ended(options, f"model {result.digest[:12]} written"):
        print(f"model   {result.model}\ndigest  {result.digest}\nreport  {result.report}")
        print("It was fitted again on all features of a flow; publish it with: anomaflow-trainer publish")
        if result.gate is not None:
            print(f"gate    {'passed' if passed else 'failed'}")
    return ExitCode.OK if passed else ExitCode.GATE


def _script(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.promotion import recorded, script

    text = script.script(recorded.read(options.folder), options.candidate, options.out.name)
    script.save(text, options.out)
    progress.end()
    print(options.out)
    return ExitCode.OK


def _verify(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.contest.folder import write
    from trainer.workbench.contest.result import versions
    from trainer.workbench.promotion import recorded, verify

    told = verify.verify(recorded.read(options.folder), versions())
    progress.end()
    if options.out is not None:
        write(options.out, told)
    if options.json:
        print(json.dumps(told))
    else:
        for check in told["checks"]:
            mark = {True: "ok", False: "FAILED", None: "differs"}[check["passed"]]
            print(f"{mark:<8} {check['name']}: {check['detail']}")
        print(told["note"])
    return ExitCode.OK if told["reproducible"] else ExitCode.DATA


def _renames(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        theirs, equals, mine = pair.partition("=")
        if not equals or not theirs or not mine:
            raise SettingsUnusable(f"renaming: {pair!r} is not THEIRS=MINE, such as src-bytes=src_bytes")
        found[theirs] = mine
    return found


@contextlib.contextmanager
def _incoming(data: str, limit: int | None, tell: Tell) -> Iterator[Incoming]:
    from trainer.workbench.prediction.incoming import MOST_PASTED, from_parquet, from_text

    if data == STDIN:
        yield from_text(sys.stdin.buffer.read(MOST_PASTED + 1), limit=limit)
        return
    path = Path(data)
    if path.suffix == ".parquet":
        yield from_parquet(path, limit=limit)
        return
    from trainer.workbench.prediction import imported

    with tempfile.TemporaryDirectory(prefix="anomaflow-predict-") as folder:
        yield from_parquet(imported.table(path, Path(folder), tell), limit=limit, name=path.name)


def _download(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.prediction import download
    from trainer.workbench.prediction.predict import ROWS

    rows = download.save(options.folder / ROWS, options.out)
    progress.end()
    print(f"{rows} rows in {options.out}")
    return ExitCode.OK
