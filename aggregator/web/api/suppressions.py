"""`/suppressions`: rules that say what is normal here, until when."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from aggregator.rows import as_json
from aggregator.triage import hiding
from aggregator.triage.normality import Scope, Suppression, SuppressionPreview
from aggregator.triage.suppressions import LONGEST_REASON
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/suppressions", tags=["suppressions"])
_SUPPRESSION = shape(Suppression)


class NewScope(BaseModel):
    """What a rule is about; what is left out is any. Name a source or a destination: an address, or a network."""

    model_config = ConfigDict(extra="forbid")
    source: str | None = None
    destination: str | None = None
    port: int | None = None
    protocol: int | None = None
    kind: str | None = None
    agent_id: str | None = None
    group: str | None = None

    def scope(self) -> Scope:
        """As the store knows it."""
        return Scope(self.source, self.destination, self.port, self.protocol, self.kind, self.agent_id, self.group)


class NewSuppression(NewScope):
    """A rule with its end and its reason. `insist` makes one that is refused as too broad; operators and up."""

    until_ms: int
    since_ms: int | None = None
    reason: str = Field(min_length=1, max_length=LONGEST_REASON)
    insist: bool = False


class Ending(BaseModel):
    """Why a rule holds no longer."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=LONGEST_REASON)


@router.get("", response_model=list_of(Suppression), summary="Rules that say what is normal here, newest first")
def list_suppressions(
    services: Served, _: Asker, state: str | None = None, limit: Limit = PAGE, cursor: Cursor = None
) -> Any:
    """`state` is in force, expired, ended or undone. Rules are never changed or removed."""
    return as_json(hiding.list_suppressions(services, state=state, limit=limit, cursor=cursor))


@router.get("/{suppression_id}", response_model=_SUPPRESSION, summary="One rule")
def get_suppression(services: Served, _: Asker, suppression_id: int) -> Any:
    """With the number of alerts it has hidden."""
    return as_json(hiding.get_suppression(services, suppression_id))


@router.post("/preview", response_model=shape(SuppressionPreview), summary="What a rule would have hidden")
def preview_suppression(services: Served, _: Asker, scope: NewScope) -> Any:
    """Over the last days. With `refusals`, the rule can only be made by an operator who insists."""
    return as_json(hiding.preview_suppression(services, scope.scope()))


@router.post("", response_model=_SUPPRESSION, status_code=201, summary="Say what is normal here")
async def add_suppression(services: Served, asker: Asker, rule: NewSuppression) -> Any:
    """Until at most a year from now; `since_ms` lets it hold for alerts received before. Analysts and up."""
    made = await hiding.add_suppression(
        services,
        asker,
        rule.scope(),
        until_ms=rule.until_ms,
        since_ms=rule.since_ms,
        reason=rule.reason,
        insist=rule.insist,
    )
    return as_json(made)


@router.post("/{suppression_id}/end", response_model=_SUPPRESSION, summary="End a rule early")
async def end_suppression(services: Served, asker: Asker, suppression_id: int, ending: Ending | None = None) -> Any:
    """What it hid stays hidden; alerts received from now on are shown. Analysts and up."""
    reason = ending.reason if ending else ""
    return as_json(await hiding.end_suppression(services, asker, suppression_id, reason=reason))


@router.post("/{suppression_id}/undo", response_model=_SUPPRESSION, summary="Undo a rule")
async def undo_suppression(services: Served, asker: Asker, suppression_id: int, ending: Ending | None = None) -> Any:
    """As if it had never been: what it hid comes back. Analysts and up."""
    reason = ending.reason if ending else ""
    return as_json(await hiding.end_suppression(services, asker, suppression_id, reason=reason, undo=True))
