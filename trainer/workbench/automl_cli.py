"""`workbench run` and `automl`: arguments, and what is done with them. Nothing heavy is imported until they run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.arguments import amount
from trainer.workbench.telling import add_progress

if TYPE_CHECKING:
    import argparse

    from protos.exits import ExitCode
    from trainer.progress import Progress


def add_arguments(verbs: Any) -> None:
    """Add `run` to the workbench's verbs."""
    run: argparse.ArgumentParser = verbs.add_parser("run", help="do an experiment whose settings lie in a folder")
    run.set_defaults(run=_run)
    run.add_argument("folder", type=Path, metavar="RUNDIR", help="folder with settings.json and data.json")
    run.add_argument("--resume", action="store_true", help="go on with a run that was cut off (done anyway)")
    run.add_argument("--json", action="store_true", help="print the result as JSON")
    add_progress(run)


def add_automl(commands: Any) -> None:
    """Add `automl`: a table in, the best model out."""
    automl: argparse.ArgumentParser = commands.add_parser("automl", help="find the best model for a table by itself")
    automl.set_defaults(run=_automl)
    automl.add_argument("--data", type=Path, required=True, metavar="TABLE", help="the table to learn from")
    automl.add_argument("--target", metavar="COLUMN", help="the column to predict; none: look for anomalies")
    automl.add_argument("--test", type=Path, metavar="TABLE", help="rows that no choice sees and all are judged on")
    automl.add_argument(
        "--time-budget", type=amount, metavar="SECONDS", help="how long it may take; 300 if not said anywhere"
    )
    automl.add_argument(
        "--benign", action="append", default=[], metavar="VALUE", help="a target value that is ordinary"
    )
    automl.add_argument("--task", choices=("auto", "benign-only", "unsupervised", "binary", "multiclass"))
    automl.add_argument("--settings", type=Path, metavar="YAML", help="further settings of the experiment")
    automl.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; a new one if not given")
    automl.add_argument("--seed", type=int, help="seed of everything random")
    automl.add_argument("--json", action="store_true", help="print the result as JSON")
    add_progress(automl)


def _run(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.contest import command

    return command.run(options, progress)


def _automl(options: argparse.Namespace, progress: Progress) -> ExitCode:
    from trainer.workbench.contest import command

    return command.automl(options, progress)
