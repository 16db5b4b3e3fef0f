"""What is normal here: the dialog that makes a rule from an incident or an alert, and the page that lists the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator.errors import RequestRefused
from aggregator.rows import Role
from aggregator.triage import hiding
from aggregator.triage.normality import DAY_MS, Scope, Suppression, SuppressionPreview
from aggregator.web.pages import parts, tables, wording
from aggregator.web.pages.tables import Cell, Column, Deed, Row

if TYPE_CHECKING:
    from aggregator.rows import Alert, IncidentDetail
    from aggregator.web.pages.visits import Visit

SHOWN: Final = 200

ENDS: Final = {1: "tomorrow", 7: "in a week", 30: "in 30 days", 90: "in 90 days", 365: "in a year"}

COLUMNS: Final = (
    Column("scope", "What is normal", "whole bare"),
    Column("until", "Until", "narrow"),
    Column("alerts", "Alerts hidden", "number"),
    Column("by", "By", "narrow"),
    Column("state", "State", "narrow lead"),
)
TONES: Final = {"in force": "good", "expired": "warn"}


def scope_text(rule: Scope | Suppression) -> str:
    """What a rule is about, on one line."""
    found = f"{rule.source or 'Any host'} → {rule.destination or 'any host'}"
    if rule.port is not None:
        found += f", port {rule.port}"
    if rule.protocol is not None:
        found += f", {wording.protocol(rule.protocol)}"
    if rule.kind is not None:
        found += f", as “{rule.kind}”"
    found += f", seen by {rule.agent_id}" if rule.agent_id is not None else ""
    return found + (f", seen in group {rule.group}" if rule.group is not None else "")


async def build(visit: Visit) -> None:
    """The page of rules."""

    async def refresh() -> None:
        page = hiding.list_suppressions(visit.services, limit=SHOWN)
        standing = sum(rule.state == "in force" for rule in page.items)
        summary.text = f"{len(page.items)} rules, {standing} in force" if page.items else ""
        table.fill([_row(rule, judges=visit.judges) for rule in page.items])
        table.visible = bool(page.items)
        nothing.clear()
        if not page.items:
            with nothing:
                parts.empty(
                    "No rules yet.", "An incident or an alert offers one: “This is normal here until …” on its page."
                )

    async def deed(key: str, name: str) -> None:
        with visit.acting() as actor:
            await hiding.end_suppression(visit.services, actor, int(key), undo=name == "undo")
            ui.notify("What it hid is back" if name == "undo" else "New alerts are shown again", type="info")
            await refresh()

    with ui.element("nav").classes("trail").props('aria-label="Where you are"'):
        parts.link("Incidents", "/incidents")
        parts.text("span", "/")
        parts.text("span", "What is normal here")
    with parts.heading("What is normal here"):
        summary = parts.text("span", "", "sub")
    parts.text(
        "p",
        "A rule hides alerts until it ends; it deletes nothing and teaches the model nothing. Ending one shows new "
        "alerts again; undoing one also brings back what it hid.",
        "muted",
    )
    with parts.panel(flush=True):
        table = tables.Table(COLUMNS, label="Rules, newest first", on_deed=deed)
        nothing = ui.element("div")
    await refresh()
    visit.follow("incident", refresh=refresh)


def ask_about_incident(visit: Visit, found: IncidentDetail) -> None:
    """The dialog, filled from an incident."""
    incident = found.incident
    ports = {alert.dst_port for alert in found.alerts}
    port = ports.pop() if len(ports) == 1 and incident.ports == 1 else None
    since_ms = min((alert.received_ms for alert in found.alerts), default=incident.first_seen_ms)
    scope = Scope(incident.src_ip, incident.dst_ip, port or None, None, incident.kind)
    _ask(visit, scope, since_ms)


def ask_about_alert(visit: Visit, alert: Alert) -> None:
    """The dialog, filled from an alert."""
    scope = Scope(alert.src_ip, alert.dst_ip, alert.dst_port or None, alert.protocol)
    _ask(visit, scope, alert.received_ms)


def _ask(visit: Visit, scope: Scope, since_ms: int) -> None:
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", "This is normal here until …")
        fields = {
            "source": ui.input("Source: address or network", value=scope.source or ""),
            "destination": ui.input("Destination: address or network", value=scope.destination or ""),
            "port": ui.input("Port", value=str(scope.port or "")),
            "kind": ui.input("Kind of incident (empty: any)", value=scope.kind or ""),
        }
        for field in fields.values():
            field.props("outlined dense debounce=400").style("width: 100%")
        until = ui.select(ENDS, label="Until", value=30).props("outlined dense options-dense").style("width: 100%")
        reason = ui.input("Why is it normal?").props("outlined dense maxlength=500").style("width: 100%")
        effect = ui.element("div").classes("stack")
        insist = ui.checkbox("Make it all the same")
        insist.visible = False

        def wanted() -> Scope:
            port = (fields["port"].value or "").strip()
            return Scope(
                _given(fields["source"].value),
                _given(fields["destination"].value),
                int(port) if port.isdecimal() and len(port) < 6 else None,
                scope.protocol,
                _given(fields["kind"].value),
                scope.agent_id,
                scope.group,
            )

        def preview() -> None:
            effect.clear()
            with effect:
                try:
                    found = hiding.preview_suppression(visit.services, wanted())
                except RequestRefused as error:
                    parts.notice(str(error), "bad")
                    return
                _effect(found)
                insist.visible = bool(found.refusals) and visit.may(Role.OPERATOR)

        for field in fields.values():
            field.on_value_change(preview)
        preview()

        async def save() -> None:
            with visit.acting() as actor:
                now_ms = visit.services.clock.now_ms()
                await hiding.add_suppression(
                    visit.services,
                    actor,
                    wanted(),
                    until_ms=now_ms + int(until.value) * DAY_MS,
                    since_ms=min(since_ms, now_ms),
                    reason=reason.value or "",
                    insist=bool(insist.visible and insist.value),
                )
                dialog.close()
                ui.notify("Hidden until then; the rule is under “What is normal here”", type="positive")

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Hide it", save, kind="main")


def _effect(found: SuppressionPreview) -> None:
    incidents = wording.plural(found.incidents, "incident")
    share = wording.percent(found.share)
    parts.notice(
        f"In the last {found.days} days it would have hidden {found.hidden} of {found.alerts} alerts ({share}), and "
        f"{incidents} whole."
    )
    for sentence in found.refusals:
        parts.notice(f"Refused: {sentence}.", "bad")
    for sentence in found.warnings:
        parts.notice(f"Mind that {sentence}.", "warn")


def _row(rule: Suppression, *, judges: bool) -> Row:
    deeds: tuple[Deed, ...] = ()
    if judges and rule.state == "in force":
        deeds = (Deed("end", "End", "Show new alerts again"),)
    if judges and rule.state != "undone":
        deeds = (*deeds, Deed("undo", "Undo", "As if it had never been: what it hid comes back", tone="warn"))
    return Row(
        rule.id,
        {
            "scope": Cell(scope_text(rule), sub=rule.reason),
            "until": Cell(ms=rule.ended_ms or rule.until_ms),
            "alerts": Cell(wording.count(rule.alerts)),
            "by": Cell(rule.by),
            "state": Cell(rule.state, tone=TONES.get(rule.state, "")),
        },
        deeds,
        f"Rule {rule.id}",
    )


def chip(alert: Alert) -> None:
    """Says on an alert's page that a rule hides it."""
    if alert.suppression_id is not None:
        parts.link(f"normal here by rule {alert.suppression_id}", "/suppressions", "chip")


def _given(text: str | None) -> str | None:
    return (text or "").strip() or None
