"""A first look at a data set: properties, numbers, words, what hangs together, and what to beware of.

Everything here shows a profile as the trainer wrote it (`anomaflow-profile-1`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.web.pages import charts, parts, wording
from aggregator.web.pages.visits import sentence
from aggregator.web.pages.workbench import drawing, grid

if TYPE_CHECKING:
    from collections.abc import Mapping

PROPERTIES: Final = {
    "name": "Name", "type": "Type", "missing": "Missing", "share": "Share missing", "unique": "Unique",
}  # fmt: skip
NUMERIC: Final = {
    "name": "Name", "count": "Count", "mean": "Mean", "std": "Std", "min": "Min", "q25": "25 %", "median": "50 %",
    "q75": "75 %", "max": "Max", "zeros": "Zeros",
}  # fmt: skip
CATEGORICAL: Final = {"name": "Name", "count": "Count", "unique": "Unique", "top": "Top", "frequency": "Frequency"}

MOST_CORRELATED: Final = 40
"""Columns up to which the whole matrix is drawn."""


def show(profile: Mapping[str, Any]) -> None:
    """The whole first look."""
    warnings(profile)
    with parts.panel("Properties"):
        parts.text("p", "Every column, what it holds, and how much of it is missing.", "muted")
        shown = [{**one, "share": wording.percent(one.get("missing_share") or 0.0)} for one in profile["properties"]]
        grid.of_objects("Properties", shown, PROPERTIES)
    if profile["numeric"]:
        with parts.panel("Numbers"):
            parts.text("p", "Summary statistics of all numeric columns.", "muted")
            grid.of_objects("Numbers", profile["numeric"], NUMERIC)
    if profile["categorical"]:
        with parts.panel("Words"):
            parts.text("p", "Summary statistics of all categorical columns.", "muted")
            grid.of_objects("Words", profile["categorical"], CATEGORICAL)
    found = profile.get("correlations") or {}
    if 2 <= len(found.get("names", ())) <= MOST_CORRELATED:
        with parts.panel("What goes together"):
            parts.text("p", "Correlation of columns, from -1 to 1. Pairs near either end say nearly the same.", "muted")
            charts.chart(drawing.correlations(found), "Correlation of columns").classes("square")


def warnings(profile: Mapping[str, Any]) -> None:
    """What to beware of, in sentences; nothing where there is nothing."""
    said = [*profile.get("warnings", ())]
    sampled = profile.get("sampled_rows")
    if sampled:
        said.append(
            f"The table has {wording.plural(profile['rows'], 'row')}; some of these figures are of a sample of "
            f"{wording.count(sampled)}."
        )
    repeated = profile.get("duplicates") or {}
    if repeated.get("rows"):
        said.append(
            f"{wording.plural(repeated['rows'], 'row')} ({wording.percent(repeated['share'])}) repeat another one; an "
            "experiment counts each once before it splits."
        )
    if said:
        with parts.panel("To know before you start"), ui.element("ul").classes("evidence"):
            for words in said:
                parts.text("li", sentence(str(words)))
    if profile.get("leakage"):
        with parts.panel("Columns that may give the answer away"), ui.element("ul").classes("evidence"):
            for one in profile["leakage"]:
                parts.text("li", f"{one['name']}: {one['reason']}")
