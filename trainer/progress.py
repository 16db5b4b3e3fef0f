"""Progress of a run: a bar for a person, JSON lines for a program, or nothing.

With `json` every event is one object a line on standard output, so that whoever started the trainer as a process can
follow it; `fraction` is of the whole run, never falls, and ends at 1. The bar goes to standard error and is redrawn in
place, so that standard output stays free for results.
"""

from __future__ import annotations

import json
from typing import IO, Any, Final

STYLES: Final = ("json", "bar", "none")
STAGES: Final = {
    "corpus": (0.0, 0.20),
    "fit": (0.20, 0.75),
    "calibrate": (0.75, 0.80),
    "export": (0.80, 0.87),
    "evaluate": (0.87, 0.95),
    "gate": (0.95, 1.0),
}
"""Where each stage of a fit lies in the whole. Fitting takes longest. Any other stage is a run of its own."""

_WIDTH: Final = 28
_COLUMNS: Final = 79


class Progress:
    """Tells how far a run is. `out` receives JSON lines, `terminal` the bar."""

    def __init__(self, style: str, *, out: IO[str], terminal: IO[str]) -> None:
        self._style = style
        self._out = out
        self._terminal = terminal
        self._reached = 0.0

    def stage(self, name: str, fraction: float, message: str) -> None:
        """`fraction` of the stage `name` is done."""
        start, end = STAGES.get(name, (0.0, 1.0))
        self._reached = max(self._reached, start + (end - start) * min(max(fraction, 0.0), 1.0))
        if self._style == "json":
            event = {"event": "progress", "stage": name, "fraction": round(self._reached, 4), "message": message}
            self._line(event)
        elif self._style == "bar":
            done = round(self._reached * _WIDTH)
            text = f"[{'#' * done}{'.' * (_WIDTH - done)}] {self._reached:4.0%} {name}: {message}"
            self._terminal.write(f"\r{text[:_COLUMNS]:<{_COLUMNS}}")
            self._terminal.flush()

    def end(self) -> None:
        """The run is over, well or not: the bar's line is left behind."""
        if self._style == "bar" and self._reached > 0:
            self._terminal.write("\n")
            self._terminal.flush()

    def event(self, kind: str, fields: dict[str, Any]) -> bool:
        """Print a final event and return True, if this style prints events at all."""
        if self._style != "json":
            return False
        self._line({"event": kind, **fields})
        return True

    def _line(self, event: dict[str, Any]) -> None:
        self._out.write(json.dumps(event) + "\n")
        self._out.flush()
