"""Exploration: the profile of a data set, and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


def get_profile(services: Services, dataset_id: int, version: int | None = None) -> dict[str, Any] | None:
    """The profile as the trainer wrote it, None while there is none. Raises `NotFound`."""
    raise NotImplementedError


async def profile(services: Services, actor: Principal, dataset_id: int, version: int | None = None, *, label: str | None = None) -> Dataset:
    """Start a profile, again when there is one. Every import does so by itself. Analysts and up. Raises `NotFound`, `Conflict`."""
    raise NotImplementedError


async def plot(services: Services, actor: Principal, dataset_id: int, version: int | None = None, *, kind: str, x: str | None = None, y: str | None = None, by: str | None = None) -> dict[str, Any]:
    """Draw and wait for it: the plot with its ECharts option. Viewers too. Raises `NotFound`, `Invalid`, `Busy`, `TrainerFailed`."""
    raise NotImplementedError


async def plot_image(services: Services, actor: Principal, dataset_id: int, version: int | None = None, *, kind: str, x: str | None = None, y: str | None = None, by: str | None = None, format: str = 'svg') -> bytes:
    """The same as an image, svg or png."""
    raise NotImplementedError


async def save_plot(services: Services, actor: Principal, dataset_id: int, version: int | None = None, *, kind: str, x: str | None = None, y: str | None = None, by: str | None = None, title: str | None = None) -> SavedPlot:
    """Keep a plot. Analysts and up."""
    raise NotImplementedError


def list_plots(services: Services, dataset_id: int, *, limit: int = 50, cursor: str | None = None) -> Page[SavedPlot]:
    """Plots kept of any version of a data set, newest first."""
    raise NotImplementedError


def get_plot(services: Services, plot_id: int) -> dict[str, Any]:
    """A kept plot with its ECharts option. Raises `NotFound`."""
    raise NotImplementedError


async def delete_plot(services: Services, actor: Principal, plot_id: int) -> None:
    """Remove a kept plot. Analysts and up. Raises `NotFound`."""
    raise NotImplementedError

