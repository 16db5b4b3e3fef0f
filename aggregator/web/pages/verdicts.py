"""Verdicts from a page: one click or one key each, a note if wanted, and a way back.

The console speaks of the alert (false or true positive), the store of the flow (benign or malicious); wording.py is
the dictionary between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import notes, queries
from aggregator.learning import teaching
from aggregator.web.pages import moments, parts, wording
from aggregator.web.pages.tables import Deed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aggregator.rows import Label
    from aggregator.web.pages.visits import Visit

KEYS: Final = {"f": "benign", "t": "malicious", "u": "unsure"}

LABELS: Final = {
    "benign": ("FP", "False positive: the flow is fine (f)"),
    "malicious": ("TP", "True positive: the flow is an attack (t)"),
    "unsure": ("?", "Unsure (u)"),
}


def deeds(current: str | None, *, undoable: bool) -> tuple[Deed, ...]:
    """The verdict buttons of a table's row, given the verdict it has."""
    given = tuple(
        Deed(verdict, label, title, tone=wording.VERDICT_TONES[verdict], pressed=verdict == current)
        for verdict, (label, title) in LABELS.items()
    )
    undo = (Deed("undo", "Undo", "Take the verdict back"),) if undoable else ()
    return (*given, Deed("note", "Note", "Verdict with a note (n)"), *undo)


def effective(labels: Sequence[Label]) -> Label | None:
    """The label that counts, of a history that is newest first."""
    return next((label for label in labels if label.verdict is not None and not label.undone), None)


class Judge:
    """Gives and takes back verdicts for a visit. Make one per page: it also shows what was just done."""

    def __init__(self, visit: Visit, done: Callable[[], Awaitable[None]]) -> None:
        self._visit = visit
        self._done = done
        self._last: Callable[[], Awaitable[None]] | None = None
        with ui.element("div").classes("snack").props("role=status aria-live=polite") as self._snack:
            self._said = parts.text("span", "")
            ui.button("Undo", on_click=self.undo_last, color=None).props("flat dense")
            close = ui.button(icon="close", on_click=self._hide, color=None)
            close.props('flat dense round size=sm aria-label="Close"')
        self._hide()

    async def give(self, target: str, target_id: int, verdict: str, note: str = "") -> bool:
        """Give a verdict; True when it was stored."""
        with self._visit.acting() as actor:
            label = await teaching.add_label(
                self._visit.services, actor, target=target, target_id=target_id, verdict=verdict, note=note
            )
            about = f"{target.capitalize()} {target_id}"
            more = f", {wording.plural(label.alerts, 'alert')}" if target == "incident" else ""
            self.say(f"{about}{more}: {wording.verdict(verdict)}", lambda: self.undo(label))
            await self._done()
            return True
        return False

    async def give_flow(self, flow_id: str, verdict: str) -> bool:
        """Give a verdict on a flow by its name, whether it raised an alert or not; True when it was stored."""
        with self._visit.acting() as actor:
            label = await teaching.label_flow(self._visit.services, actor, flow_id, verdict=verdict)
            about = f"Alert {label.target_id}" if label.target == "alert" else f"Flow {flow_id}"
            self.say(f"{about}: {verdict}", lambda: self.undo(label))
            await self._done()
            return True
        return False

    async def undo(self, label: Label) -> None:
        """Take a verdict back."""
        with self._visit.acting() as actor:
            await teaching.undo_label(self._visit.services, actor, label.id)
            self.forget()
            ui.notify(f"Verdict on {label.target} {label.flow_id or label.target_id} taken back", type="info")
            await self._done()

    async def undo_last(self) -> None:
        """Take back what this page did last."""
        if self._last is not None:
            await self._last()

    async def act(self, target: str, target_id: int, deed: str) -> None:
        """What a row's button asks for."""
        if deed == "note":
            self.ask(target, target_id)
        elif deed == "undo":
            await self.undo_alert(target_id)
        else:
            await self.give(target, target_id, deed)

    async def undo_alert(self, alert_id: int) -> None:
        """Take back the verdict an alert has now, unless it was given on a whole incident."""
        with self._visit.acting():
            label = effective(queries.get_alert(self._visit.services, alert_id).labels)
            if label is None:
                return
            if label.target == "incident":
                ui.notify(
                    f"This verdict was given on the whole incident {label.target_id}; take it back there, or give "
                    "this alert a verdict of its own",
                    type="info",
                    multi_line=True,
                )
                return
            await self.undo(label)

    def ask(self, target: str, target_id: int) -> None:
        """A dialog for a verdict with a note."""
        with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
            dialog.on("hide", dialog.delete)
            parts.text("h2", f"Verdict on {target} {target_id}")
            note = note_field()
            note.props("autofocus")

            async def give(verdict: str) -> None:
                dialog.close()
                await self.give(target, target_id, verdict, note.value or "")

            with ui.element("div").classes("ends"):
                buttons(give)
                parts.button("Cancel", dialog.close)

    def say(self, said: str, undo: Callable[[], Awaitable[None]]) -> None:
        """Show what was done last, and how it is taken back."""
        self._last = undo
        self._said.text = said
        self._snack.visible = True

    def forget(self) -> None:
        """What was done last was taken back."""
        self._last = None
        self._hide()

    def _hide(self) -> None:
        self._snack.visible = False


def note_field() -> ui.textarea:
    """Where a note is written."""
    field = ui.textarea("Note (optional): what makes you sure?").props(
        f"outlined dense autogrow maxlength={notes.LONGEST}"
    )
    return field.classes("w-full").style("width: 100%")


def buttons(give: Callable[[str], Awaitable[None]], current: str | None = None) -> None:
    """The three verdicts as buttons."""
    for key, verdict in KEYS.items():
        word = wording.verdict(verdict)
        element = ui.element("button").classes("deed").props(f'type=button title="{word} ({key})"')
        element.props["data-tone"] = wording.VERDICT_TONES[verdict]
        element.props["aria-pressed"] = "true" if verdict == current else "false"
        element.on("click", lambda verdict=verdict: give(verdict))
        with element:
            parts.text("span", word.capitalize())


def history(labels: Sequence[Label], judge: Judge | None) -> None:
    """Every verdict and undoing, newest first; with `judge`, verdicts that count can be taken back."""
    if not labels:
        parts.text("p", "No verdict was given yet.", "muted")
        return
    with ui.element("ul").classes("history"):
        for label in labels:
            with ui.element("li"):
                if label.verdict is None:
                    parts.text("span", f"{label.by} took verdict {label.undoes} back")
                else:
                    parts.chip(wording.verdict(label.verdict), "" if label.undone else _tone(label.verdict))
                    whole = f" on the whole incident {label.target_id}" if label.target == "incident" else ""
                    parts.text("span", f"by {label.by}{whole}", "undone" if label.undone else "")
                moments.moment(label.at_ms)
                if judge is not None and label.verdict is not None and not label.undone:
                    undo = ui.element("button").classes("deed").props("type=button")
                    undo.on("click", lambda label=label: judge.undo(label))
                    with undo:
                        parts.text("span", "Undo")
                if label.note:
                    parts.text("div", f"“{label.note}”", "said muted" if label.undone else "said")


def _tone(verdict: str) -> str:
    return wording.VERDICT_TONES.get(verdict, "")
