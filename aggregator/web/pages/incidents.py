"""Incidents as a list: what is going on, what is over, what a rule calls normal here, and who looks after which.

They are judged as a whole, acknowledged and assigned without leaving the keyboard, with the keys of the list of alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.triage.cases import IncidentFilter
from aggregator.triage.incidents import KINDS
from aggregator.web.pages import handled, parts, tables, triage, verdicts, wording
from aggregator.web.pages.tables import Cell, Column, Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nicegui.events import ValueChangeEventArguments

    from aggregator.rows import Incident
    from aggregator.web.pages.visits import Visit

SHOWN: Final = 100

STATES: Final = {
    "": "Open and closed",
    "open": "Open: alerts keep arriving",
    "closed": "Closed: no alert for a while",
    "suppressed": "Suppressed: normal here",
    "all": "All",
}
VERDICTS: Final = {
    "": "Any verdict",
    "none": "No verdict yet",
    "benign": "False positive",
    "malicious": "True positive",
    "unsure": "Unsure",
    "mixed": "Mixed",
}

CARE: Final = {
    "": "By anyone",
    "mine": "Assigned to me",
    "unassigned": "Assigned to nobody",
    "unacknowledged": "Not acknowledged",
}

HELP: Final = (
    ("j", "next"), ("k", "previous"), ("a", "acknowledge"), ("m", "assign to me"), ("c", "comment"),
    ("f", "false positive"), ("t", "true positive"), ("u", "unsure"), ("n", "note"), ("z", "undo"), ("Enter", "open"),
)  # fmt: skip

COLUMNS: Final = (
    Column("title", "Incident", "whole bare"),
    Column("latest", "Latest", "narrow"),
    Column("span", "Span", "narrow"),
    Column("alerts", "Alerts", "number"),
    Column("score", "Highest score", "number"),
    Column("state", "State", "narrow"),
    Column("care", "Looked after by", "narrow"),
)


def row(incident: Incident, *, judges: bool) -> Row:
    """An incident as a table shows it."""
    hosts = ", ".join(incident.hosts[:4]) + (f" and {len(incident.hosts) - 4} more" if len(incident.hosts) > 4 else "")
    return Row(
        incident.id,
        {
            "title": Cell(
                incident.title or incident.kind, sub=f"{incident.kind}: {hosts}", href=f"/incidents/{incident.id}"
            ),
            "latest": Cell(ms=incident.last_seen_ms),
            "span": Cell(wording.duration(incident.last_seen_ms - incident.first_seen_ms)),
            "alerts": Cell(wording.count(incident.alerts)),
            "score": Cell(f"{incident.max_score:.2f}"),
            "state": state(incident),
            "care": handled.cell(incident),
        },
        (*handled.deeds(), *verdicts.deeds(incident.verdict, undoable=False)) if judges else (),
        f"Deeds on incident {incident.id}",
    )


def state(incident: Incident) -> Cell:
    """Its verdict, when it has one, else whether it goes on."""
    if incident.verdict is not None:
        return Cell(wording.verdict(incident.verdict), tone=wording.VERDICT_TONES.get(incident.verdict, ""))
    return Cell(incident.state, tone="info" if incident.state == "open" else "")


async def build(visit: Visit) -> None:
    """The page."""
    await IncidentList(visit).build()


class IncidentList:
    """What one visitor sees of the incidents, and where in it the visitor is. Filters stand in the address."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.keys = triage.Keyboard(visit, opens=lambda key: f"/incidents/{key}", act=self._act)
        self.wanted = {name: visit.asked(name) for name in ("state", "kind", "verdict", "care", "host")}
        for name, known in (("state", STATES), ("kind", KINDS), ("verdict", VERDICTS), ("care", CARE)):
            if self.wanted[name] not in known:
                self.wanted[name] = ""

    async def build(self) -> None:
        """Put the list on the page and keep it current."""
        with parts.heading("Incidents"):
            self.summary = parts.text("span", "", "sub")
            parts.text("span", "", "grow")
            parts.link("What is normal here", "/suppressions")
        self._filters()
        with parts.panel(flush=True):
            self.table = tables.Table(
                COLUMNS,
                label="Incidents, latest activity first",
                focusable=True,
                on_deed=self._deed,
                on_reach=self.keys.reach,
            )
            self.nothing = ui.element("div")
            if self.visit.judges:
                with ui.element("div").classes("line").style("padding: 10px 16px 14px"):
                    parts.keys(HELP)
        self.judge = verdicts.Judge(self.visit, self.refresh)
        self.handler = handled.Handler(self.visit, self.judge, self.refresh)
        self.keys.listen(self.table, self.judge)
        await self.refresh()
        self.visit.follow("incident", refresh=self.refresh)

    def _filters(self) -> None:
        with ui.element("div").classes("filters").props('role=search aria-label="Filter incidents"'):
            kinds = {"": "Any kind", **{kind: kind.capitalize() for kind in KINDS}}
            for name, label, options in (
                ("state", "State", STATES),
                ("kind", "Kind", kinds),
                ("verdict", "Verdict", VERDICTS),
                ("care", "Looked after", CARE),
            ):
                ui.select(options, label=label, value=self.wanted[name], on_change=self._set(name)).props(
                    "outlined dense options-dense"
                )
            ui.input("Host", value=self.wanted["host"], on_change=self._set("host")).props(
                "outlined dense clearable debounce=400"
            )

    def _set(self, name: str) -> Callable[[ValueChangeEventArguments], Awaitable[None]]:
        async def changed(event: ValueChangeEventArguments) -> None:
            self.wanted[name] = event.value or ""
            ui.navigate.history.replace(wording.link("/incidents", **self.wanted))
            await self.refresh()

        return changed

    def where(self) -> IncidentFilter:
        """The filter as it stands."""
        plain = {name: self.wanted[name].strip() or None for name in ("state", "kind", "verdict", "host")}
        care = self.wanted["care"]
        whose = {"mine": self.visit.user.name, "unassigned": "none"}.get(care)
        return IncidentFilter(assignee=whose, acknowledged=False if care == "unacknowledged" else None, **plain)  # type: ignore[arg-type]

    async def refresh(self) -> None:
        """Read and show."""
        page = queries.list_incidents(self.visit.services, self.where(), limit=SHOWN)
        counts = queries.count_incidents(self.visit.services)
        hidden = f", {counts['suppressed']} suppressed" if counts["suppressed"] else ""
        shown = f"{len(page.items)}{'+' if page.next else ''} shown"
        self.summary.text = f"{shown}; {counts['open']} open, {counts['closed']} closed{hidden}"
        self.keys.rows = {str(incident.id) for incident in page.items}
        self.table.fill([row(incident, judges=self.visit.judges) for incident in page.items])
        self.table.visible = bool(page.items)
        self.nothing.clear()
        if not page.items:
            with self.nothing:
                if self.where() == IncidentFilter():
                    parts.empty(
                        "No incidents yet.",
                        "Alerts that share a source, a target or both are grouped here moments after they arrive.",
                    )
                else:
                    parts.empty("No incident fits these filters.", "Loosen one of them.")

    async def _act(self, key: str, letter: str) -> None:
        if letter == "n":
            self.judge.ask("incident", int(key))
        elif letter in handled.KEYS:
            await self.handler.act(int(key), handled.KEYS[letter])
        elif letter in verdicts.KEYS:
            await self.keys.judged(key, self.judge.give("incident", int(key), verdicts.KEYS[letter]))

    async def _deed(self, key: str, name: str) -> None:
        if name in handled.KEYS.values():
            await self.handler.act(int(key), name)
        else:
            await self.judge.act("incident", int(key), name)
