"""The folder of a run, read: what was asked, what it was done on, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.errors import SettingsUnusable, SourceMissing
from trainer.workbench.contest import folder as folders
from trainer.workbench.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that has a result. `data` names the table, relative to the folder or not."""

    folder: Path
    settings: Settings
    data: dict[str, Any]
    result: dict[str, Any]

    @property
    def table(self) -> Path:
        """Where the table of the run lies, or lay."""
        return self.folder / str(self.data["table"])

    @property
    def test_table(self) -> Path | None:
        """The test table that was given, if one was."""
        told = self.data.get("test_table")
        return None if not told else self.folder / str(told)

    @property
    def data_digest(self) -> str:
        """Digest of the content of the run's table."""
        return str(self.result.get("data", {}).get("digest") or "")

    def entry(self, name: str) -> dict[str, Any]:
        """The line of model `name` in the leaderboard. Raises `SettingsUnusable`, naming those there are."""
        lines = {str(line["name"]): line for line in self.result.get("leaderboard", ())}
        done = [key for key, line in lines.items() if line.get("state") == "done"]
        if name not in done:
            why = f"it is {lines[name].get('state')}" if name in lines else "the run has no such model"
            raise SettingsUnusable(f"looking for model {name!r} in {self.folder}: {why}; there are {', '.join(done)}")
        return lines[name]


def read(folder: Path) -> Recorded:
    """The run in `folder`. Raises `SourceMissing` without a result, `SettingsUnusable` for a damaged one."""
    for name in ("settings.json", "data.json", "result.json"):
        if not (folder / name).is_file():
            raise SourceMissing(f"reading the run in {folder}: it has no {name}; give the folder of a finished run")
    settings, data, result = (folders.read(folder / name) for name in ("settings.json", "data.json", "result.json"))
    if "table" not in data:
        raise SettingsUnusable(f"reading the run in {folder}: data.json names no table; run the experiment again")
    return Recorded(folder, Settings.from_json(settings), data, result)
