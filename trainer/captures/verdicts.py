"""Which kinds of incident are right for which family of attacks: what a person on duty would accept as its name.

The table speaks of families in words, as the `attack` column of a manifest names them before its colon, and never of a
capture. A family that is not in it is not judged by kind. Where the right name depends on what the attacker did with
the access (malware, an exploit, a web attack), several names are right, and a bare "single flow" is right only where
one flow may be all there is.
"""

from __future__ import annotations

from typing import Final

from aggregator.triage.incidents import (
    BEACON,
    EXFILTRATION,
    FLOOD,
    HOST_SWEEP,
    NETWORK_SCAN,
    PASSWORD_GUESSING,
    PORT_SCAN,
    REMOTE_ADMINISTRATION,
    SINGLE_FLOW,
    TUNNEL,
    UNUSUAL_EXCHANGE,
    WEB_SCAN,
)

_SCANS: Final = frozenset({PORT_SCAN, HOST_SWEEP, NETWORK_SCAN})
_INTRUSION: Final = frozenset({REMOTE_ADMINISTRATION, UNUSUAL_EXCHANGE, SINGLE_FLOW})

RIGHT: Final[dict[str, frozenset[str]]] = {
    "scan": _SCANS,
    "sweep": _SCANS,
    "bruteforce": frozenset({PASSWORD_GUESSING}),
    "ddos": frozenset({FLOOD}),
    "dos": frozenset({FLOOD}),
    "flood": frozenset({FLOOD}),
    "amplification": frozenset({FLOOD}),
    "tunnel": frozenset({TUNNEL, EXFILTRATION}),
    "exfiltration": frozenset({EXFILTRATION, TUNNEL}),
    "c2": frozenset({BEACON, TUNNEL}),
    "beacon": frozenset({BEACON, TUNNEL}),
    "web": frozenset({WEB_SCAN, PASSWORD_GUESSING, UNUSUAL_EXCHANGE, SINGLE_FLOW}),
    "lateral": _SCANS | _INTRUSION | {PASSWORD_GUESSING},
    "malware": _SCANS | _INTRUSION | {BEACON, TUNNEL, EXFILTRATION, FLOOD},
    "exploit": _INTRUSION | {WEB_SCAN, TUNNEL},
}
"""Kinds of `aggregator.triage.incidents` by family."""

MANY_FLOWS: Final = frozenset(
    {"scan", "sweep", "bruteforce", "ddos", "dos", "flood", "amplification", "tunnel", "exfiltration", "c2", "beacon"}
)
"""Families that show in many flows, or in one that is large: the ones whose incident recall is a gate."""

SLOW: Final = frozenset({"bruteforce", "dos", "c2", "beacon", "tunnel", "exfiltration"})
"""Those of them whose flows look ordinary one by one."""


def is_right(family: str, kind: str) -> bool | None:
    """Whether an incident of `kind` tells a person what an attack of `family` is; None for an unknown family."""
    accepted = RIGHT.get(family)
    return None if accepted is None else kind in accepted
