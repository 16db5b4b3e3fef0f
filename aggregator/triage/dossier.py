"""What is known of an incident, as frozen rows. They follow the rules of rows.py, which shows them to the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.rows import Alert, Label, Reason
    from aggregator.triage.handling import Step
    from aggregator.triage.timeline import TimelinePart


@dataclass(frozen=True, slots=True)
class Incident:
    """Alerts that belong together. The id stays while the incident grows."""

    id: int
    kind: str  # one of incidents.KINDS
    title: str  # one plain sentence
    src_ip: str | None  # None when there are many sources
    dst_ip: str | None  # None when there are many targets
    sources: int
    targets: int
    ports: int
    hosts: tuple[str, ...]  # addresses involved, at most 50
    agents: tuple[str, ...]
    first_seen_ms: int
    last_seen_ms: int
    updated_ms: int
    alerts: int
    max_score: float
    reasons: tuple[Reason, ...]  # strongest over its alerts
    verdict: str | None  # of its alerts, "mixed" when they differ, None while some have none
    state: str  # open | closed | suppressed
    conversations: int  # a long flow raises several alerts and is one conversation
    evidence: tuple[str, ...]  # sentences with numbers
    suppressed: int  # alerts that a rule calls normal here
    active_ms: int  # when its latest alert arrived
    reopened: int  # how often an alert joined after it was closed
    acknowledged_by: str | None  # who has looked at it as it is
    acknowledged_ms: int | None
    assignee: str | None  # whose it is
    comments: int


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    """An incident with its strongest alerts (at most 200), its verdicts, when its alerts began, and what was done."""

    incident: Incident
    alerts: tuple[Alert, ...]
    labels: tuple[Label, ...]
    timeline: tuple[TimelinePart, ...]
    steps: tuple[Step, ...]  # newest first, at most 200
