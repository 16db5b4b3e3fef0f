"""What can be asked of the aggregator and what can be done to it: the functions below both REST and console pages.

Reads are plain functions that take a few milliseconds (`list_flows`, `count_flows` and `overview` look at Parquet files
and take longer: call them in a thread). They may be called from any thread. Writes are coroutines; they take the acting
`Principal`, require its role here and not in the skin, write the audit log, and publish an event. Both raise the tree
in errors.py, whose text can be shown to the user as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator import agents, audit, overviews, users
from aggregator.calibration import groups, policies
from aggregator.calibration.readouts import Wish
from aggregator.errors import Invalid
from aggregator.rows import Role
from aggregator.triage import alerts, cases

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.audit import AuditEntry
    from aggregator.rows import (
        Agent,
        Alert,
        AlertDetail,
        Flow,
        FlowCount,
        Gap,
        Incident,
        IncidentDetail,
        Job,
        Model,
        Overview,
        Page,
        Policy,
        Token,
        User,
    )
    from aggregator.services import Services
    from aggregator.storage.flows import FlowFilter
    from aggregator.triage.alerts import AlertFilter
    from aggregator.triage.cases import IncidentFilter
    from aggregator.users import Principal

PAGE: int = 50
"""Rows of a list when nobody asks for another number."""


# --- reading -----------------------------------------------------------------------------------------------------


def overview(services: Services) -> Overview:
    """Counts, health and alerts per minute of the last hour."""
    return overviews.overview(services)


def list_alerts(
    services: Services, where: AlertFilter | None = None, *, limit: int = PAGE, cursor: str | None = None
) -> Page[Alert]:
    """Alerts, newest arrival first. `where`: `alerts.AlertFilter(agent=…, model=…, incident=…, verdict="none"|…)`."""
    return services.store.read(lambda db: alerts.find(db, where, limit=limit, cursor=cursor))


def get_alert(services: Services, alert_id: int) -> AlertDetail:
    """One alert with flow, observed features, reasons, sensor health and verdict history. Raises `NotFound`."""
    return services.store.read(lambda db: alerts.get(db, alert_id))


def list_incidents(
    services: Services,
    where: IncidentFilter | None = None,
    *,
    limit: int = PAGE,
    cursor: str | None = None,
) -> Page[Incident]:
    """Incidents, latest activity first. `where`: `cases.IncidentFilter(state="open", kind=…, verdict=…, host=…)`."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: cases.find(db, where, now_ms=now_ms, limit=limit, cursor=cursor))


def count_incidents(services: Services) -> dict[str, int]:
    """How many incidents are open, closed and suppressed."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: cases.counts(db, now_ms=now_ms))


def get_incident(services: Services, incident_id: int) -> IncidentDetail:
    """One incident with its strongest alerts; the id of one that was merged gives the one it merged into."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: cases.get(db, incident_id, now_ms=now_ms))


def list_agents(services: Services) -> Page[Agent]:
    """Every agent ever seen, by name."""
    return services.store.read(agents.find)


def get_agent(services: Services, agent_id: str) -> Agent:
    """One agent. Raises `NotFound`."""
    return services.store.read(lambda db: agents.get(db, agent_id))


def list_gaps(services: Services, *, agent: str | None = None, limit: int = PAGE) -> Page[Gap]:
    """Declared losses and batches set aside, newest first."""
    return services.store.read(lambda db: agents.gaps(db, agent=agent, limit=limit))


def list_flows(
    services: Services, where: FlowFilter | None = None, *, limit: int = PAGE, cursor: str | None = None
) -> Page[Flow]:
    """Flows of staging and lake, latest first. `where`: `flows.FlowFilter(agent=…, host=…, port=…, since_ms=…)`."""
    return services.lake.flows(where, limit=limit, cursor=cursor)


def count_flows(services: Services, *, minutes: int = 60) -> tuple[FlowCount, ...]:
    """Flows received per minute over the last `minutes`, oldest first, minutes without flows included."""
    return services.lake.counts_per_minute(now_ms=services.clock.now_ms(), minutes=minutes)


