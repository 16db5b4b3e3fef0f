"""What became of the workbench's work, read from the files it left, and written into the rows of what it was about.

An import that is done brings its profile with it: the next piece of work is queued in the same transaction.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import AggregatorError
from aggregator.work import ledger, verdicts
from aggregator.work.rows import Outcome, WorkState
from aggregator.workbench import guesses, orders, places, shelf
from protos.exits import ExitCode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.models.registry import Registry
    from aggregator.work.rows import Ended, Order, Work
    from aggregator.work.supervisor import Concluder

DATASET: Final = "anomaflow-dataset-1"
PROFILE: Final = "anomaflow-profile-1"
RUN: Final = "anomaflow-run-1"
PREDICTION: Final = "anomaflow-prediction-1"
WELL: Final = frozenset({WorkState.DONE, WorkState.STOPPED})
MOST_WARNINGS: Final = 50


class Imports:
    """`workbench import`: about.json and table.parquet."""

    def __init__(self, config: AggregatorConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def whole(self, folder: Path) -> bool:
        """about.json is written last."""
        return (folder / "about.json").exists() and (folder / "table.parquet").exists()

    async def conclude(self, work: Work, order: Order, folder: Path, ended: Ended) -> Outcome:
        """The version is ready, with what the import found; or failed, with the trainer's sentence."""
        state, error = verdicts.judge(order, ended, whole=self.whole(folder))
        if state not in WELL:
            said = error or "the import was cancelled"
            return Outcome(state, error=error, keep=lambda db: _change(db, work, state="failed", error=said))
        about = await asyncio.to_thread(places.read_json, folder / "about.json", DATASET)
        size = await asyncio.to_thread(places.bytes_in, folder)
        if about is None:
            raise AggregatorError("the trainer left no about.json; look at the log")
        source = about.get("source") or {}
        found: dict[str, Any] = {
            "state": "ready",
            "error": "",
            "row_count": int(about["rows"]),
            "column_count": len(about["columns"]),
            "bytes": size,
            "digest": str(about["digest"]),
            "warnings": json.dumps([str(one) for one in about.get("warnings", ())][:MOST_WARNINGS]),
            "source_format": str(source.get("format", ""))[:16],
        }

        def keep(db: sqlite3.Connection) -> None:
            which = shelf.of_work(db, work.id)
            if which is None:
                return
            profiling = orders.profile(self._config, *which, None)
            queued = ledger.add(db, profiling, by=work.by, now_ms=self._clock.now_ms())
            shelf.change(db, *which, **found, work_id=queued)

        return Outcome(state, f"{about['rows']:,} rows and {len(about['columns']):,} columns", keep=keep)

    def topic(self, work: Work) -> tuple[str, dict[str, Any]]:
        """Of data sets."""
        return "dataset", {"id": _number(work)}


class Profiles:
    """`workbench profile`: profile.json. A version without one stays as ready as it was."""

    def whole(self, folder: Path) -> bool:
        """Also true of an earlier one, which a rename replaces only with another whole one."""
        return (folder / "profile.json").exists()

    async def conclude(self, work: Work, order: Order, folder: Path, ended: Ended) -> Outcome:
        """The version is profiled, and its label guessed."""
        state, error = verdicts.judge(order, ended, whole=self.whole(folder))
        if state not in WELL:
            return Outcome(state, error=error)
        profile = await asyncio.to_thread(places.read_json, folder / "profile.json", PROFILE)
        size = await asyncio.to_thread(places.bytes_in, folder)
        label = guesses.taken(guesses.of_profile(profile))
        return Outcome(state, keep=lambda db: _change(db, work, profiled=1, label=label, bytes=size))

    def topic(self, work: Work) -> tuple[str, dict[str, Any]]:
        """Of data sets."""
        return "dataset", {"id": _number(work)}


class Runs:
    """`workbench run`: result.json, which grows by a model at a time, and the models."""

    def whole(self, folder: Path) -> bool:
        """True once the result says that it is over."""
        try:
            result = places.read_json(folder / "result.json", RUN)
        except AggregatorError:
            return False
        return result is not None and result.get("state") in {"done", "stopped"}

    async def conclude(self, work: Work, order: Order, folder: Path, ended: Ended) -> Outcome:
        """The experiment's figures; what a run that was cut off had finished is kept too."""
        # The file may be of an attempt before this one: this one must have said, too, that it came to its end.
        whole = await asyncio.to_thread(self.whole, folder) and (ended.exit_code == 0 or ended.said != "")
        state, error = verdicts.judge(order, ended, whole=whole)
        try:
            result = await asyncio.to_thread(places.read_json, folder / "result.json", RUN)
        except AggregatorError:
            if state in WELL:
                raise
            result = None
        size = await asyncio.to_thread(places.bytes_in, folder)
        found = {**figures(result), "bytes": size}

        def keep(db: sqlite3.Connection) -> None:
            assignments = ", ".join(f"{name} = :{name}" for name in found)
            db.execute(f"UPDATE experiments SET {assignments} WHERE work_id = :work", {**found, "work": work.id})  # noqa: S608

        best = str(found.get("best_title") or "")
        message = f"{found.get('models_done', 0)} models compared" + (f"; the best is {best}" if best else "")
        return Outcome(state, message if state in WELL else "", error, keep)

    def topic(self, work: Work) -> tuple[str, dict[str, Any]]:
        """Of experiments."""
        return "experiment", {"id": _number(work)}


