"""`anomaflow-trainer workbench VERB` and `anomaflow-trainer automl`: where the verbs of the workbench come together.

Each part brings its own verbs in a module with `add_arguments(verbs)`; a part that is not installed adds none. Nothing
heavy is imported until a verb runs.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench import automl_cli

if TYPE_CHECKING:
    import argparse

_PARTS: Final = (
    "trainer.workbench.datasets_cli",
    "trainer.workbench.automl_cli",
    "trainer.workbench.use_cli",
)


def add_arguments(commands: Any) -> argparse.ArgumentParser:
    """Add `workbench` with its verbs, and `automl`. Every verb sets `run`, which takes options and progress."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "workbench", help="tables: bring them in, look at them, try models on them, predict and explain"
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for part in _PARTS:
        if importlib.util.find_spec(part) is not None:
            importlib.import_module(part).add_arguments(verbs)
    automl_cli.add_automl(commands)
    return parser
