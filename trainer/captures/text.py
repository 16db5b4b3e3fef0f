"""An examination for a person at a terminal: headlines first, then networks, families, gates."""

from __future__ import annotations

from typing import Any


def as_text(found: dict[str, Any]) -> str:
    """The lines."""
    figures = found["metrics"]["model"]
    how = "certified" if found["certified"] else "estimated"
    lines = [
        f"model          {found['model']['name']} ({found['model']['digest'][:12]})",
        f"threshold      {found['threshold']:.3f} ({how}) for a false-positive rate of {found['alpha']:g}",
        f"benign flows   {figures['benign_rows']}, of which {percent(figures['realised_fpr'])} alert",
        f"attack flows   {figures['attack_rows']}, of which {percent(figures['recall'])} alert",
        *_incidents(found["incidents"]),
    ]
    for name, metrics in found["metrics"].items():
        if metrics["reason"] is None:
            lines.append(
                f"{name:<14} average precision {metrics['average_precision']:.4f} at "
                f"{metrics['prevalence']:.1%} attacks, {metrics['average_precision_at_1_percent']:.4f} at 1 %, "
                f"{metrics['average_precision_at_0_1_percent']:.4f} at 0.1 %; ROC AUC {metrics['roc_auc']:.4f}; "
                f"realised {percent(metrics['realised_fpr'])}"
            )
    quiet = found["metrics_without_mixed"]["model"]
    if quiet["reason"] is None:
        lines.append(f"without mixed  ROC AUC {quiet['roc_auc']:.4f}, realised {percent(quiet['realised_fpr'])}")
    if figures["reason"] is not None:
        lines.append(f"no ranking     {figures['reason']}")
    stump = found["best_single_feature"]
    if stump is not None:
        lines.append(f"single feature {stump['feature']}, strange when {stump['strange_when']}: {stump['roc_auc']:.4f}")
    skipped = found["not_counted"]
    if skipped["fitted_on"] or skipped["unreadable"]:
        lines.append(f"not counted    {skipped['fitted_on']} captures fitted on, {skipped['unreadable']} unreadable")
    lines += _networks(found["false_positives"])
    lines += _attacks(found)
    marks = {True: "passed", False: "FAILED", None: "no data"}
    lines += [f"{gate['id']}  {marks[gate['passed']]:<8} {gate['detail']}" for gate in found["gates"]]
    return "\n".join(lines)


def percent(rate: float | None) -> str:
    """A rate in words."""
    return "an unknown share" if rate is None else f"{rate:.2%}"


def _incidents(found: dict[str, Any]) -> list[str]:
    many = found["many_flows"]
    return [
        f"attacks seen   {found['seen']} of {found['attack_captures']} captures",
        f"named rightly  {found['right']} of {found['named']}",
        f"many-flow ones {many['seen']} of {many['attack_captures']} seen, {many['right']} named rightly",
    ]


def _networks(found: dict[str, Any]) -> list[str]:
    lines = ["networks       tested flows, alerts at the model's threshold, at their own"]
    for row in found["networks"]:
        own = percent(row["at_own_threshold"]["realised"]) if row["recalibrated"] else "too small"
        lines.append(
            f"  {row['network']:<44} {row['tested']:>7}  {percent(row['at_model_threshold']['realised']):>9}  {own:>9}"
        )
    for words, key in (("at the model's", "model_threshold"), ("recalibrated", "recalibrated")):
        total = found[key]
        if total["rows"]:
            lines.append(
                f"  {words:<44} {total['rows']:>7}  {percent(total['by_flows'])} by flows, "
                f"{percent(total['by_networks'])} by networks, {total['alerts_a_day']:.0f} a day"
            )
    return lines


def _attacks(found: dict[str, Any]) -> list[str]:
    lines = ["attacks        flows that alert, then the incident that holds most of them"]
    for line in found["captures"]:
        if line["incidents"] is None:
            continue
        one = line["incidents"]["product"]
        mark = {True: "right", False: "wrong", None: ""}[one["right"]] if one["seen"] else ""
        after = "" if one["after_ms"] is None else f"after {one['after_ms'] / 1000:.1f} s"
        lines.append(
            f"  {line['attack'][:44]:<44} {one['alerts']:>6} of {line['attack_flows']:>6}  "
            f"{one['kind'] or 'nothing':<22} {mark:<6} {after}"
        )
    return lines
