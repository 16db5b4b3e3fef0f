"""An evaluation or a benchmark on captures as one page, and as JSON beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from trainer.appearing import write
from trainer.captures.summary import GROUPS, ROWS, ranged, rate, short
from trainer.judging.drawing import at_prevalence, document, figure, number, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_NAMES: Final = {
    "model": "model",
    "flow_by_flow": "the same, flow by flow",
    "std_count": "standard deviations counted",
    "mahalanobis": "Mahalanobis",
    "nearest_neighbours": "nearest neighbours",
    "isolation_forest": "isolation forest",
}


def save(found: dict[str, Any], folder: Path) -> None:
    """Write `evaluation.json` and `evaluation.html`, each by rename. Raises `OutputError`."""
    _write(found, render(found), folder, "evaluation")


def save_study(found: dict[str, Any], folder: Path) -> None:
    """Write `benchmark.json` and `benchmark.html`, each by rename. Raises `OutputError`."""
    _write(found, render_study(found), folder, "benchmark")


def _write(found: dict[str, Any], html: str, folder: Path, stem: str) -> None:
    write(folder / f"{stem}.json", (json.dumps(found, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
    write(folder / f"{stem}.html", html.encode())


def render(found: dict[str, Any]) -> str:
    """The page of one examination."""
    title = f"Evaluation of {found['model']['name']}"
    how = "certified" if found["certified"] else "estimated"
    skipped = found["not_counted"]
    return document(
        title,
        [
            f"<h1>{text(title)}</h1>",
            (
                f'<p class="soft">{text(found["model"]["kind"])}, digest '
                f"<code>{text(found['model']['digest'])}</code>, on {text(found['manifest'])}. "
                f"Threshold {found['threshold']:.3f} ({how}) for a false-positive rate of {found['alpha']:g}. "
                f"Not counted: {skipped['fitted_on']} captures fitted on, {skipped['unreadable']} unreadable.</p>"
            ),
            _gates(found["gates"]),
            "<h2>Ranking</h2>",
            _metrics({name: {key: number(entry[key]) for key, _ in ROWS} for name, entry in found["metrics"].items()}),
            _stump(found["best_single_feature"]),
            _plots(found["curves"]),
            "<h2>False alarms, network by network</h2>",
            _networks(found["false_positives"]),
            "<h2>Incidents of the attacks</h2>",
            _attacks(found["captures"]),
            "<h2>Incidents in quiet traffic, at the model's threshold</h2>",
            _quiet(found["quiet_incidents"]),
        ],
    )


def render_study(found: dict[str, Any]) -> str:
    """The page of a benchmark."""
    summary, title = found["summary"], "Benchmark on captures"
    metrics = {name: {key: short(entry[key]) for key, _ in ROWS} for name, entry in summary["metrics"].items()}
    false_rows = [
        (
            words,
            ranged(summary["false_positives"][key]["by_flows"]),
            ranged(summary["false_positives"][key]["by_networks"]),
        )
        for key, words in GROUPS
    ]
    attack_rows = [
        (
            line["attack"] or line["file"],
            line["flows"],
            f"{line['seen']} of {line['runs']}",
            "" if line["right"] is None else f"{line['right']} of {line['runs']}",
            ", ".join(line["kinds"]),
            "" if line["median_after_ms"] is None else f"{line['median_after_ms'] / 1000:.1f} s",
        )
        for line in found["attacks"]
    ]
    networks = [
        (
            name,
            total["tested"],
            rate(total["at_model_rate"]),
            rate(total["at_own_rate"]) if total["recalibrated"] else "too small",
        )
        for name, total in summary["networks"].items()
    ]
    return document(
        title,
        [
            f"<h1>{title}</h1>",
            (
                f'<p class="soft">{text(found["manifest"])}: {len(found["runs"])} runs, promised {found["alpha"]:g}; '
                f"kept from the fit: {text(found['hold_out'])}. Mean, and from least to most.</p>"
            ),
            _gates(found["gates"]),
            "<h2>Ranking</h2>",
            _metrics(metrics),
            _plots(found["runs"][0]["curves"]),
            "<h2>False alarms</h2>",
            _table(("", "by flows", "by networks"), false_rows),
            _table(("network", "flows tested", "at the model's threshold", "at its own"), networks),
            "<h2>Incidents of the attacks</h2>",
            _table(("attack", "flows", "seen", "named rightly", "as", "after"), attack_rows),
        ],
    )


def _gates(gates: Iterable[dict[str, Any]]) -> str:
    words = {True: '<span class="good">passed</span>', False: '<span class="bad">failed</span>', None: "no data"}
    rows = "".join(
        f"<tr><td>{text(gate['id'])}</td><td>{words[gate['passed']]}</td><td>{text(gate['detail'])}</td></tr>"
        for gate in gates
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def _metrics(metrics: dict[str, dict[str, str]]) -> str:
    rows = [(words.strip(), *(entry[key] for entry in metrics.values())) for key, words in ROWS]
    return _table(("", *(_NAMES.get(name, name) for name in metrics)), rows)


def _stump(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return (
        f'<p class="soft">The best single feature, chosen with the truth in hand: {text(found["feature"])}, strange '
        f"when {text(found['strange_when'])}, ROC AUC {found['roc_auc']:.4f}.</p>"
    )


def _plots(curves: dict[str, Any]) -> str:
    model, baseline = curves["model"], curves.get("std_count", {"roc": [], "precision_recall": []})
    if not model["roc"]:
        return ""

    def first_two(points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
        return [(point[0], point[1]) for point in points]

    figures = [
        figure(
            "ROC", first_two(model["roc"]), first_two(baseline["roc"]), ("false-positive rate", "true-positive rate")
        ),
        figure(
            "Precision and recall on these captures",
            first_two(model["precision_recall"]),
            first_two(baseline["precision_recall"]),
            ("recall", "precision"),
        ),
        figure(
            "Precision and recall if 1 % of flows were attacks",
            at_prevalence(model["roc"], 0.01),
            at_prevalence(baseline["roc"], 0.01),
            ("recall", "precision"),
        ),
    ]
    return f'<div class="plots">{"".join(figures)}</div>'


def _networks(found: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        (
            row["network"],
            row["captures"],
            row["tested"],
            rate(row["at_model_threshold"]["realised"]),
            rate(row["at_own_threshold"]["realised"]) if row["recalibrated"] else "",
            row["why"],
        )
        for row in found["networks"]
    ]
    for key, words in GROUPS:
        total = found[key]
        said = f"{rate(total['by_networks'])} by networks" + (
            ""
            if total["alerts_a_day"] is None
            else f", {total['alerts_a_day']:.0f} a day at {total['flows_a_day']:g} flows"
        )
        rows.append((words, total["networks"], total["rows"], rate(total["by_flows"]), "", said))
    beside = found["beside_attacks"]
    rows.append(("benign flows beside attacks", "", beside["rows"], rate(beside["realised"]), "", ""))
    return _table(("network", "captures", "tested", "at the model's threshold", "at its own", ""), rows)


def _attacks(captures: Iterable[dict[str, Any]]) -> str:
    rows = []
    for line in captures:
        if line["incidents"] is None:
            continue
        one = line["incidents"]["product"]
        rows.append(
            (
                line["attack"] or line["file"],
                f"{one['alerts']} of {line['attack_flows']}",
                one["kind"] or "nothing",
                {True: "right", False: "wrong", None: "not judged"}[one["right"]] if one["seen"] else "",
                one["about_the_attack"],
                "" if one["after_ms"] is None else f"{one['after_ms'] / 1000:.1f} s",
                one["title"] or "",
            )
        )
    return _table(("attack", "flows that alert", "kind", "", "incidents", "after", "title"), rows)


def _quiet(found: dict[str, Any]) -> str:
    rows = [
        (name, found["flows"][name], sum(kinds.values()), ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
        for name, kinds in found["at_model_threshold"].items()
    ]
    return _table(("network", "quiet flows", "incidents", "kinds"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def cells(row: Sequence[Any], tag: str) -> str:
        numeric = ' class="n"'
        return "".join(f"<{tag}{numeric if isinstance(cell, int) else ''}>{text(cell)}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells(head, "th")}</tr>{body}</table></div>'
