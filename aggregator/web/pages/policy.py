"""The policy: how many false alarms are promised, how much of the quiet is sent, and the cap that always holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from aggregator import queries
from aggregator.errors import NotFound
from aggregator.rows import Role
from aggregator.web.pages import moments, parts, wording

if TYPE_CHECKING:
    from aggregator.rows import Policy
    from aggregator.web.pages.visits import Visit


def choices(visit: Visit, policy: Policy) -> dict[float, str]:
    """The rates the champion is calibrated for, each with the score it needs; none without a champion."""
    try:
        thresholds = queries.get_model(visit.services, policy.model_digest).manifest.get("thresholds") or ()
    except NotFound:
        thresholds = ()
    offered = {
        float(entry["alpha"]): f"{wording.percent(entry['alpha'])} (score from {entry['score']:.2f})"
        for entry in sorted(thresholds, key=lambda entry: -entry["alpha"])
    }
    if offered and policy.promised_fpr is not None:
        current = f"{wording.percent(policy.promised_fpr)} (score from {policy.threshold:.2f})"
        offered.setdefault(policy.promised_fpr, current)
    return offered


def panel(visit: Visit) -> None:
    """The current policy; operators may change it."""
    policy = queries.current_policy(visit.services)
    rate = policy.promised_fpr
    promised = "set by hand" if rate is None else f"{wording.percent(rate)} of benign flows"
    with parts.panel("Policy") as head:
        with head:
            parts.text("span", f"version {policy.version}", "muted")
        parts.facts(
            (
                ("Promised false positives", promised),
                ("Threshold", f"score {policy.threshold:.2f} and above alerts"),
                ("Quiet flows kept", f"{wording.percent(policy.keep_fraction)}, as a sample of what is normal"),
                ("Hard cap", f"{wording.count(policy.max_alerts_per_minute)} alerts a minute for each agent"),
                ("Set", lambda: moments.moment(policy.created_ms)),
                ("By", f"{policy.by}: {policy.reason}" if policy.reason else policy.by),
            )
        )
        if visit.may(Role.OPERATOR):
            with ui.element("div").classes("line"):
                parts.link("Promises and groups", "/policies")
                parts.button("Change", lambda: ask(visit, policy), icon="tune")


def ask(visit: Visit, policy: Policy) -> None:
    """A dialog that changes sample, cap and threshold of the policy's group."""
    offered = choices(visit, policy)
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", "Change the policy")
        effect = "Agents follow it within seconds. A lower promise means fewer alerts, and more is missed."
        parts.text("p", effect, "muted")
        if offered:
            fpr = ui.select(offered, label="Promised false positives", value=policy.promised_fpr)
            fpr.props("outlined dense").style("width: 100%")
        else:
            fpr = None
            parts.notice("There is no champion yet: the threshold is set by hand until one is promoted.")
        threshold = ui.number("Threshold (score)", value=policy.threshold, min=0, step=0.1) if fpr is None else None
        keep = ui.number("Quiet flows kept, %", value=policy.keep_fraction * 100, min=0, max=100, step=1)
        cap = ui.number("Hard cap, alerts a minute", value=policy.max_alerts_per_minute, min=1, step=50, precision=0)
        for field in (threshold, keep, cap):
            if field is not None:
                field.props("outlined dense").style("width: 100%")
        reason = ui.input("Reason").props("outlined dense maxlength=500").style("width: 100%")

        async def save() -> None:
            with visit.acting() as actor:
                promised = None if fpr is None or fpr.value == policy.promised_fpr else fpr.value
                await queries.set_policy(
                    visit.services,
                    actor,
                    promised_fpr=promised,
                    threshold=None if threshold is None else threshold.value,
                    keep_fraction=None if keep.value is None else keep.value / 100,
                    group=policy.group,
                    max_alerts_per_minute=None if cap.value is None else int(cap.value),
                    reason=reason.value or "",
                )
                dialog.close()
                ui.notify("The new policy is on its way to the agents", type="positive")

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Save", save, kind="main")
