"""One model: where it came from, how good it is beside the simple baseline, what its gate checked, and its promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator import queries
from aggregator.rows import ModelState, Role
from aggregator.web.pages import charts, lessons, moments, parts, reigns, tables, wording
from aggregator.web.pages.models import PROMOTABLE, metrics, read_report
from aggregator.web.pages.tables import Cell, Column, Row

if TYPE_CHECKING:
    from aggregator.rows import Model
    from aggregator.web.pages.visits import Visit

METRICS: Final = (
    ("average_precision", "Average precision"),
    ("roc_auc", "ROC AUC"),
    ("tpr_at_fpr_1", "Attacks found at 1 % false positives"),
    ("realised_fpr", "Realised false-positive rate"),
    ("promised_fpr", "Promised false-positive rate"),
    ("prevalence", "Share of attacks in the test rows"),
)

SHOWN_ELSEWHERE: Final = frozenset({"baseline", "replay"})
"""Parts of the provenance that are for machines, and shown as figures above."""

RATES: Final = frozenset({"realised_fpr", "promised_fpr", "prevalence", "tpr_at_fpr_1"})


async def build(visit: Visit) -> None:
    """The page."""
    digest = str(visit.client.request.path_params["digest"])
    model = queries.get_model(visit.services, digest)
    report = read_report(visit, model)

    async def refresh() -> None:
        nonlocal model
        model = queries.get_model(visit.services, digest)
        title.refresh()

    @ui.refreshable
    def title() -> None:
        with parts.heading(f"{model.name}, version {model.version}"):
            parts.chip(str(model.state), wording.MODEL_TONES.get(str(model.state), ""))
            parts.text("span", "", "grow")
            if visit.may(Role.OPERATOR) and model.state in PROMOTABLE:
                parts.button("Promote", lambda: reigns.ask_promote(visit, model, refresh), kind="main")
                parts.button("Refuse", lambda: reigns.ask_refuse(visit, model, refresh), kind="danger")
            elif visit.may(Role.OPERATOR) and model.state is ModelState.CHAMPION:
                parts.button("Roll back", lambda: reigns.ask_rollback(visit, refresh), icon="undo")

    with ui.element("nav").classes("trail").props('aria-label="Where you are"'):
        parts.link("Models", "/models")
        parts.text("span", "/")
        parts.text("span", wording.short(model.digest), "mono")
    title()
    with ui.element("div").classes("columns"):
        _quality(report)
        _gate(report)
    with ui.element("div").classes("columns"):
        _curve(report, "precision_recall", "Precision and recall", ("Recall", "Precision"))
        _curve(report, "roc", "Detection against false alarms (ROC)", ("False-positive rate", "True-positive rate"))
    if report:
        with ui.element("div").classes("columns"):
            lessons.panels(report)
    with ui.element("div").classes("columns"):
        _identity(model)
        _promise(model)
    visit.follow("model", refresh=refresh)


def _quality(report: dict[str, Any]) -> None:
    own, plain = metrics(report, "model"), metrics(report, "std_count")
    with parts.panel("Quality beside the std-count baseline", flush=True):
        if not own:
            parts.empty("It came without a report.", "anomaflow-trainer fit writes one; publish it with the model.")
            return
        columns = (
            Column("metric", "Measured on held-out rows", "whole bare"),
            Column("model", "This model", "number"),
            Column("plain", "std-count", "number"),
        )
        rows = [
            Row(
                name,
                {"metric": Cell(label), "model": Cell(_figure(name, own)), "plain": Cell(_figure(name, plain))},
            )
            for name, label in METRICS
            if name in own
        ]
        tables.Table(columns, label="Quality").fill(rows)


def _figure(name: str, values: dict[str, Any]) -> str:
    value = values.get(name)
    if name in RATES and isinstance(value, int | float):
        return wording.percent(value)
    return wording.metric(value)


def _gate(report: dict[str, Any]) -> None:
    gate = report.get("gate")
    with parts.panel("Gate against the champion") as head:
        if not isinstance(gate, dict):
            parts.empty("It was not compared with a champion.", "The first model has none to beat.")
            return
        with head:
            passed = bool(gate.get("passed"))
            parts.chip("passed" if passed else "failed", "good" if passed else "bad")
        champion = str(gate.get("champion", ""))
        parts.text("p", f"Compared with {wording.short(champion)} on the same rows.", "muted")
        with ui.element("ul").classes("history"):
            for check in gate.get("checks", ()):
                with ui.element("li"):
                    parts.chip(*_answer(check.get("passed")))
                    parts.text("span", wording.feature(str(check.get("name", ""))))
                    if check.get("champion") is not None and check.get("challenger") is not None:
                        figures = f"champion {_plain(check['champion'])}, this one {_plain(check['challenger'])}"
                        parts.text("span", figures, "muted")
                    if check.get("detail"):
                        parts.text("div", str(check["detail"]), "said muted")


def _answer(passed: object) -> tuple[str, str]:
    """A check's answer and its colour: one that could not be asked neither passed nor failed."""
    if passed is None:
        return "not applicable", ""
    return ("passed", "good") if passed else ("failed", "bad")


