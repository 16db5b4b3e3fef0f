"""Tables from elsewhere: SQL databases, remote files, the product's own flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


async def connect_sql(services: Services, actor: Principal, *, url: str, query: str, name: str | None = None, dataset_id: int | None = None) -> Dataset:
    """Import the answer to `query` of the database at `url` (SQLAlchemy). Operators and up. Raises `Invalid`, `Conflict`.

    The URL, which may hold a password, is kept in no row, log or argument.
    """
    raise NotImplementedError


async def connect_remote(services: Services, actor: Principal, *, url: str, options: dict[str, str] | None = None, name: str | None = None, dataset_id: int | None = None, sheet: str | None = None, delimiter: str | None = None, encoding: str | None = None) -> Dataset:
    """Import a file from `url` (fsspec: s3, https, ...; the setting says which). Operators and up. Raises `Invalid`, `Conflict`.

    `options` are credentials and addresses for the storage, kept like a password.
    """
    raise NotImplementedError


async def import_lake(services: Services, actor: Principal, *, name: str | None = None, days: int | None = None, dataset_id: int | None = None) -> Dataset:
    """Import the flows of the last `days` (all without it) of the lake, with the verdicts given. Analysts and up.

    Raises `NotEnoughData` when the lake has none.
    """
    raise NotImplementedError

