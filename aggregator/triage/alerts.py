"""Alerts: typed reads with filters, newest arrival first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from aggregator import agents, paging
from aggregator.errors import Invalid, NotFound
from aggregator.learning import labels
from aggregator.rows import VERDICTS, Alert, AlertDetail, Page, Reason
from protos import contract

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

END_NAMES: Final = {0: "", 1: "idle", 2: "active", 3: "tcp", 4: "half-open", 5: "evicted", 6: "stop"}
"""Why a flow ended, in words: `EndReason` of flow.proto."""


_TEXT: Final = (
    "src_ip || ':' || src_port || ' ' || dst_ip || ':' || dst_port || ' ' || agent_id || ' ' || family"
    " || ' ' || reasons"
)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts. None means any. Times bound the arrival."""

    agent: str | None = None
    model: str | None = None
    incident: int | None = None
    verdict: str | None = None  # none | benign | malicious | unsure
    since_ms: int | None = None
    until_ms: int | None = None  # exclusive
    min_score: float | None = None
    host: str | None = None  # either end
    suppressed: bool | None = None  # by a rule, or not
    family: str | None = None  # looks like this family of attacks
    text: str | None = None  # part of addresses with ports, agent, family, or reasons; capitals do not matter

    def conditions(self) -> tuple[str, list[Any]]:
        """An SQL condition and its values. Raises `Invalid` for a verdict that does not exist."""
        if self.verdict not in {None, "none", *VERDICTS}:
            raise Invalid(f"no verdict named {self.verdict!r}; use none, {', '.join(VERDICTS)}")
        wanted: list[tuple[str, Any]] = [
            ("agent_id = ?", self.agent),
            ("model_digest = ?", self.model),
            ("incident_id = ?", self.incident),
            ("verdict = ?", None if self.verdict == "none" else self.verdict),
            ("received_ms >= ?", self.since_ms),
            ("received_ms < ?", self.until_ms),
            ("score >= ?", self.min_score),
            ("? IN (src_ip, dst_ip)", self.host),
            ("family = ?", self.family),
            (f"instr(lower({_TEXT}), ?) > 0", None if self.text is None else self.text.lower()),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        texts = [text for text, _ in given] + (["verdict IS NULL"] if self.verdict == "none" else [])
        if self.suppressed is not None:
            texts.append(f"suppression_id IS {'NOT ' if self.suppressed else ''}NULL")
        return " AND ".join(texts) or "true", [value for _, value in given]


def find(
    db: sqlite3.Connection, where: AlertFilter | None = None, *, limit: int, cursor: str | None = None
) -> Page[Alert]:
    """Alerts, newest arrival first."""
    condition, values = (where or AlertFilter()).conditions()
    rows = db.execute(
        f"SELECT * FROM alerts WHERE id < ? AND {condition} ORDER BY id DESC LIMIT ?",  # noqa: S608 - fixed texts
        (paging.id_cursor(cursor), *values, paging.size(limit) + 1),
    ).fetchall()
    return paging.page([from_row(row) for row in rows], limit, lambda alert: str(alert.id))


def strongest(db: sqlite3.Connection, incident_id: int, *, limit: int) -> tuple[Alert, ...]:
    """The highest-scoring alerts of an incident."""
    rows = db.execute(
        "SELECT * FROM alerts WHERE incident_id = ? ORDER BY score DESC, id LIMIT ?", (incident_id, limit)
    )
    return tuple(from_row(row) for row in rows)


def get(db: sqlite3.Connection, alert_id: int) -> AlertDetail:
    """One alert with everything known about its flow. Raises `NotFound`."""
    row = db.execute("SELECT * FROM alerts WHERE id = ?", (alert_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no alert {alert_id}")
    observed = np.frombuffer(row["features"], dtype="<f4")
    return AlertDetail(
        alert=from_row(row),
        epoch=row["epoch"],
        sequence=row["sequence"],
        row=row["row"],
        ip_version=row["ip_version"],
        vlan_id=row["vlan_id"],
        end=END_NAMES.get(row["end"], ""),
        policy_version=row["policy_version"],
        features=dict(zip(contract.FEATURES, observed.tolist(), strict=False)),
        health=agents.health(row["health"]),
        labels=labels.of_alert(db, alert_id),
    )


def strongest_reasons(alerts: Sequence[tuple[Reason, ...]], *, limit: int = 5) -> tuple[Reason, ...]:
    """The features that matter most over several alerts (given strongest first): mean share, words of the strongest."""
    shares: dict[str, float] = {}
    words: dict[str, Reason] = {}
    for given in alerts:
        for reason in given:
            shares[reason.feature] = shares.get(reason.feature, 0.0) + reason.share / len(alerts)
            words.setdefault(reason.feature, reason)
    best = sorted(shares, key=lambda feature: (-shares[feature], feature))[:limit]
    return tuple(
        Reason(feature, words[feature].observed, words[feature].expected, shares[feature], words[feature].text)
        for feature in best
    )


def families(db: sqlite3.Connection, incident_id: int) -> tuple[tuple[str, int, float], ...]:
    """What alerts of an incident look like to their models: family, alerts and mean share, most alerts first."""
    rows = db.execute(
        "SELECT family, count(*) AS alerts, avg(family_share) AS share FROM alerts "
        "WHERE incident_id = ? AND family <> '' GROUP BY family ORDER BY alerts DESC, family",
        (incident_id,),
    )
    return tuple((row["family"], row["alerts"], row["share"]) for row in rows)


def reasons(text: str) -> tuple[Reason, ...]:
    """The reasons kept as JSON."""
    return tuple(Reason(**entry) for entry in json.loads(text))


def from_row(row: sqlite3.Row) -> Alert:
    """A row of the alerts table."""
    return Alert(
        id=row["id"],
        agent_id=row["agent_id"],
        flow_id=row["flow_id"],
        src_ip=row["src_ip"],
        src_port=row["src_port"],
        dst_ip=row["dst_ip"],
        dst_port=row["dst_port"],
        protocol=row["protocol"],
        first_seen_ms=row["first_seen_ms"],
        last_seen_ms=row["last_seen_ms"],
        received_ms=row["received_ms"],
        packets=row["packets"],
        bytes=row["bytes"],
        score=row["score"],
        threshold=row["threshold"],
        model_digest=row["model_digest"],
        reasons=reasons(row["reasons"]),
        verdict=row["verdict"],
        incident_id=row["incident_id"],
        suppression_id=row["suppression_id"],
        family=row["family"] or None,
        family_share=row["family_share"] if row["family"] else None,
    )
