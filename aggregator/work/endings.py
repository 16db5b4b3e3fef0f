"""What a process of the trainer's told of itself: how far it is while it runs, and its last words when it has ended."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from aggregator.work import processes, story
from aggregator.work.rows import Ended

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.work.rows import Order

LOG: Final = "log.txt"
LAST_LINES: Final = 50


def read(
    folder: Path,
    order: Order,
    place: int,
    *,
    exit_code: int | None = None,
    asked: str = "",
    timed_out: bool = False,
) -> Ended:
    """How an attempt whose story begins at `place` ended. Reads files."""
    said, complaint = "", ""
    while True:
        events, after = story.read(folder / order.story, place)
        for event in events:
            if event["event"] == "end":
                said, complaint = str(event.get("state", "")), str(event.get("message") or "")
        if after == place:
            break
        place = after
    words = ""
    for line in processes.tail(folder / LOG, lines=LAST_LINES):
        if line.startswith("$ "):
            words = ""  # an attempt begins: what was said before is not about it
        elif line.strip() and not line.startswith("{"):
            words = line.strip().removeprefix("anomaflow-trainer: ")
    return Ended(exit_code, asked, timed_out, said, complaint or words[: story.TEXT])


def discard(path: Path) -> None:
    """Remove a file or a folder that was kept for a process."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def progress(event: dict[str, Any]) -> dict[str, Any]:
    """What an event changes in the work's row."""
    if event["event"] in {"stage", "progress"}:
        return {
            "stage": str(event.get("stage", ""))[:64],
            "fraction": float(event.get("fraction", 0.0)),
            "message": str(event.get("message") or ""),
        }
    if event["event"] == "model":
        words = {"started": "fitting", "done": "done:", "failed": "failed:", "skipped": "left out:"}
        return {
            "message": f"{words.get(str(event.get('state')), '')} {event.get('title') or event.get('name')}".strip()
        }
    return {}
