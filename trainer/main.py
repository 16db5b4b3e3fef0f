"""`anomaflow-trainer`: parse, build, run. The only place of this room that knows the clock, signals and the terminal.

TensorFlow, scikit-learn and scipy are imported by what needs them, never here: `--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import AgentError
from protos.exits import ExitCode
from trainer.arguments import positive, rate
from trainer.captures import cli as captures
from trainer.errors import TrainerError
from trainer.judging import sets
from trainer.progress import STYLES, Progress
from trainer.tables import cli as tables
from trainer.traffic import cli as traffic
from trainer.workbench import cli as workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPILOG = "exit codes:\n" + "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    style = getattr(options, "progress", None) or ("bar" if sys.stderr.isatty() else "none")
    progress = Progress(style, out=sys.stdout, terminal=sys.stderr)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        code: ExitCode = options.run(options, progress)
    except (TrainerError, AgentError) as error:
        code = error.exit_code
        progress.end()
        progress.event("error", {"message": str(error), "exit_code": int(code)})
        print(f"anomaflow-trainer: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        progress.end()
        print("anomaflow-trainer: stopped before it was done", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
    return int(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anomaflow-trainer",
        description="Make models from benign flows and verdicts, judge them, and publish them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a model, calibrate it, and write it with its report")
    fit.set_defaults(run=_fit)
    fit.add_argument(
        "--benign",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="captures, folders of captures or lake Parquet, or Parquet files with ordinary traffic",
    )
    fit.add_argument(
        "--labelled",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="lake Parquet with verdicts, or a manifest .csv of captures, of which the attacks are taken",
    )
    fit.add_argument(
        "--attacks",
        nargs="+",
        default=[],
        metavar="PATH",
        help="attack-replay set the gate compares recall on, never fitted: set files, captures, manifests, "
        "or the word generated for the built-in one",
    )
    fit.add_argument(
        "--golden",
        nargs="+",
        default=[],
        metavar="PATH",
        help="golden set of benign flows the gate counts false alerts on, never fitted: set files, captures, manifests",
    )
    fit.add_argument("--held", type=Path, metavar="FILE", help="what the aggregator holds back from training (JSON)")
    fit.add_argument("--champion", type=Path, metavar="MODEL", help="the model in use; the new one must pass the gate")
    fit.add_argument("--out", type=Path, required=True, metavar="MODEL", help="where the model file goes")
    fit.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="folder for report.json and report.html; beside the model if not given",
    )
    fit.add_argument("--name", help="name of the model; the name of the file if not given")
    fit.add_argument("--seed", type=int, default=7, help="seed of everything random (default 7)")
    fit.add_argument("--epochs", type=positive, default=60, help="most passes over the rows (default 60)")
    fit.add_argument(
        "--alpha", type=rate, default=5e-3, help="false-positive rate at which models are compared (default 0.005)"
    )
    fit.add_argument("--max-rows", type=positive, default=200_000, help="most unlabelled rows (default 200000)")
    _add_progress(fit)

    captures.add_evaluate(commands).set_defaults(run=captures.run_evaluate)

    sets.add_arguments(commands).set_defaults(run=lambda options, _progress: sets.run(options))

    publish = commands.add_parser("publish", help="send a model and its report to the aggregator's registry")
    publish.set_defaults(run=_publish)
    publish.add_argument("--model", type=Path, required=True, metavar="MODEL")
    publish.add_argument("--report", type=Path, metavar="JSON", help="its report.json; beside the model if not given")
    publish.add_argument("--to", required=True, metavar="URL", help="address of the aggregator")
    publish.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="file that holds an API token")

    tables.add_arguments(commands, _clock)
    workbench.add_arguments(commands)
    traffic.add_arguments(commands).set_defaults(run=lambda options, _progress: traffic.run(options))
    return parser


def _add_progress(parser: argparse.ArgumentParser, styles: Sequence[str] = STYLES) -> None:
    parser.add_argument(
        "--progress",
        choices=styles,
        help="how progress is shown: a bar on a terminal and nothing elsewhere, if not given",
    )


def _fit(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.making import fitting

    request = fitting.Request(
        benign=tuple(options.benign),
        labelled=tuple(options.labelled),
        out=options.out,
        name=options.name or options.out.stem,
        champion=options.champion,
        report_dir=options.report,
        seed=options.seed,
        epochs=options.epochs,
        alpha=options.alpha,
        max_rows=options.max_rows,
        attacks=tuple(options.attacks),
        golden=tuple(options.golden),
        held=options.held,
    )
    result = fitting.fit(request, progress, _clock())
    progress.end()
    gate = None if result.gate is None else result.gate.to_json()
    fields: dict[str, Any] = {
        "model": str(result.model),
        "digest": result.digest,
        "report": str(result.report),
        "gate": gate,
    }
    if not progress.event("result", fields):
        print(f"model   {result.model}\ndigest  {result.digest}\nreport  {result.report}")
        if result.gate is not None:
            print(f"gate    {'passed' if result.gate.passed else 'failed'}")
            for check in result.gate.checks:
                mark = {True: "ok", False: "FAILED", None: "-"}[check.passed]
                print(f"  {mark:<6} {check.name}: {check.detail}")
    return ExitCode.OK if result.gate is None or result.gate.passed else ExitCode.GATE


def _publish(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.making import publish

    report = options.report or options.model.with_name(f"{options.model.stem}.report.json")
    answer = publish.publish(options.to, options.model, report, options.token_file)
    progress.end()
    print(json.dumps(answer))
    return ExitCode.OK


def _clock() -> Callable[[], int]:
    """Milliseconds of UTC. SOURCE_DATE_EPOCH, as reproducible builds set it, stops the clock at that second."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    if fixed.isdecimal():
        return lambda: int(fixed) * 1000
    return lambda: time.time_ns() // 1_000_000


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
