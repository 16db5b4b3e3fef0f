"""Tables from elsewhere: dialogs for databases, remote files, and the flows of the agents."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nicegui import ui

from aggregator.web.pages import parts
from aggregator.workbench import connections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from aggregator.users import Principal
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Dataset


def database(visit: Visit) -> None:
    """Ask for a database and a query."""
    with _sheet("From a database", "One query, read only; its answer becomes a data set.") as dialog:
        url = _field("Address, such as postgresql://reader@host/name", password=True)
        query = ui.textarea("Query").props("outlined dense autogrow maxlength=20000").style("width: 100%")
        name = _field("Name (optional)")

        async def fetch(actor: Principal) -> Dataset:
            return await connections.connect_sql(
                visit.services, actor, url=url.value or "", query=query.value or "", name=name.value or None
            )

        _ends(visit, dialog, fetch)


def remote(visit: Visit, schemes: Sequence[str]) -> None:
    """Ask for the address of a file."""
    allowed = ", ".join(schemes) or "none: set workbench_schemes to allow some"
    with _sheet("From a remote file", f"Allowed: {allowed}.") as dialog:
        url = _field("Address, such as s3://bucket/table.parquet")
        options = ui.textarea("Credentials and options, one name=value a line (kept like a password)")
        options.props("outlined dense autogrow").style("width: 100%")
        name = _field("Name (optional)")

        async def fetch(actor: Principal) -> Dataset:
            given = [line.partition("=") for line in (options.value or "").splitlines() if "=" in line]
            return await connections.connect_remote(
                visit.services,
                actor,
                url=url.value or "",
                options={key.strip(): value.strip() for key, _, value in given},
                name=name.value or None,
            )

        _ends(visit, dialog, fetch)


def lake(visit: Visit) -> None:
    """Ask for how many days of flows."""
    with _sheet("Flows of the agents", "With the verdicts that were given on them.") as dialog:
        days = ui.number("Of the last days (all if empty)", min=1, step=1).props("outlined dense").style("width: 100%")
        name = _field("Name (optional)")

        async def fetch(actor: Principal) -> Dataset:
            wanted = int(days.value) if days.value else None
            return await connections.import_lake(visit.services, actor, name=name.value or None, days=wanted)

        _ends(visit, dialog, fetch)


@contextlib.contextmanager
def _sheet(title: str, said: str) -> Iterator[ui.dialog]:
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", title)
        parts.text("p", said, "muted")
        yield dialog


def _field(label: str, *, password: bool = False) -> ui.input:
    made = ui.input(label, password=password, password_toggle_button=password)
    return made.props("outlined dense maxlength=2000 autocomplete=off").style("width: 100%")


def _ends(visit: Visit, dialog: ui.dialog, fetch: Callable[[Principal], Awaitable[Dataset]]) -> None:
    async def go() -> None:
        with visit.acting() as actor:
            made = await fetch(actor)
            dialog.close()
            ui.navigate.to(f"/workbench/datasets/{made.id}")

    with ui.element("div").classes("ends"):
        parts.button("Cancel", dialog.close)
        parts.button("Import", go, kind="main")
