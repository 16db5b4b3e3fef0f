"""Incidents: alerts that belong together, as a list and one by one, judged as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.web.pages import alert_rows, moments, parts, tables, verdicts, wording
from aggregator.web.pages.tables import Cell, Column, Row

if TYPE_CHECKING:
    from aggregator.rows import Incident, IncidentDetail
    from aggregator.web.pages.visits import Visit

SHOWN: Final = 100

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
            "state": _state(incident),
        },
        verdicts.deeds(incident.verdict, undoable=False) if judges else (),
        f"Verdict on incident {incident.id}",
    )


def _state(incident: Incident) -> Cell:
    if incident.verdict is None:
        return Cell("open", tone="info")
    return Cell(wording.verdict(incident.verdict), tone=wording.VERDICT_TONES.get(incident.verdict, ""))


def open_first(incidents: tuple[Incident, ...]) -> list[Incident]:
    """Those without a verdict, in their order."""
    return [incident for incident in incidents if incident.verdict is None]


async def build(visit: Visit) -> None:
    """The list."""
    only_open = visit.asked("state") == "open"

    async def refresh() -> None:
        page = queries.list_incidents(visit.services, limit=SHOWN)
        found = open_first(page.items) if only_open else list(page.items)
        summary.text = f"{len(found)}{'+' if page.next else ''} shown, {len(open_first(page.items))} open"
        table.fill([row(incident, judges=visit.judges) for incident in found])
        table.visible = bool(found)
        nothing.clear()
        if not found:
            with nothing:
                parts.empty(
                    "No open incidents." if page.items else "No incidents yet.",
                    "Alerts that share a source, a target or both are grouped here moments after they arrive.",
                )

    async def deed(key: str, name: str) -> None:
        await judge.act("incident", int(key), name)

    with parts.heading("Incidents"):
        summary = parts.text("span", "", "sub")
        parts.text("span", "", "grow")
        parts.link("Show all", "/incidents") if only_open else parts.link("Only open ones", "/incidents?state=open")
    with parts.panel(flush=True):
        table = tables.Table(COLUMNS, label="Incidents, latest activity first", on_deed=deed)
        nothing = ui.element("div")
    judge = verdicts.Judge(visit, refresh)
    await refresh()
    visit.follow("incident", refresh=refresh)


async def build_one(visit: Visit) -> None:
    """One incident with its alerts."""
    asked = visit.number("incident_id")
    found = queries.get_incident(visit.services, asked)
    with ui.element("nav").classes("trail").props('aria-label="Where you are"'):
        parts.link("Incidents", "/incidents")
        parts.text("span", "/")
        parts.text("span", f"Incident {found.incident.id}")
    if found.incident.id != asked:
        parts.notice(f"Incident {asked} turned out to be part of this one and was merged into it.")

    async def refresh() -> None:
        nonlocal found
        found = queries.get_incident(visit.services, asked)
        summary.refresh()
        table.fill([alert_rows.row(alert, judges=visit.judges) for alert in found.alerts])

    async def deed(key: str, name: str) -> None:
        await judge.act("alert", int(key), name)

    @ui.refreshable
    def summary() -> None:
        _summary(visit, found, judge)

    judge = verdicts.Judge(visit, refresh)
    summary()
    with parts.panel("Its alerts, strongest first", flush=True):
        table = tables.Table(alert_rows.without("incident"), label="Alerts", on_deed=deed)
    await refresh()
    visit.follow("incident", "alert", refresh=refresh)


def _summary(visit: Visit, found: IncidentDetail, judge: verdicts.Judge) -> None:
    incident = found.incident
    with ui.element("div").classes("stack"):
        with parts.heading(incident.title or incident.kind):
            parts.chip(incident.kind)
            state = _state(incident)
            parts.chip(state.text, state.tone or "")
        with ui.element("div").classes("columns"):
            with parts.panel("What happened"):
                parts.facts(
                    (
                        ("First packet", lambda: moments.moment(incident.first_seen_ms)),
                        ("Last packet", lambda: moments.moment(incident.last_seen_ms)),
                        ("Span", wording.duration(incident.last_seen_ms - incident.first_seen_ms)),
                        ("From", incident.src_ip or wording.plural(incident.sources, "source")),
                        ("To", incident.dst_ip or wording.plural(incident.targets, "host")),
                        ("Ports", wording.count(incident.ports)),
                        ("Alerts", wording.count(incident.alerts)),
                        ("Highest score", f"{incident.max_score:.2f}"),
                        ("Seen by", ", ".join(incident.agents) or "unknown"),
                        ("Hosts", ", ".join(incident.hosts) or "unknown"),
                    )
                )
            with parts.panel("Why, over its alerts"):
                parts.reasons(incident.reasons)
            with parts.panel("Verdict on the whole incident"):
                if visit.judges:
                    alerts = wording.plural(incident.alerts, "alert")
                    parts.text("p", f"It is given to all {alerts} the incident has now.", "muted")
                    note = verdicts.note_field()

                    async def give(verdict: str) -> None:
                        await judge.give("incident", incident.id, verdict, note.value or "")

                    with ui.element("div").classes("line"):
                        verdicts.buttons(give, incident.verdict)
                verdicts.history(found.labels[:12], judge if visit.judges else None)
