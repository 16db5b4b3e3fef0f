"""The report as one page of HTML: tables and curves in SVG, no script, nothing fetched, for phones and the dark too.

Every text that came from a file is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.judging import drawing
from trainer.judging.drawing import text

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIGURES: Final = (
    ("roc_auc", "ROC AUC"),
    ("average_precision", "AP"),
    ("average_precision_at_1_percent", "AP at 1 %"),
    ("average_precision_at_0_1_percent", "AP at 0.1 %"),
    ("tpr_at_fpr_1", "TPR at 1 % FPR"),
    ("tpr_at_fpr_0_1", "TPR at 0.1 % FPR"),
    ("recall", "recall at the threshold"),
    ("realised_fpr", "realised FPR"),
)
_MODELS: Final = (
    ("accuracy", "accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("false_positive_rate", "false positives"),
    ("roc_auc", "ROC AUC"),
    ("recall_never_seen", "never-seen families caught"),
)
_BOLD: Final = ' style="font-weight:600"'


def render(found: dict[str, Any]) -> str:
    """The whole page for a report as `report.json` holds it."""
    title = f"Benchmark: {found['benchmark']}"
    parts = [
        f"<h1>{text(title)}</h1>",
        _made(found),
        _data(found["data"]),
        _benign_only(found["benign_only"], found["run"]),
        "" if found["supervised"] is None else _supervised(found["supervised"]),
    ]
    return drawing.document(title, parts)


def _made(found: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, found["run"]["seeds"]))
    where = f"Anomaflow {found['version']} on {found['machine']}; seeds {seeds}"
    return f'<p class="soft">{text(where)}</p>'


def _data(data: dict[str, Any]) -> str:
    duplicates = data["duplicates"]
    pairs = [
        ("rows read", data["rows"]),
        ("rows whose features were seen before, removed", duplicates["removed"]),
        ("rows whose features also occur with another truth", duplicates["ambiguous"]),
        ("test rows that repeat one another", duplicates["test_rows_repeated"]),
        ("test rows whose features are also in the training file", duplicates["test_rows_also_in_training"]),
        ("rows set aside to keep the run short", data["set_aside"]),
        ("rows used", data["used"]),
        ("benign rows used", data["benign"]),
        *((f"left out: {name}", reason) for name, reason in data["left_out_columns"].items()),
        *((f"file {name}", f"SHA-256 {digest[:16]}…") for name, digest in data["sources"].items()),
    ]
    notes = "".join(f"<p>{text(note)}.</p>" for note in data["notes"])
    return f"<h2>Data</h2>{notes}{_table([], [[_cell(name), _cell(value)] for name, value in pairs])}"


def _benign_only(told: dict[str, Any], run: dict[str, Any]) -> str:
    parts = [
        "<h2>Detectors that learned from benign rows alone</h2>",
        f"<p>{text(told['protocol'])}. Roles: {text(_counts(told['roles']))}.</p>",
        f"<p>{told['features']} features after encoding.</p>",
        f'<p class="soft">Interval: {text(told["interval"])}. Threshold promised at {run["promised_fpr"]:g}.</p>',
    ]
    if told["held_out_families"]:
        parts.append(f"<p>Held-out families: {text(', '.join(told['held_out_families']))}.</p>")
    for part, entry in told["tests"].items():
        parts.append(f"<h3>{text(part)}: {entry['rows']} rows, {entry['prevalence']:.1%} attacks</h3>")
        parts.append(_detectors(entry, told["headline"]))
        stump = entry["best_single_feature"]
        parts.append(
            f"<p>Best single feature: <code>{text(stump['feature'])}</code>, ROC AUC {stump['roc_auc']:.3f} "
            f'<span class="soft">(chosen by {text(stump["chosen_by"])})</span></p>'
        )
        parts.append(_plots(entry["curves"]))
        parts.append(_promises(entry["detectors"][told["headline"]]))
        parts.append(_recall(entry["detectors"][told["headline"]]))
    parts += ["<h3>Cost</h3>", _cost(told["cost"])]
    return "".join(parts)


def _detectors(entry: dict[str, Any], headline: str) -> str:
    rows = []
    for name, figures in entry["detectors"].items():
        cells = [_cell(name), *(_cell(_spread(figures[key]), number=True) for key, _ in _FIGURES)]
        cells.append(_cell(_plain(figures["false_alerts_a_day"], ".0f"), number=True))
        rows.append((name == headline, cells))
    head = ["detector", *(label for _, label in _FIGURES), "false alerts a day"]
    return _table(head, [cells for _, cells in rows], marked=[mark for mark, _ in rows])


def _promises(figures: dict[str, Any]) -> str:
    rows = [
        [
            _cell(f"{entry['promised']:g}", number=True),
            _cell("certified" if entry["certified"] else "estimated"),
            _cell(f"{entry['realised']['mean']:.4g}", number=True),
            _cell("{:.4f} to {:.4f}".format(*entry["interval"]), number=True),
        ]
        for entry in figures["promises"]
    ]
    return "<p>False-positive rates of the portfolio:</p>" + _table(
        ["promised", "how", "realised", "95 % interval"], rows
    )


def _recall(figures: dict[str, Any]) -> str:
    rows = [
        [_cell(name), _cell(told["rows"], number=True), _cell(f"{told['recall']:.1%}", number=True)]
        for key in ("recall_by_class", "recall_by_family")
        for name, told in figures[key].items()
        if key == "recall_by_class" or figures["recall_by_family"].keys() != figures["recall_by_class"].keys()
    ]
    return "<p>Caught at the threshold, by class and by family:</p>" + _table(["name", "rows", "recall"], rows)


def _cost(cost: dict[str, Any]) -> str:
    head = ["model", "seconds to fit", "rows to learn from", "bytes", "rows a second on one core"]
    keys = ("train_seconds", "train_rows", "model_bytes", "rows_per_second_one_core")
    return _table(
        head, [[_cell(name), *(_cell(f"{told[key]:,}", number=True) for key in keys)] for name, told in cost.items()]
    )


def _supervised(told: dict[str, Any]) -> str:
    parts = ["<h2>With labels</h2>", f"<p>{text(told['skipped'] or told['protocol'])}.</p>"]
    if any(told["held_out_families"]):
        held = "; ".join(", ".join(names) for names in told["held_out_families"])
        parts.append(f"<p>Held-out families by seed: {text(held)}.</p>")
    for part, entry in told["tests"].items():
        parts.append(f"<h3>{text(part)}: {entry['rows']} rows, {entry['never_seen_rows']} of families never seen</h3>")
        rows = [
            [_cell(name), *(_cell(_spread(model[key]), number=True) for key, _ in _MODELS)]
            for name, model in entry["models"].items()
        ]
        parts.append(
            _table(
                ["model", *(label for _, label in _MODELS)],
                rows,
                marked=[name == told["headline"] for name in entry["models"]],
            )
        )
        for name, model in entry["models"].items():
            if "classes" in model:
                by_class = model["classes"]["by_class"]
                words = ", ".join(
                    f"{key} {value['recall']['mean']:.1%} of {value['rows']}" for key, value in by_class.items()
                )
                right = model["classes"]["accuracy"]["mean"]
                parts.append(f"<p>{text(name)}, all classes: accuracy {right:.4f}; {text(words)}.</p>")
    if told["cost"]:
        parts.append(_cost(told["cost"]))
    trap = told["random_split"]
    rows = [
        [_cell(name), *(_cell(_spread(model[key]), number=True) for key in ("accuracy", "roc_auc"))]
        for name, model in trap["models"].items()
    ]
    parts.append(
        f'<h3 class="bad">Random split: {text(trap["warning"])}</h3><p>{text(trap["protocol"])}.</p>'
        f"{_table(['model', 'accuracy', 'ROC AUC'], rows)}"
    )
    return "".join(parts)


def _plots(curves: dict[str, Any]) -> str:
    """The headline detector against the baseline: the first two of `curves`."""
    pairs = list(curves.values())
    precision = [[(point[0], point[1]) for point in each["precision_recall"]] for each in pairs]
    rare = [drawing.at_prevalence(each["roc"], 0.01) for each in pairs]
    roc = [[(point[0], point[1]) for point in each["roc"]] for each in pairs]
    drawn = (
        drawing.figure("Precision and recall on the test rows", precision[0], precision[1], ("recall", "precision")),
        drawing.figure("The same if 1 % of rows were attacks", rare[0], rare[1], ("recall", "precision")),
        drawing.figure("ROC", roc[0], roc[1], ("false-positive rate", "true-positive rate")),
    )
    names = " against ".join(curves)
    return f'<div class="plots">{"".join(drawn)}</div><p class="soft">Curves: {text(names)}.</p>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> str:
    titles = "".join(
        f'<th class="n">{text(title)}</th>' if at else f"<th>{text(title)}</th>" for at, title in enumerate(head)
    )
    body = "".join(
        f"<tr{_BOLD if at < len(marked) and marked[at] else ''}>{''.join(cells)}</tr>" for at, cells in enumerate(rows)
    )
    heading = f"<tr>{titles}</tr>" if head else ""
    return f'<div class="wide"><table>{heading}{body}</table></div>'


def _cell(value: Any, *, number: bool = False) -> str:
    return f'<td class="n">{text(value)}</td>' if number else f"<td>{text(value)}</td>"


def _spread(figure: dict[str, Any] | None) -> str:
    """A mean and its widest interval."""
    if figure is None:
        return "-"
    interval = figure.get("interval") or ([figure["low"], figure["high"]] if figure.get("low") is not None else None)
    between = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return f"{figure['mean']:.4f}{between}"


def _plain(figure: dict[str, Any] | None, form: str) -> str:
    return "-" if figure is None else format(figure["mean"], form)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
