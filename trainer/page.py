"""The report as one page of HTML: curves drawn in SVG, no script, nothing fetched, readable on a phone and in the dark.

Every text that came from outside (names, messages, file names) is escaped.
"""

from __future__ import annotations

import html
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLE: Final = """
:root { color-scheme: light dark; --ink:#1b2430; --soft:#5b6675; --line:#d5dbe3; --back:#fff; --card:#f6f8fa;
  --one:#0b6bcb; --two:#c2570c; --good:#1a7f4b; --bad:#b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6eaf0; --soft:#9aa6b5; --line:#39424f; --back:#12161c;
  --card:#1a2029; --one:#6cb2ff; --two:#ffa657; --good:#57c98b; --bad:#ff8a80; } }
* { box-sizing: border-box; }
body { margin:0 auto; padding:1rem; max-width:62rem; background:var(--back); color:var(--ink);
  font:16px/1.5 system-ui, sans-serif; }
h1 { font-size:1.5rem; margin:.5rem 0; } h2 { font-size:1.15rem; margin:2rem 0 .5rem; }
p { margin:.4rem 0; } .soft { color:var(--soft); } code { font-size:.85em; overflow-wrap:anywhere; }
.wide { overflow-x:auto; } table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { text-align:left; padding:.3rem .6rem; border-bottom:1px solid var(--line); vertical-align:top; }
td.n, th.n { text-align:right; white-space:nowrap; }
.plots { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap:1rem; }
figure { margin:0; padding:.8rem; background:var(--card); border-radius:.5rem; }
figcaption { font-size:.85rem; color:var(--soft); } svg { width:100%; height:auto; display:block; }
svg text { fill:var(--soft); font-size:11px; } svg .frame { stroke:var(--line); fill:none; }
.one { stroke:var(--one); } .two { stroke:var(--two); stroke-dasharray:6 4; } .even { stroke:var(--line); }
path { fill:none; stroke-width:2; } .key-one { color:var(--one); } .key-two { color:var(--two); }
.good { color:var(--good); } .bad { color:var(--bad); }
"""
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
_LEFT, _TOP, _SIDE, _BOTTOM = 48, 8, 250, 30


def render(report: dict[str, Any]) -> str:
    """The whole page for a report as `report.json` holds it."""
    title = f"Model {report['name']}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        _summary(report),
        "<h2>How it did on rows it had never seen</h2>",
        _metrics(report["metrics"]),
        _plots(report),
        "<h2>Thresholds: promised and realised</h2>",
        _thresholds(report["metrics"]["model"]["false_positive_rates"]),
        _gate(report.get("gate")),
        "<h2>Labelled rows</h2>",
        _pairs(report["labelled"]),
        "<h2>Data</h2>",
        _data(report["data"]),
        "<h2>Recipe</h2>",
        _pairs(_flat(report["recipe"])),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _summary(report: dict[str, Any]) -> str:
    made = datetime.fromtimestamp(report["created_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f'<p class="soft">{_text(report["kind"])}, made {_text(made)}. '
        f"Digest <code>{_text(report['model_digest'])}</code></p>"
    )


def _metrics(metrics: dict[str, Any]) -> str:
    head = '<tr><th></th><th class="n">model</th><th class="n">baseline</th></tr>'
    rows = [
        f'<tr><td>{label}</td><td class="n">{_number(metrics["model"][key])}</td>'
        f'<td class="n">{_number(metrics["std_count"][key])}</td></tr>'
        for key, label in _ROWS
    ]
    reason = metrics["model"]["reason"]
    note = f'<p class="soft">Figures without a value: {_text(reason)}.</p>' if reason else ""
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
            _figure(
                "Precision and recall on the test rows",
                [(point[0], point[1]) for point in curves["model"]["precision_recall"]],
                [(point[0], point[1]) for point in curves["std_count"]["precision_recall"]],
                ("recall", "precision"),
            )
        )
        figures.append(
            _figure(
                "Precision and recall if 1 % of flows were attacks",
                _at_prevalence(curves["model"]["roc"], 0.01),
                _at_prevalence(curves["std_count"]["roc"], 0.01),
                ("recall", "precision"),
            )
        )
        figures.append(
            _figure(
                "ROC",
                [(point[0], point[1]) for point in curves["model"]["roc"]],
                [(point[0], point[1]) for point in curves["std_count"]["roc"]],
                ("false-positive rate", "true-positive rate"),
            )
        )
    figures.append(_promises(report["metrics"]))
    return f'<div class="plots">{"".join(figures)}</div>'


