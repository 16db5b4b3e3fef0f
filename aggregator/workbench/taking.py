"""Taking a run's work away: a model's file, a script, and the way into the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


def model_file(services: Services, experiment_id: int, model: str | None = None) -> Path:
    """model.onnx of a model. Raises `NotFound`."""
    raise NotImplementedError


async def script_file(services: Services, actor: Principal, experiment_id: int, model: str | None = None) -> Path:
    """A Python script that repeats the fit; made when first asked for. Raises `NotFound`, `TrainerFailed`."""
    raise NotImplementedError


async def promote_model(services: Services, actor: Principal, experiment_id: int, model: str | None = None, *, reason: str = '') -> Promotion:
    """Put a model on flow features into the registry, past the same gate as any. Operators and up.

    It arrives as candidate (its gate passed) or admitted; making it champion is `queries.promote`. Goes on as work.
    """
    raise NotImplementedError


def get_promotion(services: Services, experiment_id: int) -> Promotion | None:
    """The latest promotion of a run, None when there was none. Raises `NotFound`."""
    raise NotImplementedError

