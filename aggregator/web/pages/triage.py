"""The keyboard of a list that is worked through: j and k move, z takes back, Enter opens; the rest a page decides.

The focused row is the mark, and the browser moves it: a key always means the row that is marked on the screen, also
while other rows arrive above it. A mark whose row went away means no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from nicegui.events import KeyEventArguments

    from aggregator.web.pages.tables import Table
    from aggregator.web.pages.verdicts import Judge
    from aggregator.web.pages.visits import Visit


class Keyboard:
    """The keys of one list for one visitor. Hand `reach` to its table, then call `listen`.

    `opens` gives the address of a row by its key, empty where it has none. `act` does what any other key asks of the
    marked row, for those who may judge.
    """

    def __init__(
        self, visit: Visit, *, opens: Callable[[str], str], act: Callable[[str, str], Awaitable[None]]
    ) -> None:
        self._visit = visit
        self._opens = opens
        self._act = act
        self._marked = ""
        self.rows: Collection[str] = ()
        """Keys of the rows that are shown."""

    def reach(self, key: str) -> None:
        """The mark is on this row now."""
        self._marked = key

    def listen(self, table: Table, judge: Judge) -> None:
        """Hear keys from now on."""
        self._table = table
        self._judge = judge
        ui.keyboard(self._key, repeating=True, ignore=["input", "select", "textarea"])
        ui.keyboard(self._enter, repeating=False)  # on a button, Enter is the button's

    async def judged(self, key: str, giving: Awaitable[bool]) -> None:
        """Give a verdict and go on to the next row; go first, because the filter may take the row away."""
        self._table.step(1)
        if not await giving:
            self._table.go_to(key)

    async def _key(self, event: KeyEventArguments) -> None:
        held = event.modifiers
        if not event.action.keydown or held.ctrl or held.alt or held.meta:
            return
        key = event.key.name.lower() if event.key.name else ""
        if key in {"j", "k"}:
            self._table.step(1 if key == "j" else -1)
        elif not self._visit.judges or event.action.repeat:
            return
        elif key == "z":
            await self._judge.undo_last()
        elif self._marked in self.rows:
            await self._act(self._marked, key)

    def _enter(self, event: KeyEventArguments) -> None:
        if event.action.keydown and event.key.enter and self._marked in self.rows:
            address = self._opens(self._marked)
            if address:
                ui.navigate.to(address)
