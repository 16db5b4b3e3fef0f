"""A run: how far it is while it goes on, what it found when it is done, and what can be done with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import charts, moments, parts, tables, wording
from aggregator.web.pages.visits import in_thread, sentence
from aggregator.web.pages.workbench import board, dialogs, drawing, words
from aggregator.workbench import catalogue, experiments, results, verifying

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Experiment

TAIL: Final = 60
ROLES: Final = {"fit": "to learn from", "select": "to choose by", "calibrate": "to calibrate on", "test": "to test on"}
MOST_LIVE: Final = 4
"""Networks whose epochs are drawn on the run's page."""


async def build(visit: Visit) -> None:
    """The page."""
    services, experiment_id = visit.services, visit.number("experiment_id")
    one = await in_thread(experiments.get_experiment, services, experiment_id)
    shown = _state(one)
    epochs = Epochs(visit, experiment_id)

    async def refresh() -> None:
        nonlocal one, shown
        one = await in_thread(experiments.get_experiment, services, experiment_id)
        top.refresh()
        if one.kind == "dl":
            await live.refresh()
        if _state(one) != shown:
            shown = _state(one)
            await found.refresh()

    @ui.refreshable
    def top() -> None:
        _top(visit, one)

    @ui.refreshable
    async def live() -> None:
        if one.kind == "dl":
            await epochs.read()
            epochs.show()

    @ui.refreshable
    async def found() -> None:
        result = await in_thread(results.result, services, experiment_id)
        if result:
            _result(visit, one, result)

    parts.trail(("Workbench", "/workbench"), (one.dataset_name, f"/workbench/datasets/{one.dataset_id}"))
    top()
    await live()
    await found()
    with parts.panel("Log"), ui.expansion("What the run said").props("dense dense-toggle").style("width: 100%") as said:
        text = parts.text("pre", "", "log mono").props("tabindex=0 role=log aria-label='Log of the run'")

    async def opened() -> None:
        if said.value:
            lines = await in_thread(results.experiment_log, services, experiment_id, lines=TAIL)
            text.text = "\n".join(lines) or "Nothing yet."

    said.on_value_change(opened)
    visit.follow("experiment", refresh=refresh, together_s=0.7)


def _state(one: Experiment) -> tuple[Any, ...]:
    return (one.state, one.models_done, one.best, one.name)


def _top(visit: Visit, one: Experiment) -> None:
    busy = words.under_way(one.state)
    with parts.heading(one.name, f"{words.KINDS.get(one.kind, one.kind)} on {one.dataset_name}"):
        parts.chip(words.state(one.state), words.tone(one.state))
        if one.best and not busy and visit.may(Role.ANALYST):
            address = f"/workbench/experiments/{one.id}/predict"
            parts.button("Predict", lambda: ui.navigate.to(address), icon="bolt", kind="main")
        elif one.best and not busy:
            parts.link("Predictions", f"/workbench/experiments/{one.id}/predict")
        if visit.may(Role.ANALYST):
            _deeds(visit, one, busy=busy)
    if busy:
        parts.progress(one.fraction, words.progress(one))
    if one.error:
        parts.notice(sentence(one.error), "bad")


def _deeds(visit: Visit, one: Experiment, *, busy: bool) -> None:
    services = visit.services

    async def stop() -> None:
        with visit.acting() as actor:
            await experiments.stop_experiment(services, actor, one.id)
            ui.notify("It finishes with what it has", type="info")

    async def cancel() -> None:
        with visit.acting() as actor:
            await experiments.cancel_experiment(services, actor, one.id)

    async def resume() -> None:
        with visit.acting() as actor:
            await experiments.resume_experiment(services, actor, one.id)

    if busy:
        parts.button("Stop and keep", stop, icon="stop")
        parts.button("Cancel", cancel, kind="danger")
    else:
        if str(one.state) in {"stopped", "cancelled", "interrupted", "timed_out", "failed"}:
            parts.button("Go on", resume, icon="play_arrow")
        parts.button("Rename", lambda: _rename(visit, one), icon="edit")
        parts.button("Delete", lambda: _delete(visit, one), icon="delete", kind="danger")


def _rename(visit: Visit, one: Experiment) -> None:
    dialogs.rename(visit, one.name, lambda who, name: experiments.rename_experiment(visit.services, who, one.id, name))


def _delete(visit: Visit, one: Experiment) -> None:
    dialogs.delete(
        visit,
        one.name,
        "Its models and its predictions go with it.",
        lambda who: experiments.delete_experiment(visit.services, who, one.id),
        then="/workbench",
    )


class Epochs:
    """What networks of a run told of their epochs so far; read on from where the last look ended."""

    def __init__(self, visit: Visit, experiment_id: int) -> None:
        self._visit = visit
        self._id = experiment_id
        self._since = 0
        self._told: dict[str, dict[int, dict[str, Any]]] = {}

    async def read(self) -> None:
        """Take in what is new."""
        while True:
            page = await in_thread(results.experiment_events, self._visit.services, self._id, since=self._since)
            for event in page.items:
                if event.get("event") == "epoch":
                    # A run that goes on after a cut tells its earlier epochs again: the last word counts.
                    self._told.setdefault(str(event.get("name")), {})[int(event["epoch"])] = event
            if page.next == self._since or not page.items:
                return
            self._since = page.next

    def show(self) -> None:
        """Loss and accuracy by epoch, the network that learnt last first."""
        for name, epochs in list(self._told.items())[::-1][:MOST_LIVE]:
            rows = [epochs[at] for at in sorted(epochs)]
            title = catalogue.title_of(name)
            with parts.panel(f"{title}, epoch {rows[-1]['epoch']:.0f}"), ui.element("div").classes("columns"):
                for what, figure in (("acc", "Accuracy"), ("loss", "Loss")):
                    if any(row.get(what) is not None for row in rows):
                        with ui.element("div"):
                            parts.text("p", figure, "muted")
                            charts.chart(drawing.history(rows, what), f"{figure} of {title} by epoch")


