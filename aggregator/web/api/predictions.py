"""`/predictions`: what models said of rows."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from aggregator.rows import as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape
from aggregator.web.api.files import attachment
from aggregator.workbench import predictions
from aggregator.workbench.rows import Prediction, Preview

router = APIRouter(prefix="/predictions", tags=["predictions"])
_PREDICTION = shape(Prediction)


@router.get("", response_model=list_of(Prediction), summary="Predictions, newest first")
def list_predictions(
    services: Served, _: Asker, experiment_id: int | None = None, limit: Limit = PAGE, cursor: Cursor = None
) -> Any:
    """Of one experiment, or of all."""
    return as_json(predictions.list_predictions(services, experiment_id=experiment_id, limit=limit, cursor=cursor))


@router.get("/{prediction_id}", response_model=_PREDICTION, summary="One prediction")
def get_prediction(services: Served, _: Asker, prediction_id: int) -> Any:
    """With its progress."""
    return as_json(predictions.get_prediction(services, prediction_id))


@router.delete("/{prediction_id}", status_code=204, summary="Delete a prediction")
async def delete_prediction(services: Served, asker: Asker, prediction_id: int) -> Response:
    """Analysts and up."""
    await predictions.delete_prediction(services, asker, prediction_id)
    return Response(status_code=204)


@router.post("/{prediction_id}/cancel", response_model=_PREDICTION, summary="End a prediction under way")
async def cancel_prediction(services: Served, asker: Asker, prediction_id: int) -> Any:
    """Analysts and up."""
    return as_json(await predictions.cancel_prediction(services, asker, prediction_id))


@router.get("/{prediction_id}/summary", response_model=dict[str, Any], summary="What a prediction found")
async def prediction_summary(services: Served, _: Asker, prediction_id: int) -> Any:
    """Counts, scores, and how the columns fit (format anomaflow-prediction-1); {} while there is nothing."""
    return await asyncio.to_thread(predictions.prediction_summary, services, prediction_id)


@router.get("/{prediction_id}/rows", response_model=shape(Preview), summary="Predicted rows")
async def prediction_rows(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    _: Asker,
    prediction_id: int,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Limit = PAGE,
    sort: Annotated[str | None, Query(max_length=256)] = None,
    descending: bool = False,
    prediction: Annotated[str | None, Query(max_length=1024)] = None,
) -> Any:
    """As they came, or sorted by a column; only those of one predicted value if asked."""
    where = {"offset": offset, "limit": limit, "sort": sort, "descending": descending, "prediction": prediction}
    found = await asyncio.to_thread(predictions.prediction_rows, services, prediction_id, **where)  # type: ignore[arg-type]
    return as_json(found)


@router.get("/{prediction_id}/rows.csv", response_class=StreamingResponse, summary="Predicted rows as CSV")
async def prediction_csv(services: Served, _: Asker, prediction_id: int) -> StreamingResponse:
    """All of them. Cells that a spreadsheet would run as formulas begin with an apostrophe."""
    rows = await asyncio.to_thread(predictions.prediction_csv, services, prediction_id)
    headers = attachment(f"prediction-{prediction_id}.csv")
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)
