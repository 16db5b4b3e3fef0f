"""Settings of an experiment, as a page: reasonable without touching anything, everything within reach.

The label and the kind of experiment decide what else is asked; a change of either begins again from the defaults that
suit it. What is shown here is one flat object of settings, the same as in REST, on the command line and in YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import parts, wording
from aggregator.web.pages.visits import in_thread, sentence
from aggregator.web.pages.workbench import words
from aggregator.workbench import datasets, experiments

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import DatasetDetail, Defaults

NO_LABEL: Final = ""
KINDS: Final = {"ml": "Machine learning", "dl": "Deep learning"}

CHOICES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "missing": (
        "Missing values",
        {
            "auto": "what suits each column",
            "median": "the median",
            "mean": "the mean",
            "most-frequent": "the most frequent value",
            "zero": "zero",
            "drop-rows": "leave such rows out",
        },
    ),
    "encoding": (
        "Words become",
        {"auto": "what suits each column", "one-hot": "one column a word", "ordinal": "a number a word"},
    ),
    "scaling": (
        "Numbers are scaled",
        {
            "auto": "what suits the model",
            "standard": "to mean 0 and deviation 1",
            "robust": "by median and quartiles",
            "log": "by logarithm",
            "none": "not at all",
        },
    ),
    "outliers": ("Extreme values", {"keep": "stay", "clip": "are cut", "drop-rows": "leave such rows out"}),
    "balance": (
        "Rare classes",
        {
            "auto": "what suits the model",
            "none": "count as they are",
            "weights": "count more",
            "oversample": "are repeated",
        },
    ),
    "split": (
        "Test rows are",
        {
            "auto": "a test table, else drawn at random",
            "random": "drawn at random",
            "time": "the latest ones",
            "group": "groups of their own",
            "file": "a table of their own",
        },
    ),
    "metric": (
        "Sort models by",
        {
            "auto": "what suits the task",
            "accuracy": "accuracy",
            "balanced-accuracy": "balanced accuracy",
            "f1": "F1 score",
            "precision": "precision",
            "recall": "recall",
            "roc-auc": "ROC AUC",
            "average-precision": "average precision",
        },
    ),
    "task": (
        "Task",
        {"auto": "found by itself", **{name: said for name, said in words.TASKS.items() if name}},
    ),
}
"""Settings with few values: how they are asked for, and each value in plain words."""

NUMBERS: Final[dict[str, tuple[str, float, float, float]]] = {
    "time_budget_s": ("Time budget, seconds", 5, 604_800, 10),
    "seed": ("Seed", 0, 4_294_967_295, 1),
    "test_share": ("Share of test rows", 0.05, 0.9, 0.05),
    "max_rows": ("Most rows learnt from", 100, 5_000_000, 1000),
    "epochs": ("Epochs", 1, 10_000, 1),
    "batch_size": ("Rows in a batch", 1, 65_536, 32),
    "patience": ("Epochs without progress before it stops", 1, 10_000, 1),
    "learning_rate": ("Learning rate", 1e-6, 1.0, 1e-4),
}
WHOLE: Final = frozenset({"seed", "max_rows", "epochs", "batch_size", "patience"})


class Setup:
    """What is chosen so far, and the controls that change it."""

    def __init__(self, visit: Visit, found: DatasetDetail, tests: dict[int, str]) -> None:
        self.visit = visit
        self.found = found
        self.tests = tests
        self.kind = "dl" if visit.asked("kind") == "dl" else "ml"
        self.test_dataset: int | None = None
        self.label: str | None = None
        self.defaults: Defaults | None = None
        self.settings: dict[str, Any] = {}

    async def begin(self) -> None:
        """Take the defaults that suit label and kind."""
        one = self.found.dataset
        self.defaults = await in_thread(
            experiments.defaults, self.visit.services, one.id, one.version, label=self.label, kind=self.kind
        )
        self.settings = dict(self.defaults.settings)
        self.label = self.settings.get("label") or NO_LABEL

    async def take(self, settings: dict[str, Any]) -> None:
        """Take settings that were written down; what else is asked follows their label and kind."""
        self.kind = str(settings.get("kind") or self.kind)
        self.label = str(settings.get("label") or NO_LABEL)
        await self.begin()
        self.settings.update(settings)

    async def start(self) -> None:
        """Queue the run and go to its page."""
        one = self.found.dataset
        with self.visit.acting() as actor:
            made = await experiments.start_experiment(
                self.visit.services, actor, self.settings,
                dataset_id=one.id, version=one.version, test_dataset_id=self.test_dataset,
            )  # fmt: skip
            ui.navigate.to(f"/workbench/experiments/{made.id}")

    def set(self, key: str) -> Callable[[Any], None]:
        """What a control calls with its new value."""

        def change(event: Any) -> None:
            value = event.value
            if key in NUMBERS and value is not None:
                value = int(value) if key in WHOLE else float(value)
            if value is not None or key in {"split_column", "label"}:
                self.settings[key] = value

        return change


async def build(visit: Visit) -> None:
    """The page."""
    found = await in_thread(datasets.get_dataset, visit.services, visit.number("dataset_id"))
    others = await in_thread(datasets.list_datasets, visit.services, limit=200)
    tests = {
        one.id: f"{one.name} ({wording.plural(one.rows or 0, 'row')})" for one in others.items if one.state == "ready"
    }
    tests.pop(found.dataset.id, None)
    setup = Setup(visit, found, tests)
    await setup.begin()
    looking = _looking(found)

    @ui.refreshable
    def form() -> None:
        if looking:
            parts.notice(
                "A first look at the table is under way; it finds the label. The settings appear by themselves."
            )
        else:
            _form(setup, again)

    async def looked() -> None:
        nonlocal looking
        if looking:
            setup.found = await in_thread(datasets.get_dataset, visit.services, found.dataset.id)
            looking = _looking(setup.found)
            if not looking:
                setup.label = None  # to be guessed again, now that it can be
                await setup.begin()
                start.set_enabled(True)
                form.refresh()

    async def again(
        *, label: str | None = None, kind: str | None = None, settings: dict[str, Any] | None = None
    ) -> None:
        setup.label = setup.label if label is None else label
        setup.kind = kind or setup.kind
        with visit.acting():
            await (setup.begin() if settings is None else setup.take(settings))
            form.refresh()

    parts.trail(("Workbench", "/workbench"), (found.dataset.name, f"/workbench/datasets/{found.dataset.id}"))
    with parts.heading("New experiment", f"on {found.dataset.name}: {words.shape(found.dataset)}"):
        if visit.may(Role.ANALYST):
            start = parts.button("Start", setup.start, icon="play_arrow", kind="main")
            start.set_enabled(not looking)
    if not visit.may(Role.ANALYST):
        parts.empty("Analysts start experiments.", "The workbench shows you what theirs found.")
        return
    form()
    visit.follow("dataset", refresh=looked)


def _looking(found: DatasetDetail) -> bool:
    """True while the label is not known yet: a run that began now would do without one that is there."""
    return found.dataset.busy and not found.dataset.profiled


def _form(setup: Setup, again: Callable[..., Any]) -> None:
    defaults = setup.defaults
    if defaults is None:
        return
    for said in defaults.warnings:
        parts.notice(sentence(said), "warn")
    with ui.element("div").classes("columns"):
        with parts.panel("What to find"):
            _aim(setup, defaults, again)
        with parts.panel("Testing"):
            _testing(setup)
        with parts.panel("Training"):
            _training(setup)
    with parts.panel("Models"):
        _models(setup, defaults)
    with parts.panel("Features and preprocessing"):
        _features(setup, defaults)
    with parts.panel("As a file"), ui.expansion("YAML").props("dense dense-toggle").style("width: 100%") as file:
        _yaml(setup, file, again)


def _aim(setup: Setup, defaults: Defaults, again: Callable[..., Any]) -> None:
    labels = {NO_LABEL: "no label: find what is unlike the rest", **{one.name: one.name for one in defaults.columns}}
    chosen = ui.select(
        labels, value=setup.label or NO_LABEL, label="Label (Y)", with_input=True,
        on_change=lambda event: again(label=event.value or NO_LABEL),
    )  # fmt: skip
    chosen.props("outlined dense").style("width: 100%")
    guess = next((one for one in defaults.labels if one.name == setup.label), None)
    if guess is not None:
        values = ", ".join(f"{one['value']} ({wording.count(one['rows'])})" for one in guess.values[:6])
        parts.text("p", f"{sentence(guess.reason)} Values: {values}.", "muted")
        names = [str(one["value"]) for one in guess.values]
        benign = ui.select(
            names, value=[one for one in setup.settings.get("benign", ()) if one in names], multiple=True,
            label="Which values are ordinary (found by itself if empty)", on_change=setup.set("benign"),
        )  # fmt: skip
        benign.props("outlined dense use-chips").style("width: 100%")
    parts.text("p", sentence(defaults.why_task or words.TASKS.get(defaults.task, "")), "muted")
    _choice(setup, "task")
    parts.text("p", "Kind of experiment", "muted")
    kind = ui.toggle(KINDS, value=setup.kind, on_change=lambda event: again(kind=event.value))
    kind.props("no-caps unelevated dense padding='4px 14px' aria-label='Kind of experiment'")
    name = ui.input("Name", value=setup.settings.get("name"), on_change=setup.set("name"))
    name.props("outlined dense maxlength=120").style("width: 100%")


def _testing(setup: Setup) -> None:
    parts.text("p", "A model is worth what it gets right on rows it has never seen.", "muted")

    def given(event: Any) -> None:
        setup.test_dataset = event.value

    test = ui.select(setup.tests, value=setup.test_dataset, label="Test table, if there is one", clearable=True,
                     on_change=given)  # fmt: skip
    test.props("outlined dense").style("width: 100%")
    _choice(setup, "split")
    columns = {column.name: column.name for column in setup.found.columns}
    by = ui.select(columns, value=setup.settings.get("split_column"), label="Time or group column", clearable=True,
                   on_change=setup.set("split_column"))  # fmt: skip
    by.props("outlined dense").style("width: 100%")
    _number(setup, "test_share")


def _training(setup: Setup) -> None:
    keys = ("time_budget_s", "seed", "max_rows")
    for key in (*keys, *(("epochs", "batch_size", "patience", "learning_rate") if setup.kind == "dl" else ())):
        _number(setup, key)
    _choice(setup, "metric")
    if setup.kind == "ml":
        ui.checkbox(
            "Search for better settings of the models while there is time",
            value=bool(setup.settings.get("search", True)), on_change=setup.set("search"),
        )  # fmt: skip


def _models(setup: Setup, defaults: Defaults) -> None:
    parts.text("p", "All that suit the task, if none is ticked.", "muted")
    chosen: set[str] = set(setup.settings.get("models", ()))

    def tick(name: str, event: Any) -> None:
        (chosen.add if event.value else chosen.discard)(name)
        setup.settings["models"] = sorted(chosen)

    with ui.element("div").classes("ticks"):
        for model in defaults.models:
            name = str(model["name"])
            with ui.element("div"):
                ui.checkbox(
                    str(model["title"]), value=name in chosen, on_change=lambda event, name=name: tick(name, event)
                )
                if model.get("note"):
                    parts.text("small", str(model["note"]), "muted")


def _features(setup: Setup, defaults: Defaults) -> None:
    names = {column.name: f"{column.name} ({column.type})" for column in defaults.columns if column.name != setup.label}
    for key, label in (("features", "Features (X); all that may be used, if empty"), ("drop", "Columns to leave out")):
        chosen = [name for name in setup.settings.get(key, ()) if name in names]
        made = ui.select(names, value=chosen, multiple=True, label=label, with_input=True, on_change=setup.set(key))
        made.props("outlined dense use-chips").style("width: 100%")
    with ui.element("div").classes("filters"):
        for key in ("missing", "encoding", "scaling", "outliers", "balance"):
            _choice(setup, key)


def _yaml(setup: Setup, file: ui.expansion, again: Callable[..., Any]) -> None:
    text = ui.textarea().props("outlined dense autogrow spellcheck=false")
    text.classes("mono").style("width: 100%")
    text.props["aria-label"] = "Settings as YAML"

    def opened() -> None:
        if file.value:
            text.value = experiments.settings_to_yaml(setup.settings)

    async def take() -> None:
        with setup.visit.acting():
            given = experiments.settings_from_yaml(text.value or "")
            # Said first: the form is made anew, and this button with it.
            ui.notify("Taken over; Start runs with these settings", type="positive")
            await again(settings=given)

    file.on_value_change(opened)

    def download() -> None:
        ui.download.content(text.value or "", "experiment.yaml")

    with ui.element("div").classes("line"):
        parts.button("Take these settings", take)
        parts.button("Download", download, icon="download")


def _choice(setup: Setup, key: str) -> None:
    label, values = CHOICES[key]
    made = ui.select(values, value=setup.settings.get(key, "auto"), label=label, on_change=setup.set(key))
    made.props("outlined dense options-dense").style("min-width: 14rem; flex: 1")


def _number(setup: Setup, key: str) -> None:
    label, low, high, step = NUMBERS[key]
    made = ui.number(label, value=setup.settings.get(key), min=low, max=high, step=step, on_change=setup.set(key))
    made.props("outlined dense").style("width: 100%")
