"""Uploads: bytes of a stranger's file on their way into a data set, counted and bounded while they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


async def receive_upload(services: Services, actor: Principal, chunks: AsyncIterator[bytes], *, filename: str, name: str | None = None, dataset_id: int | None = None, sheet: str | None = None, delimiter: str | None = None, encoding: str | None = None, announced: int | None = None) -> Dataset:
    """Take a file in and import it as a new data set, or as a new version of `dataset_id`. Analysts and up.

    Returns as soon as the file is here; the import goes on as work (`Dataset.state`). `announced` is the size the
    sender claims, for refusing at once. Raises `Invalid` (name, ending), `TooLarge` (a limit, named), `Conflict`.
    """
    raise NotImplementedError

