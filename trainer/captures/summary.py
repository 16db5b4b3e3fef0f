"""A benchmark on captures for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = (
    ("roc_auc", "ROC AUC"),
    ("average_precision", "average precision"),
    ("average_precision_at_1_percent", "  if 1 % were attacks"),
    ("average_precision_at_0_1_percent", "  if 0.1 % were"),
    ("tpr_at_fpr_1", "TPR at 1 % FPR"),
    ("tpr_at_fpr_0_1", "TPR at 0.1 % FPR"),
    ("recall", "recall at the threshold"),
    ("realised_fpr", "realised FPR"),
)
GROUPS: Final = (
    ("model_threshold", "all networks, model's threshold"),
    ("same_networks_before", "networks to recalibrate, before"),
    ("recalibrated", "the same, recalibrated"),
    ("too_small", "too small to recalibrate"),
)


def as_text(found: dict[str, Any]) -> str:
    """The lines."""
    summary = found["summary"]
    lines = [
        f"{len(found['runs'])} runs, promised {found['alpha']:g}, kept from the fit: {found['hold_out']}",
        *_metrics(summary["metrics"]),
        "the same without benign flows of mixed captures",
        *_metrics(summary["metrics_without_mixed"]),
        "false positives",
    ]
    for key, words in GROUPS:
        both = summary["false_positives"][key]
        lines.append(f"  {words:<34} {ranged(both['by_flows'])} by flows, {ranged(both['by_networks'])} by networks")
    for name, total in summary["networks"].items():
        own = rate(total["at_own_rate"]) if total["recalibrated"] else "too small"
        lines.append(f"    {name:<42} {total['tested']:>7} flows  {rate(total['at_model_rate']):>8}  {own:>9}")
    lines.append("incidents")
    for key, words in (("all", "every attack"), ("many_flows", "many-flow attacks"), ("slow", "slow ones")):
        both = summary["incidents"][key]
        lines.append(f"  {words:<34} seen {ranged(both['recall'])}, named rightly {ranged(both['right_recall'])}")
    for line in found["attacks"]:
        right = "" if line["right"] is None else f", right in {line['right']}"
        lines.append(
            f"    {line['attack'][:42]:<42} {line['flows']:>6} flows  seen in {line['seen']} of {line['runs']}{right}: "
            f"{', '.join(line['kinds']) or 'nothing'}"
        )
    marks = {True: "passed", False: "FAILED", None: "no data"}
    lines += [f"{gate['id']}  {marks[gate['passed']]:<8} {gate['detail']}" for gate in found["gates"]]
    return "\n".join(lines)


def _metrics(metrics: dict[str, Any]) -> Iterator[str]:
    yield f"{'':<34}" + "".join(f"{name:>24}" for name in metrics)
    for key, words in ROWS:
        yield f"{words:<34}" + "".join(f"{short(entry[key]):>24}" for entry in metrics.values())


def short(entry: dict[str, Any]) -> str:
    """Mean and range of a figure over the runs."""
    if entry["mean"] is None:
        return "-"
    return f"{entry['mean']:.4f} ({entry['least']:.3f}-{entry['most']:.3f})"


def ranged(entry: dict[str, Any]) -> str:
    """The same as percentages."""
    if entry["mean"] is None:
        return "-"
    return f"{entry['mean']:.2%} ({entry['least']:.2%} to {entry['most']:.2%})"


def rate(value: float | None) -> str:
    """A rate, or a dash."""
    return "-" if value is None else f"{value:.2%}"
