"""What all pages share: the bar with the ways through the console, the reader's mode, and the guard around each page.

`Console.page` makes a page of a function that builds its content. Nobody known is led to the login page. A refusal
(`there is no alert 7`) and an unexpected error become a notice in the frame, with the fitting HTTP status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from nicegui import APIRouter, ui
from starlette.responses import RedirectResponse

from aggregator.errors import NotFound
from aggregator.web.pages import moments, parts, theme
from aggregator.web.pages.visits import Visit, explain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

    from aggregator.services import Services

WAYS: Final = (
    ("/", "Overview", "space_dashboard"),
    ("/alerts", "Alerts", "notifications"),
    ("/incidents", "Incidents", "hub"),
    ("/review", "Review", "rate_review"),
    ("/agents", "Agents", "sensors"),
    ("/policies", "Policies", "tune"),
    ("/models", "Models", "model_training"),
    ("/workbench", "Workbench", "science"),
)


class Console:
    """The pages over `services`, gathered in `router`."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.router = APIRouter()

    def page(self, path: str, title: str, build: Callable[[Visit], Awaitable[None]]) -> None:
        """Serve what `build` puts on a page at `path`."""

        async def shown() -> Response | None:
            return await self._show(path, build)

        self.router.page(path, title=f"{title} · Anomaflow", response_timeout=20)(shown)

    async def not_found(self) -> Response | None:
        """What stands at an address without a page."""

        async def build(visit: Visit) -> None:
            raise NotFound(f"there is no page at {visit.client.request.url.path[:80]}")

        return await self._show("", build)

    async def _show(self, path: str, build: Callable[[Visit], Awaitable[None]]) -> Response | None:
        client = ui.context.client
        user = self.services.access.current_user(client.request)
        if user is None:
            return RedirectResponse(f"/login?next={quote(client.request.url.path)}", status_code=303)
        visit = Visit(self.services, user, client)
        with _frame(visit, path):
            await _guarded(visit, build)
        return None


async def _guarded(visit: Visit, build: Callable[[Visit], Awaitable[None]]) -> None:
    try:
        await build(visit)
    except Exception as error:  # noqa: BLE001 - the last place where it can be kept from the user
        visit.client.status_code, words = explain(error)
        parts.notice(words, "bad")
        with ui.element("div").classes("line"):
            parts.link("Back to the overview", "/")


def dress(mode: str | None) -> ui.dark_mode:
    """Put the look on the current page; `mode` is light, dark, or anything else for the browser's own."""
    ui.colors(primary="#1f5fae", secondary="#566373", accent="#1f5fae", positive="#17713f", negative="#b3261e")
    ui.add_head_html(theme.head(mode) + moments.SCRIPT)
    return ui.dark_mode(value=theme.MODES.get(mode or ""))


def _frame(visit: Visit, path: str) -> ui.element:
    mode = visit.client.request.cookies.get(theme.MODE_COOKIE)
    dark = dress(mode)
    # Quasar's page is the <main> element; the bar stands before it.
    main = ui.element("div").classes("page")
    with visit.client.layout, ui.element("header").classes("top") as top:
        with ui.element("a").classes("brand").props('href="/" aria-label="Anomaflow, overview"'):
            ui.icon("insights").props("aria-hidden=true")
            parts.text("span", "Anomaflow", "optional")
        with ui.element("nav").classes("nav").props('aria-label="Pages"'):
            for target, label, icon in WAYS:
                way = ui.element("a").props(f'href="{target}"')
                if path == target or (target != "/" and path.startswith(target)):
                    way.props("aria-current=page")
                with way:
                    ui.icon(icon).props("aria-hidden=true")
                    parts.text("span", label)
        with ui.element("div").classes("who"):
            moments.clock().classes("mono optional")
            _mode_button(dark, mode)
            _user_menu(visit)
    top.move(visit.client.layout, target_index=0)
    ui.skip_link("Skip to content", target=main)
    return main


def _mode_button(dark: ui.dark_mode, mode: str | None) -> None:
    turns = {"dark": "light", "light": "auto"}
    icons = {"dark": "dark_mode", "light": "light_mode", "auto": "brightness_auto"}
    current = mode if mode in theme.MODES else "auto"

    def turn() -> None:
        nonlocal current
        current = turns.get(current, "dark")
        dark.value = theme.MODES.get(current)
        button.props(f'icon={icons[current]} aria-label="Colours: {current}. Change"')
        ui.run_javascript(f"document.cookie = '{theme.MODE_COOKIE}={current};path=/;max-age=31536000;samesite=strict'")

    button = ui.button(icon=icons[current], on_click=turn, color=None)
    button.props(f'flat round dense size=sm aria-label="Colours: {current}. Change" title="Light, dark or automatic"')


def _user_menu(visit: Visit) -> None:
    menu_label = f'aria-label="Account of {visit.user.name}"'
    with (
        ui.button(icon="account_circle", color=None).props(f"flat round dense {menu_label}"),
        ui.menu().style("width: 200px"),
    ):
        with ui.element("div").style("padding: 12px 16px 4px"):
            parts.text("div", visit.user.name).style("font-weight: 600")
            parts.text("div", f"Role: {visit.user.role}", "muted")
        with ui.element("form").props("method=post action=/logout").style("padding: 8px 16px 14px"):
            ui.button("Log out", icon="logout", color=None).props(
                "type=submit outline dense no-wrap padding='4px 12px'"
            )
        with ui.element("div").style("padding: 0 16px 12px"):
            parts.link("REST interface", "/api/docs")
