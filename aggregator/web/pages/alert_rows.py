"""Alerts as rows of a table: the list, the overview and an incident show them the same way. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator.web.pages import verdicts, wording
from aggregator.web.pages.tables import Cell, Column, Row
from protos import likeness

if TYPE_CHECKING:
    from aggregator.rows import Alert

COLUMNS: Final = (
    Column("arrived", "Arrived", "narrow lead"),
    Column("flow", "Flow", "whole bare"),
    Column("why", "Why", "whole bare"),
    Column("score", "Score", "number"),
    Column("incident", "Incident", "narrow"),
    Column("verdict", "Verdict", "narrow lead end"),
)


def row(alert: Alert, *, judges: bool) -> Row:
    """One alert. `judges`: whether the visitor may give verdicts."""
    source = wording.endpoint(alert.src_ip, alert.src_port)
    target = wording.endpoint(alert.dst_ip, alert.dst_port)
    volume = f"{wording.plural(alert.packets, 'packet')}, {wording.size(alert.bytes)}"
    why = [reason.text or wording.feature(reason.feature) for reason in alert.reasons[:2]]
    if alert.family:
        why.insert(1, likeness.sentence(alert.family, alert.family_share or 0.0))
    return Row(
        alert.id,
        {
            "arrived": Cell(ms=alert.received_ms),
            "flow": Cell(
                f"{source} → {target}",
                sub=f"{wording.protocol(alert.protocol)}, {volume}, seen by {alert.agent_id}",
                href=f"/alerts/{alert.id}",
                mono=True,
            ),
            "why": Cell(why[0] if why else "the model gave no reason", sub=why[1] if len(why) > 1 else ""),
            "score": Cell(f"{alert.score:.2f}", sub=f"from {alert.threshold:.2f}"),
            "incident": Cell(
                f"#{alert.incident_id}" if alert.incident_id else "-",
                href=f"/incidents/{alert.incident_id}" if alert.incident_id else "",
            ),
            "verdict": _verdict(alert),
        },
        verdicts.deeds(alert.verdict, undoable=alert.verdict is not None) if judges else (),
        f"Verdict on alert {alert.id}",
    )


def _verdict(alert: Alert) -> Cell:
    if alert.verdict is None and alert.suppression_id is not None:
        return Cell("suppressed", tone="")
    return Cell(wording.verdict(alert.verdict), tone=wording.VERDICT_TONES.get(alert.verdict or "", ""))


def without(*names: str) -> tuple[Column, ...]:
    """The columns but some."""
    return tuple(column for column in COLUMNS if column.name not in names)
