"""`/overview`: the state of the whole, as the console's first page shows it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aggregator import queries
from aggregator.rows import Overview, as_json
from aggregator.web.api.asking import Asker, Served, shape

router = APIRouter(prefix="/overview", tags=["overview"])


@router.get("", response_model=shape(Overview), summary="Counts, health, and alerts per minute of the last hour")
def overview(services: Served, _: Asker) -> Any:
    """Minutes without alerts are included, oldest first."""
    return as_json(queries.overview(services))