def _curve(report: dict[str, Any], which: str, title: str, axes: tuple[str, str]) -> None:
    found = report.get("curves")
    series = []
    for name, label in (("model", "This model"), ("std_count", "std-count")):
        curves = found.get(name) if isinstance(found, dict) else None
        if isinstance(curves, dict) and curves.get(which):
            series.append((label, curves[which]))
    with parts.panel(title):
        if series:
            words = f"{title}: {' and '.join(label for label, _ in series)}"
            charts.chart(charts.curves(*axes, series), words, tall=True)
        else:
            parts.empty("Its report has no such curve.", "Curves need labelled rows: give verdicts, then retrain.")


def _identity(model: Model) -> None:
    provenance = model.manifest.get("provenance")
    with parts.panel("Where it comes from"):
        parts.facts(
            (
                ("Digest", lambda: parts.text("span", model.digest, "mono")),
                ("Kind", model.kind),
                ("Trained", lambda: moments.moment(model.created_ms)),
                ("Admitted", lambda: moments.moment(model.admitted_ms)),
                ("Admitted by", model.admitted_by),
                ("Size", wording.size(model.size)),
                ("Runs on", wording.plural(model.agents, "agent")),
                ("Alerts raised", wording.count(model.alerts)),
                ("Feature contract", lambda: parts.text("span", wording.short(model.feature_digest), "mono")),
                *(
                    (wording.feature(str(key)), _plain(value))
                    for key, value in sorted(dict(provenance or {}).items())
                    if key not in SHOWN_ELSEWHERE
                ),
            )
        )


def _plain(value: object) -> str:
    """A value of the provenance on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())[:400]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))[:400]
    return wording.number(value) if isinstance(value, float) else str(value)[:400]


def _promise(model: Model) -> None:
    thresholds = model.manifest.get("thresholds") or ()
    with parts.panel("What it promises", flush=True):
        rows = model.manifest.get("calibration_rows", 0)
        parts.text("p", f"Calibrated on {wording.plural(rows, 'held-out benign flow')}.", "lead muted")
        columns = (
            Column("alpha", "Benign flows that alert"),
            Column("score", "Score needed", "number"),
            Column("how", "Backed by"),
        )
        shown = [
            Row(
                index,
                {
                    "alpha": Cell(f"at most {wording.percent(entry['alpha'])}"),
                    "score": Cell(f"{entry['score']:.2f}"),
                    "how": Cell("certificate" if entry["certified"] else "tail estimate"),
                },
            )
            for index, entry in enumerate(sorted(thresholds, key=lambda entry: -entry["alpha"]))
        ]
        tables.Table(columns, label="Promises").fill(shown)
