"""Tables that are rows on a desk and cards on a phone, over Quasar's table with one row template for all of them.

A cell is a `Cell`; the template shows its fields as text (Vue escapes them), so that nothing an agent or a user wrote
can become markup. What a row offers to do is a template of the caller, which sends `deed` events.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from nicegui import ui

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


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


CELLS = """
<td v-for="col in props.cols.filter((c) => c.name !== 'deeds')" :key="col.name" :class="col.classes"
    :data-label="col.label">
  <template v-for="cell in [props.row[col.name] || {}]">
    <afl-time v-if="cell.ms !== null && cell.ms !== undefined" :ms="cell.ms" short></afl-time>
    <span v-else-if="cell.tone !== null && cell.tone !== undefined" class="chip"
      :data-tone="cell.tone">{{ cell.text }}</span>
    <a v-else-if="cell.href" :href="cell.href" class="main" :class="{mono: cell.mono}">{{ cell.text }}</a>
    <span v-else class="main" :class="{mono: cell.mono}">{{ cell.text }}</span>
    <small v-if="cell.sub">{{ cell.sub }}</small>
  </template>
</td>
"""

ROW = """
<tr :id="'row-' + props.row.id" :tabindex="FOCUS" @focusin="$parent.$emit('reach', props.row.id)">
CELLS DEEDS
</tr>
"""


def table(
    columns: Sequence[Column],
    *,
    label: str,
    deeds: str = "",
    focusable: bool = False,
    on_reach: Callable[[int], object] | None = None,
) -> ui.table:
    """An empty table; give it rows with `fill`. `deeds` is the template of a last cell, `label` names the table."""
    shown = [*columns, Column("deeds", "", "narrow")] if deeds else list(columns)
    headers = [
        {"name": c.name, "label": c.label, "field": c.name, "align": "left", "classes": c.kind, "headerClasses": c.kind}
        for c in shown
    ]
    made = ui.table(columns=headers, rows=[], row_key="id").props("flat hide-bottom").style("width: 100%")
    made.props["table-aria-label"] = label
    cell = f'<td class="narrow whole">{deeds}</td>' if deeds else ""
    row = ROW.replace("FOCUS", "0" if focusable else "undefined").replace("CELLS", CELLS).replace("DEEDS", cell)
    made.add_slot("body", row)
    if on_reach is not None:
        made.on("reach", lambda event: on_reach(int(event.args)))
    return made


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key, a cell for each column by name, and further values for the caller's template."""

    key: int | str
    cells: dict[str, Cell]
    extra: dict[str, str | int | bool | None] = field(default_factory=dict)


def fill(made: ui.table, rows: Iterable[Row]) -> None:
    """Show `rows` instead of what the table showed."""
    made.rows = [
        {**row.extra, **{name: asdict(cell) for name, cell in row.cells.items()}, "id": row.key} for row in rows
    ]
