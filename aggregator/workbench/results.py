"""What a run found: leaderboard, models, histories, its story and its log, and runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


def result(services: Services, experiment_id: int) -> dict[str, Any]:
    """result.json of a run, {} while there is none. Raises `NotFound`."""
    raise NotImplementedError


def leaderboard(services: Services, experiment_id: int, *, sort: str | None = None) -> list[dict[str, Any]]:
    """Leaderboard entries as the trainer wrote them (name, title, state, train, test, select, ...), best first."""
    raise NotImplementedError


def model_detail(services: Services, experiment_id: int, model: str) -> dict[str, Any]:
    """models/<model>/result.json with `file` (model.json or None) and `entry` (its leaderboard entry). Raises `NotFound`."""
    raise NotImplementedError


def history(services: Services, experiment_id: int, model: str) -> list[dict[str, Any]]:
    """Epochs so far: epoch, acc, loss, val_acc, val_loss. Works while it runs."""
    raise NotImplementedError


def experiment_events(services: Services, experiment_id: int, *, since: int = 0, limit: int = 500) -> EventPage:
    """Lines of events.jsonl from the place `since` on. Raises `NotFound`."""
    raise NotImplementedError


def experiment_log(services: Services, experiment_id: int, *, lines: int = 200) -> list[str]:
    """The last lines of a run's log. Raises `NotFound`."""
    raise NotImplementedError


def compare(services: Services, experiment_ids: Sequence[int]) -> Comparison:
    """Two to six runs side by side. Raises `Invalid`, `NotFound`."""
    raise NotImplementedError

