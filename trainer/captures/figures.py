"""Figures of an examination, worked out from captures that were seen: one entry a question of EVALUATION's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract
from trainer.captures import incidents, networks, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from protos.manifest import Threshold
    from trainer.captures.networks import Network
    from trainer.captures.seen import Seen

_NOTHING: Final = np.zeros(0, dtype=np.float32)


def together(
    captures: Iterable[Seen], detector: str, *, quiet: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores of benign and of attack flows by one detector, over captures that count.

    `quiet` leaves out benign flows of mixed captures: their hosts attack or are attacked, and their context shows it.
    """
    counted = [seen for seen in captures if seen.counts]
    benign = [seen.scores[detector][~seen.attack] for seen in counted if not quiet or seen.entry.label != "mixed"]
    attack = [seen.scores[detector][seen.attack] for seen in counted]
    return np.concatenate([_NOTHING, *benign]), np.concatenate([_NOTHING, *attack])


def beside_attacks(captures: Iterable[Seen], threshold: float) -> dict[str, Any]:
    """False alarms among the benign flows of mixed captures: their hosts attack or are attacked."""
    scores = [seen.scores["model"][~seen.attack] for seen in captures if seen.counts and seen.entry.label == "mixed"]
    merged = np.concatenate([_NOTHING, *scores])
    alerts = int((merged >= threshold).sum())
    return {"rows": len(merged), "alerts": alerts, "realised": alerts / len(merged) if len(merged) else None}


def stump(captures: Iterable[Seen]) -> dict[str, Any] | None:
    """The best single feature, chosen with the truth in hand: what the captures can be told apart by at the least.

    It is found on an even sample of every capture, in which a row counts for the flows it stands for.
    """
    from sklearn.metrics import roc_auc_score

    counted = [seen for seen in captures if seen.counts]
    if not counted:
        return None
    rows = np.concatenate([seen.rows for seen in counted])
    attack = np.concatenate([seen.attack[seen.sample] for seen in counted])
    weights = np.concatenate([np.full(len(seen.sample), len(seen.flows) / len(seen.sample)) for seen in counted])
    if attack.all() or not attack.any():
        return None
    areas = np.array([roc_auc_score(attack, rows[:, at], sample_weight=weights) for at in range(rows.shape[1])])
    best = int(np.argmax(np.abs(areas - 0.5)))
    return {
        "feature": contract.FEATURES[best],
        "strange_when": "high" if areas[best] >= 0.5 else "low",
        "roc_auc": float(max(areas[best], 1 - areas[best])),
        "rows": len(rows),
    }


def recall_by(attacks: Sequence[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """Flows and alerts of attack captures, added up by the text under `key`."""
    kinds: dict[str, dict[str, Any]] = {}
    for entry in attacks:
        kind = kinds.setdefault(entry[key] or "attack", {"captures": 0, "flows": 0, "alerts": 0})
        kind["captures"] += 1
        kind["flows"] += entry["attack_flows"]
        kind["alerts"] += entry["attack_alerts"]
    for kind in kinds.values():
        kind["recall"] = kind["alerts"] / kind["flows"]
    return dict(sorted(kinds.items()))


def capture(seen: Seen, own: Threshold, found: Mapping[str, Network]) -> dict[str, Any]:
    """One capture's line: flows, alerts at the model's threshold, and, for an attack, its incidents at both.

    `incidents.product` are those of the threshold an agent there would have: its network's own where it has one.
    """
    alerts = seen.scores["model"] >= own.score
    hits = alerts & seen.attack
    line: dict[str, Any] = {
        "file": seen.entry.name,
        "label": seen.entry.label,
        "attack": seen.entry.attack,
        "family": seen.entry.family,
        "network": seen.entry.network,
        "flows": len(seen.flows),
        "attack_flows": int(seen.attack.sum()),
        "attack_alerts": int(hits.sum()),
        "benign_alerts": int((alerts & ~seen.attack).sum()),
        "strongest": float(seen.scores["model"].max()) if len(alerts) else None,
        "first_alert_after_ms": int(seen.flows["ended_ms"][hits].min()) - seen.begun_ms if hits.any() else None,
        "fitted_on": seen.fitted_on,
        "error": seen.error,
        "incidents": None,
    }
    if not seen.attack.any() or seen.fitted_on:
        return line
    network = found.get(seen.entry.network)
    at_own = network is not None and network.recalibrated
    by_model = incidents.judge(seen, own.score)
    by_network = incidents.judge(seen, network.threshold) if network is not None and at_own else None
    line["incidents"] = {
        "threshold_of": "network" if at_own else "model",
        "product": by_network or by_model,
        "model": by_model,
    }
    return line


def incident_recall(attacks: Sequence[dict[str, Any]], which: str = "product") -> dict[str, Any]:
    """How many attack captures raised an incident, and one that says what it is; by family, and for groups of them."""

    def tally(chosen: Sequence[dict[str, Any]]) -> dict[str, Any]:
        judged = [entry["incidents"][which] for entry in chosen]
        named = [one for one in judged if one["right"] is not None]
        after = [one["after_ms"] for one in judged if one["after_ms"] is not None]
        return {
            "attack_captures": len(judged),
            "seen": sum(one["seen"] for one in judged),
            "recall": sum(one["seen"] for one in judged) / len(judged) if judged else None,
            "named": len(named),
            "right": sum(bool(one["right"]) for one in named),
            "right_recall": sum(bool(one["right"]) for one in named) / len(named) if named else None,
            "incidents": sum(one["incidents"] for one in judged),
            "median_after_ms": float(np.median(after)) if after else None,
        }

    families = sorted({entry["family"] or "attack" for entry in attacks})
    many = [entry for entry in attacks if entry["family"] in verdicts.MANY_FLOWS and entry["attack_flows"] > 1]
    return tally(attacks) | {
        "many_flows": tally(many),
        "slow": tally([entry for entry in attacks if entry["family"] in verdicts.SLOW]),
        "by_family": {name: tally([e for e in attacks if (e["family"] or "attack") == name]) for name in families},
    }


def gates(found: dict[str, Any]) -> list[dict[str, Any]]:
    """G5 and G6, each with the figures it rests on; `passed` is None where there is nothing to judge by."""
    quiet, many = found["false_positives"]["recalibrated"], found["incidents"]["many_flows"]
    most = 1.5 * found["alpha"]
    rates = [quiet["by_flows"], quiet["by_networks"]]
    g5 = None
    if many["recall"] is not None and quiet["by_flows"] is not None:
        g5 = many["recall"] >= 0.9 and all(rate is None or rate <= most for rate in rates)
    kept = [block["kept"] for block in found["blocks"]]
    return [
        {
            "id": "G5",
            "passed": g5,
            "detail": f"incidents in {many['seen']} of {many['attack_captures']} captures of many-flow attacks (.90); "
            f"false positives {_share(rates[0])} by flows, {_share(rates[1])} by networks, "
            f"at most {most:.2%}",
        },
        {
            "id": "G6",
            "passed": sum(kept) >= 0.95 * len(kept) if kept else None,
            "detail": f"{sum(kept)} of {len(kept)} later benign blocks at most 1.5 times the promise (95 %)",
        },
    ]


def false_positives(
    captures: Sequence[Seen], found: Mapping[str, Network], own: Threshold, flows_per_day: float
) -> dict[str, Any]:
    """Everything about false alarms."""
    return networks.summary(found, own, flows_per_day) | {"beside_attacks": beside_attacks(captures, own.score)}


def _share(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.2%}"
