"""The report of a benchmark: `report.json` for programs, a page for people, and lines for a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trainer.appearing import write
from trainer.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


def save(found: dict[str, Any], folder: Path) -> None:
    """Write both files into `folder`, which is made if it is missing, each by rename. Raises `OutputError`."""
    from trainer.tables import page

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"writing the report: {folder} cannot be made: {error.strerror}; name another folder"
        ) from error
    write(folder / "report.json", (json.dumps(found, indent=1, allow_nan=False) + "\n").encode())
    write(folder / "report.html", page.render(found).encode())


def as_text(found: dict[str, Any]) -> str:
    """What a person at a terminal wants to see."""
    lines = [found["benchmark"], *_data(found["data"])]
    benign_only = found["benign_only"]
    lines += ["", f"benign rows only: {benign_only['protocol']}"]
    if benign_only["held_out_families"]:
        lines.append(f"held-out families: {', '.join(benign_only['held_out_families'])}")
    for part, entry in benign_only["tests"].items():
        lines += ["", f"{part}: {entry['rows']} rows, {entry['prevalence']:.1%} attacks"]
        lines.append(f"  {'':32} {'ROC AUC':>17} {'AP':>17} {'AP at 1 %':>9} {'TPR at 1 %':>10} {'realised FPR':>12}")
        lines += [f"  {name:32} {_figures(figures)}" for name, figures in entry["detectors"].items()]
        stump = entry["best_single_feature"]
        lines.append(
            f"  best single feature: {stump['feature']} ({stump['roc_auc']:.3f}; chosen by {stump['chosen_by']})"
        )
        recall = entry["detectors"][benign_only["headline"]]["recall_by_class"]
        lines.append(
            "  caught: " + ", ".join(f"{name} {told['recall']:.0%} of {told['rows']}" for name, told in recall.items())
        )
    if found["supervised"] is not None:
        lines += ["", *_supervised(found["supervised"])]
    return "\n".join(lines)


def _data(data: dict[str, Any]) -> list[str]:
    duplicates = data["duplicates"]
    return [
        f"{data['rows']} rows, {duplicates['removed']} repeated ones removed, {data['set_aside']} set aside",
        f"{data['benign']} of {data['used']} rows are benign",
        *(f"left out: {name} ({reason})" for name, reason in data["left_out_columns"].items()),
        *data["notes"],
    ]


def _figures(figures: dict[str, Any]) -> str:
    told = [f"{_spread(figures['roc_auc'])}", f"{_spread(figures['average_precision'])}"]
    told.append(f"{_mean(figures['average_precision_at_1_percent'], '.3f'):>9}")
    told.append(f"{_mean(figures['tpr_at_fpr_1'], '.3f'):>10}")
    told.append(f"{_mean(figures['realised_fpr'], '.2%'):>12}")
    return " ".join(told)


def _spread(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return f"{'not known':>17}"
    low, high = figure["interval"] or (figure["mean"], figure["mean"])
    return f"{figure['mean']:.4f} {low:.3f}-{high:.3f}"


def _mean(figure: dict[str, Any] | None, form: str) -> str:
    return "-" if figure is None else format(figure["mean"], form)


def _held_out(told: dict[str, Any]) -> list[str]:
    """Which families each seed held out; an official test tells of itself which it has that training rows have not."""
    if not any(told["held_out_families"]):
        return []
    return ["held-out families by seed: " + "; ".join(", ".join(names) for names in told["held_out_families"])]


def _supervised(told: dict[str, Any]) -> list[str]:
    lines = [f"with labels: {told['skipped'] or told['protocol']}", *_held_out(told)]
    for part, entry in told["tests"].items():
        lines.append(f"{part}: {entry['rows']} rows, {entry['never_seen_rows']} of families never seen")
        for name, model in entry["models"].items():
            unseen = "-" if model["recall_never_seen"] is None else f"{model['recall_never_seen']['mean']:.3f}"
            lines.append(
                f"  {name:32} accuracy {model['accuracy']['mean']:.4f}  ROC AUC {model['roc_auc']['mean']:.4f}  "
                f"false positives {model['false_positive_rate']['mean']:.2%}  never-seen families caught {unseen}"
            )
    lines.append(f"random split ({told['random_split']['warning']}):")
    for name, model in told["random_split"]["models"].items():
        lines.append(f"  {name:32} accuracy {model['accuracy']['mean']:.4f}  ROC AUC {model['roc_auc']['mean']:.4f}")
    return lines
