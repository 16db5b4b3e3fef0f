"""Incidents as a list: what is going on, what is over, and what a rule calls normal here. Judged as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.triage.cases import IncidentFilter
from aggregator.triage.incidents import KINDS
from aggregator.web.pages import parts, tables, verdicts, wording
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

COLUMNS: Final = (
    Column("title", "Incident", "whole bare"),
    Column("latest", "Latest", "narrow"),
    Column("span", "Span", "narrow"),
    Column("alerts", "Alerts", "number"),
    Column("score", "Highest score", "number"),
    Column("state", "State", "narrow"),
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
        },
        verdicts.deeds(incident.verdict, undoable=False) if judges else (),
        f"Verdict on incident {incident.id}",
    )


def state(incident: Incident) -> Cell:
    """Its verdict, when it has one, else whether it goes on."""
    if incident.verdict is not None:
        return Cell(wording.verdict(incident.verdict), tone=wording.VERDICT_TONES.get(incident.verdict, ""))
    return Cell(incident.state, tone="info" if incident.state == "open" else "")


async def build(visit: Visit) -> None:
    """The list. Filters stand in the address, so that a view can be shared."""
    wanted = {name: visit.asked(name) for name in ("state", "kind", "verdict", "host")}
    known = {"state": STATES, "kind": KINDS, "verdict": VERDICTS}
    wanted |= {name: "" for name, values in known.items() if wanted[name] not in values}

    def where() -> IncidentFilter:
        return IncidentFilter(**{name: value.strip() or None for name, value in wanted.items()})  # type: ignore[arg-type]

    async def refresh() -> None:
        page = queries.list_incidents(visit.services, where(), limit=SHOWN)
        counts = queries.count_incidents(visit.services)
        hidden = f", {counts['suppressed']} suppressed" if counts["suppressed"] else ""
        shown = f"{len(page.items)}{'+' if page.next else ''} shown"
        summary.text = f"{shown}; {counts['open']} open, {counts['closed']} closed{hidden}"
        table.fill([row(incident, judges=visit.judges) for incident in page.items])
        table.visible = bool(page.items)
        nothing.clear()
        if not page.items:
            with nothing:
                if where() == IncidentFilter():
                    parts.empty(
                        "No incidents yet.",
                        "Alerts that share a source, a target or both are grouped here moments after they arrive.",
                    )
                else:
                    parts.empty("No incident fits these filters.", "Loosen one of them.")

    def changed(name: str) -> Callable[[ValueChangeEventArguments], Awaitable[None]]:
        async def apply(event: ValueChangeEventArguments) -> None:
            wanted[name] = event.value or ""
            ui.navigate.history.replace(wording.link("/incidents", **wanted))
            await refresh()

        return apply

    async def deed(key: str, name: str) -> None:
        await judge.act("incident", int(key), name)

    with parts.heading("Incidents"):
        summary = parts.text("span", "", "sub")
        parts.text("span", "", "grow")
        parts.link("What is normal here", "/suppressions")
    with ui.element("div").classes("filters").props('role=search aria-label="Filter incidents"'):
        kinds = {"": "Any kind", **{kind: kind.capitalize() for kind in KINDS}}
        for name, label, options in (
            ("state", "State", STATES),
            ("kind", "Kind", kinds),
            ("verdict", "Verdict", VERDICTS),
        ):
            ui.select(options, label=label, value=wanted[name], on_change=changed(name)).props(
                "outlined dense options-dense"
            )
        ui.input("Host", value=wanted["host"], on_change=changed("host")).props("outlined dense clearable debounce=400")
    with parts.panel(flush=True):
        table = tables.Table(COLUMNS, label="Incidents, latest activity first", on_deed=deed)
        nothing = ui.element("div")
    judge = verdicts.Judge(visit, refresh)
    await refresh()
    visit.follow("incident", refresh=refresh)
