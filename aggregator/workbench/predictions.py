"""Predictions: a run's model applied to a data set, a file, pasted rows, or one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


async def predict_dataset(services: Services, actor: Principal, experiment_id: int, *, model: str | None = None, dataset_id: int, version: int | None = None, reasons: int = 3) -> Prediction:
    """Predict a data set with a model, the best by default. Analysts and up. Raises `NotFound`, `Conflict`, `Invalid`."""
    raise NotImplementedError


async def predict_upload(services: Services, actor: Principal, experiment_id: int, chunks: AsyncIterator[bytes], *, filename: str, model: str | None = None, reasons: int = 3, announced: int | None = None) -> Prediction:
    """Predict a file of the sender's, under the limits of uploads. Analysts and up."""
    raise NotImplementedError


async def predict_text(services: Services, actor: Principal, experiment_id: int, text: str, *, model: str | None = None, reasons: int = 3) -> Prediction:
    """Predict a pasted table: CSV with a heading line, or rows copied from a spreadsheet. At most 1 MiB. Analysts and up."""
    raise NotImplementedError


async def predict_row(services: Services, actor: Principal, experiment_id: int, row: dict[str, Any], *, model: str | None = None, reasons: int = 3) -> dict[str, Any]:
    """Predict one row and wait: `{"prediction", "score", "reasons", "row", "schema"}`. Nothing is kept. Analysts and up."""
    raise NotImplementedError


def row_form(services: Services, experiment_id: int, model: str | None = None) -> list[dict[str, Any]]:
    """What to ask for one row: `{"name", "type", "kind", "fill", "words", "low", "median", "high"}` a column."""
    raise NotImplementedError


def list_predictions(services: Services, *, experiment_id: int | None = None, limit: int = 50, cursor: str | None = None) -> Page[Prediction]:
    """Predictions, newest first."""
    raise NotImplementedError


def get_prediction(services: Services, prediction_id: int) -> Prediction:
    """One prediction. Raises `NotFound`."""
    raise NotImplementedError


def prediction_summary(services: Services, prediction_id: int) -> dict[str, Any]:
    """summary.json of a prediction, {} while there is none. Raises `NotFound`."""
    raise NotImplementedError


def prediction_rows(services: Services, prediction_id: int, *, offset: int = 0, limit: int = 50, sort: str | None = None, descending: bool = False, prediction: str | None = None) -> Preview:
    """Its rows by page, of one predicted value if asked. Blocks (call it in a thread)."""
    raise NotImplementedError


def prediction_csv(services: Services, prediction_id: int) -> Iterator[bytes]:
    """The whole as CSV, cells that a spreadsheet would run as formulas guarded. Blocks between chunks. Raises `NotFound`, `Conflict`."""
    raise NotImplementedError


async def cancel_prediction(services: Services, actor: Principal, prediction_id: int) -> Prediction:
    """End a prediction under way. Analysts and up. Raises `Conflict`."""
    raise NotImplementedError


async def delete_prediction(services: Services, actor: Principal, prediction_id: int) -> None:
    """Remove a prediction. Analysts and up. Raises `Conflict` while it runs."""
    raise NotImplementedError

