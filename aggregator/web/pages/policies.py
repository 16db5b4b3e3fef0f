"""The policies page: what each group is promised, whether it holds, and a way to choose with the consequences in view.

The operator turns one knob: alerts a day, a false-positive rate, or a recall on the labelled attacks of the champion's
report. Alerts a day, false positives, precision and recall move together, at a base rate that can be set, and the hard
cap stands beside them. Nothing changes before "Apply". The figures are those of `/api/v1/policies/preview`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator import queries
from aggregator.calibration.readouts import BASE_RATE, Wish
from aggregator.errors import AggregatorError
from aggregator.rows import Role
from aggregator.web.pages import charts, moments, parts, policy, tables, wording
from aggregator.web.pages.tables import Cell, Column, Row
from aggregator.web.pages.visits import explain, in_thread, sentence

if TYPE_CHECKING:
    from aggregator.calibration.promised import GroupPromise, Preview
    from aggregator.rows import Policy
    from aggregator.web.pages.visits import Visit

STATE_TONES: Final[dict[str, parts.Tone]] = {"holds": "good", "unsure": "info", "expired": "bad", "no promise": "warn"}

BASIS_WORDS: Final = {
    "model": "the model's own calibration",
    "certified": "counted here, certified",
    "estimated": "counted here, estimated",
    "hand": "set by hand",
}

KNOBS: Final = {
    "alerts_per_day": "Alerts a day",
    "fpr": "False-positive rate, %",
    "recall": "Recall on labelled attacks, %",
}
"""What can be chosen, by the name of the wish."""

SPANS: Final = {"alerts_per_day": (0.0, 5.0), "fpr": (-3.0, 1.0)}
"""Powers of ten that the slider runs over; recall runs from 0 to 100 evenly."""

COLUMNS: Final = (
    Column("version", "Version", "number"),
    Column("group", "Group", "narrow"),
    Column("threshold", "Threshold", "number"),
    Column("promised", "Promised", "number"),
    Column("basis", "Rests on"),
    Column("set", "Set", "narrow"),
    Column("reason", "By, and why", "whole"),
)
VERSIONS: Final = 15


def row(found: Policy) -> Row:
    """A version as the table shows it."""
    return Row(
        found.version,
        {
            "version": Cell(str(found.version)),
            "group": Cell(found.group),
            "threshold": Cell(f"{found.threshold:.2f}"),
            "promised": Cell("nothing" if found.promised_fpr is None else wording.percent(found.promised_fpr)),
            "basis": Cell(BASIS_WORDS.get(found.basis, found.basis)),
            "set": Cell(ms=found.created_ms),
            "reason": Cell(found.by, sub=found.reason),
        },
    )


def rate(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A share, with its interval where there is one."""
    if value is None:
        return "unknown"
    return wording.percent(value) + (
        "" if low is None or high is None else f" ({wording.percent(low)} to {wording.percent(high)})"
    )


def spread(low: float | None, high: float | None) -> str:
    """An interval in words; empty where it is not known."""
    return "" if low is None or high is None else f"{wording.percent(low)} to {wording.percent(high)}"


def readouts(found: Preview) -> list[tuple[str, str, str]]:
    """Name, value and small print of each figure of a preview."""
    daily = found.expected_alerts_per_day
    cap = f"hard cap {wording.count(found.max_alerts_per_minute)} a minute for each agent, whatever is promised"
    certified = "certified" if found.basis == "certified" else BASIS_WORDS.get(found.basis, found.basis)
    bound = (
        "no rate is promised"
        if found.promised_fpr is None
        else f"at most {wording.percent(found.promised_fpr)}: {certified}"
    )
    labels = (
        f"of {wording.count(found.attack_rows)} labelled attack rows" if found.attack_rows else "nothing is labelled"
    )
    return [
        ("Threshold", f"{found.threshold:.2f}", f"now {found.current_threshold:.2f}"),
        ("Alerts a day", "unknown" if daily is None else wording.number(daily), cap),
        ("False positives", rate(found.fpr), bound),
        ("Recall", rate(found.recall), f"{spread(found.recall_low, found.recall_high)} {labels}".strip()),
        (
            "Host-windows",
            rate(found.windows),
            "of an initiator's ten minutes hold an alert",
        ),
        (
            "Precision",
            rate(found.precision),
            f"{spread(found.precision_low, found.precision_high)} at {wording.percent(found.base_rate)} attacks",
        ),
    ]


