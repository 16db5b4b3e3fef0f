"""Experiments and predictions in the store."""

# ruff: noqa: S608 - queries are put together from our own names

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from aggregator import paging
from aggregator.errors import Invalid, NotFound
from aggregator.work.ledger import UNDER_WAY
from aggregator.work.rows import WorkState
from aggregator.workbench.rows import Experiment, Prediction

if TYPE_CHECKING:
    import sqlite3

    from aggregator.rows import Page

_WORK: Final = (
    "w.state, w.asked, w.stage, w.fraction, w.message, w.error, w.steps, w.attempts, w.started_ms, w.ended_ms"
)
_EXPERIMENTS: Final = (
    f"SELECT e.*, d.name AS dataset_name, {_WORK} FROM experiments e JOIN works w ON w.id = e.work_id "
    "JOIN datasets d ON d.id = e.dataset_id WHERE e.deleted_ms IS NULL"
)
_PREDICTIONS: Final = (
    f"SELECT p.*, e.name AS experiment_name, {_WORK} FROM predictions p JOIN works w ON w.id = p.work_id "
    "JOIN experiments e ON e.id = p.experiment_id WHERE p.deleted_ms IS NULL"
)


def find(
    db: sqlite3.Connection,
    *,
    dataset_id: int | None = None,
    kind: str | None = None,
    state: str | None = None,
    limit: int,
    cursor: str | None,
) -> Page[Experiment]:
    """Runs, newest first."""
    if state is not None and state not in set(WorkState):
        raise Invalid(f"there is no state {state[:40]!r}; states are {', '.join(WorkState)}")
    wanted = [("e.dataset_id", dataset_id), ("e.kind", kind), ("w.state", state)]
    given = [(name, value) for name, value in wanted if value is not None]
    conditions = "".join(f" AND {name} = ?" for name, _ in given)
    rows = db.execute(
        f"{_EXPERIMENTS}{conditions} AND e.id < ? ORDER BY e.id DESC LIMIT ?",
        (*(value for _, value in given), paging.id_cursor(cursor), paging.size(limit) + 1),
    ).fetchall()
    return paging.page([_experiment(row) for row in rows], limit, lambda one: str(one.id))


def get(db: sqlite3.Connection, experiment_id: int) -> Experiment:
    """One run. Raises `NotFound`."""
    row = db.execute(f"{_EXPERIMENTS} AND e.id = ?", (experiment_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no experiment {experiment_id}")
    return _experiment(row)


def next_id(db: sqlite3.Connection, table: str) -> int:
    """The id that the next row of a table will have: its folder is named before the row is there."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else int(row["seq"]) + 1


def work_of(db: sqlite3.Connection, table: Literal["experiments", "predictions"], one: int) -> int:
    """The work of a run or a prediction. Raises `NotFound`."""
    row = db.execute(f"SELECT work_id FROM {table} WHERE id = ? AND deleted_ms IS NULL", (one,)).fetchone()
    if row is None:
        raise NotFound(f"there is no {table[:-1]} {one}")
    return int(row["work_id"])


def busy_predictions(db: sqlite3.Connection, experiment_id: int) -> bool:
    """True while a prediction or promotion of a run is under way."""
    return (
        db.execute(
            f"SELECT 1 FROM works WHERE state IN {UNDER_WAY} AND id IN (SELECT work_id FROM predictions "
            "WHERE experiment_id = :of UNION SELECT work_id FROM promotions WHERE experiment_id = :of)",
            {"of": experiment_id},
        ).fetchone()
        is not None
    )


def find_predictions(
    db: sqlite3.Connection, *, experiment_id: int | None, limit: int, cursor: str | None
) -> Page[Prediction]:
    """Predictions, newest first."""
    condition, values = ("", ()) if experiment_id is None else (" AND p.experiment_id = ?", (experiment_id,))
    rows = db.execute(
        f"{_PREDICTIONS}{condition} AND p.id < ? ORDER BY p.id DESC LIMIT ?",
        (*values, paging.id_cursor(cursor), paging.size(limit) + 1),
    ).fetchall()
    return paging.page([_prediction(row) for row in rows], limit, lambda one: str(one.id))


def get_prediction(db: sqlite3.Connection, prediction_id: int) -> Prediction:
    """One prediction. Raises `NotFound`."""
    row = db.execute(f"{_PREDICTIONS} AND p.id = ?", (prediction_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no prediction {prediction_id}")
    return _prediction(row)


def _experiment(row: sqlite3.Row) -> Experiment:
    plain: dict[str, Any] = {name: row[name] for name in _PLAIN_EXPERIMENT}
    return Experiment(
        **plain,
        state=WorkState(row["state"]),
        models_done=max(row["models_done"], row["steps"]),
        settings=json.loads(row["settings"]),
    )


def _prediction(row: sqlite3.Row) -> Prediction:
    plain: dict[str, Any] = {name: row[name] for name in _PLAIN_PREDICTION}
    return Prediction(**plain, state=WorkState(row["state"]), rows=row["row_count"])


_PLAIN_EXPERIMENT: Final = (
    "id", "name", "kind", "dataset_id", "dataset_version", "dataset_name", "test_dataset_id", "test_dataset_version",
    "label", "task", "asked", "stage", "fraction", "message", "error", "metric", "best", "best_title", "value",
    "test_value", "attempts", "bytes", "created_ms", "started_ms", "ended_ms", "by",
)  # fmt: skip
_PLAIN_PREDICTION: Final = (
    "id", "experiment_id", "experiment_name", "model", "source", "stage", "fraction", "message", "error", "anomalies",
    "bytes", "created_ms", "ended_ms", "by",
)  # fmt: skip