def _result(visit: Visit, one: Experiment, result: dict[str, Any]) -> None:
    address = f"/workbench/experiments/{one.id}"
    metric = str(result.get("metric") or one.metric or "f1").replace("-", "_")
    best = next((row for row in result.get("leaderboard", ()) if row["name"] == result.get("best")), None)
    split = result.get("split") or {}
    if split.get("warning"):
        parts.notice(sentence(str(split["warning"])), "warn")
    if best is not None:
        with ui.element("div").classes("tiles"):
            parts.tile(
                "The pick",
                str(best["title"]),
                str(result.get("why_best") or ""),
                target=f"{address}/models/{best['name']}",
            )
            for name in dict.fromkeys((metric, "accuracy", "roc_auc", "average_precision")):
                value = (best.get("test") or {}).get(name)
                if value is not None:
                    parts.tile(board.METRICS.get(name, name), wording.metric(value), "on test rows")
    if result.get("leaderboard"):
        _board(result, metric, address)
    if result.get("notes") and result["notes"] != [one.error]:
        with parts.panel("To know"), ui.element("ul").classes("evidence"):
            for said in result["notes"]:
                parts.text("li", sentence(str(said)))
    if result.get("leaderboard"):
        with parts.panel("All metrics, train and test"):
            board.train_and_test(result)
    with ui.element("div").classes("columns"):
        if result.get("data"):
            with parts.panel("The data"):
                _data(one, result)
        with parts.panel("How to repeat it"):
            _repeat(visit, one, result)


def _board(result: dict[str, Any], metric: str, address: str) -> None:
    with parts.panel("Leaderboard", flush=True):
        lead = f"Sorted and chosen by {words.metric(metric)} on rows kept for choosing; no test row had a say."
        parts.text("p", lead, "muted lead")
        table = tables.Table(board.columns(metric), label="Models, best first")
        table.fill(board.rows(result, metric, address))


def _data(one: Experiment, result: dict[str, Any]) -> None:
    data, split = result.get("data") or {}, result.get("split") or {}
    left = data.get("left_out") or []
    parts.facts(
        (
            ("Task", words.TASKS.get(str(result.get("task")), str(result.get("task")))),
            ("Why", sentence(str(result.get("why_task") or "as asked"))),
            ("Label", str(result.get("label") or "none")),
            ("Classes", ", ".join(map(str, result.get("classes") or ())) or "none"),
            ("Rows", f"{wording.count(data.get('used_rows') or 0)} of {wording.count(data.get('rows') or 0)}"),
            ("Repeated rows", wording.count(data.get("duplicates") or 0)),
            (
                "Parts",
                ", ".join(f"{wording.count(split[role])} {said}" for role, said in ROLES.items() if split.get(role)),
            ),
            ("Split", str(split.get("how") or "-")),
            ("Features", wording.count(len(data.get("features") or ()))),
            ("Left out", "; ".join(f"{row['name']}: {row['reason']}" for row in left[:12]) or "nothing"),
            ("Data set", lambda: parts.link(one.dataset_name, f"/workbench/datasets/{one.dataset_id}")),
        )
    )


def _repeat(visit: Visit, one: Experiment, result: dict[str, Any]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in (result.get("versions") or {}).items())
    parts.facts(
        (
            ("Data digest", lambda: parts.text("span", str((result.get("data") or {}).get("digest") or "-"), "mono")),
            ("Settings digest", lambda: parts.text("span", str(result.get("settings_digest") or "-"), "mono")),
            ("Seed", str(one.settings.get("seed", "-"))),
            ("Versions", versions or "-"),
            ("Took", wording.duration((result.get("seconds") or 0) * 1000)),
            ("Started", lambda: moments.moment(one.started_ms)),
            ("By", one.by),
        )
    )

    async def look() -> None:
        with visit.acting() as actor:
            busy.visible = True
            try:
                told = await verifying.verify(visit.services, actor, one.id)
            finally:
                busy.visible = False
            answer.text = sentence(verifying.said(told))

    with ui.element("div").classes("line"):
        yaml = experiments.settings_to_yaml(one.settings)
        parts.button(
            "Settings as YAML", lambda: ui.download.content(yaml, f"experiment-{one.id}.yaml"), icon="download"
        )
        if one.best:
            rest = f"/api/v1/experiments/{one.id}/models/{one.best}"
            parts.link("Script that repeats it", f"{rest}/script.py").props("download")
            parts.link("Model (ONNX)", f"{rest}/model.onnx").props("download")
        if not words.under_way(one.state):
            parts.button("Can it be done again here?", look, icon="fact_check")
            busy = ui.spinner(size="sm")
            busy.visible = False
    answer = parts.text("p", "", "muted")
