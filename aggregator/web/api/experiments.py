"""`/experiments`: runs of the workbench, what they found, and what their models say of other rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from aggregator.rows import as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Renaming, Served, list_of, shape
from aggregator.web.api.files import BODY, Text, Upload
from aggregator.workbench import experiments, explaining, predictions, results, taking, verifying
from aggregator.workbench.rows import Comparison, EventPage, Experiment, Prediction, Promotion

router = APIRouter(prefix="/experiments", tags=["experiments"])
_EXPERIMENT, _PREDICTION, _PROMOTION = shape(Experiment), shape(Prediction), shape(Promotion)
Model = Annotated[str | None, Query(max_length=64, description="Which model; the best one if left out.")]

OfClass = Annotated[
    str | None,
    Query(alias="class", max_length=256, description="Whose chance is explained; how strange rows are if left out."),
]

Renames = Annotated[
    Sequence[Annotated[str, Field(max_length=600)]],
    Query(max_length=5_000, description="Which of the model's columns one is: THEIRS=MINE, as often as needed."),
]


class NewExperiment(BaseModel):
    """What is left out of `settings` is as by default."""

    model_config = ConfigDict(extra="forbid")
    dataset_id: int
    version: int | None = None
    test_dataset_id: int | None = None
    test_version: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class Settings(BaseModel):
    """Settings of an experiment."""

    model_config = ConfigDict(extra="forbid")
    settings: dict[str, Any] = Field(default_factory=dict)


class Yaml(BaseModel):
    """Settings as text; what it leaves out is as in `settings`, else as by default."""

    model_config = ConfigDict(extra="forbid")
    text: str
    settings: dict[str, Any] = Field(default_factory=dict)


class Matching(BaseModel):
    """How rows are matched with what the model learnt from. `rename` maps their columns to the model's."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(default=None, max_length=64)
    reasons: int = 3
    rename: dict[str, str] | None = None
    rename_alike: bool = False
    fill_missing: bool = False

    def how(self) -> predictions.Matching:
        """As predictions take it."""
        return predictions.Matching(self.reasons, self.rename, self.rename_alike, self.fill_missing)


class OfDataset(Matching):
    """A data set to predict."""

    dataset_id: int
    version: int | None = None


class OfText(Matching):
    """A pasted table."""

    text: str


class OfRow(BaseModel):
    """One row: its values by column."""

    model_config = ConfigDict(extra="forbid")
    row: dict[str, Any]
    model: str | None = Field(default=None, max_length=64)
    reasons: int = 3


