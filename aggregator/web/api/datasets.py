"""`/datasets`: tables of the workbench, a first look at them, and plots."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.rows import as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Renaming, Served, list_of, shape
from aggregator.web.api.files import BODY, Reading, Text, Upload, attachment
from aggregator.workbench import connections, datasets, experiments, exploring, tables, uploads
from aggregator.workbench.rows import Dataset, DatasetDetail, Defaults, Preview, Room, SavedPlot

router = APIRouter(prefix="/datasets", tags=["datasets"])
_DATASET = shape(Dataset)
Version = Annotated[int | None, Query(ge=1, description="Which version; the newest one if left out.")]

Method = Annotated[Literal["pca", "tsne"] | None, Query(description="How an embedding is made; pca if left out.")]


def _drawing(kind: str, x: Text = None, y: Text = None, by: Text = None, method: Method = None) -> exploring.Drawing:
    return exploring.Drawing(kind, x, y, by, method)


Drawing = Annotated[exploring.Drawing, Depends(_drawing)]


class Database(BaseModel):
    """A query of a database. The address may hold a password: it is kept nowhere."""

    model_config = ConfigDict(extra="forbid")
    url: str = Field(max_length=4096)
    query: str = Field(max_length=20_000)
    name: str | None = Field(default=None, max_length=256)
    dataset_id: int | None = None


class Remote(BaseModel):
    """A file elsewhere. Credentials are options, never part of the address."""

    model_config = ConfigDict(extra="forbid")
    url: str = Field(max_length=4096)
    options: dict[str, str] = Field(default_factory=dict)
    name: str | None = Field(default=None, max_length=256)
    dataset_id: int | None = None
    sheet: str | None = Field(default=None, max_length=256)
    delimiter: str | None = Field(default=None, max_length=16)
    encoding: str | None = Field(default=None, max_length=64)
    header: Literal["auto", "yes", "no"] | None = None


class OwnFlows(BaseModel):
    """Flows of the lake."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(default=None, max_length=256)
    days: int | None = None
    dataset_id: int | None = None


class Profiling(BaseModel):
    """`label` is the column to predict: what gives it away is looked for."""

    model_config = ConfigDict(extra="forbid")
    label: str | None = Field(default=None, max_length=256)


class NewPlot(BaseModel):
    """What to draw and keep."""

    model_config = ConfigDict(extra="forbid")
    kind: str = Field(max_length=40)
    x: str | None = Field(default=None, max_length=256)
    y: str | None = Field(default=None, max_length=256)
    by: str | None = Field(default=None, max_length=256)
    method: Literal["pca", "tsne"] | None = None
    title: str | None = Field(default=None, max_length=256)