def standing(found: GroupPromise) -> None:
    """A group's promise, as facts under a chip."""
    with ui.element("div").classes("line"):
        parts.chip(
            f"calibration {found.state}" if found.state != "no promise" else found.state,
            STATE_TONES.get(found.state, ""),
        )
        if found.since_ms is not None:
            parts.text("span", "since", "muted")
            moments.moment(found.since_ms)
    promised = (
        "nothing: set by hand"
        if found.promised_fpr is None
        else f"at most {wording.percent(found.promised_fpr)} of benign flows"
    )
    daily = (
        ""
        if found.expected_alerts_per_day is None
        else f", about {wording.number(found.expected_alerts_per_day)} alerts a day"
    )
    realised = (
        "nothing was counted yet"
        if found.realised_fpr is None
        else (
            f"{rate(found.realised_fpr, found.realised_low, found.realised_high)} of "
            f"{wording.plural(found.flows, 'quiet flow')}"
        )
    )
    parts.facts(
        (
            ("Promised", promised + daily),
            ("Realised", realised),
            ("Verdict", sentence(found.why)),
            (
                "Threshold",
                f"{found.threshold:.2f}, {BASIS_WORDS.get(found.basis, found.basis)} (version {found.policy_version})",
            ),
            ("Counted", f"{wording.plural(found.hours, 'hour')} of {wording.plural(found.agents, 'agent')}"),
            ("Hard cap", f"{wording.count(found.max_alerts_per_minute)} alerts a minute for each agent"),
        )
    )


def members(found: GroupPromise) -> None:
    """The promise agent by agent, where there are several."""
    if len(found.members) < 2:
        return
    for member in found.members:
        with ui.element("div").classes("line"):
            parts.chip(member.state, STATE_TONES.get(member.state, ""))
            parts.text("b", member.agent_id)
            parts.text("span", f"{rate(member.realised_fpr)} of {wording.plural(member.flows, 'quiet flow')}", "muted")


class Chooser:
    """The knob, its slider, and the read-outs that follow it. `group` may change."""

    def __init__(self, visit: Visit, group: str) -> None:
        self.visit = visit
        self.group = group
        self.found: Preview | None = None
        self._asked = 0
        with ui.element("div").classes("line"):
            self.knob = ui.select(KNOBS, value="fpr", label="Choose by", on_change=self._turned)
            self.knob.props("outlined dense").style("min-width: 15rem")
            self.value = ui.number("Value", value=0.1, min=0, on_change=self.look, format="%.6g")
            self.value.props("outlined dense debounce=250").style("width: 9rem")
            self.base = ui.number(
                "Attacks among flows, %", value=BASE_RATE * 100, min=0.0001, max=99, on_change=self.look
            )
            self.base.props("outlined dense debounce=250").style("width: 11rem")
        self.slider = ui.slider(min=0, max=100, step=0.5, value=50).props("label-always=false aria-label='Choice'")
        self.slider.on(
            "update:model-value", lambda event: self._slid(float(event.args)), throttle=0.2, leading_events=False
        )
        self.figures = ui.element("div").classes("tiles")
        self.why = parts.notice("")
        self.chart = charts.chart(
            charts.curves("Recall", "Precision", ()), "Precision against recall at this base rate", tall=True
        )
        self.chart.visible = False

    @property
    def wish(self) -> Wish:
        """What the knob says."""
        name, value = str(self.knob.value), float(self.value.value or 0)
        return Wish(**{name: value if name == "alerts_per_day" else value / 100})

    async def start(self, current: float | None) -> None:
        """Begin at the rate that is promised now."""
        self.value.value = (current or 0.001) * 100
        await self.look()

    async def look(self, _: Any = None) -> None:
        """Ask what the wish would do, and show it; a later question overtakes an earlier one."""
        self._asked += 1
        mine = self._asked
        try:
            found = await in_thread(
                self.visit.services.promises.preview,
                self.wish,
                group=self.group,
                base_rate=float(self.base.value or 0) / 100,
            )
        except AggregatorError as error:
            if mine == self._asked:
                self.found = None
                self.figures.clear()
                self._say(explain(error)[1], "warn")
            return
        if mine == self._asked:
            self.found = found
            self._show(found)

    def _show(self, found: Preview) -> None:
        self.figures.clear()
        with self.figures:
            for name, value, small in readouts(found):
                parts.tile(name, value, small)
        self._say(sentence(found.why), "info" if found.basis == "certified" else "warn")
        self.chart.visible = bool(found.curve)
        if found.curve:
            points = [[point.recall, point.precision] for point in found.curve]
            here = [[found.recall or 0, found.precision or 0]]
            options = charts.curves(
                "Recall", "Precision", (("report's curve at this base rate", points), ("this choice", here))
            )
            options["series"][1] |= {"type": "scatter", "symbolSize": 12}
            self.chart.options.clear()
            self.chart.options.update(options)
            self.chart.update()

    def _say(self, words: str, tone: parts.Tone) -> None:
        self.why.text = words
        self.why.props["data-tone"] = tone

    async def _turned(self) -> None:
        found = self.found
        start = {"alerts_per_day": 20.0, "fpr": 0.1, "recall": 90.0}[str(self.knob.value)]
        if found is not None and self.knob.value == "alerts_per_day" and found.expected_alerts_per_day:
            start = max(round(found.expected_alerts_per_day), 1)
        if found is not None and self.knob.value == "fpr" and found.promised_fpr:
            start = found.promised_fpr * 100
        self.value.value = start
        await self.look()

    async def _slid(self, place: float) -> None:
        span = SPANS.get(str(self.knob.value))
        self.value.value = (
            place if span is None else float(f"{10 ** (span[0] + place / 100 * (span[1] - span[0])):.2g}")
        )
        await self.look()


