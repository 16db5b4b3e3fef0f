"""The list of alerts: live, filtered, and judged without leaving the keyboard.

`Hold` keeps the list still and counts what waits. Filters stand in the address, so that a view can be shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from aggregator import queries
from aggregator.triage.alerts import AlertFilter
from aggregator.web.pages import alert_rows, parts, tables, triage, verdicts, wording
from aggregator.web.pages.visits import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nicegui.events import ValueChangeEventArguments

    from aggregator.rows import Alert
    from aggregator.web.pages.visits import Visit

STEP: Final = 50
MOST: Final = 500

VERDICTS: Final = {
    "": "Any verdict",
    "none": "No verdict yet",
    "benign": "False positive",
    "malicious": "True positive",
    "unsure": "Unsure",
}

KEYS: Final = (
    ("j", "next"), ("k", "previous"), ("f", "false positive"), ("t", "true positive"), ("u", "unsure"),
    ("n", "note"), ("z", "undo"), ("Enter", "open"),
)  # fmt: skip


async def build(visit: Visit) -> None:
    """The page."""
    await AlertList(visit).build()


class AlertList:
    """What one visitor sees of the alerts, and where in it the visitor is."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.limit = STEP
        self.ids: list[int] = []
        self.keys = triage.Keyboard(visit, opens=lambda key: f"/alerts/{key}", act=self._act)
        self.held = False
        wanted = visit.asked("verdict")
        self.verdict = wanted if wanted in VERDICTS else ""
        self.agent = visit.asked("agent")
        self.text = visit.asked("text")
        self.min_score = _score(visit.asked("min_score"))

    async def build(self) -> None:
        """Put the list on the page and keep it current."""
        with parts.heading("Alerts"):
            self.summary = parts.text("span", "", "sub")
            parts.text("span", "", "grow")
            self.hold = parts.button("Hold", self._hold, icon="pause")
        self._filters()
        with parts.panel(flush=True):
            self.table = tables.Table(
                alert_rows.COLUMNS,
                label="Alerts, newest first",
                focusable=True,
                on_deed=self._deed,
                on_reach=self.keys.reach,
            )
            self.nothing = ui.element("div")
            with ui.element("div").classes("line").style("padding: 10px 16px 14px; justify-content: space-between"):
                self.more = parts.button(f"Show {STEP} more", self._more)
                if self.visit.judges:
                    parts.keys(KEYS)
        self.judge = verdicts.Judge(self.visit, self.refresh)
        self.keys.listen(self.table, self.judge)
        await self.refresh()
        self.visit.follow("alert", "incident", refresh=self.arrive)

    def _filters(self) -> None:
        agents = {agent.agent_id: agent.agent_id for agent in queries.list_agents(self.visit.services).items}
        if self.agent:
            agents.setdefault(self.agent, self.agent)
        with ui.element("div").classes("filters").props('role=search aria-label="Filter alerts"'):
            ui.select(VERDICTS, label="Verdict", value=self.verdict, on_change=self._set("verdict")).props(
                "outlined dense options-dense"
            )
            ui.select({"": "Any agent", **agents}, label="Agent", value=self.agent, on_change=self._set("agent")).props(
                "outlined dense options-dense"
            )
            ui.number("Score at least", value=self.min_score, min=0, step=0.5, on_change=self._set("min_score")).props(
                "outlined dense clearable debounce=400"
            )
            ui.input("Address, port, agent or reason", value=self.text, on_change=self._set("text")).props(
                "outlined dense clearable debounce=400"
            ).classes("wide")

    def _set(self, name: str) -> Callable[[ValueChangeEventArguments], Awaitable[None]]:
        async def changed(event: ValueChangeEventArguments) -> None:
            setattr(self, name, event.value if name == "min_score" else event.value or "")
            self.limit = STEP
            query = {"verdict": self.verdict, "agent": self.agent, "min_score": self.min_score, "text": self.text}
            ui.navigate.history.replace(wording.link("/alerts", **query))
            await self.refresh()

        return changed

    def where(self) -> AlertFilter:
        """The filter as it stands."""
        return AlertFilter(
            verdict=self.verdict or None,
            agent=self.agent or None,
            min_score=self.min_score,
            text=self.text.strip() or None,
        )

    async def arrive(self) -> None:
        """Something changed: show it, or count it while the list is held."""
        if self.held:
            page = await in_thread(queries.list_alerts, self.visit.services, self.where(), limit=self.limit)
            newer = sum(1 for alert in page.items if not self.ids or alert.id > self.ids[0])
            self.hold.text = f"Resume ({newer} new)" if newer else "Resume"
        else:
            await self.refresh()

    async def refresh(self) -> None:
        """Read and show."""
        page = await in_thread(queries.list_alerts, self.visit.services, self.where(), limit=self.limit)
        self.ids = [alert.id for alert in page.items]
        self.keys.rows = {str(one) for one in self.ids}
        self.table.fill([alert_rows.row(alert, judges=self.visit.judges) for alert in page.items])
        self.more.visible = page.next is not None and self.limit < MOST
        self._summarise(page.items, more=page.next is not None)

    def _summarise(self, shown: tuple[Alert, ...], *, more: bool) -> None:
        waiting = sum(1 for alert in shown if alert.verdict is None)
        self.summary.text = f"{len(shown)}{'+' if more else ''} shown, {waiting} without a verdict" if shown else ""
        self.table.visible = bool(shown)
        self.nothing.clear()
        if not shown:
            with self.nothing:
                if self.where() == AlertFilter():
                    parts.empty(
                        "No alerts yet.",
                        "They appear here by themselves, seconds after a flow scores above the threshold. "
                        "The agents page says whether sensors are connected.",
                    )
                else:
                    parts.empty("No alert fits these filters.", "Loosen one of them; “Any verdict” shows judged ones.")

    async def _more(self) -> None:
        self.limit = min(self.limit + STEP, MOST)
        await self.refresh()

    async def _hold(self) -> None:
        self.held = not self.held
        self.hold.text = "Resume" if self.held else "Hold"
        self.hold.props(f"icon={'play_arrow' if self.held else 'pause'}")
        if not self.held:
            await self.refresh()

    async def _act(self, key: str, letter: str) -> None:
        if letter == "n":
            self.judge.ask("alert", int(key))
        elif letter in verdicts.KEYS:
            await self.keys.judged(key, self.judge.give("alert", int(key), verdicts.KEYS[letter]))

    async def _deed(self, key: str, name: str) -> None:
        await self.judge.act("alert", int(key), name)


def _score(value: str) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None
