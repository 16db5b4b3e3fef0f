"""How far a verb of the workbench is: one JSON object a line for the program that follows it, or the trainer's bar."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainer.progress import STYLES

if TYPE_CHECKING:
    import argparse

    from trainer.progress import Progress

Tell = Callable[[str, float, str], None]
"""Told the stage, the fraction of the whole that is done, and a message."""


def add_progress(parser: argparse.ArgumentParser) -> None:
    """Let a verb be asked how it shows its progress."""
    parser.add_argument("--progress", choices=STYLES, help="how progress is shown: a bar on a terminal if not given")


def teller(options: argparse.Namespace, progress: Progress) -> Tell:
    """What a verb tells its progress to. A fraction that a program hears never falls."""
    if options.progress != "json":
        return progress.stage
    reached = 0.0

    def tell(stage: str, fraction: float, message: str) -> None:
        nonlocal reached
        reached = max(reached, min(fraction, 1.0))
        _line({"event": "stage", "stage": stage, "fraction": round(reached, 4), "message": message})

    return tell


def ended(options: argparse.Namespace, message: str) -> bool:
    """Tell a program that follows that all went well; False when none does."""
    if options.progress != "json":
        return False
    _line({"event": "end", "state": "done", "message": message})
    return True


def _line(event: dict[str, Any]) -> None:
    told = {"at_ms": time.time_ns() // 1_000_000, **event}
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    sys.stdout.flush()
