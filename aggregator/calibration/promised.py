"""What is promised to operators and what became of it, as frozen rows. REST, console and client show these fields.

Rates are shares of benign flows, `_low` and `_high` bound them with 95 % confidence (Clopper and Pearson, on flows
divided by how alike those of one host are).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentPromise:
    """The promise as one agent of the group keeps it."""

    agent_id: str
    state: str
    since_ms: int | None
    flows: int
    exceeding: int
    realised_fpr: float | None


@dataclass(frozen=True, slots=True)
class GroupPromise:
    """A group's promise and what its quiet flows made of it."""

    group: str
    agents: int
    policy_version: int
    threshold: float
    promised_fpr: float | None  # None when the threshold was set by hand
    basis: str  # model | certified | estimated | hand
    max_alerts_per_minute: int  # hard cap of each agent
    state: str  # holds | unsure | expired | no promise
    since_ms: int | None  # since when an expired one looks broken
    why: str
    hours: int  # of counted traffic
    flows: int  # quiet ones counted, none of them weighing more than its host's share
    exceeding: int  # of these, at or above the threshold
    realised_fpr: float | None
    realised_low: float
    realised_high: float
    evidence: float  # the mean wager against the promise; the alarm is at monitor.ALARM
    flows_per_day: float  # quiet flows, those of busy hosts included, at the pace of the traffic
    expected_alerts_per_day: float | None  # what the promise allows
    realised_alerts_per_day: float | None  # what the quiet flows give at this threshold
    members: tuple[AgentPromise, ...]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of the report's precision-recall curve, re-weighted to the base rate asked for."""

    threshold: float
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a policy would do, before it is set: the three read-outs move together."""

    group: str
    threshold: float
    promised_fpr: float | None
    basis: str
    why: str
    rows: int  # quiet flows it rests on
    flows_per_day: float
    expected_alerts_per_day: float | None  # None while nothing was counted
    fpr: float | None  # share of quiet flows that reach the threshold
    fpr_low: float | None
    fpr_high: float | None
    windows: float | None  # share of host-windows (an initiator's ten minutes) that alert, counted or the model's bound
    base_rate: float  # share of flows that are attacks, as the operator supposes
    attack_rows: int  # labelled attack rows in the report
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    max_alerts_per_minute: int  # the hard cap, whatever is promised
    current_threshold: float
    current_promised_fpr: float | None
    curve: tuple[CurvePoint, ...]
