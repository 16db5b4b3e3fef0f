"""`/session`: logging in and out with a cookie, for browsers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from aggregator.web.api.asking import Served  # noqa: TC001 - FastAPI reads it

router = APIRouter(prefix="/session", tags=["session"])


class Login(BaseModel):
    """Name and password."""

    model_config = ConfigDict(extra="forbid")
    name: str
    password: str


@router.post("", summary="Log in", status_code=200)
async def login(services: Served, request: Request, given: Login) -> Response:
    """Answers with a session cookie."""
    secret = await services.access.login(given.name, given.password, address=_address(request))
    response = JSONResponse({"name": given.name})
    services.access.set_cookie(response, secret)
    return response


@router.delete("", summary="Log out", status_code=204)
async def logout(services: Served, request: Request) -> Response:
    """Ends the session, if there is one."""
    await services.access.logout(request)
    response = Response(status_code=204)
    services.access.clear_cookie(response)
    return response


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"
