"""The dialogs that change what all agents run: promotion and rollback, each confirmed and with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from aggregator import queries
from aggregator.web.pages import parts, wording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aggregator.rows import Model
    from aggregator.web.pages.visits import Visit


def ask_promote(visit: Visit, model: Model, done: Callable[[], Awaitable[None]]) -> None:
    """Confirm a promotion. One against a failed gate has to be forced, and needs a reason."""
    failed = model.gate_passed is False
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", f"Promote {model.name}, version {model.version}?")
        parts.text("p", "Every agent receives it at once, with a threshold from its own calibration.")
        if failed:
            parts.notice("It did not pass its gate against the champion.", "warn")
        reason = _reason("Reason" if failed else "Reason (goes into the audit log)")
        force = ui.checkbox("Promote it all the same", value=False) if failed else None

        async def promote() -> None:
            with visit.acting() as actor:
                forced = bool(force is not None and force.value)
                await queries.promote(visit.services, actor, model.digest, reason=reason.value or "", force=forced)
                dialog.close()
                ui.notify(f"{model.name}, version {model.version}, is champion now", type="positive")
                await done()

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Promote", promote, kind="main")


def ask_rollback(visit: Visit, done: Callable[[], Awaitable[None]]) -> None:
    """Confirm a rollback."""
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", "Roll back to the previous champion?")
        parts.text("p", "Every agent receives it at once. The model of today stays in the registry.")
        reason = _reason("Reason (goes into the audit log)")

        async def rollback() -> None:
            with visit.acting() as actor:
                model = await queries.rollback(visit.services, actor, reason=reason.value or "")
                dialog.close()
                ui.notify(f"Back to {model.name}, version {model.version}", type="positive")
                await done()

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Roll back", rollback, kind="danger")


def ask_refuse(visit: Visit, model: Model, done: Callable[[], Awaitable[None]]) -> None:
    """Confirm that a model is not wanted."""
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", f"Refuse {wording.short(model.digest)}?")
        parts.text("p", "It can never be promoted afterwards, and the same file is not taken again.")
        reason = _reason("Reason (goes into the audit log)")

        async def refuse() -> None:
            with visit.acting() as actor:
                await queries.refuse_model(visit.services, actor, model.digest, reason=reason.value or "")
                dialog.close()
                await done()

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Refuse for good", refuse, kind="danger")


def _reason(label: str) -> ui.input:
    return ui.input(label).props("outlined dense maxlength=500 autofocus").style("width: 100%")
