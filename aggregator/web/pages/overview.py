"""The first page: is all well, what is going on, and what should be looked at next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.triage.cases import IncidentFilter
from aggregator.web.pages import agents, alert_rows, charts, incidents, moments, parts, tables, wording
from aggregator.web.pages.visits import in_thread

if TYPE_CHECKING:
    from aggregator.rows import FlowCount, Overview
    from aggregator.web.pages.visits import Visit

NEWEST: Final = 8
OPEN: Final = 6
COSTLY_S: Final = 1.5
"""This page counts flows in files: it is read again at most this often."""


def health(state: Overview) -> tuple[parts.Tone, str]:
    """The state of the whole in a tone and a sentence; the worst comes first."""
    if not state.agents:
        return "warn", "No agent has connected yet. Start one: anomaflow-agent run --iface eth0"
    away = state.agents - state.agents_connected
    if not state.agents_connected:
        return "bad", f"No agent is connected: nothing is being watched ({wording.plural(away, 'agent')} away)."
    if state.champion is None:
        return "warn", "No model is promoted yet: agents cannot score. Promote one on the models page."
    if away:
        return "warn", f"{away} of {wording.plural(state.agents, 'agent')} away; the rest report."
    if state.agents_degraded:
        return "warn", f"{wording.plural(state.agents_degraded, 'agent')} degraded; see the agents page."
    if state.lost_alerts or state.broken_batches:
        return "warn", "Some batches or alerts were lost on the way; the agents page lists them."
    return "good", f"All is well: {wording.plural(state.agents, 'agent')} connected, nothing lost."


def promise(state: Overview, flows: tuple[FlowCount, ...]) -> list[tuple[str, str]]:
    """Promised against realised alerts, as facts."""
    seen = sum(minute.flows for minute in flows)
    policy = state.policy
    promised = policy.promised_fpr
    entries = [("Threshold", f"{policy.threshold:.2f}" + (" (set by hand)" if promised is None else ""))]
    if promised is not None:
        expected = f", about {wording.plural(promised * seen, 'alert')} an hour now" if seen else ""
        entries.append(("Promised", f"at most {wording.percent(promised)} of benign flows{expected}"))
    if seen:
        share = wording.percent(state.alerts_last_hour / seen)
        raised = wording.plural(state.alerts_last_hour, "alert")
        entries.append(("Realised", f"{raised} of {wording.count(seen)} flows ({share}) in the last hour"))
    else:
        entries.append(("Realised", "no flows in the last hour"))
    entries += [
        ("Calibration" if found.group == "default" else f"Calibration of {found.group}", f"{found.state}: {found.why}")
        for found in state.promises
        if found.agents
    ]
    entries.append(("Hard cap", f"{wording.count(policy.max_alerts_per_minute)} alerts a minute for each agent"))
    return entries


async def build(visit: Visit) -> None:
    """The page."""
    services = visit.services

    async def read() -> tuple[Overview, tuple[FlowCount, ...]]:
        return await in_thread(queries.overview, services), await in_thread(queries.count_flows, services)

    state, flows = await read()

    async def refresh() -> None:
        nonlocal state, flows
        state, flows = await read()
        figures.refresh()
        model.refresh()
        fleet.refresh()
        chart.options.update(charts.per_minute(state.alerts_per_minute))
        chart.update()
        fill()

    def fill() -> None:
        newest = queries.list_alerts(services, limit=NEWEST).items
        alerts.fill([alert_rows.row(alert, judges=False) for alert in newest])
        alerts.visible, no_alerts.visible = bool(newest), not newest
        found = queries.list_incidents(services, IncidentFilter(verdict="none"), limit=OPEN).items
        open_ones.fill([incidents.row(incident, judges=False) for incident in found])
        open_ones.visible, no_incidents.visible = bool(found), not found

    @ui.refreshable
    def figures() -> None:
        _figures(state)

    @ui.refreshable
    def model() -> None:
        _model(state, flows)

    @ui.refreshable
    def fleet() -> None:
        _fleet(visit)

    with parts.heading("Overview"):
        pass
    figures()
    with ui.element("div").classes("columns wide-first"):
        with ui.element("div").classes("stack"):
            with parts.panel("Alerts per minute, last hour (UTC)"):
                chart = charts.chart(charts.per_minute(state.alerts_per_minute), "Alerts per minute over the last hour")
            with parts.panel("Incidents without a verdict", flush=True) as head:
                with head:
                    parts.link("All incidents", "/incidents")
                open_ones = tables.Table(
                    [column for column in incidents.COLUMNS if column.name not in {"state", "span"}],
                    label="Incidents without a verdict",
                )
                with ui.element("div") as no_incidents:
                    parts.empty("Nothing to judge.", "Every incident has a verdict, or none has formed yet.")
        with ui.element("div").classes("stack"):
            model()
            fleet()
    with parts.panel("Newest alerts", flush=True) as head:
        with head:
            parts.link("All alerts", "/alerts")
        alerts = tables.Table(alert_rows.COLUMNS, label="Newest alerts")
        with ui.element("div") as no_alerts:
            parts.empty("No alerts yet.", "They appear here seconds after a flow scores above the threshold.")
    fill()
    visit.follow(refresh=refresh, together_s=COSTLY_S)


def _figures(state: Overview) -> None:
    tone, words = health(state)
    with ui.element("div").classes("stack"):
        with ui.element("div").classes("panel"), ui.element("div").classes("health").props("role=status"):
            ui.element("span").classes("dot").props(f"data-tone={tone} aria-hidden=true")
            parts.text("span", words)
        with ui.element("div").classes("tiles"):
            waiting = f"{wording.count(state.alerts_without_verdict)} without a verdict"
            unjudged = "/alerts?verdict=none"
            parts.tile("Alerts, last hour", wording.count(state.alerts_last_hour), waiting, target=unjudged)
            active = f"{wording.count(state.incidents_last_hour)} active in the last hour"
            parts.tile("Incidents", wording.count(state.incidents), active, target="/incidents")
            degraded = f"{state.agents_degraded} degraded" if state.agents_degraded else "none degraded"
            parts.tile("Agents connected", f"{state.agents_connected} of {state.agents}", degraded, target="/agents")
            parts.tile("Verdicts", wording.count(state.labels), "teach the next model", target=unjudged)
            kept = state.flows_staged + state.flows_in_lake + state.flows_waiting
            parts.tile("Flows kept", wording.count(kept), f"{wording.count(state.flows_in_lake)} in the lake")


def _model(state: Overview, flows: tuple[FlowCount, ...]) -> None:
    champion = state.champion
    with parts.panel("Model and promise") as head:
        with head:
            parts.link("Models", "/models")
        if champion is None:
            parts.empty("No model is promoted yet.", "Train or upload one, then promote it on the models page.")
            return
        name = f"{champion.name}, version {champion.version}"
        parts.facts(
            (
                ("Champion", lambda: parts.link(name, f"/models/{champion.digest}")),
                ("Runs on", f"{champion.agents} of {wording.plural(state.agents, 'agent')}"),
                *promise(state, flows),
            )
        )
        if state.job is not None:
            words = f"Training run {state.job.id}: {state.job.state}"
            if state.job.state == "running":
                words += f", {state.job.fraction * 100:.0f} %"
            parts.link(words, "/models")


def _fleet(visit: Visit) -> None:
    with parts.panel("Agents") as head:
        found = queries.list_agents(visit.services).items
        with head:
            parts.link("All agents", "/agents")
        if not found:
            parts.empty("No agent has connected yet.", "Start one: anomaflow-agent run --iface eth0")
        for agent in sorted(found, key=lambda agent: agent.connected)[:8]:
            word, tone = agents.state(agent)
            with ui.element("div").classes("line"):
                parts.chip(word, tone)
                parts.link(agent.agent_id, wording.link("/alerts", agent=agent.agent_id))
                moments.moment(agent.last_seen_ms, short=True)