class Promoting(BaseModel):
    """Which model, and why, for the audit log."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(default=None, max_length=64)
    reason: str = Field(default="", max_length=500)


@router.get("", response_model=list_of(Experiment), summary="Experiments, newest first")
def list_experiments(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    _: Asker,
    dataset_id: int | None = None,
    kind: str | None = None,
    state: str | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Any:
    """States: queued, running, done, stopped, failed, cancelled, timed_out, interrupted."""
    where = {"dataset_id": dataset_id, "kind": kind, "state": state}
    return as_json(experiments.list_experiments(services, **where, limit=limit, cursor=cursor))  # type: ignore[arg-type]


@router.post("", response_model=_EXPERIMENT, status_code=202, summary="Start an experiment")
async def start_experiment(services: Served, asker: Asker, wanted: NewExperiment) -> Any:
    """Queued until it has a place. Analysts and up."""
    return as_json(await experiments.start_experiment(services, asker, **wanted.model_dump()))


@router.get("/compare", response_model=shape(Comparison), summary="Experiments side by side")
async def compare(services: Served, _: Asker, ids: Annotated[list[int], Query(max_length=20)]) -> Any:
    """Two to six of them: `?ids=1&ids=2`."""
    return as_json(await asyncio.to_thread(results.compare, services, ids))


@router.post("/settings/yaml", response_class=PlainTextResponse, summary="Settings as a YAML file")
def settings_to_yaml(_: Asker, wanted: Settings) -> Response:
    """Complete, with a sentence above each. Nothing is kept."""
    return PlainTextResponse(experiments.settings_to_yaml(wanted.settings))


@router.post("/settings/read", response_model=dict[str, Any], summary="Settings of a YAML file")
def settings_from_yaml(_: Asker, wanted: Yaml) -> Any:
    """Complete and checked. Nothing is kept."""
    return experiments.settings_from_yaml(wanted.text, wanted.settings)


@router.get("/{experiment_id}", response_model=_EXPERIMENT, summary="One experiment")
def get_experiment(services: Served, _: Asker, experiment_id: int) -> Any:
    """With its progress."""
    return as_json(experiments.get_experiment(services, experiment_id))


@router.patch("/{experiment_id}", response_model=_EXPERIMENT, summary="Rename an experiment")
async def rename_experiment(services: Served, asker: Asker, experiment_id: int, renaming: Renaming) -> Any:
    """Analysts and up."""
    return as_json(await experiments.rename_experiment(services, asker, experiment_id, renaming.name))


@router.delete("/{experiment_id}", status_code=204, summary="Delete an experiment")
async def delete_experiment(services: Served, asker: Asker, experiment_id: int) -> Response:
    """With its models and predictions. Analysts and up."""
    await experiments.delete_experiment(services, asker, experiment_id)
    return Response(status_code=204)


@router.post("/{experiment_id}/cancel", response_model=_EXPERIMENT, summary="End an experiment at once")
async def cancel_experiment(services: Served, asker: Asker, experiment_id: int) -> Any:
    """Returns when nothing of it runs any more; models already done stay. Analysts and up."""
    return as_json(await experiments.cancel_experiment(services, asker, experiment_id))


@router.post("/{experiment_id}/stop", response_model=_EXPERIMENT, summary="Ask an experiment to finish early")
async def stop_experiment(services: Served, asker: Asker, experiment_id: int) -> Any:
    """It ends with what it has. Analysts and up."""
    return as_json(await experiments.stop_experiment(services, asker, experiment_id))


@router.post("/{experiment_id}/resume", response_model=_EXPERIMENT, status_code=202, summary="Go on with an experiment")
async def resume_experiment(services: Served, asker: Asker, experiment_id: int) -> Any:
    """That ended before its time; models already done are kept. Analysts and up."""
    return as_json(await experiments.resume_experiment(services, asker, experiment_id))


@router.get("/{experiment_id}/settings.yaml", response_class=PlainTextResponse, summary="Its settings as a YAML file")
def settings(services: Served, _: Asker, experiment_id: int) -> Response:
    """For another run, here or with `anomaflow-trainer automl --settings`."""
    one = experiments.get_experiment(services, experiment_id)
    return PlainTextResponse(experiments.settings_to_yaml(one.settings))


@router.get("/{experiment_id}/result", response_model=dict[str, Any], summary="All that an experiment found")
async def result(services: Served, _: Asker, experiment_id: int) -> Any:
    """As the trainer wrote it (format anomaflow-run-1); {} while there is nothing."""
    return await asyncio.to_thread(results.result, services, experiment_id)


@router.get("/{experiment_id}/leaderboard", response_model=list[dict[str, Any]], summary="Its models, best first")
async def leaderboard(services: Served, _: Asker, experiment_id: int, sort: str | None = None) -> Any:
    """`sort` is a figure such as test.recall, or fit_s, rows_per_s, bytes, title."""
    return await asyncio.to_thread(results.leaderboard, services, experiment_id, sort=sort)


@router.get("/{experiment_id}/events", response_model=shape(EventPage), summary="What an experiment said")
async def events(
    services: Served,
    _: Asker,
    experiment_id: int,
    since: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 500,
) -> Any:
    """From the place `since` on; give `next` back as `since`."""
    found = await asyncio.to_thread(results.experiment_events, services, experiment_id, since=since, limit=limit)
    return as_json(found)


@router.get("/{experiment_id}/log", response_model=list[str], summary="The last lines of its log")
def experiment_log(
    services: Served, _: Asker, experiment_id: int, lines: Annotated[int, Query(ge=1, le=10_000)] = 200
) -> Any:
    """As the trainer wrote them."""
    return results.experiment_log(services, experiment_id, lines=lines)


@router.get("/{experiment_id}/models/{model}", response_model=dict[str, Any], summary="One model of an experiment")
async def model_detail(services: Served, _: Asker, experiment_id: int, model: str) -> Any:
    """Curves, confusion, importances, history (format anomaflow-candidate-1), with `file` and `entry`."""
    return await asyncio.to_thread(results.model_detail, services, experiment_id, model)


@router.get(
    "/{experiment_id}/models/{model}/history", response_model=list[dict[str, Any]], summary="Epochs of a network"
)
async def history(services: Served, _: Asker, experiment_id: int, model: str) -> Any:
    """So far, while it runs."""
    return await asyncio.to_thread(results.history, services, experiment_id, model)


@router.get(
    "/{experiment_id}/models/{model}/form", response_model=list[dict[str, Any]], summary="What one row consists of"
)
def row_form(services: Served, _: Asker, experiment_id: int, model: str) -> Any:
    """Columns with their kinds, typical values and known words."""
    return predictions.row_form(services, experiment_id, model)


@router.get("/{experiment_id}/models/{model}/model.onnx", response_class=FileResponse, summary="A model's file")
def model_file(services: Served, _: Asker, experiment_id: int, model: str) -> FileResponse:
    """ONNX, with its preprocessing."""
    path = taking.model_file(services, experiment_id, model)
    return FileResponse(path, media_type="application/octet-stream", filename=f"{model}-{experiment_id}.onnx")


@router.get("/{experiment_id}/models/{model}/script.py", response_class=FileResponse, summary="A script of its fit")
async def script_file(services: Served, asker: Asker, experiment_id: int, model: str) -> FileResponse:
    """Waits until it is made."""
    path = await taking.script_file(services, asker, experiment_id, model)
    return FileResponse(path, media_type="text/x-python", filename=f"{model}-{experiment_id}.py")


@router.get(
    "/{experiment_id}/verification", response_model=dict[str, Any], summary="Can an experiment be done again here?"
)
async def verify(services: Served, asker: Asker, experiment_id: int) -> Any:
    """Looks again at its table, settings, files and versions, and waits for it (format anomaflow-verification-1).

    `reproducible` says yes or no, `note` and `checks` why; other versions are said and do not make it a no.
    """
    return await verifying.verify(services, asker, experiment_id)


@router.get("/{experiment_id}/explanation", response_model=dict[str, Any], summary="Why a model says what it says")
async def explain(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    asker: Asker,
    experiment_id: int,
    method: str,
    model: Model = None,
    row: Annotated[int | None, Query(ge=0)] = None,
    feature: Text = None,
    of_class: OfClass = None,
    prediction_id: int | None = None,
) -> Any:
    """Waits for it (format anomaflow-explanation-1). Methods: shap, shap-row, lime, importance, partial."""
    how = {"method": method, "row": row, "feature": feature, "of_class": of_class, "prediction_id": prediction_id}
    return await explaining.explain(services, asker, experiment_id, model, **how)  # type: ignore[arg-type]


@router.post("/{experiment_id}/predict", response_model=_PREDICTION, status_code=202, summary="Predict a data set")
async def predict_dataset(services: Served, asker: Asker, experiment_id: int, wanted: OfDataset) -> Any:
    """With the best model, or the one named. Analysts and up."""
    made = await predictions.predict_dataset(
        services,
        asker,
        experiment_id,
        model=wanted.model,
        dataset_id=wanted.dataset_id,
        version=wanted.version,
        matching=wanted.how(),
    )
    return as_json(made)


@router.post(
    "/{experiment_id}/predict/text", response_model=_PREDICTION, status_code=202, summary="Predict pasted rows"
)
async def predict_text(services: Served, asker: Asker, experiment_id: int, wanted: OfText) -> Any:
    """With a line of headings. Analysts and up."""
    made = await predictions.predict_text(
        services, asker, experiment_id, wanted.text, model=wanted.model, matching=wanted.how()
    )
    return as_json(made)


@router.post("/{experiment_id}/predict/row", response_model=dict[str, Any], summary="Predict one row")
async def predict_row(services: Served, asker: Asker, experiment_id: int, wanted: OfRow) -> Any:
    """Waits for it; nothing is kept. Analysts and up."""
    return await predictions.predict_row(services, asker, experiment_id, **wanted.model_dump())


@router.post(
    "/{experiment_id}/predict/upload",
    response_model=_PREDICTION,
    status_code=202,
    summary="Predict a file",
    openapi_extra=BODY,
)
async def predict_upload(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    asker: Asker,
    experiment_id: int,
    sent: Upload,
    model: Model = None,
    reasons: int = 3,
    rename: Renames = (),
    rename_alike: bool = False,
    fill_missing: bool = False,
) -> Any:
    """The body is the file as it is; it is streamed. Analysts and up."""
    made = await predictions.predict_upload(
        services,
        asker,
        experiment_id,
        sent.chunks,
        filename=sent.filename,
        model=model,
        matching=predictions.Matching(reasons, predictions.renames(rename), rename_alike, fill_missing),
        announced=sent.announced,
    )
    return as_json(made)


@router.post("/{experiment_id}/promote", response_model=_PROMOTION, status_code=202, summary="Offer a model to agents")
async def promote(services: Served, asker: Asker, experiment_id: int, wanted: Promoting | None = None) -> Any:
    """Of a run on flow features: into the registry, past the same gate as any model. Operators and up."""
    given = wanted or Promoting()
    return as_json(await taking.promote_model(services, asker, experiment_id, given.model, reason=given.reason))


@router.get("/{experiment_id}/promotion", response_model=_PROMOTION | None, summary="The latest offer to agents")
def get_promotion(services: Served, _: Asker, experiment_id: int) -> Any:
    """Null when there was none."""
    return as_json(taking.get_promotion(services, experiment_id))
