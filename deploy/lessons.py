"""What the demo's operator knows, and says: which alerts are the backup's, and verdicts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from house import House

EXPECTED: Final = "backup"
"""The benign kind that the first model has never seen and the operator calls a false positive."""
MEMORY_MS: Final = 300_000
"""The longest horizon of a context feature."""
FEW: Final = 5
"""Attack flows of a host that do not yet show in the context of its others."""


def flow_key(alert: dict[str, Any]) -> tuple[Any, ...]:
    """What names a flow across two replays of one capture."""
    return tuple(alert[name] for name in ("src_ip", "src_port", "dst_ip", "dst_port", "protocol", "first_seen_ms"))


def clear_cases(said: list[tuple[dict[str, Any], str, bool]]) -> list[dict[str, Any]]:
    """Alerts of the backup that a careful person calls false positives.

    A flow of a host that was attacking or attacked at the time carries the attack in its context features. Calling it
    benign would teach the model that the attack is ordinary; the gate would then refuse that model, and rightly so.
    """
    attacks = [(alert["last_seen_ms"], {alert["src_ip"], alert["dst_ip"]}) for alert, _, bad in said if bad]

    def clear(alert: dict[str, Any]) -> bool:
        hosts, at = {alert["src_ip"], alert["dst_ip"]}, alert["last_seen_ms"]
        return sum(1 for then, others in attacks if at - MEMORY_MS <= then <= at and hosts & others) < FEW

    return [alert for alert, kind, _ in said if kind == EXPECTED and clear(alert)]


def some_of_each(said: list[tuple[dict[str, Any], str, bool]], most: int) -> list[dict[str, Any]]:
    """Alerts of attacks for a person to call malicious, at most `most` of them, every kind of attack alike.

    A person judges incidents, and a beacon is one as a flood is. Verdicts in proportion to alerts would be verdicts on
    floods, and a model that is taught to accept a backup then loses what resembles it most.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    for alert, kind, malicious in said:
        if malicious:
            kinds.setdefault(kind, []).append(alert)
    share = max(1, most // max(1, len(kinds)))
    return [alert for alerts in kinds.values() for alert in alerts[:: -(-len(alerts) // share)]]


def label(house: House, alerts: list[dict[str, Any]], verdict: str, note: str) -> None:
    """One verdict on each of these alerts."""
    for alert in alerts:
        house.post("/labels", {"target": "alert", "id": alert["id"], "verdict": verdict, "note": note})
