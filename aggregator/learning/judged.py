"""Flows that raised no alert and that somebody judged: a row each, so that the lake can carry what was said.

Such flows live in Parquet files only. A judged one is found there by its name and noted with a place: an inbox id of
the file that holds it. Files are only ever put together whole, so every later file that holds the flow covers that id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregator.errors import Invalid, NotFound

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Place:
    """A flow's name, its agent, and an inbox id within the range of its file."""

    flow_id: str
    agent_id: str
    inbox_id: int


def outcome(given: str) -> str:
    """Assignments that settle what a row is called by the labels whose ids the query `given` lists.

    `:now` is the time. The newest standing label counts: one that was not undone and has not expired. The row is
    disputed when, from the newest standing verdict of an operator on, the last words of two people contradict.
    """
    standing = (
        f"FROM labels AS said WHERE said.id IN ({given}) AND (said.expires_ms IS NULL OR said.expires_ms > :now) "  # noqa: S608 - fixed texts
        "AND NOT EXISTS (SELECT 1 FROM labels AS later WHERE later.undoes = said.id)"
    )
    settled = f"coalesce((SELECT max(said.id) {standing} AND said.settles), 0)"
    last_words = f'SELECT said.verdict, max(said.id) {standing} AND said.id >= {settled} GROUP BY said."by"'
    return (
        "lake_stale = 1, (verdict, verdict_by, verdict_ms, label_id) = "  # noqa: S608 - fixed texts
        f'(SELECT said.verdict, said."by", said.at_ms, said.id {standing} ORDER BY said.id DESC LIMIT 1), '
        f"disputed = (SELECT count(DISTINCT verdict) > 1 FROM ({last_words}) "
        "WHERE verdict IN ('benign', 'malicious'))"
    )


def number_of(db: sqlite3.Connection, place: Place) -> int:
    """The number under which a flow is judged, a new one at its first verdict. Raises `Invalid`."""
    if not place.flow_id or len(place.flow_id) > 256:
        raise Invalid("a flow is named <agent>.<epoch>.<sequence>.<row>; see `anomaflow flows list`")
    db.execute(
        "INSERT INTO judged_flows (flow_id, agent_id, inbox_id) VALUES (?, ?, ?) ON CONFLICT (flow_id) DO NOTHING",
        (place.flow_id, place.agent_id, place.inbox_id),
    )
    row = db.execute("SELECT id FROM judged_flows WHERE flow_id = ?", (place.flow_id,)).fetchone()
    return int(row["id"])


def settle(db: sqlite3.Connection, number: int, *, now_ms: int) -> None:
    """Work out what a judged flow is called now, and mark its row in the lake as stale."""
    given = "SELECT id FROM labels WHERE target = 'flow' AND target_id = judged_flows.id AND verdict IS NOT NULL"
    changed = db.execute(
        f"UPDATE judged_flows SET {outcome(given)} WHERE id = :number",  # noqa: S608 - fixed texts
        {"number": number, "now": now_ms},
    )
    if not changed.rowcount:
        raise NotFound(f"there is no judged flow {number}")
