"""What happens in a run, one JSON object a line in `events.jsonl`, and on the way to whoever watches.

`fraction` is of the whole run and never falls. A run that goes on after it was cut off writes behind what is there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trainer.workbench.contest.folder import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trainer.progress import Progress


class Events:
    """Writes each event, and tells it to `progress`. `clock` gives milliseconds of UTC."""

    def __init__(self, path: Path, progress: Progress, clock: Callable[[], int]) -> None:
        self._path = path
        self._progress = progress
        self._clock = clock
        self._reached = 0.0

    def stage(self, stage: str, fraction: float, message: str) -> None:
        """How far the run is."""
        self._reached = max(self._reached, min(fraction, 1.0))
        told = {"stage": stage, "fraction": round(self._reached, 4), "message": message}
        if not self._tell("stage", told):
            self._progress.stage(stage, self._reached, message)

    def model(self, name: str, title: str, state: str, **more: Any) -> None:
        """A candidate: started, done, failed or skipped; `metric`, `seconds`, `message`."""
        told = {"metric": None, "seconds": None, "message": ""} | more
        self._tell("model", {"name": name, "title": title, "state": state, **told})

    def epoch(self, name: str, row: dict[str, float]) -> None:
        """One epoch of a candidate that goes through them."""
        told = {key: row.get(key) for key in ("epoch", "loss", "val_loss", "acc", "val_acc")}
        self._tell("epoch", {"name": name, **told})

    def end(self, state: str, message: str) -> None:
        """done, stopped, failed or cancelled."""
        self._tell("end", {"state": state, "message": message})

    def _tell(self, kind: str, fields: dict[str, Any]) -> bool:
        told = plain({"at_ms": self._clock(), "event": kind, **fields})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n")
        rest = {key: value for key, value in told.items() if key != "event"}
        return self._progress.event(kind, rest)
