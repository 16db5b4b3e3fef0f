"""What is held back from training although its age is past quarantine: a list the trainer is handed with every run.

A row becomes trainable after `quarantine_hours`, and only while no incident speaks against its hosts. An incident does
when it is open (alerts still join it), when somebody called it malicious, or when its kind is an attack's and nobody
judged it: most of what an attack does raises no alert, and would teach that attacks are ordinary. Held back are the
flows of the incident's one source; of its one target when the sources are many; of every host it names otherwise. An
incident that all of it was called benign, or that a rule suppresses and nobody called malicious, holds nothing back.

The list also tells from which score on an agent alerted under a model: quiet flows above it are alerts that the hard
cap turned down. Its form is told in the trainer's `held.py`, which reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator.triage.incidents import BEACON, GAP_MS, KINDS, SINGLE_FLOW, SLOW_GAP_MS, UNUSUAL_EXCHANGE

if TYPE_CHECKING:
    import sqlite3

FORMAT: Final = "anomaflow-held-1"
OPEN: Final = "open incident"
MALICIOUS: Final = "malicious incident"
ATTACK_KINDS: Final = frozenset(KINDS) - {UNUSUAL_EXCHANGE, SINGLE_FLOW}
"""Kinds that speak of an attack until somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class Case:
    """What of an incident decides whether it holds flows back. `active_ms` is when an alert last joined it."""

    kind: str
    verdict: str | None
    active_ms: int
    suppressed: bool


def why_held(case: Case, *, now_ms: int) -> str:
    """Why the flows of an incident's hosts are held back; an empty text when they are not. Pure."""
    if case.verdict in {"malicious", "mixed"}:
        return MALICIOUS
    if case.verdict == "benign" or case.suppressed:
        return ""
    # As cases.py shows it: a beacon may be slow.
    if case.active_ms >= now_ms - (SLOW_GAP_MS if case.kind == BEACON else GAP_MS):
        return OPEN
    return f"unjudged {case.kind}" if case.kind in ATTACK_KINDS else ""


def held(db: sqlite3.Connection, *, now_ms: int) -> dict[str, Any]:
    """The list, as plain data."""
    hosts: list[dict[str, Any]] = []
    rows = db.execute(
        "SELECT kind, verdict, active_ms, suppressed >= alerts AS suppressed, src_ip, dst_ip, hosts, first_seen_ms, "
        "last_seen_ms FROM incidents WHERE merged_into IS NULL AND alerts > 0 ORDER BY id"
    )
    for row in rows:
        case = Case(row["kind"], row["verdict"], row["active_ms"], bool(row["suppressed"]))
        why = why_held(case, now_ms=now_ms)
        if why:
            one = row["src_ip"] or row["dst_ip"]
            hosts += [
                {"host": host, "from_ms": row["first_seen_ms"], "until_ms": row["last_seen_ms"], "why": why}
                for host in ([one] if one else json.loads(row["hosts"]))
            ]
    thresholds = db.execute(
        "SELECT agent_id, model_digest, min(threshold) AS threshold FROM alerts GROUP BY agent_id, model_digest"
    )
    return {"format": FORMAT, "as_of_ms": now_ms, "hosts": hosts, "thresholds": [dict(row) for row in thresholds]}
