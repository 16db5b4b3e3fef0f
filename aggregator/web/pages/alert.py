"""One alert: what was seen, why it is strange, what the sensor missed meanwhile, and what people said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from aggregator import queries
from aggregator.errors import NotFound
from aggregator.web.pages import moments, normal, parts, verdicts, wording
from protos import likeness

if TYPE_CHECKING:
    from aggregator.rows import AlertDetail, Health
    from aggregator.web.pages.visits import Visit


async def build(visit: Visit) -> None:
    """The page."""
    alert_id = visit.number("alert_id")
    found = queries.get_alert(visit.services, alert_id)

    async def refresh() -> None:
        judgement.refresh()

    @ui.refreshable
    def judgement() -> None:
        _judgement(visit, queries.get_alert(visit.services, alert_id), judge)

    alert = found.alert
    with ui.element("nav").classes("trail").props('aria-label="Where you are"'):
        parts.link("Alerts", "/alerts")
        parts.text("span", "/")
        parts.text("span", f"Alert {alert.id}")
    source = wording.endpoint(alert.src_ip, alert.src_port)
    target = wording.endpoint(alert.dst_ip, alert.dst_port)
    with parts.heading(f"{source} → {target}"):
        parts.chip(wording.protocol(alert.protocol))
        moments.moment(alert.received_ms)
        normal.chip(alert)
    with ui.element("div").classes("columns wide-first"):
        with ui.element("div").classes("stack"):
            _why(found)
            _flow(found)
            _features(found)
        with ui.element("div").classes("stack"):
            judge = verdicts.Judge(visit, refresh)
            judgement()
            _origin(visit, found)
            _sensor(found)
    visit.follow("alert", "incident", refresh=refresh)


def _why(found: AlertDetail) -> None:
    with parts.panel("Why this flow is strange"):
        if found.alert.family:
            _likeness(found.alert.family, found.alert.family_share or 0.0)
        if found.alert.reasons:
            parts.reasons(found.alert.reasons)
        else:
            parts.empty("The model gave no reasons.", "The observed features below are what it saw.")


def _likeness(family: str, share: float) -> None:
    with ui.element("div").classes("reason"):
        said = likeness.sentence(family, share)
        parts.text("div", said[:1].upper() + said[1:], "said")
        parts.link("Others like it", wording.link("/alerts", text=family), "share")
        parts.text("div", "To the model that raised it, by the verdicts it was taught with.", "figures")


def _flow(found: AlertDetail) -> None:
    alert = found.alert
    with parts.panel("The flow"):
        parts.facts(
            (
                ("From", wording.endpoint(alert.src_ip, alert.src_port)),
                ("To", wording.endpoint(alert.dst_ip, alert.dst_port)),
                ("Protocol", f"{wording.protocol(alert.protocol)} over IPv{found.ip_version}"),
                *((("VLAN", str(found.vlan_id)),) if found.vlan_id else ()),
                ("First packet", lambda: moments.moment(alert.first_seen_ms)),
                ("Last packet", lambda: moments.moment(alert.last_seen_ms)),
                ("Duration", wording.duration(alert.last_seen_ms - alert.first_seen_ms)),
                ("Packets", wording.count(alert.packets)),
                ("Bytes", wording.size(alert.bytes)),
                ("Ended", wording.END_WORDS.get(found.end, found.end or "unknown")),
                ("Flow id", lambda: parts.text("span", alert.flow_id, "mono")),
            )
        )
        with ui.element("div").classes("line"):
            parts.link("Other alerts of the source", wording.link("/alerts", text=f"{alert.src_ip}:"))
            parts.link("Other alerts of the target", wording.link("/alerts", text=f"{alert.dst_ip}:"))


def _features(found: AlertDetail) -> None:
    words = f"All {len(found.features)} observed features"
    with parts.panel(), ui.expansion(words).props("dense dense-toggle").style("width: 100%"):
        parts.facts((wording.feature(name), wording.number(value)) for name, value in found.features.items())


def _judgement(visit: Visit, found: AlertDetail, judge: verdicts.Judge) -> None:
    alert = found.alert
    with parts.panel("Verdict") as head:
        with head:
            parts.chip(wording.verdict(alert.verdict), wording.VERDICT_TONES.get(alert.verdict or "", ""))
        if visit.judges:
            note = verdicts.note_field()

            async def give(verdict: str) -> None:
                await judge.give("alert", alert.id, verdict, note.value or "")

            with ui.element("div").classes("line"):
                verdicts.buttons(give, alert.verdict)
        verdicts.history(found.labels, judge if visit.judges else None)
        if visit.judges:
            with ui.element("div").classes("line"):
                parts.button(
                    "This is normal here until …", lambda: normal.ask_about_alert(visit, alert), icon="visibility_off"
                )


def _origin(visit: Visit, found: AlertDetail) -> None:
    alert = found.alert
    try:
        model = queries.get_model(visit.services, alert.model_digest)
        name, target = f"{model.name}, version {model.version}", f"/models/{model.digest}"
    except NotFound:
        name, target = f"{wording.short(alert.model_digest)}, not in the registry", ""
    with parts.panel("Raised by"):
        parts.facts(
            (
                ("Score", f"{alert.score:.2f}: {_rarity(alert.score)}"),
                ("Threshold", f"{alert.threshold:.2f}, by policy {found.policy_version}"),
                ("Model", lambda: parts.link(name, target) if target else parts.text("span", name)),
                ("Agent", lambda: parts.link(alert.agent_id, wording.link("/alerts", agent=alert.agent_id))),
                ("Incident", lambda: _incident(alert.incident_id)),
            )
        )


def _incident(incident_id: int | None) -> None:
    if incident_id is None:
        parts.text("span", "not grouped yet", "muted")
    else:
        parts.link(f"Incident {incident_id}", f"/incidents/{incident_id}")


def _rarity(score: float) -> str:
    """A score in words: it is -log10 of the share of benign flows at least as strange."""
    if score > 9:
        return "far beyond every benign flow it was calibrated on"
    return f"about 1 in {wording.count(float(f'{10**score:.2g}'))} benign flows is as strange"


def _sensor(found: AlertDetail) -> None:
    health = found.health
    tone, words = missed(health)
    with parts.panel("The sensor at that moment") as head:
        with head:
            parts.chip(health.state or "unknown", "good" if health.state == "running" else "warn")
        parts.notice(words, tone)
        parts.facts(
            (
                ("Packets seen", wording.count(health.packets)),
                ("Dropped", wording.count(health.packets_dropped)),
                ("Ignored", wording.count(health.packets_ignored)),
                ("Flows evicted early", wording.count(health.flows_evicted)),
                ("Source", health.source or "unknown"),
            )
        )


def missed(health: Health) -> tuple[parts.Tone, str]:
    """How much a sensor missed, in a tone and a sentence."""
    seen = health.packets + health.packets_dropped
    if health.packets_dropped:
        share = wording.percent(health.packets_dropped / seen)
        return "warn", f"{share} of packets were dropped before the sensor saw them: counts in flows may be low."
    if health.flows_evicted:
        return "warn", "The flow table was full: some flows were cut short, so patterns across flows may be blurred."
    if not seen:
        return "info", "The sensor reported no packet counts."
    return "good", "No packet was dropped: the sensor saw everything."
