"""Incidents of a capture, by the product's own grouping: were they raised, do they say what it is, and how soon.

Alerts are the flows whose score reaches a threshold. `aggregator.triage.incidents` groups and names them exactly as the
aggregator does. An attack is *seen* when an incident holds at least one of its flows; the incident that holds most of
them is the one a person would open first, and its kind is *right* when verdicts.py accepts it. Time runs in the
traffic: from the attack's first packet to the end of the first of its flows that is in an incident, since a flow is
judged when it ends.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregator.triage.incidents import group, of_flows, summarise
from trainer.captures import verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trainer.captures.networks import Network
    from trainer.captures.seen import Seen


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident. `members` are positions of flows; `attack` of them belong to the attack."""

    kind: str
    title: str
    members: tuple[int, ...]
    attack: int


def found(seen: Seen, threshold: float) -> list[Incident]:
    """The incidents of a capture at a threshold."""
    scores = seen.scores["model"]
    alerts = np.flatnonzero(scores >= threshold)
    incidents = []
    for one in group(of_flows(seen.flows[alerts], scores[alerts], first_id=0)):
        summary = summarise(one.members, one.rule)
        members = tuple(int(alerts[point.id]) for point in one.members)
        incidents.append(Incident(summary.kind, summary.title, members, int(seen.attack[list(members)].sum())))
    return incidents


def judge(seen: Seen, threshold: float) -> dict[str, Any]:
    """What the incidents of an attack capture tell."""
    every = found(seen, threshold)
    about = sorted((one for one in every if one.attack), key=lambda one: -one.attack)
    family = seen.entry.family
    right = [one for one in about if verdicts.is_right(family, one.kind)]
    return {
        "threshold": threshold,
        "alerts": int((seen.scores["model"][seen.attack] >= threshold).sum()),
        "incidents": len(every),
        "about_the_attack": len(about),
        "seen": bool(about),
        "kind": about[0].kind if about else None,
        "title": about[0].title if about else None,
        "kinds": dict(Counter(one.kind for one in about)),
        "right": bool(right) if family in verdicts.RIGHT else None,
        "main_right": verdicts.is_right(family, about[0].kind) if about else None,
        "after_ms": _after(seen, about),
        "right_after_ms": _after(seen, right),
    }


def _after(seen: Seen, incidents: Iterable[Incident]) -> int | None:
    members = [position for one in incidents for position in one.members if seen.attack[position]]
    if not members:
        return None
    begun = int(seen.flows["bidirectional_first_seen_ms"][seen.attack].min())
    return int(seen.flows["ended_ms"][members].min()) - begun


def of_quiet(captures: Iterable[Seen], networks: Mapping[str, Network], own: float) -> dict[str, Any]:
    """Incidents in benign captures, by network and kind, at the model's threshold.

    Where a network was recalibrated, `recalibrated` gives those of its later captures at its own threshold.
    """
    plain: dict[str, Counter[str]] = {name: Counter() for name in networks}
    after: dict[str, Counter[str]] = {name: Counter() for name, network in networks.items() if network.recalibrated}
    for seen in captures:
        if seen.entry.label != "benign" or not seen.counts:
            continue
        network = networks[seen.entry.network]
        plain[network.name].update(one.kind for one in found(seen, own))
        if network.name in after and seen.entry.name in network.later_captures:
            after[network.name].update(one.kind for one in found(seen, network.threshold))
    return {
        "at_model_threshold": {name: dict(kinds) for name, kinds in plain.items()},
        "recalibrated": {name: dict(kinds) for name, kinds in after.items()},
        "flows": {name: len(network.quiet.scores) for name, network in networks.items()},
        "later_flows": {name: int(networks[name].later.sum()) for name in after},
    }
