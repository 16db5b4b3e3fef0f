"""`workbench run` and `automl`: from folders and files to a contest, and its result to a person or a program."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from protos.exits import ExitCode
from trainer.errors import SettingsUnusable, SourceMissing
from trainer.workbench.candidates.catalogue import catalogue
from trainer.workbench.contest import folder
from trainer.workbench.contest.course import Asked, Clock
from trainer.workbench.contest.events import Events
from trainer.workbench.contest.run import Contest
from trainer.workbench.settings import Settings

if TYPE_CHECKING:
    import argparse

    from trainer.progress import Progress

_SHOWN: Final = ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision")


def run(options: argparse.Namespace, progress: Progress) -> ExitCode:
    """`workbench run RUNDIR`."""
    began = time.monotonic()
    told = contest(options.folder, progress, began)
    _show(told, options, options.folder)
    return ExitCode.OK


def contest(where: Path, progress: Progress, began: float) -> dict[str, Any]:
    """The run whose folder is `where`; its result. Raises errors of `TrainerError`."""
    # Threads that wait for each other by spinning take the cores from whoever else works here: on a busy machine the
    # same boosting took 39 s spinning and 5 s sleeping. Read when LightGBM and scikit-learn are loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    settings = Settings.from_json(folder.read(where / "settings.json"))
    data = folder.read(where / "data.json")
    if not isinstance(data.get("table"), str):
        raise SettingsUnusable(f'reading {where / "data.json"}: it names no table; give its path as "table"')
    table = (where / data["table"]).resolve()
    test = (where / data["test_table"]).resolve() if data.get("test_table") else None
    about = folder.maybe(where / data["about"]) if data.get("about") else None
    digest = (about or {}).get("digest") or _digest(table)
    events = Events(where / "events.jsonl", progress, lambda: time.time_ns() // 1_000_000)
    asked = Asked(where, settings, (table, test), digest, catalogue(), events, Clock(time.monotonic, began))
    told = Contest(asked).run()
    progress.end()
    return told


def automl(options: argparse.Namespace, progress: Progress) -> ExitCode:
    """`automl --data TABLE --target COLUMN`."""
    began = time.monotonic()
    settings = _settings(options)
    where = options.out or Path(tempfile.mkdtemp(prefix="anomaflow-automl-"))
    where.mkdir(parents=True, exist_ok=True)
    table = _imported(options.data, where / "data")
    test = None if options.test is None else _imported(options.test, where / "test")
    folder.write(where / "settings.json", settings.to_json())
    folder.write(
        where / "data.json",
        {
            "table": str(table),
            "about": str(table.with_name("about.json")),
            "test_table": None if test is None else str(test),
        },
    )
    told = contest(where, progress, began)
    _show(told, options, where)
    return ExitCode.OK


def _settings(options: argparse.Namespace) -> Settings:
    """Settings of the file, and over them what the command line says."""
    settings = Settings()
    if options.settings is not None:
        import yaml

        try:
            told = yaml.safe_load(options.settings.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise SettingsUnusable(f"reading {options.settings}: {error}; it is YAML, one setting a line") from error
        if not isinstance(told, dict):
            raise SettingsUnusable(
                f"reading {options.settings}: it holds no settings; write one a line, as name: value"
            )
        settings = Settings.from_json(told)
    given = {
        "label": options.target,
        "time_budget_s": options.time_budget,
        "benign": tuple(options.benign) or None,
        "task": options.task,
        "seed": options.seed,
    }
    settings = replace(settings, **{key: value for key, value in given.items() if value is not None})
    if settings.name == Settings().name:
        settings = replace(settings, name=options.data.name.split(".")[0] or settings.name)
    return Settings.from_json(settings.to_json())  # once more, for what the command line said


def _imported(source: Path, out: Path) -> Path:
    """The table as Parquet; one that is a data set's already is taken as it stands."""
    from trainer.workbench.datasets.importing import Asked, import_table

    if source.is_dir():
        source /= "table.parquet"
    if source.name == "table.parquet" and source.with_name("about.json").is_file():
        return source.resolve()
    if not source.exists():
        raise SourceMissing(f"reading {source}: there is no such file; check the path")
    import_table(Asked(source=str(source), out=out), lambda *_told: None)
    return (out / "table.parquet").resolve()


def _digest(path: Path) -> str:
    if not path.is_file():
        raise SourceMissing(f"reading the table {path}: there is no such file; import the data first")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _show(told: dict[str, Any], options: argparse.Namespace, where: Path) -> None:
    if options.json:
        print(json.dumps({**told, "folder": str(where)}, ensure_ascii=False, allow_nan=False))
        return
    if getattr(options, "progress", None) == "json":
        return
    print(f"{told['task']}: {told['why_task']}")
    print(f"{'model':<34}{'state':<9}" + "".join(f"{name:>18}" for name in _SHOWN))
    for entry in told["leaderboard"]:
        cells = "".join(
            f"{'' if entry['test'][name] is None else format(entry['test'][name], '.4f'):>18}" for name in _SHOWN
        )
        mark = "*" if entry["name"] == told["best"] else " "
        print(f"{mark} {entry['title']:<32}{entry['state']:<9}{cells}")
    print(f"best: {told['why_best']}")
    for line in (told["split"]["warning"], *told["notes"]):
        if line:
            print(f"note: {line}")
    print(f"folder: {where}")
