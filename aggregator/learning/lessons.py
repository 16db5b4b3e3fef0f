"""Rows about learning: labels, who gives them, what is asked next, and the sets that judge models.

They follow the rules of rows.py, which shows them to the outside like any other row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """One verdict, or the undoing of one (`undoes` names it). Labels are never changed or removed."""

    id: int
    target: str  # alert | incident | flow
    target_id: int  # of a flow: its number among the judged flows
    verdict: str | None  # None on an undo
    note: str
    by: str
    at_ms: int
    undoes: int | None
    undone: bool
    alerts: int  # alerts it applied to; 1 for a flow
    expires_ms: int | None = None  # from then on it counts no more
    expired: bool = False
    family: str = ""  # of an attack, where the person named it
    settles: bool = False  # given by an operator: contradictions before it are settled
    flow_id: str = ""  # of the flow it was given on, where that raised no alert


@dataclass(frozen=True, slots=True)
class LabelDay:
    """What one person said on one day, UTC: how much of what is trained on is whose."""

    day: str
    by: str
    labels: int
    undone: int
    benign: int  # alerts and flows called benign by labels that count
    malicious: int
    unsure: int


@dataclass(frozen=True, slots=True)
class Question:
    """A flow whose verdict would teach much, and why it is asked. Those that raised an alert have its id."""

    flow_id: str
    alert_id: int | None
    incident_id: int | None
    agent_id: str
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    protocol: int
    last_seen_ms: int
    packets: int
    bytes: int
    score: float
    kind: str  # of its incident, empty for a flow without one
    why: str  # dispute | uncertain | near miss | representative | unlike the others
    reason: str  # one plain sentence
    stands_for: int  # candidates that resemble it most, itself included


@dataclass(frozen=True, slots=True)
class Queue:
    """What is asked now: alerts first, then flows that raised none; `candidates` were looked at."""

    made_ms: int
    items: tuple[Question, ...]
    candidates: int


@dataclass(frozen=True, slots=True)
class FrozenSet:
    """Rows that judge models and never train one. Sets are added and retired, never changed."""

    id: int
    purpose: str  # attacks | golden
    sha256: str
    feature_digest: str
    rows: int
    families: dict[str, int]
    made_of: tuple[dict[str, str], ...]  # captures or incidents: name, sha256
    note: str
    by: str
    at_ms: int
    usable: bool  # its feature contract is this installation's
    retired_ms: int | None
    retired_by: str | None
    retired_note: str
