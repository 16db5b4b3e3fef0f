"""Explanations: why a model says what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Column, Comparison, Dataset, DatasetDetail, Defaults, EventPage, Experiment, Prediction, Preview, Promotion, Room, SavedPlot


async def explain(services: Services, actor: Principal, experiment_id: int, model: str | None = None, *, method: str, row: int | None = None, feature: str | None = None, prediction_id: int | None = None) -> dict[str, Any]:
    """Explain and wait for it; kept for the next asker. `method`: shap, shap-row, lime, importance, partial.

    `row` counts from 0 in the run's data set, or in the prediction's rows if one is named. Raises `NotFound`, `Invalid`,
    `Busy`, `TrainerFailed`.
    """
    raise NotImplementedError