@router.get("", response_model=list_of(Dataset), summary="Data sets, newest first")
def list_datasets(services: Served, _: Asker, search: Text = None, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """Each at its newest version. States: importing, ready, failed. `search` looks into names."""
    return as_json(datasets.list_datasets(services, search=search, limit=limit, cursor=cursor))


@router.get("/room", response_model=shape(Room), summary="What may be uploaded, and how much room is taken")
def room(services: Served, asker: Asker) -> Any:
    """Limits and figures, of all and of the asker."""
    return as_json(datasets.room(services, asker))


@router.post(
    "/upload", response_model=_DATASET, status_code=202, summary="Upload a file as a data set", openapi_extra=BODY
)
async def upload(services: Served, asker: Asker, sent: Upload, reading: Reading, name: Text = None) -> Any:
    """The body is the file as it is; it is streamed. Answers when it is here; the import goes on. Analysts and up."""
    made = await uploads.receive_upload(
        services, asker, sent.chunks, filename=sent.filename, announced=sent.announced, name=name, **reading
    )
    return as_json(made)


@router.post("/sql", response_model=_DATASET, status_code=202, summary="Import the answer of a database")
async def connect_sql(services: Served, asker: Asker, wanted: Database) -> Any:
    """Operators and up. Which kinds of database and which hosts, the settings say."""
    return as_json(await connections.connect_sql(services, asker, **wanted.model_dump()))


@router.post("/remote", response_model=_DATASET, status_code=202, summary="Import a remote file")
async def connect_remote(services: Served, asker: Asker, wanted: Remote) -> Any:
    """Object storage and web. Operators and up. Which kinds of address and which hosts, the settings say."""
    return as_json(await connections.connect_remote(services, asker, **wanted.model_dump()))


@router.post("/lake", response_model=_DATASET, status_code=202, summary="Import flows that agents sent")
async def import_lake(services: Served, asker: Asker, wanted: OwnFlows | None = None) -> Any:
    """Those in the lake, with the verdicts given. Analysts and up."""
    return as_json(await connections.import_lake(services, asker, **(wanted or OwnFlows()).model_dump()))


@router.get("/plots/{plot_id}", response_model=dict[str, Any], summary="A kept plot")
def get_plot(services: Served, _: Asker, plot_id: int) -> Any:
    """With its ECharts option."""
    return exploring.get_plot(services, plot_id)


@router.delete("/plots/{plot_id}", status_code=204, summary="Remove a kept plot")
async def delete_plot(services: Served, asker: Asker, plot_id: int) -> Response:
    """Analysts and up."""
    await exploring.delete_plot(services, asker, plot_id)
    return Response(status_code=204)


@router.get("/{dataset_id}", response_model=shape(DatasetDetail), summary="One data set")
def get_dataset(services: Served, _: Asker, dataset_id: int, version: Version = None) -> Any:
    """A version of it with its columns, and the other versions."""
    return as_json(datasets.get_dataset(services, dataset_id, version))


@router.patch("/{dataset_id}", response_model=_DATASET, summary="Rename a data set")
async def rename_dataset(services: Served, asker: Asker, dataset_id: int, renaming: Renaming) -> Any:
    """All its versions. Analysts and up."""
    return as_json(await datasets.rename_dataset(services, asker, dataset_id, renaming.name))


@router.delete("/{dataset_id}", status_code=204, summary="Delete a data set, or one version of it")
async def delete_dataset(services: Served, asker: Asker, dataset_id: int, version: Version = None) -> Response:
    """Its files go at once; runs made with it stay. All versions if none is named. Analysts and up."""
    await datasets.delete_dataset(services, asker, dataset_id, version)
    return Response(status_code=204)


@router.post(
    "/{dataset_id}/upload",
    response_model=_DATASET,
    status_code=202,
    summary="Upload a file as a new version",
    openapi_extra=BODY,
)
async def upload_version(services: Served, asker: Asker, dataset_id: int, sent: Upload, reading: Reading) -> Any:
    """As `POST /datasets/upload`. Analysts and up."""
    made = await uploads.receive_upload(
        services, asker, sent.chunks, filename=sent.filename, announced=sent.announced, dataset_id=dataset_id, **reading
    )
    return as_json(made)


@router.post("/{dataset_id}/cancel", response_model=_DATASET, summary="End an import or profile under way")
async def cancel_import(services: Served, asker: Asker, dataset_id: int, version: Version = None) -> Any:
    """Returns when nothing of it runs any more. Analysts and up."""
    return as_json(await datasets.cancel_import(services, asker, dataset_id, version))


@router.get("/{dataset_id}/log", response_model=list[str], summary="The log of an import and profile")
def dataset_log(
    services: Served,
    _: Asker,
    dataset_id: int,
    version: Version = None,
    lines: Annotated[int, Query(ge=1, le=10_000)] = 200,
) -> Any:
    """Its last lines, as the trainer wrote them."""
    return datasets.dataset_log(services, dataset_id, version, lines=lines)


@router.get("/{dataset_id}/preview", response_model=shape(Preview), summary="Rows of a data set")
async def preview(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    _: Asker,
    dataset_id: int,
    version: Version = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Limit = PAGE,
    sort: Text = None,
    descending: bool = False,
) -> Any:
    """As they are, or sorted by a column."""
    where = {"offset": offset, "limit": limit, "sort": sort, "descending": descending}
    return as_json(await asyncio.to_thread(tables.preview, services, dataset_id, version, **where))  # type: ignore[arg-type]


@router.get("/{dataset_id}/profile", response_model=dict[str, Any] | None, summary="The profile of a data set")
async def get_profile(services: Served, _: Asker, dataset_id: int, version: Version = None) -> Any:
    """As the trainer wrote it (format anomaflow-profile-1); null while there is none."""
    return await asyncio.to_thread(exploring.get_profile, services, dataset_id, version)


@router.post("/{dataset_id}/profile", response_model=_DATASET, status_code=202, summary="Profile a data set again")
async def profile(
    services: Served, asker: Asker, dataset_id: int, version: Version = None, wanted: Profiling | None = None
) -> Any:
    """Every import does so by itself. Analysts and up."""
    label = wanted.label if wanted else None
    return as_json(await exploring.profile(services, asker, dataset_id, version, label=label))


@router.get("/{dataset_id}/plot", response_model=dict[str, Any], summary="Draw a plot")
async def plot(services: Served, asker: Asker, dataset_id: int, wanted: Drawing, version: Version = None) -> Any:
    """Waits for it (format anomaflow-plot-1). Kinds: histogram, box, scatter, heatmap, counts, embedding.

    What draws single rows draws a sample, and `note` says of how many: 5,000 for an embedding, 1,500 by t-SNE.
    """
    return await exploring.plot(services, asker, dataset_id, version, wanted)


@router.get("/{dataset_id}/plot/image", response_class=Response, summary="Draw a plot as an image")
async def plot_image(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    asker: Asker,
    dataset_id: int,
    wanted: Drawing,
    version: Version = None,
    format: Literal["svg", "png"] = "svg",  # noqa: A002 - what it is called in the query
) -> Response:
    """SVG or PNG."""
    made = await exploring.plot_image(services, asker, dataset_id, version, wanted, format=format)
    media = "image/svg+xml" if format == "svg" else "image/png"
    return Response(made, media_type=media, headers=attachment(f"plot-{dataset_id}.{format}"))


@router.get("/{dataset_id}/plots", response_model=list_of(SavedPlot), summary="Kept plots, newest first")
def list_plots(services: Served, _: Asker, dataset_id: int, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """Of all versions of a data set."""
    return as_json(exploring.list_plots(services, dataset_id, limit=limit, cursor=cursor))


@router.post("/{dataset_id}/plots", response_model=shape(SavedPlot), status_code=201, summary="Keep a plot")
async def save_plot(services: Served, asker: Asker, dataset_id: int, wanted: NewPlot, version: Version = None) -> Any:
    """Analysts and up."""
    drawing = exploring.Drawing(wanted.kind, wanted.x, wanted.y, wanted.by, wanted.method)
    return as_json(await exploring.save_plot(services, asker, dataset_id, version, drawing, title=wanted.title))


@router.get("/{dataset_id}/defaults", response_model=shape(Defaults), summary="What an experiment begins with")
async def defaults(
    services: Served,
    _: Asker,
    dataset_id: int,
    version: Version = None,
    label: Text = None,
    kind: Literal["ml", "dl"] = "ml",
) -> Any:
    """Settings with label and task guessed from the profile. An empty `label` means none."""
    return as_json(await asyncio.to_thread(experiments.defaults, services, dataset_id, version, label=label, kind=kind))
