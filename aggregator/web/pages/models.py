"""The registry: which models there are, which one reigns, and the ways to change that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator import queries
from aggregator.errors import NotFound
from aggregator.rows import ModelState, Role
from aggregator.web.pages import parts, policy, reigns, retraining, tables, wording
from aggregator.web.pages.tables import Cell, Column, Deed, Row

if TYPE_CHECKING:
    from aggregator.rows import Model
    from aggregator.web.pages.visits import Visit

COLUMNS: Final = (
    Column("name", "Model", "whole bare"),
    Column("state", "State", "narrow"),
    Column("gate", "Gate", "narrow"),
    Column("precision", "Average precision", "number"),
    Column("roc", "ROC AUC", "number"),
    Column("fpr", "Realised false positives", "number"),
    Column("agents", "On agents", "number"),
    Column("alerts", "Alerts raised", "number"),
    Column("admitted", "Admitted", "narrow"),
)

PROMOTABLE: Final = frozenset({ModelState.ADMITTED, ModelState.CANDIDATE, ModelState.RETIRED})


def metrics(report: dict[str, Any], which: str) -> dict[str, Any]:
    """The metrics of `model` or `std_count` in a report, empty when it has none."""
    found = report.get("metrics")
    values = found.get(which) if isinstance(found, dict) else None
    return values if isinstance(values, dict) else {}


def read_report(visit: Visit, model: Model) -> dict[str, Any]:
    """A model's report, empty when it came without one."""
    try:
        return queries.get_model_report(visit.services, model.digest) if model.has_report else {}
    except NotFound:
        return {}


def gate_cell(model: Model) -> Cell:
    """What its gate said."""
    if model.gate_passed is None:
        return Cell("not compared", tone="")
    return Cell("passed", tone="good") if model.gate_passed else Cell("failed", tone="bad")


def row(model: Model, report: dict[str, Any], *, operates: bool) -> Row:
    """A model as the table shows it, its figures over those of the simple baseline."""
    own, plain = metrics(report, "model"), metrics(report, "std_count")

    def compared(name: str) -> Cell:
        sub = f"std-count {wording.metric(plain[name])}" if name in plain else ""
        return Cell(wording.metric(own.get(name)), sub=sub)

    fpr = own.get("realised_fpr")
    promised = own.get("promised_fpr")
    return Row(
        model.digest,
        {
            "name": Cell(
                f"{model.name}, version {model.version}",
                sub=f"{model.kind}, {wording.short(model.digest)}, {wording.size(model.size)}",
                href=f"/models/{model.digest}",
            ),
            "state": Cell(str(model.state), tone=wording.MODEL_TONES.get(str(model.state), "")),
            "gate": gate_cell(model),
            "precision": compared("average_precision"),
            "roc": compared("roc_auc"),
            "fpr": Cell(
                wording.percent(fpr) if isinstance(fpr, int | float) else "-",
                sub=f"promised {wording.percent(promised)}" if isinstance(promised, int | float) else "",
            ),
            "agents": Cell(wording.count(model.agents)),
            "alerts": Cell(wording.count(model.alerts)),
            "admitted": Cell(ms=model.admitted_ms, sub=f"by {model.admitted_by}"),
        },
        (Deed("promote", "Promote", f"Promote {model.name} {model.version}"),)
        if operates and model.state in PROMOTABLE
        else (),
        f"{model.name} {model.version}",
    )


async def build(visit: Visit) -> None:
    """The page."""
    services = visit.services
    operates = visit.may(Role.OPERATOR)

    async def refresh() -> None:
        found = queries.list_models(services).items
        table.fill([row(model, read_report(visit, model), operates=operates) for model in found])
        table.visible, nothing.visible = bool(found), not found
        back.visible = operates and any(model.state is ModelState.RETIRED for model in found)
        rule.refresh()

    async def deed(digest: str, _: str) -> None:
        reigns.ask_promote(visit, queries.get_model(services, digest), refresh)

    @ui.refreshable
    def rule() -> None:
        policy.panel(visit)

    with parts.heading("Models"):
        parts.text("span", "", "grow")
        back = parts.button("Roll back", lambda: reigns.ask_rollback(visit, refresh), icon="undo")
    with parts.panel("Registry", flush=True):
        table = tables.Table(COLUMNS, label="Models, newest version first", on_deed=deed)
        with ui.element("div") as nothing:
            parts.empty(
                "No model yet.",
                "Train one here with “Retrain”, or publish one: anomaflow-trainer fit, then anomaflow models add.",
            )
    with ui.element("div").classes("columns"):
        rule()
        await retraining.panel(visit)
    await refresh()
    visit.follow("model", "policy", "agent", refresh=refresh)
