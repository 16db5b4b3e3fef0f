"""Tables that are rows on a desk and cards on a phone. rows.js draws them; what stands in them is decided here.

A cell is a `Cell`, whose fields the browser shows as text: nothing an agent or a user wrote can become markup. What a
row offers to do are its `Deed`s; a click on one is an event with the row's key and the deed's name.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from nicegui.events import GenericEventArguments


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one cell: text or a moment, a second line, a link, a state's colour."""

    text: str = ""
    sub: str = ""
    href: str = ""
    tone: str | None = None  # a chip when not None
    ms: int | None = None  # a moment instead of text
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `kind`: `number` to the right, `narrow` as slim as it can be.

    On a card, `whole` takes the whole width, `bare` has no label, `lead` comes first without one, `end` to the right.
    """

    name: str
    label: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Deed:
    """A button of a row. `pressed` is None where there is no state to show."""

    name: str
    label: str
    title: str
    tone: str = ""
    pressed: bool | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key, a cell for each column by name, and what can be done (`about` names it to screen readers)."""

    key: int | str
    cells: dict[str, Cell]
    deeds: tuple[Deed, ...] = ()
    about: str = ""


class Table(ui.element, component="rows.js"):
    """An empty table, until `fill`. `label` names it; `focusable` rows take the keyboard's focus."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        label: str,
        focusable: bool = False,
        on_deed: Callable[[str, str], Awaitable[None]] | None = None,
        on_reach: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._props["columns"] = [asdict(column) for column in columns]
        self._props["rows"] = []
        self._props["label"] = label
        self._props["focusable"] = focusable
        if on_deed is not None:
            self.on("deed", lambda event: on_deed(*_asked(event)))
        if on_reach is not None:
            self.on("reach", lambda event: on_reach(str(event.args)))

    def fill(self, rows: Iterable[Row]) -> None:
        """Show `rows` instead of what the table showed."""
        self._props["rows"] = [
            {
                "id": row.key,
                "about": row.about,
                "cells": {name: asdict(cell) for name, cell in row.cells.items()},
                "deeds": [asdict(deed) for deed in row.deeds],
            }
            for row in rows
        ]
        self.update()

    def step(self, by: int) -> None:
        """Move the browser's focus by some rows; `on_reach` hears where it went."""
        self.run_method("step", by)

    def go_to(self, key: int | str) -> None:
        """Move the browser's focus to a row."""
        self.run_method("to", key)


def _asked(event: GenericEventArguments) -> tuple[str, str]:
    return str(event.args["id"]), str(event.args["deed"])
