"""Questions that are asked before something is done: another name, and whether something may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from aggregator.web.pages import parts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aggregator.users import Principal
    from aggregator.web.pages.visits import Visit


def rename(visit: Visit, name: str, do: Callable[[Principal, str], Awaitable[object]]) -> None:
    """Ask for another name than `name`, and `do` with it."""
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", "Rename")
        wanted = ui.input("Name", value=name).props("outlined dense maxlength=120").style("width: 100%")

        async def go() -> None:
            with visit.acting() as actor:
                await do(actor, wanted.value or "")
                dialog.close()

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Rename", go, kind="main")


def delete(visit: Visit, name: str, also: str, do: Callable[[Principal], Awaitable[object]], *, then: str) -> None:
    """Ask whether `name` may go, and what goes with it (`also`); `do` it, and go to the page `then`."""
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", f"Delete {name}?")
        parts.text("p", also, "muted")

        async def go() -> None:
            with visit.acting() as actor:
                await do(actor)
                dialog.close()
                ui.navigate.to(then)

        with ui.element("div").classes("ends"):
            parts.button("Keep it", dialog.close)
            parts.button("Delete", go, kind="danger")
