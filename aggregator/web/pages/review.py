"""Review: the few flows whose verdict would teach most, each with the reason why it is asked, one key a verdict.

Below the list stand who gave how many verdicts on which day, and the sets that judge every retrained model. The list is
what `/api/v1/labels/queue` answers; what was judged leaves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator.learning import teaching
from aggregator.web.pages import parts, tables, triage, verdicts, wording
from aggregator.web.pages.tables import Cell, Column, Deed, Row
from aggregator.web.pages.visits import in_thread

if TYPE_CHECKING:
    from aggregator.learning.lessons import FrozenSet, LabelDay, Question
    from aggregator.web.pages.visits import Visit

KEYS: Final = {"m": "malicious", "b": "benign", "u": "unsure"}
_HELP: Final = (
    ("j", "next"), ("k", "previous"), ("m", "malicious"), ("b", "benign"), ("u", "unsure"), ("z", "undo"),
    ("Enter", "open"),
)  # fmt: skip
_LABELS: Final = {
    "malicious": ("Attack", "Malicious (m)"),
    "benign": ("Benign", "Benign (b)"),
    "unsure": ("?", "Unsure (u)"),
}
_COLUMNS: Final = (
    Column("flow", "Flow", "whole bare"),
    Column("why", "Why it is asked", "whole bare"),
    Column("kind", "Incident", "narrow"),
    Column("score", "Score", "number"),
    Column("like", "Like it", "number"),
    Column("seen", "Seen", "narrow lead"),
)
_DAY_COLUMNS: Final = (
    Column("day", "Day", "narrow lead"),
    Column("by", "Who"),
    Column("labels", "Verdicts", "number"),
    Column("benign", "Flows called benign", "number"),
    Column("malicious", "Called malicious", "number"),
    Column("undone", "Taken back", "number"),
)
_SET_COLUMNS: Final = (
    Column("name", "Set", "narrow lead"),
    Column("rows", "Rows", "number"),
    Column("about", "Holds", "whole"),
    Column("note", "Why", "whole"),
    Column("added", "Added", "narrow"),
    Column("state", "State", "narrow end"),
)
TOGETHER_S: Final = 2.0
"""Choosing takes some tenths of a second: not after every single alert of a storm."""


async def build(visit: Visit) -> None:
    """The page."""
    await Review(visit).build()


class Review:
    """What one visitor is asked, and where in the list the visitor is."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.asked: dict[str, Question] = {}
        self.keys = triage.Keyboard(visit, opens=lambda key: _address(self.asked[key]), act=self._act)

    async def build(self) -> None:
        """Put the lists on the page and keep them current."""
        with parts.heading("Review"):
            self.summary = parts.text("span", "", "sub")
        with parts.panel(flush=True):
            self.table = tables.Table(
                _COLUMNS,
                label="Flows whose verdict would teach most",
                focusable=True,
                on_deed=self._deed,
                on_reach=self.keys.reach,
            )
            self.nothing = ui.element("div")
            if self.visit.judges:
                with ui.element("div").classes("line").style("padding: 10px 16px 14px"):
                    parts.keys(_HELP)
        with parts.panel("Verdicts by person and day", flush=True):
            self.days = tables.Table(_DAY_COLUMNS, label="Verdicts by person and day")
            self.no_days = ui.element("div")
        with parts.panel("Sets that judge every new model", flush=True):
            parts.text(
                "p",
                "A new model must not become blind to the attacks, nor loud on the benign flows, of these sets. They "
                f"train no model. Always among them: {_always(self.visit)}.",
                "muted",
            ).style("padding: 0 16px 14px; margin: 0")
            self.sets = tables.Table(_SET_COLUMNS, label="Frozen sets")
        self.judge = verdicts.Judge(self.visit, self.refresh)
        self.keys.listen(self.table, self.judge)
        await self.refresh()
        self.visit.follow("alert", "incident", refresh=self.refresh, together_s=TOGETHER_S)

    async def refresh(self) -> None:
        """Read and show."""
        queue = await in_thread(teaching.review_queue, self.visit.services)
        days = await in_thread(teaching.labels_per_day, self.visit.services)
        sets = await in_thread(teaching.list_sets, self.visit.services)
        self.asked = {question.flow_id: question for question in queue.items}
        self.keys.rows = self.asked
        self.table.fill([_row(question, judges=self.visit.judges) for question in queue.items])
        self.table.visible = bool(queue.items)
        alerts = sum(1 for question in queue.items if question.alert_id is not None)
        quiet = len(queue.items) - alerts
        self.summary.text = (
            f"{wording.plural(alerts, 'alert')} and {wording.plural(quiet, 'quiet flow')} out of "
            f"{wording.count(queue.candidates)} looked at"
        )
        self.nothing.clear()
        if not queue.items:
            with self.nothing:
                parts.empty("Nothing to ask.", "Every recent alert has a verdict, or there was none; look again later.")
        self.days.fill([_day(day) for day in days])
        self.days.visible = bool(days)
        self.no_days.clear()
        if not days:
            with self.no_days:
                parts.empty("No verdict in the last days.", "Each one given is counted here under its giver's name.")
        self.sets.fill([_set(one) for one in sets])
        self.sets.visible = bool(sets)

    async def _act(self, key: str, letter: str) -> None:
        if letter in KEYS:
            await self.keys.judged(key, self.judge.give_flow(key, KEYS[letter]))

    async def _deed(self, key: str, name: str) -> None:
        if key in self.asked and name in KEYS.values() and not await self.judge.give_flow(key, name):
            self.table.go_to(key)