def list_models(services: Services) -> Page[Model]:
    """Models in the registry, newest version first."""
    return services.registry.models()


def get_model(services: Services, digest: str) -> Model:
    """One model. Raises `NotFound`."""
    return services.registry.get(digest)


def get_model_report(services: Services, digest: str) -> dict[str, Any]:
    """The training report of a model, as the trainer wrote it. Raises `NotFound`."""
    return services.registry.report(digest)


def current_policy(services: Services, *, group: str = policies.DEFAULT) -> Policy:
    """The policy that the agents of a group follow."""
    return services.store.read(lambda db: policies.current(db, group))


def list_policies(services: Services, *, limit: int = PAGE, cursor: str | None = None) -> Page[Policy]:
    """Policies, newest version first."""
    return services.store.read(lambda db: policies.find(db, limit=limit, cursor=cursor))


def list_jobs(services: Services, *, limit: int = PAGE, cursor: str | None = None) -> Page[Job]:
    """Training runs, newest first."""
    return services.jobs.find(limit=limit, cursor=cursor)


def get_job(services: Services, job_id: int) -> Job:
    """One training run. Raises `NotFound`."""
    return services.jobs.get(job_id)


def job_log(services: Services, job_id: int, *, lines: int = 200) -> list[str]:
    """The last lines of a training run's log. Raises `NotFound`."""
    return services.jobs.log(job_id, lines=lines)


def list_users(services: Services, actor: Principal) -> Page[User]:
    """Accounts, by name. Administrators only."""
    actor.require(Role.ADMIN, write=False)
    return services.store.read(users.find)


def list_tokens(services: Services, actor: Principal) -> Page[Token]:
    """API tokens, newest first: everyone's for an administrator, one's own otherwise."""
    owner = None if actor.role is Role.ADMIN else actor.name
    return services.store.read(lambda db: users.tokens(db, owner=owner))


def list_audit(
    services: Services, actor: Principal, *, limit: int = PAGE, cursor: str | None = None
) -> Page[AuditEntry]:
    """Who did what, newest first. Administrators only."""
    actor.require(Role.ADMIN, write=False)
    return services.store.read(lambda db: audit.find(db, limit=limit, cursor=cursor))


# --- doing -------------------------------------------------------------------------------------------------------


async def add_model(services: Services, actor: Principal, path: Path, *, report: Path | None = None) -> Model:
    """Admit the model file at `path` (it is copied). Operators and up. Raises `ModelRefused` with what is wrong."""
    actor.require(Role.OPERATOR)
    return await services.registry.admit(path, report=report, by=actor.name)


async def promote(services: Services, actor: Principal, digest: str, *, reason: str = "", force: bool = False) -> Model:
    """Make a model the champion and set a new policy for it. Agents receive both at once. Operators and up.

    Raises `NotFound`, `Conflict` (its state does not allow it), `GateFailed` (its gate failed and `force` is false),
    `Invalid` (`force` without a reason).
    """
    actor.require(Role.OPERATOR)
    return await services.registry.promote(digest, by=actor.name, reason=reason, force=force)


async def rollback(services: Services, actor: Principal, *, reason: str = "") -> Model:
    """Bring the previous champion back. Operators and up. Raises `Conflict` when there is none."""
    actor.require(Role.OPERATOR)
    return await services.registry.rollback(by=actor.name, reason=reason)


async def refuse_model(services: Services, actor: Principal, digest: str, *, reason: str) -> Model:
    """Mark a model as not wanted: it can never be promoted. Operators and up. Raises `Conflict` for the champion."""
    actor.require(Role.OPERATOR)
    return await services.registry.refuse(digest, by=actor.name, reason=reason)