class Predictions:
    """`workbench predict`: rows.parquet and summary.json."""

    def whole(self, folder: Path) -> bool:
        """summary.json is written last."""
        return (folder / "summary.json").exists() and (folder / "rows.parquet").exists()

    async def conclude(self, work: Work, order: Order, folder: Path, ended: Ended) -> Outcome:
        """How many rows, and how many of them are anomalies."""
        state, error = verdicts.judge(order, ended, whole=self.whole(folder))
        if state not in WELL:
            return Outcome(state, error=error)
        summary = await asyncio.to_thread(places.read_json, folder / "summary.json", PREDICTION) or {}
        size = await asyncio.to_thread(places.bytes_in, folder)
        rows, anomalies = int(summary.get("rows", 0)), summary.get("anomalies")

        def keep(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE predictions SET row_count = ?, anomalies = ?, bytes = ? WHERE work_id = ?",
                (rows, None if anomalies is None else int(anomalies), size, work.id),
            )

        return Outcome(state, f"{rows:,} rows predicted", keep=keep)

    def topic(self, work: Work) -> tuple[str, dict[str, Any]]:
        """Of predictions."""
        return "prediction", {"id": _number(work)}


class Promotions:
    """`workbench promote`: a model file that agents accept, which the registry then judges as any other."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def whole(self, folder: Path) -> bool:
        """The file and its report."""
        return (folder / "model.onnx").exists() and (folder / "report" / "report.json").exists()

    async def conclude(self, work: Work, order: Order, folder: Path, ended: Ended) -> Outcome:
        """In the registry, as candidate or admitted; or refused, with the registry's sentence."""
        if ended.exit_code == ExitCode.GATE:  # a model that did not pass its gate is a result: its report says why
            ended = replace(ended, exit_code=ExitCode.OK)
        state, error = verdicts.judge(order, ended, whole=self.whole(folder))
        if state not in WELL:
            return Outcome(state, error=error)
        model = await self._registry.admit(folder / "model.onnx", report=folder / "report" / "report.json", by=work.by)

        def keep(db: sqlite3.Connection) -> None:
            passed = None if model.gate_passed is None else int(model.gate_passed)
            db.execute(
                "UPDATE promotions SET digest = ?, gate_passed = ? WHERE work_id = ?", (model.digest, passed, work.id)
            )

        verdict = {None: "", True: " and passed its gate", False: " but did not pass its gate"}[model.gate_passed]
        return Outcome(state, f"model {model.digest[:12]} is in the registry{verdict}", keep=keep)

    def topic(self, work: Work) -> tuple[str, dict[str, Any]]:
        """Of experiments."""
        return "experiment", {"id": _number(work)}


def concluders(config: AggregatorConfig, clock: Clock, registry: Registry) -> Mapping[str, Concluder]:
    """Of every kind of work."""
    return {
        "import": Imports(config, clock),
        "profile": Profiles(),
        "run": Runs(),
        "predict": Predictions(),
        "promote": Promotions(registry),
    }


def figures(result: dict[str, Any] | None) -> dict[str, Any]:
    """What the experiment's row shows of a result.json."""
    if result is None:
        return {}
    entries = [one for one in result.get("leaderboard") or [] if isinstance(one, dict)]
    best, metric = str(result.get("best") or ""), str(result.get("metric") or "")
    entry: dict[str, Any] = next((one for one in entries if one.get("name") == best), {})
    return {
        "task": str(result.get("task") or ""),
        "label": result.get("label"),
        "metric": metric,
        "best": best,
        "best_title": str(entry.get("title") or best),
        "value": figure(entry, "select", metric),
        "test_value": figure(entry, "test", metric),
        "models_done": sum(one.get("state") == "done" for one in entries),
    }


def figure(entry: dict[str, Any], part: str, metric: str) -> float | None:
    """One figure of a leaderboard entry; its names use underscores, settings' dashes."""
    value = (entry.get(part) or {}).get(metric.replace("-", "_"))
    return float(value) if isinstance(value, int | float) else None


def _change(db: sqlite3.Connection, work: Work, **values: Any) -> None:
    which = shelf.of_work(db, work.id)
    if which is not None:
        shelf.change(db, *which, **values)


def _number(work: Work) -> int:
    return int(work.about.rpartition(" ")[2])