async def build(visit: Visit) -> None:
    """The page."""
    services = visit.services
    every: tuple[GroupPromise, ...] = await in_thread(services.promises.standing)
    asked = visit.asked("group")
    chosen = asked if asked in {found.group for found in every} else every[0].group

    def of(name: str) -> GroupPromise:
        return next((found for found in every if found.group == name), every[0])

    async def refresh() -> None:
        nonlocal every
        every = await in_thread(services.promises.standing)
        promise.refresh()
        versions.fill([row(found) for found in queries.list_policies(services, limit=VERSIONS).items])

    @ui.refreshable
    def promise() -> None:
        standing(of(chosen))
        members(of(chosen))

    async def recalibrate() -> None:
        with visit.acting() as actor:
            made = await services.promises.recalibrate(actor, Wish(), group=chosen)
            ui.notify(f"Version {made.version}: threshold {made.threshold:.2f}", type="positive")

    async def undo() -> None:
        with visit.acting() as actor:
            made = await services.promises.undo(actor, group=chosen)
            ui.notify(f"Version {made.version}: threshold {made.threshold:.2f}", type="positive")

    async def apply() -> None:
        with visit.acting() as actor:
            made = await services.promises.set(actor, chooser.wish, group=chosen, reason=reason.value or "")
            ui.notify(f"Version {made.version} is on its way to the agents", type="positive")

    with parts.heading("Policies", "what is promised, and whether it holds"):
        if len(every) > 1:
            names = {found.group: found.group for found in every}
            picked = ui.select(
                names,
                value=chosen,
                label="Group",
                on_change=lambda event: ui.navigate.to(wording.link("/policies", group=event.value)),
            )
            picked.props("outlined dense").style("min-width: 12rem")
    with ui.element("div").classes("columns"):
        with parts.panel(f"Promise of group {chosen}"):
            promise()
            if visit.may(Role.OPERATOR):
                with ui.element("div").classes("line"):
                    parts.button("Recalibrate", recalibrate, icon="straighten")
                    parts.button("Back to the version before", undo, icon="undo")
        with parts.panel("Choose"):
            chooser = Chooser(visit, chosen)
            if visit.may(Role.OPERATOR):
                with ui.element("div").classes("line"):
                    reason = ui.input("Reason").props("outlined dense maxlength=500").style("flex: 1")
                    parts.button("Apply", apply, kind="main")
                    parts.button(
                        "Sample, cap, threshold",
                        lambda: policy.ask(visit, queries.current_policy(services, group=chosen)),
                        icon="tune",
                    )
    with parts.panel("Versions", flush=True):
        versions = tables.Table(COLUMNS, label="Policies, newest version first")
    await refresh()
    await chooser.start(of(chosen).promised_fpr)
    visit.follow("policy", "model", "agent", refresh=refresh, together_s=2.0)
