"""What the store knows, as frozen rows. REST answers and console pages show exactly these fields.

Times are UTC milliseconds, sizes bytes, scores `-log10 p` (higher is stranger). `as_json` turns any row, or a page of
rows, into plain dictionaries and lists; nothing else decides what a row looks like outside.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from aggregator.calibration.promised import GroupPromise as GroupPromise  # noqa: PLC0414, TC001 - likewise
from aggregator.learning.lessons import Label as Label  # noqa: PLC0414, TC001 - a row like the others; shapes read it at run time
from aggregator.triage.dossier import Incident as Incident  # noqa: PLC0414 - likewise
from aggregator.triage.dossier import IncidentDetail as IncidentDetail  # noqa: PLC0414 - likewise
from aggregator.triage.timeline import TimelinePart as TimelinePart  # noqa: PLC0414 - as above

Row = TypeVar("Row")

Verdict = Literal["benign", "malicious", "unsure"]
VERDICTS: tuple[Verdict, ...] = ("benign", "malicious", "unsure")


class Role(StrEnum):
    """What a user may do, in rising order: read; give verdicts; run models and policies; manage users."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """True when this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class ModelState(StrEnum):
    """Where a model stands. Moves between states are the table in registry.py."""

    ADMITTED = "admitted"  # verified and kept
    CANDIDATE = "candidate"  # verified, and its gate passed
    CHAMPION = "champion"  # what agents run
    RETIRED = "retired"  # was champion once
    REFUSED = "refused"  # an operator does not want it


class JobState(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"  # the aggregator stopped while it ran


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, and the cursor that continues it (None at the end)."""

    items: tuple[Row, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature that made a flow strange."""

    feature: str
    observed: float
    expected: float
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A flow that scored at least the threshold."""

    id: int
    agent_id: str
    flow_id: str
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    first_seen_ms: int
    last_seen_ms: int
    received_ms: int
    packets: int
    bytes: int
    score: float
    threshold: float
    model_digest: str
    reasons: tuple[Reason, ...]
    verdict: str | None
    incident_id: int | None
    suppression_id: int | None  # the rule that calls it normal here
    family: str | None  # of labelled attacks, which it looks like to the model; None: none, or it cannot say
    family_share: float | None  # the classifier's, 0 to 1


@dataclass(frozen=True, slots=True)
class Health:
    """What a sensor saw and missed, counted since its start. Field meanings: `SensorHealth` in batch.proto."""

    packets: int = 0
    packets_ignored: int = 0
    packets_dropped: int = 0
    flows: int = 0
    flows_evicted: int = 0
    active_flows: int = 0
    alerts: int = 0
    alerts_capped: int = 0
    clock_corrections: int = 0
    state: str = ""
    detail: str = ""
    source: str = ""
    traffic_ms: int = 0
    score_latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """An alert with everything known about its flow."""

    alert: Alert
    epoch: str
    sequence: int
    row: int
    ip_version: int
    vlan_id: int
    end: str  # idle | active | tcp | half-open | evicted | stop
    policy_version: int
    features: dict[str, float]  # observed, contract order
    health: Health  # of the sensor when it raised the alert
    labels: tuple[Label, ...]  # verdict history, newest first


@dataclass(frozen=True, slots=True)
class Agent:
    """A sensor host as last heard of."""

    agent_id: str
    hostname: str
    version: str
    source: str  # interface or capture
    epoch: str
    connected: bool
    first_seen_ms: int
    last_seen_ms: int
    model_digest: str  # running now
    model_state: str  # installed | running | refused, empty before any report
    model_detail: str
    policy_version: int
    spool_bytes: int
    spool_records: int
    batches: int
    flows: int  # rows received
    alerts: int
    lost_flows: int  # declared in gap records
    lost_alerts: int
    broken_batches: int  # set aside as malformed
    health: Health
    group: str = "default"


@dataclass(frozen=True, slots=True)
class Gap:
    """A declared loss of an agent's spool, or a batch that was set aside here."""

    id: int
    agent_id: str
    epoch: str
    first_sequence: int
    last_sequence: int
    flows: int
    alerts: int
    reason: str
    received_ms: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A row of staging or lake, without its features."""

    flow_id: str
    agent_id: str
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    ip_version: int
    vlan_id: int
    end: str
    first_seen_ms: int
    last_seen_ms: int
    received_ms: int
    packets: int
    bytes: int
    score: float
    raised: bool
    weight: float  # flows this row stands for
    model_digest: str
    verdict: str | None


@dataclass(frozen=True, slots=True)
class FlowCount:
    """Flows received in one minute."""

    minute_ms: int
    rows: int
    flows: float  # rows weighted by what each stands for
    alerts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model in the registry. `manifest` is the file's own, without its self-test rows."""

    digest: str
    name: str
    kind: str
    version: int
    state: ModelState
    size: int
    feature_digest: str
    created_ms: int
    admitted_ms: int
    admitted_by: str
    gate_passed: bool | None  # None when it was never compared
    has_report: bool
    agents: int  # agents that run it now
    alerts: int  # alerts it raised
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """How scores become decisions in a group of agents. Versions only rise; a group's highest is its current one."""

    version: int
    model_digest: str
    threshold: float
    promised_fpr: float | None  # None when the threshold was set by hand
    keep_fraction: float
    max_alerts_per_minute: int
    created_ms: int
    by: str
    reason: str
    group: str = "default"
    basis: str = "model"  # model: its own calibration | certified, estimated: the group's counted scores | hand


@dataclass(frozen=True, slots=True)
class Job:
    """A training run."""

    id: int
    kind: str
    state: JobState
    stage: str
    fraction: float
    message: str
    params: dict[str, Any]
    by: str
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    exit_code: int | None
    model_digest: str | None
    gate: dict[str, Any] | None
    promoted: bool
    error: str


@dataclass(frozen=True, slots=True)
class User:
    """An account. Its password hash never leaves the store."""

    name: str
    role: Role
    created_ms: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class Token:
    """An API token. Only its hash is kept."""

    id: int
    name: str
    user: str
    scope: str  # read | write
    created_ms: int
    expires_ms: int
    last_used_ms: int | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class MinuteCount:
    """Alerts received in one minute."""

    minute_ms: int
    alerts: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the whole on one screen."""

    now_ms: int
    agents: int
    agents_connected: int
    agents_degraded: int  # connected, but not in state running
    alerts: int
    alerts_last_hour: int
    alerts_without_verdict: int
    incidents: int
    incidents_last_hour: int
    labels: int
    flows_staged: int
    flows_in_lake: int
    flows_waiting: int  # received, not yet in a file
    broken_batches: int
    lost_flows: int
    lost_alerts: int
    champion: Model | None
    policy: Policy
    job: Job | None  # the running one, else the latest
    alerts_per_minute: tuple[MinuteCount, ...]  # the last 60 minutes, oldest first, minutes without alerts included
    promises: tuple[GroupPromise, ...]  # of every group, the default one first


def as_json(value: Any) -> Any:
    """Plain data of a row, a page, or a collection of rows. An `AlertDetail` puts the alert's own fields on top."""
    if isinstance(value, AlertDetail | IncidentDetail):
        inner, *rest = dataclasses.fields(value)
        plain: dict[str, Any] = as_json(getattr(value, inner.name))
        extra = {field.name: as_json(getattr(value, field.name)) for field in rest}
        if isinstance(value, IncidentDetail):  # `alerts` is the count in an incident's own fields
            extra["alert_items"] = extra.pop("alerts")
        return {**plain, **extra}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value
