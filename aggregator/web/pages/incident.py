"""One incident: what happened, the evidence in sentences with numbers, when, why, and the verdict on the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from aggregator import queries
from aggregator.web.pages import alert_rows, charts, handled, moments, normal, parts, tables, verdicts, wording

if TYPE_CHECKING:
    from aggregator.rows import Incident, IncidentDetail
    from aggregator.web.pages.visits import Visit


async def build(visit: Visit) -> None:
    """The page."""
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
        now = queries.get_incident(visit.services, asked)
        if now != found:  # else a button might be drawn anew under the pointer for nothing
            found = now
            for part in (head, story, care, judgement):
                part.refresh()
            fill()

    def fill() -> None:
        table.fill([alert_rows.row(alert, judges=visit.judges) for alert in found.alerts])

    async def deed(key: str, name: str) -> None:
        await judge.act("alert", int(key), name)

    @ui.refreshable
    def head() -> None:
        _head(found.incident)

    @ui.refreshable
    def story() -> None:
        _story(found)

    @ui.refreshable
    def care() -> None:
        if note is not None:
            handled.controls(visit, found.incident, handler, note)
        handled.history(found.steps[:12], handler if visit.judges else None)

    @ui.refreshable
    def judgement() -> None:
        with ui.element("div").classes("stack"):
            _facts(found.incident)
            _judgement(visit, found, judge)

    judge = verdicts.Judge(visit, refresh)
    handler = handled.Handler(visit, judge, refresh)
    head()
    with ui.element("div").classes("columns wide-first"):
        story()
        with ui.element("div").classes("stack"):
            with parts.panel("Who looks after it"):
                # Outside of what is drawn anew: alerts that arrive must not take a half-written comment away.
                note = handled.note_field("Comment or note") if visit.judges else None
                care()
            judgement()
    shown = len(found.alerts)
    some = "" if shown == found.incident.alerts else f" (the {shown} strongest of {found.incident.alerts})"
    with parts.panel(f"Its alerts, strongest first{some}", flush=True):
        table = tables.Table(alert_rows.without("incident"), label="Alerts", on_deed=deed)
    fill()
    visit.follow("incident", "alert", refresh=refresh)


def _head(incident: Incident) -> None:
    with ui.element("div").classes("stack"):
        with parts.heading(incident.title or incident.kind):
            parts.chip(incident.kind)
            parts.chip(incident.state, "info" if incident.state == "open" else "")
            if incident.verdict is not None:
                parts.chip(wording.verdict(incident.verdict), wording.VERDICT_TONES.get(incident.verdict, ""))
            if incident.acknowledged_by is not None:
                parts.chip(f"acknowledged by {incident.acknowledged_by}")
            if incident.assignee is not None:
                parts.chip(f"assigned to {incident.assignee}")
        _hidden(incident)


def _story(found: IncidentDetail) -> None:
    incident = found.incident
    with ui.element("div").classes("stack"):
        with parts.panel("What speaks for it"):
            with ui.element("ul").classes("evidence"):
                for sentence in incident.evidence:
                    parts.text("li", sentence)
            if not incident.evidence:
                parts.text("p", "Its figures are being worked out.", "muted")
        if len(found.timeline) > 1:
            step = wording.duration(found.timeline[0].length_ms)
            with parts.panel(f"Its alerts over time, {step} a bar (UTC)"):
                charts.chart(charts.timeline(found.timeline), "Alerts of the incident over its span")
        with parts.panel("Why, over its alerts"):
            parts.reasons(incident.reasons)


def _hidden(incident: Incident) -> None:
    if incident.state == "suppressed":
        parts.notice("Rules say that this is normal here: it is kept, but not counted or shown as open.")
    elif incident.suppressed:
        parts.notice(f"Rules say that {incident.suppressed} of its {incident.alerts} alerts are normal here.")


def _facts(incident: Incident) -> None:
    again = f", opened again {incident.reopened} times" if incident.reopened else ""
    with parts.panel("What happened"):
        parts.facts(
            (
                ("First packet", lambda: moments.moment(incident.first_seen_ms)),
                ("Last packet", lambda: moments.moment(incident.last_seen_ms)),
                ("Span", wording.duration(incident.last_seen_ms - incident.first_seen_ms)),
                ("Latest alert", lambda: moments.moment(incident.active_ms)),
                ("State", incident.state + again),
                ("From", incident.src_ip or wording.plural(incident.sources, "source")),
                ("To", incident.dst_ip or wording.plural(incident.targets, "host")),
                ("Ports", wording.count(incident.ports)),
                ("Alerts", wording.count(incident.alerts)),
                ("Conversations", wording.count(incident.conversations)),
                ("Highest score", f"{incident.max_score:.2f}"),
                ("Seen by", ", ".join(incident.agents) or "unknown"),
                ("Hosts", ", ".join(incident.hosts) or "unknown"),
            )
        )


def _judgement(visit: Visit, found: IncidentDetail, judge: verdicts.Judge) -> None:
    incident = found.incident
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
    if visit.judges:
        with parts.panel("Normal here?"):
            parts.text("p", "A rule hides it for a time you choose, and teaches the model nothing.", "muted")
            with ui.element("div").classes("line"):
                parts.button(
                    "This is normal here until …",
                    lambda: normal.ask_about_incident(visit, found),
                    icon="visibility_off",
                )
