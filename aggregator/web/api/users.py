"""`/users`: accounts and tokens."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from aggregator import queries
from aggregator.audit import AuditEntry
from aggregator.rows import Role, Token, User, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/users", tags=["users"])
_USER, _TOKEN = shape(User), shape(Token)


class Me(BaseModel):
    """Who is asking, and how."""

    name: str
    role: Role
    scope: Literal["read", "write"]
    via: Literal["session", "token", "command"]


class NewUser(BaseModel):
    """An account. Roles: viewer, analyst, operator, admin."""

    model_config = ConfigDict(extra="forbid")
    name: str
    role: Role
    password: str


class UserChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    role: Role | None = None
    disabled: bool | None = None
    password: str | None = None


class NewToken(BaseModel):
    """A token of the asker's own."""

    model_config = ConfigDict(extra="forbid")
    name: str
    scope: Literal["read", "write"] = "read"
    days: int = 90


class CreatedToken(BaseModel):
    """The token's text is shown only here."""

    token: _TOKEN  # type: ignore[valid-type]
    text: str


@router.get("/me", response_model=Me, summary="Who is asking")
def me(asker: Asker) -> Me:
    """Works with every role and scope."""
    return Me(name=asker.name, role=asker.role, scope=asker.scope, via=asker.via)


@router.get("", response_model=list_of(User), summary="Accounts")
def list_users(services: Served, asker: Asker) -> Any:
    """Administrators only."""
    return as_json(queries.list_users(services, asker))


@router.post("", response_model=_USER, status_code=201, summary="Create an account")
async def add_user(services: Served, asker: Asker, user: NewUser) -> Any:
    """Administrators only."""
    return as_json(await queries.add_user(services, asker, name=user.name, role=user.role, password=user.password))


@router.get("/tokens", response_model=list_of(Token), summary="API tokens, newest first")
def list_tokens(services: Served, asker: Asker) -> Any:
    """Everyone's for an administrator, one's own otherwise."""
    return as_json(queries.list_tokens(services, asker))


@router.post("/tokens", response_model=CreatedToken, status_code=201, summary="Create an API token for oneself")
async def add_token(services: Served, asker: Asker, token: NewToken) -> Any:
    """With the rights of the asker's role, or only reading."""
    created, text = await queries.add_token(services, asker, name=token.name, scope=token.scope, days=token.days)
    return {"token": as_json(created), "text": text}


@router.post("/tokens/{token_id}/revoke", response_model=_TOKEN, summary="Make a token useless")
async def revoke_token(services: Served, asker: Asker, token_id: int) -> Any:
    """One's own, or anyone's for an administrator."""
    return as_json(await queries.revoke_token(services, asker, token_id))


@router.get("/audit", response_model=list_of(AuditEntry), summary="Who did what, newest first")
def list_audit(services: Served, asker: Asker, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """Administrators only. Each entry's hash covers the one before."""
    return as_json(queries.list_audit(services, asker, limit=limit, cursor=cursor))


@router.patch("/{name}", response_model=_USER, summary="Change an account")
async def change_user(services: Served, asker: Asker, name: str, change: UserChange) -> Any:
    """Its sessions end. Administrators only."""
    return as_json(await queries.change_user(services, asker, name, **change.model_dump()))
