"""A grid for tables of any width: it scrolls within itself and its head stays. What stands in it is decided here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.web.pages import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LONGEST: Final = 120
"""Signs of a cell that are shown."""


class Grid(ui.element, component="grid.js"):
    """An empty grid, until `fill`. `label` names it to those who cannot see it."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self._props["label"] = label
        self.fill((), ())

    def fill(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], marks: Iterable[bool] = ()) -> None:
        """Show `rows` under `columns`; rows marked true stand out. None is shown as missing."""
        shown = [list(row) for row in rows]
        self._props["columns"] = list(columns)
        self._props["numbers"] = [
            any(_is_number(row[at]) for row in shown) and all(row[at] is None or _is_number(row[at]) for row in shown)
            for at in range(len(columns))
        ]
        self._props["rows"] = [[cell(value) for value in row] for row in shown]
        marked = list(marks)
        self._props["marks"] = marked + [False] * (len(shown) - len(marked))
        self.update()


def of_objects(label: str, rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Grid:
    """A grid of objects: the keys of `titles` in their order, under those titles."""
    made = Grid(label)
    made.fill(list(titles.values()), [[row.get(key) for key in titles] for row in rows])
    return made


def cell(value: object) -> str | None:
    """A value as a cell shows it; None where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, int):
        return str(value)
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def figure(value: float) -> str:
    """A measured number in at most six digits, whole ones whole."""
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def metric(value: object) -> str:
    """A metric in three decimals, a dash where it does not apply."""
    return wording.metric(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
