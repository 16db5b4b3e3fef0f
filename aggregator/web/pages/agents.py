"""Agents: which sensors are there, how they are, what they run, and what they had to give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.errors import Invalid
from aggregator.rows import Role
from aggregator.web.pages import parts, tables, wording
from aggregator.web.pages.alert import missed
from aggregator.web.pages.tables import Cell, Column, Row

if TYPE_CHECKING:
    from aggregator.rows import Agent, Gap
    from aggregator.web.pages.visits import Visit

COLUMNS: Final = (
    Column("agent", "Agent", "whole bare"),
    Column("state", "State", "narrow"),
    Column("seen", "Last seen", "narrow"),
    Column("model", "Model"),
    Column("group", "Group", "narrow"),
    Column("policy", "Policy", "number"),
    Column("flows", "Flows", "number"),
    Column("alerts", "Alerts", "number"),
    Column("dropped", "Dropped packets", "number"),
    Column("ignored", "Ignored", "number"),
    Column("evicted", "Evicted flows", "number"),
    Column("spool", "Spool", "number"),
    Column("lost", "Declared lost", "number"),
)

GAP_COLUMNS: Final = (
    Column("when", "Received", "narrow"),
    Column("agent", "Agent"),
    Column("what", "What was lost", "whole"),
    Column("reason", "Why", "whole"),
)


def state(agent: Agent) -> tuple[str, parts.Tone]:
    """An agent's state in a word and a tone."""
    if not agent.connected:
        return "away", "bad"
    reported = agent.health.state or "running"
    if agent.model_state == "refused":
        return "refused model", "warn"
    return reported, "good" if reported == "running" else "warn"


def row(agent: Agent, champion: str, policy_version: int) -> Row:
    """An agent as the table shows it."""
    word, tone = state(agent)
    health = agent.health
    lags = bool(champion) and agent.model_digest != champion
    told = agent.model_detail or (f"champion is {wording.short(champion)}" if lags else "")
    behind = f"current is {policy_version}" if agent.policy_version != policy_version else ""
    seen = max(health.packets + health.packets_dropped, 1)
    return Row(
        agent.agent_id,
        {
            "agent": Cell(
                agent.agent_id,
                sub=f"{agent.hostname or 'unknown host'}, {agent.source or 'no source'}, {agent.version}",
                href=wording.link("/alerts", agent=agent.agent_id),
            ),
            "state": Cell(word, tone=tone, sub=health.detail),
            "seen": Cell(ms=agent.last_seen_ms),
            "model": Cell(
                wording.short(agent.model_digest),
                sub=told,
                href=f"/models/{agent.model_digest}" if agent.model_digest else "",
                mono=bool(agent.model_digest),
            ),
            "group": Cell(agent.group, href=wording.link("/policies", group=agent.group)),
            "policy": Cell(str(agent.policy_version), sub=behind),
            "flows": Cell(wording.count(agent.flows)),
            "alerts": Cell(
                wording.count(agent.alerts),
                sub=f"{wording.count(health.alerts_capped)} over the cap" if health.alerts_capped else "",
            ),
            "dropped": Cell(
                wording.count(health.packets_dropped),
                sub=wording.percent(health.packets_dropped / seen) if health.packets_dropped else "",
            ),
            "ignored": Cell(wording.count(health.packets_ignored)),
            "evicted": Cell(wording.count(health.flows_evicted)),
            "spool": Cell(
                wording.plural(agent.spool_records, "record"),
                sub=wording.size(agent.spool_bytes) if agent.spool_records else "drained",
            ),
            "lost": Cell(
                wording.plural(agent.lost_flows, "flow"),
                sub=wording.plural(agent.lost_alerts, "alert") if agent.lost_alerts else "no alert",
            ),
        },
    )


def gap_row(gap: Gap) -> Row:
    """A declared loss as the table shows it."""
    return Row(
        gap.id,
        {
            "when": Cell(ms=gap.received_ms),
            "agent": Cell(gap.agent_id),
            "what": Cell(
                f"{wording.plural(gap.flows, 'quiet flow')}, {wording.plural(gap.alerts, 'alert')}",
                sub=f"records {gap.first_sequence} to {gap.last_sequence}",
            ),
            "reason": Cell(gap.reason or "not stated"),
        },
    )


def grouping(visit: Visit) -> None:
    """A line that puts an agent into a group."""
    parts.text(
        "p", "Agents of one network belong together: they are calibrated together and follow one policy.", "muted"
    )
    with ui.element("div").classes("line"):
        names = [agent.agent_id for agent in queries.list_agents(visit.services).items]
        agent = ui.select(names, label="Agent").props("outlined dense").style("min-width: 14rem")
        group = ui.input("Group").props("outlined dense maxlength=64")

        async def assign() -> None:
            with visit.acting() as actor:
                if not agent.value or not group.value:
                    raise Invalid("choose an agent and name its group")
                moved = await visit.services.promises.assign(actor, agent.value, group.value.strip())
                ui.notify(f"{moved.agent_id} is in group {moved.group}", type="positive")

        parts.button("Put into group", assign)


async def build(visit: Visit) -> None:
    """The page."""
    services = visit.services

    async def refresh() -> None:
        found = queries.list_agents(services).items
        followed = {name: queries.current_policy(services, group=name) for name in {agent.group for agent in found}}
        table.fill([row(agent, followed[agent.group].model_digest, followed[agent.group].version) for agent in found])
        summary.text = f"{sum(agent.connected for agent in found)} of {len(found)} connected" if found else ""
        table.visible = bool(found)
        nothing.clear()
        notices.clear()
        with nothing:
            if not found:
                parts.empty(
                    "No agent has connected yet.",
                    "Start one on a host of the network: anomaflow-agent run --iface eth0. It appears here at once.",
                )
        with notices:
            for agent in found:
                if agent.connected and (agent.health.packets_dropped or agent.health.flows_evicted):
                    parts.notice(f"{agent.agent_id}: {missed(agent.health)[1]}", "warn")
        gaps = queries.list_gaps(services).items
        losses.fill([gap_row(gap) for gap in gaps])
        losses.visible = bool(gaps)
        no_losses.visible = not gaps

    with parts.heading("Agents"):
        summary = parts.text("span", "", "sub")
    notices = ui.element("div").classes("stack")
    if visit.may(Role.OPERATOR):
        with parts.panel("Groups"):
            grouping(visit)
    with parts.panel(flush=True):
        table = tables.Table(COLUMNS, label="Agents")
        nothing = ui.element("div")
    with parts.panel("Declared losses", flush=True):
        losses = tables.Table(GAP_COLUMNS, label="Declared losses, newest first")
        with ui.element("div") as no_losses:
            parts.empty(
                "Nothing was lost.",
                "An agent whose spool runs full drops quiet samples first, counts them, and declares them here.",
            )
    await refresh()
    visit.follow("agent", "model", "policy", "alert", refresh=refresh)
