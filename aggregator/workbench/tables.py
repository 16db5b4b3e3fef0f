"""Rows of a Parquet table, a page at a time, under a time and a memory budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


def preview(services: Services, dataset_id: int, version: int | None = None, *, offset: int = 0, limit: int = 50, sort: str | None = None, descending: bool = False) -> Preview:
    """Rows of a data set as they are, or sorted by a column. Blocks (call it in a thread). Raises `NotFound`, `Conflict`, `Invalid`."""
    raise NotImplementedError

