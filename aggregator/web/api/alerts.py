"""`/alerts`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aggregator import queries
from aggregator.rows import Alert, AlertDetail, Health, Label, as_json
from aggregator.triage.alerts import AlertFilter
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/alerts", tags=["alerts"])

_DETAIL = shape(
    Alert,
    name="AlertDetail",
    extra={
        "epoch": (str, ...),
        "sequence": (int, ...),
        "row": (int, ...),
        "ip_version": (int, ...),
        "vlan_id": (int, ...),
        "end": (str, ...),
        "policy_version": (int, ...),
        "features": (dict[str, float], ...),
        "health": (shape(Health, name="SensorHealth"), ...),
        "labels": (list[shape(Label, name="AlertLabel")], ...),  # type: ignore[misc]
    },
)
assert AlertDetail.__dataclass_fields__.keys() - {"alert"} <= _DETAIL.model_fields.keys()  # noqa: S101


@router.get("", response_model=list_of(Alert), summary="Alerts, newest arrival first")
def list_alerts(  # noqa: PLR0917 - parameters of a query
    services: Served,
    _: Asker,
    agent: str | None = None,
    model: str | None = None,
    incident: int | None = None,
    verdict: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    min_score: float | None = None,
    host: str | None = None,
    suppressed: bool | None = None,
    family: str | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Any:
    """Filters narrow; `verdict` is none, benign, malicious or unsure; times bound the arrival; `host` is either end.

    `suppressed`: only those that a rule hides, or only the others. `family`: those that look like it to the model.
    """
    where = AlertFilter(agent, model, incident, verdict, since_ms, until_ms, min_score, host, suppressed, family)
    return as_json(queries.list_alerts(services, where, limit=limit, cursor=cursor))


@router.get("/{alert_id}", response_model=_DETAIL, summary="One alert with everything known about its flow")
def get_alert(services: Served, _: Asker, alert_id: int) -> Any:
    """Adds the flow's identity, the observed features, the sensor's health at the time, and the verdict history."""
    return as_json(queries.get_alert(services, alert_id))
