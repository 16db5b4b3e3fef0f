"""Data sets: what there is, their names and versions, and their removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


def list_datasets(services: Services, *, search: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Dataset]:
    """Data sets at their newest version, newest first. `search` looks into names."""
    raise NotImplementedError


def get_dataset(services: Services, dataset_id: int, version: int | None = None) -> DatasetDetail:
    """One version of a data set, the newest by default, with its columns. Raises `NotFound`."""
    raise NotImplementedError


def room(services: Services, actor: Principal) -> Room:
    """What may be uploaded, and how much room is taken, by all and by the asker."""
    raise NotImplementedError


async def rename_dataset(services: Services, actor: Principal, dataset_id: int, name: str) -> Dataset:
    """Give all versions another name. Analysts and up. Raises `NotFound`, `Invalid`, `Conflict` when it is taken."""
    raise NotImplementedError


async def delete_dataset(services: Services, actor: Principal, dataset_id: int, version: int | None = None) -> None:
    """Remove one version, or all of them; its files go at once, its row stays for the runs that name it. Analysts and up.

    Raises `NotFound`, and `Conflict` while work on it is under way.
    """
    raise NotImplementedError


async def cancel_import(services: Services, actor: Principal, dataset_id: int, version: int | None = None) -> Dataset:
    """End an import or profile that is under way. Analysts and up. Raises `NotFound`, `Conflict` when nothing is."""
    raise NotImplementedError


def dataset_log(services: Services, dataset_id: int, version: int | None = None, *, lines: int = 200) -> list[str]:
    """The last lines of the log of its import. Raises `NotFound`."""
    raise NotImplementedError

