"""`/session`: logging in and out with a cookie, for browsers."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict

from aggregator.errors import RequestRefused
from aggregator.web.api.asking import Served  # noqa: TC001 - FastAPI reads it
from aggregator.web.guard import safe_next

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


@router.post("/form", summary="Log in from an HTML form", include_in_schema=False)
async def login_form(
    services: Served,
    request: Request,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name in the form
) -> Response:
    """Leads to `next` with a session cookie, or back to `/login` with the reason."""
    target = safe_next(next)
    try:
        secret = await services.access.login(name, password, address=_address(request))
    except RequestRefused as error:
        return RedirectResponse(f"/login?next={quote(target)}&error={quote(str(error))}", status_code=303)
    response = RedirectResponse(target, status_code=303)
    services.access.set_cookie(response, secret)
    return response


@router.delete("", summary="Log out", status_code=204)
async def logout(services: Served, request: Request) -> Response:
    """Ends the session, if there is one."""
    await services.access.logout(request)
    response = Response(status_code=204)
    services.access.clear_cookie(response)
    return response


@router.post("/end", summary="Log out from an HTML form", include_in_schema=False)
async def logout_form(services: Served, request: Request) -> Response:
    """Ends the session and leads to `/login`."""
    await services.access.logout(request)
    response = RedirectResponse("/login", status_code=303)
    services.access.clear_cookie(response)
    return response


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"
