"""The report as one page of HTML: curves drawn in SVG, no script, nothing fetched, readable on a phone and in the dark.

Every text that came from outside (names, messages, file names) is escaped.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from trainer.judging.decisions import sections
from trainer.judging.drawing import at_prevalence, document, figure, flat, line, number, pairs, text

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES: Final = {"model": "model", "std_count": "standard deviations counted"}
_ROWS: Final = (
    ("average_precision", "Average precision"),
    ("average_precision_at_1_percent", "… if 1 % of flows were attacks"),
    ("average_precision_at_0_1_percent", "… if 0.1 % were"),
    ("roc_auc", "Area under the ROC curve"),
    ("tpr_at_fpr_1", "Attacks caught at 1 % false positives"),
    ("tpr_at_fpr_0_1", "Attacks caught at 0.1 %"),
    ("recall", "Attacks caught at the threshold"),
    ("promised_fpr", "False-positive rate promised"),
    ("realised_fpr", "False-positive rate realised"),
    ("prevalence", "Attacks among the test rows"),
)


def render(report: dict[str, Any]) -> str:
    """The whole page for a report as `report.json` holds it."""
    title = f"Model {report['name']}"
    parts = [
        f"<h1>{text(title)}</h1>",
        _summary(report),
        "<h2>How it did on rows it had never seen</h2>",
        _metrics(report["metrics"]),
        _plots(report),
        "<h2>Thresholds: promised and realised</h2>",
        _thresholds(report["metrics"]["model"]["false_positive_rates"]),
        _gate(report.get("gate")),
        *sections(report),
        "<h2>Labelled rows</h2>",
        pairs(report["labelled"]),
        "<h2>Data</h2>",
        _data(report["data"]),
        "<h2>Recipe</h2>",
        pairs(flat(report["recipe"])),
    ]
    return document(title, parts)


def _summary(report: dict[str, Any]) -> str:
    made = datetime.fromtimestamp(report["created_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f'<p class="soft">{text(report["kind"])}, made {text(made)}. '
        f"Digest <code>{text(report['model_digest'])}</code></p>"
    )


def _metrics(metrics: dict[str, Any]) -> str:
    head = '<tr><th></th><th class="n">model</th><th class="n">baseline</th></tr>'
    rows = [
        f'<tr><td>{label}</td><td class="n">{number(metrics["model"][key])}</td>'
        f'<td class="n">{number(metrics["std_count"][key])}</td></tr>'
        for key, label in _ROWS
    ]
    reason = metrics["model"]["reason"]
    note = f'<p class="soft">Figures without a value: {text(reason)}.</p>' if reason else ""
    counts = f"{metrics['model']['benign_rows']} benign and {metrics['model']['attack_rows']} attack rows"
    return (
        f'<div class="wide"><table>{head}{"".join(rows)}</table></div>{note}<p class="soft">Measured on {counts}. '
        "The baseline counts the features that lie more than three standard deviations off.</p>"
    )


def _plots(report: dict[str, Any]) -> str:
    curves = report["curves"]
    figures = []
    if curves["model"]["roc"]:
        figures.append(
            figure(
                "Precision and recall on the test rows",
                [(point[0], point[1]) for point in curves["model"]["precision_recall"]],
                [(point[0], point[1]) for point in curves["std_count"]["precision_recall"]],
                ("recall", "precision"),
            )
        )
        figures.append(
            figure(
                "Precision and recall if 1 % of flows were attacks",
                at_prevalence(curves["model"]["roc"], 0.01),
                at_prevalence(curves["std_count"]["roc"], 0.01),
                ("recall", "precision"),
            )
        )
        figures.append(
            figure(
                "ROC",
                [(point[0], point[1]) for point in curves["model"]["roc"]],
                [(point[0], point[1]) for point in curves["std_count"]["roc"]],
                ("false-positive rate", "true-positive rate"),
            )
        )
    figures.append(_promises(report["metrics"]))
    return f'<div class="plots">{"".join(figures)}</div>'


def _promises(metrics: dict[str, Any]) -> str:
    """Promised against realised rates on logarithmic axes from 1e-4 to 1; on the diagonal they are equal."""

    def place(rate: float) -> float:
        return (math.log10(max(rate, 1e-4)) + 4) / 4

    lines = [
        [
            (place(entry["alpha"]), place(entry["realised"]))
            for entry in metrics[name]["false_positive_rates"]
            if entry["realised"] is not None
        ]
        for name in ("model", "std_count")
    ]
    return figure(
        "False-positive rate, promised and realised",
        lines[0],
        lines[1],
        ("promised", "realised"),
        marks=("1e-4", "1e-3", "1e-2", "0.1", "1"),
        extra=line([(0, 0), (1, 1)], "even"),
    )


def _thresholds(rates: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td class="n">{entry["alpha"]:g}</td><td class="n">{entry["score"]:.3f}</td>'
        f"<td>{'certified' if entry['certified'] else 'estimated'}</td>"
        f'<td class="n">{number(entry["realised"])}</td>'
        f'<td class="n">{entry["interval"][0]:.4f} to {entry["interval"][1]:.4f}</td></tr>'
        for entry in rates
    )
    return (
        '<div class="wide"><table><tr><th class="n">promised</th><th class="n">score</th><th>how</th>'
        f'<th class="n">realised</th><th class="n">95 % interval</th></tr>{rows}</table></div>'
    )


def _gate(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return ""
    words = {True: '<span class="good">passed</span>', False: '<span class="bad">failed</span>', None: "not applicable"}
    rows = "".join(
        f"<tr><td>{text(check['name'])}</td><td>{words[check['passed']]}</td><td>{text(check['detail'])}</td></tr>"
        for check in gate["checks"]
    )
    return (
        f"<h2>Gate: {words[gate['passed']]}</h2><p>Against the champion <code>{text(gate['champion'])}</code>.</p>"
        f'<div class="wide"><table>{rows}</table></div>'
    )


def _data(data: dict[str, Any]) -> str:
    counts = {key: value for key, value in data.items() if key != "sources"}
    files = "".join(
        f'<tr><td>{text(entry["name"])}</td><td>{text(entry["use"])}</td><td class="n">{entry["rows"]}</td>'
        f"<td>{text(', '.join(f'{count} {reason}' for reason, count in entry['left_out'].items()))}</td>"
        f"<td><code>{text(entry['sha256'][:16])}</code></td></tr>"
        for entry in data["sources"]
    )
    return (
        f"{pairs(flat(counts))}<details><summary>{len(data['sources'])} files</summary>"
        '<div class="wide"><table><tr><th>file</th><th>used as</th><th class="n">rows</th><th>left out</th>'
        f"<th>SHA-256</th></tr>{files}</table></div></details>"
    )