def _at_prevalence(roc: Sequence[Sequence[float]], prevalence: float) -> list[tuple[float, float]]:
    """Recall and precision of ROC points `[FPR, TPR]` where a share `prevalence` of rows are attacks."""
    return [
        (caught, prevalence * caught / (prevalence * caught + (1 - prevalence) * wrong))
        for wrong, caught in roc
        if caught > 0
    ]


def _figure(
    title: str,
    first: Sequence[tuple[float, float]],
    second: Sequence[tuple[float, float]],
    axes: tuple[str, str],
    *,
    marks: Sequence[str] = ("0", "0.5", "1"),
    extra: str = "",
) -> str:
    ticks = "".join(
        f'<text x="{_LEFT + place * _SIDE:.0f}" y="{_TOP + _SIDE + 14}" text-anchor="middle">{mark}</text>'
        f'<text x="{_LEFT - 4}" y="{_TOP + _SIDE - place * _SIDE + 4:.0f}" text-anchor="end">{mark}</text>'
        for place, mark in zip((i / (len(marks) - 1) for i in range(len(marks))), marks, strict=True)
    )
    size = f"0 0 {_LEFT + _SIDE + 8} {_TOP + _SIDE + _BOTTOM}"
    return (
        f'<figure><svg viewBox="{size}" role="img" aria-label="{_text(title)}">'
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>{extra}{ticks}'
        f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 27}" text-anchor="middle">{_text(axes[0])}</text>'
        f'<text transform="translate(9 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">{_text(axes[1])}</text>'
        f"{_line(second, 'two')}{_line(first, 'one')}</svg><figcaption>{_text(title)}: "
        '<span class="key-one">model</span>, <span class="key-two">baseline (dashed)</span></figcaption></figure>'
    )


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
    return _figure(
        "False-positive rate, promised and realised",
        lines[0],
        lines[1],
        ("promised", "realised"),
        marks=("1e-4", "1e-3", "1e-2", "0.1", "1"),
        extra=_line([(0, 0), (1, 1)], "even"),
    )


def _line(points: Iterable[tuple[float, float]], style: str) -> str:
    drawn = " ".join(
        f"{'L' if number else 'M'}{_LEFT + x * _SIDE:.1f} {_TOP + (1 - y) * _SIDE:.1f}"
        for number, (x, y) in enumerate(points)
    )
    return f'<path class="{style}" d="{drawn}"/>' if drawn else ""


def _thresholds(rates: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td class="n">{entry["alpha"]:g}</td><td class="n">{entry["score"]:.3f}</td>'
        f"<td>{'certified' if entry['certified'] else 'estimated'}</td>"
        f'<td class="n">{_number(entry["realised"])}</td>'
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
        f"<tr><td>{_text(check['name'])}</td><td>{words[check['passed']]}</td><td>{_text(check['detail'])}</td></tr>"
        for check in gate["checks"]
    )
    return (
        f"<h2>Gate: {words[gate['passed']]}</h2><p>Against the champion <code>{_text(gate['champion'])}</code>.</p>"
        f'<div class="wide"><table>{rows}</table></div>'
    )


def _data(data: dict[str, Any]) -> str:
    counts = {key: value for key, value in data.items() if key != "sources"}
    files = "".join(
        f'<tr><td>{_text(entry["name"])}</td><td>{_text(entry["use"])}</td><td class="n">{entry["rows"]}</td>'
        f"<td>{_text(', '.join(f'{count} {reason}' for reason, count in entry['left_out'].items()))}</td>"
        f"<td><code>{_text(entry['sha256'][:16])}</code></td></tr>"
        for entry in data["sources"]
    )
    return (
        f"{_pairs(_flat(counts))}<details><summary>{len(data['sources'])} files</summary>"
        '<div class="wide"><table><tr><th>file</th><th>used as</th><th class="n">rows</th><th>left out</th>'
        f"<th>SHA-256</th></tr>{files}</table></div></details>"
    )


def _pairs(pairs: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_text(key.replace('_', ' '))}</td><td>{_text(_number(value))}</td></tr>"
        for key, value in pairs.items()
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key} ")
        elif isinstance(value, list | tuple):
            shown = [str(item) for item in value]
            flat[prefix + key] = ", ".join(shown) if len(shown) <= 12 else f"{len(shown)} entries"
        else:
            flat[prefix + key] = value
    return flat


def _number(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _text(value: Any) -> str:
    return html.escape(str(value))
