"""One model of a run: its figures, curves, what it confuses, what matters to it, its epochs; and explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.errors import NotFound
from aggregator.rows import Role
from aggregator.web.pages import charts, parts, wording
from aggregator.web.pages.visits import in_thread, sentence
from aggregator.web.pages.workbench import board, drawing, grid, words
from aggregator.workbench import experiments, explaining, results, taking

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Experiment, Promotion

METHODS: Final = {
    "importance": "What the model cannot do without (permutation importance)",
    "shap": "What moves its answers, over all rows (SHAP)",
    "shap-row": "What moved its answer for one row (SHAP)",
    "lime": "A simple model around one row (LIME)",
    "partial": "How its answer changes with one column (partial dependence)",
}
OF_A_ROW: Final = frozenset({"shap-row", "lime"})

HISTORY: Final = {
    "epoch": "Epoch",
    "acc": "Accuracy",
    "loss": "Loss",
    "val_acc": "Validation accuracy",
    "val_loss": "Validation loss",
}
BY_CLASS: Final = {"class": "Class", "rows": "Rows", "precision": "Precision", "recall": "Recall", "f1": "F1 score"}
IMPORTANCE: Final = {"feature": "Feature", "train": "Trainset score", "test": "Testset score"}


async def build(visit: Visit) -> None:
    """The page."""
    services, experiment_id = visit.services, visit.number("experiment_id")
    name = str(visit.client.request.path_params["model"])[:64]
    one = await in_thread(experiments.get_experiment, services, experiment_id)
    found = await in_thread(results.model_detail, services, experiment_id, name)
    result = await in_thread(results.result, services, experiment_id)
    offered = await in_thread(taking.get_promotion, services, experiment_id)
    entry, file = found.get("entry") or {}, found.get("file") or {}
    if not entry:
        raise NotFound(f"run {experiment_id} has no model {name!r}")
    parts.trail(("Workbench", "/workbench"), (one.name, f"/workbench/experiments/{one.id}"))
    with parts.heading(str(found.get("title") or name), "the pick of this run" if name == result.get("best") else ""):
        if visit.may(Role.ANALYST):
            target = wording.link(f"/workbench/experiments/{one.id}/predict", model=name)
            parts.button("Predict", lambda: ui.navigate.to(target), icon="bolt", kind="main")
        if visit.may(Role.OPERATOR):
            parts.button("Give it to agents", lambda: _promote(visit, one, name), icon="sensors")
    _figures(entry)
    _curves(found, result)
    with ui.element("div").classes("columns"):
        if found.get("importance"):
            with parts.panel("Importance"):
                parts.text("p", _importance_said(found), "muted")
                charts.chart(drawing.importance(found["importance"]), "Importance of columns").classes("tall")
                grid.of_objects("Features by their importance", found["importance"], IMPORTANCE)
        if found.get("by_class"):
            with parts.panel("Class by class, on test rows"):
                grid.of_objects("Class by class", found["by_class"], BY_CLASS)
    if found.get("history"):
        _history(found["history"])
    if visit.may(Role.ANALYST):
        with parts.panel("Why does it say so?"):
            _explain(visit, one, name, file)
    with parts.panel("Take it away"):
        settings = entry.get("params") or {}
        parts.facts(
            (
                ("File", f"ONNX, {wording.size(entry.get('bytes') or 0)}, with its preprocessing inside"),
                ("SHA-256", lambda: parts.text("span", str(file.get("sha256") or "-"), "mono")),
                ("Settings", ", ".join(f"{key} {value}" for key, value in settings.items()) or "as they come"),
                ("Tried", wording.plural(entry.get("searched") or 1, "setting")),
                ("To agents", _offered(offered, name)),
                ("Speed", f"{wording.count(entry['rows_per_s'])} rows a second" if entry.get("rows_per_s") else "-"),
            )
        )
        with ui.element("div").classes("line"):
            rest = f"/api/v1/experiments/{one.id}/models/{name}"
            parts.link("Model (ONNX)", f"{rest}/model.onnx").props("download")
            parts.link("Script", f"{rest}/script.py").props("download")


def _figures(entry: dict[str, Any]) -> None:
    shown = [
        {"metric": title, "train": (entry.get("train") or {}).get(key), "test": (entry.get("test") or {}).get(key)}
        for key, title in board.METRICS.items()
        if any((entry.get(role) or {}).get(key) is not None for role in ("train", "test"))
    ]
    with parts.panel("Metrics"):
        made = grid.Grid("Metrics on train and test rows")
        made.fill(
            ["Metric name", "Train set", "Test set"],
            [[one["metric"], grid.metric(one["train"]), grid.metric(one["test"])] for one in shown],
        )


def _curves(found: dict[str, Any], result: dict[str, Any]) -> None:
    curves = found.get("curves") or {}
    with ui.element("div").classes("columns"):
        for key, title, draw in (
            ("roc", "ROC curve", drawing.roc),
            ("pr", "Precision and recall", lambda curve: drawing.precision_recall(curve, result.get("prevalence"))),
            ("calibration", "Are its chances honest?", drawing.calibration),
        ):
            if curves.get(key):
                with parts.panel(title):
                    charts.chart(drawing.saveable(draw(curves[key]), title), f"{title}, on test rows", tall=True)
        if found.get("confusion"):
            with parts.panel("What it confuses, on test rows"):
                charts.chart(drawing.confusion(found["confusion"]), "Confusion matrix", tall=True)
                parts.text("p", "A line is what rows are, a column what the model called them.", "muted")


def _importance_said(found: dict[str, Any]) -> str:
    said = "How much worse the model gets when a column is shuffled."
    there, asked = len((found.get("file") or {}).get("columns", ())), len(found["importance"])
    return f"{said} Time was left for {asked} of {there} columns; Explain asks for all." if asked < there else said


def _history(rows: list[dict[str, Any]]) -> None:
    with parts.panel("History"):
        with ui.element("div").classes("columns"):
            for what, title in (("acc", "Accuracy"), ("loss", "Loss")):
                if any(row.get(what) is not None for row in rows):
                    charts.chart(drawing.saveable(drawing.history(rows, what), title), f"{title} by epoch")
        grid.of_objects("Epoch by epoch", rows, {key: title for key, title in HISTORY.items() if key in rows[0]})


def _explain(visit: Visit, one: Experiment, name: str, file: dict[str, Any]) -> None:
    columns = [str(column["name"]) for column in file.get("columns", ())]
    classes = [str(word) for word in file.get("classes") or ()]

    def turned() -> None:
        row.visible = method.value in OF_A_ROW
        feature.visible = method.value == "partial"
        # Of two classes the chance of one is that of not being the other, and importance is of none.
        of_class.visible = method.value != "importance" and len(classes) > 2

    async def ask() -> None:
        with visit.acting() as actor:
            busy.visible = True
            try:
                found = await explaining.explain(
                    visit.services, actor, one.id, name, method=str(method.value),
                    row=int(row.value or 0) if method.value in OF_A_ROW else None,
                    feature=feature.value if method.value == "partial" else None,
                    of_class=(of_class.value or None) if of_class.visible else None,
                )  # fmt: skip
            finally:
                busy.visible = False
            _answer(place, found)

    with ui.element("div").classes("filters"):
        method = ui.select(METHODS, value="importance", label="How", on_change=turned).props("outlined dense")
        method.style("width: min(100%, 30rem)")
        row = ui.number("Row of the data set, from 0", value=0, min=0, step=1).props("outlined dense")
        feature = ui.select(columns, value=columns[0] if columns else None, label="Column", with_input=True)
        feature.props("outlined dense")
        asked = {"": "how strange it is", **{word: f"chance of {word}" for word in classes}}
        of_class = ui.select(asked, value="", label="What is explained", with_input=True).props("outlined dense")
        parts.button("Explain", ask, icon="psychology")
        busy = ui.spinner(size="sm")
        busy.visible = False
    place = ui.element("div")
    turned()


def _answer(place: ui.element, found: dict[str, Any]) -> None:
    place.clear()
    with place:
        parts.text("h2", str(found.get("title") or ""))
        if found.get("option"):
            charts.chart(drawing.saveable(found["option"], str(found.get("title"))), str(found.get("title"))).classes(
                "tall"
            )
        if found.get("note"):
            parts.text("p", sentence(str(found["note"])), "muted")
        items = found.get("items") or []
        if items:
            keys = {key: key.replace("_", " ").capitalize() for key in items[0]}
            grid.of_objects("The figures", items, keys)


def _offered(promotion: Promotion | None, name: str) -> str:
    if promotion is None or promotion.model != name:
        return "not offered"
    work = promotion.work
    return f"{words.state(work.state)}: {sentence(work.error or work.message)}"


def _promote(visit: Visit, one: Experiment, name: str) -> None:
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", "Give this model to agents")
        parts.text(
            "p",
            "It enters the registry through the same gate as any model. Agents run it once it is promoted there.",
            "muted",
        )
        reason = ui.input("Reason").props("outlined dense maxlength=500").style("width: 100%")

        async def go() -> None:
            with visit.acting() as actor:
                await taking.promote_model(visit.services, actor, one.id, name, reason=reason.value or "")
                dialog.close()
                ui.notify("On its way into the registry; the Models page shows it when it is there", type="positive")

        with ui.element("div").classes("ends"):
            parts.button("Cancel", dialog.close)
            parts.button("Send it", go, kind="main")
