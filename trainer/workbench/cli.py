"""`anomaflow-trainer workbench VERB` and `anomaflow-trainer automl`: where the verbs of the workbench come together.

Each part brings its own verbs in a module with `add_arguments(verbs)`. Nothing heavy is imported until a verb runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainer.workbench import automl_cli, datasets_cli, use_cli

if TYPE_CHECKING:
    import argparse


def add_arguments(commands: Any) -> argparse.ArgumentParser:
    """Add `workbench` with its verbs, and `automl`. Every verb sets `run`, which takes options and progress."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "workbench", help="tables: bring them in, look at them, try models on them, predict and explain"
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for part in (datasets_cli, automl_cli, use_cli):
        part.add_arguments(verbs)
    automl_cli.add_automl(commands)
    return parser