def _row(question: Question, *, judges: bool) -> Row:
    source = wording.endpoint(question.src_ip, question.src_port)
    target = wording.endpoint(question.dst_ip, question.dst_port)
    volume = f"{wording.plural(question.packets, 'packet')}, {wording.size(question.bytes)}"
    what = f"alert {question.alert_id}" if question.alert_id is not None else "raised no alert"
    deeds = tuple(
        Deed(verdict, label, title, tone=wording.VERDICT_TONES[verdict]) for verdict, (label, title) in _LABELS.items()
    )
    return Row(
        question.flow_id,
        {
            "flow": Cell(
                f"{source} → {target}",
                sub=f"{wording.protocol(question.protocol)}, {volume}, seen by {question.agent_id}, {what}",
                href=_address(question),
                mono=True,
            ),
            "why": Cell(question.reason, sub=question.why),
            "kind": Cell(
                question.kind or "-", href=f"/incidents/{question.incident_id}" if question.incident_id else ""
            ),
            "score": Cell(f"{question.score:.2f}"),
            "like": Cell(wording.count(question.stands_for)),
            "seen": Cell(ms=question.last_seen_ms),
        },
        deeds if judges else (),
        f"Verdict on flow {question.flow_id}",
    )


def _address(question: Question) -> str:
    return "" if question.alert_id is None else f"/alerts/{question.alert_id}"


def _day(day: LabelDay) -> Row:
    figures = {name: Cell(wording.count(getattr(day, name))) for name in ("labels", "benign", "malicious", "undone")}
    return Row(f"{day.day} {day.by}", {"day": Cell(day.day), "by": Cell(day.by), **figures})


def _set(one: FrozenSet) -> Row:
    state, tone = ("retired", "") if one.retired_ms else ("in use", "good") if one.usable else ("make again", "bad")
    families = ", ".join(f"{name} {count}" for name, count in one.families.items())
    return Row(
        one.id,
        {
            "name": Cell(f"{one.purpose} {one.id}", sub=one.sha256[:12]),
            "rows": Cell(wording.count(one.rows)),
            "about": Cell(families or "benign flows", sub=", ".join(entry["name"] for entry in one.made_of[:3])),
            "note": Cell(one.retired_note or one.note, sub=f"by {one.retired_by or one.by}"),
            "added": Cell(ms=one.at_ms),
            "state": Cell(state, tone=tone),
        },
    )


def _always(visit: Visit) -> str:
    config = visit.services.config
    attacks = ["the built-in attacks" if name == "generated" else name for name in config.baseline_attacks]
    return ", ".join([*attacks, *config.baseline_golden]) or "none; baseline_attacks is empty"
