"""A run from its folder: rows dealt, candidates fitted one after the other, judged, improved while there is time.

- What is done stays: each candidate's entry and file are on disk when it is judged, and a run that was cut off goes on
  with what is missing. A file named `stop` in the folder ends it with what there is.
- A candidate that fails says why in the leaderboard, and the others go on.
- The time budget holds for everything, from reading to the last file (course.py, fitting.py).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import TrainerError
from trainer.workbench.contest import board, result
from trainer.workbench.contest.blending import blend
from trainer.workbench.contest.cautions import cautions
from trainer.workbench.contest.last_fit import last_fit
from trainer.workbench.contest.opening import opened, resume, wanted
from trainer.workbench.contest.search import search
from trainer.workbench.contest.turn import take

if TYPE_CHECKING:
    from trainer.workbench.contest.course import Asked, Course

_JUDGING: Final = ("sklearn.metrics", "onnx.compose", "onnxruntime")
"""Loaded before the first candidate, whose judging would seem slow otherwise."""


class Contest:
    """One run of what was asked."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._course: Course | None = None

    def run(self) -> dict[str, Any]:
        """All of it; the result as it is written. Raises errors of `TrainerError`, after writing what there is."""
        events = self._asked.events
        try:
            return self._run()
        except KeyboardInterrupt:
            self._write("stopped")
            events.end("cancelled", "The run was cancelled; what is done stays.")
            raise
        except TrainerError as error:
            self._write("failed", str(error))
            events.end("failed", str(error))
            raise

    def _run(self) -> dict[str, Any]:
        asked = self._asked
        course = self._course = opened(asked)
        candidates = wanted(course)
        resume(course, candidates)
        self._write("running")
        for module in _JUDGING:
            importlib.import_module(module)
        for at, described in enumerate(candidates):
            if described.name not in course.entries:
                take(course, described, len(candidates) - at)
                self._write("running")
        # A network's settings are not searched: one fit of it is most of a budget, and its epochs are what takes time.
        if asked.settings.search and course.judged and asked.settings.kind == "ml":
            search(course)
        if not asked.stopped():
            blend(course)
        entries = list(course.entries.values())
        course.best = board.choose(entries, course.bench.metric, len(course.bench.dealt.select), judged=course.judged)
        if not asked.stopped():
            last_fit(course)
        course.notes += cautions(course)
        state = "stopped" if asked.stopped() else "done"
        told = self._write(state)
        done = sum(entry.state == "done" for entry in course.entries.values())
        asked.events.stage("done", 1.0, f"{done} models compared")
        asked.events.end(state, course.best[1])
        return told

    def _write(self, state: str, *more: str) -> dict[str, Any]:
        notes = [] if self._course is None else self._course.notes
        return result.write(self._asked, state, self._course, [*notes, *more])