async def set_policy(
    services: Services,
    actor: Principal,
    *,
    promised_fpr: float | None = None,
    threshold: float | None = None,
    keep_fraction: float | None = None,
    max_alerts_per_minute: int | None = None,
    alerts_per_day: float | None = None,
    fpr: float | None = None,
    recall: float | None = None,
    group: str = policies.DEFAULT,
    reason: str = "",
) -> Policy:
    """Set a new policy version for a group; what is None stays as it is. Operators and up.

    At most one of `promised_fpr` (the threshold is then the champion's for that rate), `threshold`, and the wishes that
    what the group counted answers: `alerts_per_day`, `fpr`, `recall` (readouts.py). Raises `Invalid`, `NotFound`, and
    `Conflict` for a rate while there is no champion.
    """
    actor.require(Role.OPERATOR)
    wish = Wish(alerts_per_day=alerts_per_day, fpr=fpr, recall=recall)
    if wish != Wish():
        if promised_fpr is not None or threshold is not None:
            raise Invalid("give one of promised_fpr, threshold, alerts_per_day, fpr and recall")
        limits = {"keep_fraction": keep_fraction, "max_alerts_per_minute": max_alerts_per_minute}
        return await services.promises.set(actor, wish, group=group, reason=reason, **limits)
    policy = await services.store.write(
        lambda db: policies.change(
            db,
            promised_fpr=promised_fpr,
            threshold=threshold,
            keep_fraction=keep_fraction,
            max_alerts_per_minute=max_alerts_per_minute,
            group=groups.require_name(group),
            by=actor.name,
            reason=reason,
            now_ms=services.clock.now_ms(),
        )
    )
    services.events.publish("policy", version=policy.version)
    return policy


async def start_retrain(
    services: Services,
    actor: Principal,
    *,
    name: str | None = None,
    quarantine_hours: float | None = None,
    auto_promote: bool = False,
    epochs: int | None = None,
    alpha: float | None = None,
    seed: int | None = None,
) -> Job:
    """Start a training run on the baseline captures and the lake. Operators and up.

    `quarantine_hours` overrides the configured age a row must have; 0 takes everything. Raises `Conflict` while another
    run is under way.
    """
    actor.require(Role.OPERATOR)
    return await services.jobs.start_retrain(
        by=actor.name,
        name=name,
        quarantine_hours=quarantine_hours,
        auto_promote=auto_promote,
        epochs=epochs,
        alpha=alpha,
        seed=seed,
    )


async def cancel_job(services: Services, actor: Principal, job_id: int) -> Job:
    """Stop a training run. Operators and up. Raises `NotFound`, and `Conflict` when it is over already."""
    actor.require(Role.OPERATOR)
    return await services.jobs.cancel(job_id, by=actor.name)


async def add_user(services: Services, actor: Principal, *, name: str, role: str, password: str) -> User:
    """Create an account. Administrators only. Raises `Invalid`, `Conflict`."""
    actor.require(Role.ADMIN)
    return await services.access.add_user(name=name, role=role, password=password, by=actor.name)


async def change_user(
    services: Services,
    actor: Principal,
    name: str,
    *,
    role: str | None = None,
    disabled: bool | None = None,
    password: str | None = None,
) -> User:
    """Change an account; its sessions end. Administrators only.

    Raises `NotFound`, `Invalid`, and `Conflict` when no administrator would be left.
    """
    actor.require(Role.ADMIN)
    return await services.access.change_user(name, role=role, disabled=disabled, password=password, by=actor.name)


async def add_token(
    services: Services, actor: Principal, *, name: str, scope: str = "read", days: int = 90
) -> tuple[Token, str]:
    """Create an API token for oneself; its text is shown only now. Raises `Invalid`."""
    actor.require(Role.VIEWER)
    return await services.access.add_token(user=actor.name, name=name, scope=scope, days=days, by=actor.name)


async def revoke_token(services: Services, actor: Principal, token_id: int) -> Token:
    """Make a token useless: one's own, or anyone's for an administrator. Raises `NotFound`."""
    actor.require(Role.VIEWER)
    owner = None if actor.role is Role.ADMIN else actor.name
    return await services.access.revoke_token(token_id, owner=owner, by=actor.name)
