"""`/healthz` and `/metrics`: for machines that watch machines. Counts only, so neither needs a login."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from aggregator import queries
from aggregator.calibration import monitor
from aggregator.errors import AggregatorError
from aggregator.web.api.asking import Served  # noqa: TC001 - FastAPI reads it
from aggregator.workbench import standing

if TYPE_CHECKING:
    from aggregator.rows import Overview

router = APIRouter(tags=["monitoring"])

METRICS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("anomaflow_agents", "gauge", "Agents ever seen.", "agents"),
    ("anomaflow_agents_connected", "gauge", "Agents with an open stream.", "agents_connected"),
    ("anomaflow_agents_degraded", "gauge", "Connected agents whose sensor is not running.", "agents_degraded"),
    ("anomaflow_alerts_total", "counter", "Alerts stored.", "alerts"),
    ("anomaflow_alerts_without_verdict", "gauge", "Alerts nobody judged yet.", "alerts_without_verdict"),
    ("anomaflow_incidents", "gauge", "Incidents formed.", "incidents"),
    ("anomaflow_verdicts_total", "counter", "Verdicts given.", "labels"),
    ("anomaflow_flows_waiting", "gauge", "Flows stored but not yet in a Parquet file.", "flows_waiting"),
    ("anomaflow_flows_staged", "gauge", "Flows in staging files.", "flows_staged"),
    ("anomaflow_flows_in_lake", "gauge", "Flows in the lake.", "flows_in_lake"),
    ("anomaflow_broken_batches_total", "counter", "Batches set aside as malformed.", "broken_batches"),
    ("anomaflow_lost_flows_total", "counter", "Flows agents declared lost.", "lost_flows"),
    ("anomaflow_lost_alerts_total", "counter", "Alerts agents declared lost.", "lost_alerts"),
)
"""Name, type, meaning, and field of `Overview`. docs/cli.md shows this table."""

PROMISES: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("anomaflow_policy_threshold", "gauge", "Score that alerts in a group.", "threshold"),
    ("anomaflow_promised_fpr", "gauge", "Share of benign flows promised to alert at most.", "promised_fpr"),
    ("anomaflow_realised_fpr", "gauge", "Share of quiet flows counted that reach the threshold.", "realised_fpr"),
    ("anomaflow_quiet_flows", "gauge", "Quiet flows the realised share rests on.", "flows"),
    ("anomaflow_calibration_evidence", "gauge", "Wager against the promise; above 2160 it has expired.", "evidence"),
    ("anomaflow_calibration_expired", "gauge", "1 when the promise has expired, else 0.", "state"),
)
"""Of every group, labelled `group`: name, type, meaning, and field of `GroupPromise`. docs/cli.md shows this table."""


WORKBENCH: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("anomaflow_workbench_running", "gauge", "Pieces of the workbench's spawned work that run.", "running"),
    ("anomaflow_workbench_queued", "gauge", "Pieces of the workbench's spawned work that wait.", "queued"),
    ("anomaflow_workbench_bytes", "gauge", "Bytes of all files of the workbench.", "bytes"),
    ("anomaflow_workbench_datasets", "gauge", "Data sets of the workbench.", "datasets"),
    ("anomaflow_workbench_experiments", "gauge", "Experiments of the workbench.", "experiments"),
)
"""Name, type, meaning, and key of `standing.figures`. docs/cli.md shows this table."""


@router.get("/healthz", summary="Whether the aggregator works", include_in_schema=True)
async def healthz(services: Served) -> Response:
    """200 when the database can be read and written, 503 otherwise."""
    try:
        async with asyncio.timeout(5):
            await services.store.write(lambda db: db.execute("SELECT 1").fetchone())
            services.store.read(lambda db: db.execute("SELECT 1").fetchone())
    except (AggregatorError, TimeoutError) as error:
        return JSONResponse({"status": "failing", "error": str(error) or "the database does not answer"}, 503)
    return JSONResponse({"status": "ok"})


@router.get("/metrics", summary="Figures in Prometheus text", response_class=PlainTextResponse)
def metrics(services: Served) -> Response:
    """Counts only: no address, no agent's name; groups by name."""
    text = render(queries.overview(services)) + render_workbench(services.store.read(standing.figures))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def render_workbench(figures: dict[str, int]) -> str:
    """The workbench's figures in Prometheus text format."""
    lines = []
    for name, kind, meaning, key in WORKBENCH:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {figures[key]}"]
    return "\n".join(lines) + "\n"


def render(overview: Overview) -> str:
    """The figures in Prometheus text format."""
    lines = []
    for name, kind, meaning, field in METRICS:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {getattr(overview, field)}"]
    for name, kind, meaning, field in PROMISES:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        for promise in overview.promises:
            value = getattr(promise, field)
            if field == "state":
                value = int(value == monitor.State.EXPIRED)
            if value is not None:
                lines.append(f'{name}{{group="{promise.group}"}} {value}')
    return "\n".join(lines) + "\n"
