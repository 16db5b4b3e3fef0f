"""Experiments: what they begin with, their start, their progress, and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


def defaults(services: Services, dataset_id: int, version: int | None = None, *, label: str | None = None, kind: str = 'ml') -> Defaults:
    """Settings to begin with: label and task guessed from the profile. `label=''` means none. Raises `NotFound`, `Conflict`."""
    raise NotImplementedError


async def start_experiment(services: Services, actor: Principal, settings: dict[str, Any], *, dataset_id: int, version: int | None = None, test_dataset_id: int | None = None, test_version: int | None = None) -> Experiment:
    """Queue a run with `settings` (what is left out is as by default). Analysts and up. Raises `Invalid`, `NotFound`, `Conflict`."""
    raise NotImplementedError


def list_experiments(services: Services, *, dataset_id: int | None = None, kind: str | None = None, state: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Experiment]:
    """Runs, newest first."""
    raise NotImplementedError


def get_experiment(services: Services, experiment_id: int) -> Experiment:
    """One run. Raises `NotFound`."""
    raise NotImplementedError


async def rename_experiment(services: Services, actor: Principal, experiment_id: int, name: str) -> Experiment:
    """Give a run another name. Analysts and up."""
    raise NotImplementedError


async def cancel_experiment(services: Services, actor: Principal, experiment_id: int) -> Experiment:
    """End a run and wait until nothing of it runs; models already done stay. Analysts and up. Raises `Conflict`."""
    raise NotImplementedError


async def stop_experiment(services: Services, actor: Principal, experiment_id: int) -> Experiment:
    """Ask a run to finish with what it has. Returns at once. Analysts and up. Raises `Conflict`."""
    raise NotImplementedError


async def resume_experiment(services: Services, actor: Principal, experiment_id: int) -> Experiment:
    """Go on with a run that ended before its time. Analysts and up. Raises `Conflict`."""
    raise NotImplementedError


async def delete_experiment(services: Services, actor: Principal, experiment_id: int) -> None:
    """Remove a run with its models and predictions. Analysts and up. Raises `Conflict` while it runs."""
    raise NotImplementedError


def settings_to_yaml(settings: dict[str, Any]) -> str:
    """Settings as a YAML file for people, with a comment a setting."""
    raise NotImplementedError


def settings_from_yaml(text: str) -> dict[str, Any]:
    """Settings of a YAML file, checked. Raises `Invalid`."""
    raise NotImplementedError

