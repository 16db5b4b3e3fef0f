"""Login and logout. Plain forms posted over HTTP, because only an HTTP answer can set or take the session cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation when the route is made
from starlette.responses import RedirectResponse, Response

from aggregator.errors import TooMany, Unauthenticated
from aggregator.web.guard import safe_next
from aggregator.web.pages import frame, parts, theme

if TYPE_CHECKING:
    from fastapi import FastAPI

    from aggregator.web.pages.frame import Console

PROBLEMS: Final = {
    "wrong": "Wrong name or password.",
    "form": "Please enter a name and a password.",
}
LONGEST_FORM: Final = 8192


def add(console: Console, app: FastAPI) -> None:
    """Add the login page and what its form and the logout button post to."""
    access = console.services.access

    async def shown() -> Response | None:
        client = ui.context.client
        target = _target(client.request.query_params.get("next"))
        if access.current_user(client.request) is not None:
            return RedirectResponse(target, status_code=303)
        _build(target, _problem(client.request))
        return None

    console.router.page("/login", title="Log in · Anomaflow")(shown)

    @app.post("/login", include_in_schema=False)
    async def login(request: Request) -> Response:
        if int(request.headers.get("content-length") or LONGEST_FORM + 1) > LONGEST_FORM:
            return _again("form", "/")
        form = await request.form(max_files=0, max_fields=8)
        target = _target(str(form.get("next", "")))
        name, password = str(form.get("username", "")).strip(), str(form.get("password", ""))
        if not name or not password:
            return _again("form", target)
        try:
            secret = await access.login(name, password, address=request.client.host if request.client else "")
        except Unauthenticated:
            return _again("wrong", target)
        except TooMany as error:
            return _again("wait", target, seconds=error.retry_after_s)
        response = RedirectResponse(target, status_code=303)
        access.set_cookie(response, secret)
        return response

    @app.post("/logout", include_in_schema=False)
    async def logout(request: Request) -> Response:
        await access.logout(request)
        response = RedirectResponse("/login", status_code=303)
        access.clear_cookie(response)
        return response


def _target(asked: str | None) -> str:
    target = safe_next(asked)
    return "/" if target.startswith(("/login", "/logout")) else target


def _again(problem: str, target: str, **more: int) -> Response:
    return RedirectResponse(f"/login?{urlencode({'problem': problem, 'next': target, **more})}", status_code=303)


def _problem(request: Request) -> str:
    """What went wrong, from a fixed list: an address must not be able to put words on this page."""
    problem = request.query_params.get("problem", "")
    if problem == "wait":
        seconds = request.query_params.get("seconds", "")
        wait = f"{int(seconds)} seconds" if seconds.isdecimal() and len(seconds) < 6 else "a minute"
        return f"Too many failed logins. Try again in {wait}."
    return PROBLEMS.get(problem, "")


def _build(target: str, problem: str) -> None:
    frame.dress(ui.context.client.request.cookies.get(theme.MODE_COOKIE))
    with (
        ui.element("div").classes("login"),
        ui.element("form").props("method=post action=/login"),
        ui.element("div").classes("panel"),
    ):
        with ui.element("div").classes("brand"):
            ui.icon("insights").props("aria-hidden=true")
            parts.text("h1", "Anomaflow")
        parts.text("p", "Log in to see what your network's sensors found.", "muted")
        if problem:
            parts.notice(problem, "bad")
        ui.input("User name").props(
            "name=username outlined dense autofocus autocomplete=username autocapitalize=none spellcheck=false for=name"
        ).classes("w-full")
        ui.input("Password", password=True, password_toggle_button=True).props(
            "name=password outlined dense autocomplete=current-password for=password"
        )
        hidden = ui.element("input").props("type=hidden name=next")
        hidden.props["value"] = target
        ui.button("Log in").props("type=submit unelevated")
        with ui.element("p").classes("muted"):
            parts.text("span", "No account? An administrator adds one with ")
            parts.text("span", "anomaflow-aggregator user add", "mono")
