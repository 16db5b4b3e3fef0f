"""Looking after an incident from a page: acknowledge it, assign it, comment on it, and take a step back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator import notes
from aggregator.triage import attending
from aggregator.triage.handling import ACKNOWLEDGE, ASSIGN, UNDO
from aggregator.web.pages import moments, parts
from aggregator.web.pages.tables import Cell, Deed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from nicegui.events import ValueChangeEventArguments

    from aggregator.rows import Incident
    from aggregator.triage.handling import Step
    from aggregator.web.pages.verdicts import Judge
    from aggregator.web.pages.visits import Visit

KEYS: Final = {"a": "acknowledge", "m": "mine", "c": "comment"}

NOBODY: Final = ""
"""Stands for nobody where a name is chosen."""


def deeds() -> tuple[Deed, ...]:
    """What a row of incidents offers, beside verdicts."""
    return (
        Deed("acknowledge", "Ack", "Acknowledge: it was looked at (a)"),
        Deed("mine", "Mine", "Assign it to me (m)"),
        Deed("comment", "Comment", "Say something about it (c)"),
    )


def cell(incident: Incident) -> Cell:
    """Whose an incident is, and who has looked at it."""
    seen = f"seen by {incident.acknowledged_by}" if incident.acknowledged_by else "not acknowledged"
    return Cell(incident.assignee or "nobody", sub=seen)


class Handler:
    """Does for a visit what people do about incidents. What was done last is shown and taken back through `judge`."""

    def __init__(self, visit: Visit, judge: Judge, done: Callable[[], Awaitable[None]]) -> None:
        self._visit = visit
        self._judge = judge
        self._done = done

    async def act(self, incident_id: int, deed: str) -> None:
        """What a row's button or a key asks for: one of `KEYS`' deeds."""
        if deed == "acknowledge":
            await self.acknowledge(incident_id)
        elif deed == "mine":
            await self.assign(incident_id, self._visit.user.name)
        else:
            self.ask(incident_id)

    async def acknowledge(self, incident_id: int, note: str = "") -> bool:
        """Say that it was looked at; True when that was stored."""
        return await self._did(attending.acknowledge, incident_id, note=note)

    async def assign(self, incident_id: int, to: str | None, note: str = "") -> bool:
        """Let somebody look after it, or nobody; True when that was stored."""
        return await self._did(attending.assign, incident_id, to=to, note=note)

    async def comment(self, incident_id: int, note: str) -> bool:
        """Say something about it; True when that was stored."""
        return await self._did(attending.comment, incident_id, note=note)

    async def undo(self, step: Step) -> None:
        """Take a step back."""
        with self._visit.acting() as actor:
            await attending.undo(self._visit.services, actor, step.id)
            self._judge.forget()
            ui.notify(f"Incident {step.incident_id}: “{said(step)}” taken back", type="info")
            await self._done()

    def ask(self, incident_id: int) -> None:
        """A dialog for a comment."""
        with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
            dialog.on("hide", dialog.delete)
            parts.text("h2", f"Comment on incident {incident_id}")
            note = note_field("What did you find, or do?")
            note.props("autofocus")

            async def give() -> None:
                if await self.comment(incident_id, note.value or ""):
                    dialog.close()

            with ui.element("div").classes("ends"):
                parts.button("Comment", give, kind="main")
                parts.button("Cancel", dialog.close)

    async def _did(self, deed: Callable[..., Coroutine[Any, Any, Step]], incident_id: int, **how: Any) -> bool:
        with self._visit.acting() as actor:
            step = await deed(self._visit.services, actor, incident_id, **how)
            self._judge.say(f"Incident {step.incident_id}: {said(step)}", lambda: self.undo(step))
            await self._done()
            return True
        return False


def controls(visit: Visit, incident: Incident, handler: Handler, note: ui.textarea) -> None:
    """Buttons for an incident's page. `note` is the field whose text goes with what is done; it is emptied then."""

    async def did(done: Coroutine[Any, Any, bool]) -> None:
        if await done:
            note.value = ""

    async def give(event: ValueChangeEventArguments) -> None:
        if (event.value or None) != incident.assignee:
            await did(handler.assign(incident.id, event.value or None, note.value or ""))

    with ui.element("div").classes("line"):
        if incident.acknowledged_by is None:
            parts.button(
                "Acknowledge", lambda: did(handler.acknowledge(incident.id, note.value or "")), icon="done", kind="main"
            )
        if incident.assignee != visit.user.name:
            parts.button(
                "Assign to me",
                lambda: did(handler.assign(incident.id, visit.user.name, note.value or "")),
                icon="person",
            )
        parts.button("Comment", lambda: did(handler.comment(incident.id, note.value or "")), icon="chat_bubble_outline")
    names = (*attending.assignees(visit.services), *filter(None, [incident.assignee]))
    options = {NOBODY: "Nobody", **{name: name for name in names}}
    chosen = ui.select(options, label="Assigned to", value=incident.assignee or NOBODY, on_change=give)
    chosen.props("outlined dense options-dense").style("width: 100%; max-width: 240px")


def history(steps: Sequence[Step], handler: Handler | None) -> None:
    """What was done about it, newest first; with `handler`, steps that count can be taken back."""
    if not steps:
        parts.text("p", "Nobody has done anything about it yet.", "muted")
        return
    with ui.element("ul").classes("history"):
        for step in steps:
            with ui.element("li"):
                words = said(step)
                parts.text("span", f"{words[:1].upper()}{words[1:]} by {step.by}", "undone" if step.undone else "")
                moments.moment(step.at_ms)
                if handler is not None and not step.undone and step.deed != UNDO:
                    undo = ui.element("button").classes("deed").props("type=button")
                    undo.on("click", lambda step=step: handler.undo(step))
                    with undo:
                        parts.text("span", "Undo")
                if step.note:
                    parts.text("div", f"“{step.note}”", "said muted" if step.undone else "said")


def said(step: Step) -> str:
    """What a step was, in words."""
    if step.deed == ASSIGN:
        return f"assigned to {step.assignee or 'nobody'}"
    if step.deed == UNDO:
        return "a step taken back"
    return "acknowledged" if step.deed == ACKNOWLEDGE else "commented on"


def note_field(label: str) -> ui.textarea:
    """Where a note or comment is written."""
    field = ui.textarea(label).props(f"outlined dense autogrow maxlength={notes.LONGEST}")
    return field.classes("w-full").style("width: 100%")
