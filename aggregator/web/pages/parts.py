"""The pieces pages are put together from: headings, panels, tiles, chips, lists of facts, notices, empty states.

Every text goes in as text: an element made here never interprets what it is given as markup.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from aggregator.web.pages import wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aggregator.rows import Reason

Tone = Literal["good", "bad", "warn", "info", ""]


def text(tag: str, content: str, classes: str = "") -> TextElement:
    """An element of any tag that holds text."""
    return TextElement(tag=tag, text=content).classes(classes)


def link(content: str, target: str, classes: str = "") -> TextElement:
    """A link to an address within the console."""
    element = text("a", content, classes)
    element.props["href"] = target
    return element


def chip(content: str, tone: str = "") -> TextElement:
    """A short state in a coloured pill. The word says it; the colour only repeats it."""
    element = text("span", content, "chip")
    element.props["data-tone"] = tone
    return element


@contextlib.contextmanager
def heading(title: str, sub: str = "") -> Iterator[None]:
    """The title of a page, with room for what belongs beside it."""
    with ui.element("div").classes("heading"):
        text("h1", title)
        if sub:
            text("span", sub, "sub")
        yield


def trail(*steps: tuple[str, str]) -> None:
    """Where a page is: names from the outermost on, each with its address, or none where it leads nowhere."""
    with ui.element("nav").classes("trail").props('aria-label="Where this is"'):
        for place, (name, address) in enumerate(steps):
            if place:
                text("span", "/")
            if address:
                link(name, address)
            else:
                text("span", name)


def progress(fraction: float, said: str, *, name: str = "Progress") -> None:
    """How far something is: a bar for `fraction` (0 to 1), which `name` says to screen readers, and a line."""
    bar = ui.linear_progress(value=fraction, show_value=False, size="6px").props("rounded instant-feedback")
    bar.props["aria-label"] = f"{name} {fraction * 100:.0f} %"
    text("p", said, "muted")


@contextlib.contextmanager
def panel(title: str = "", *, flush: bool = False) -> Iterator[ui.element]:
    """A bordered part of a page; yields its head row, for buttons beside the title. `flush` suits tables."""
    kinds = (" flush" if flush else "") + ("" if title else " bare")
    with ui.element("section").classes("panel" + kinds):
        head = ui.element("div").classes("head")
        head.visible = bool(title)
        with head:
            text("h2", title)
        yield head


def tile(name: str, value: str, sub: str = "", *, target: str = "") -> None:
    """One figure of an overview."""
    element = ui.element("a" if target else "div").classes("tile")
    if target:
        element.props["href"] = target
    with element:
        text("div", name, "name")
        text("div", value, "value")
        if sub:
            text("div", sub, "sub")


def facts(entries: Iterable[tuple[str, str | Callable[[], object]]]) -> None:
    """A list of names and values; a value is a text, or a function that makes elements."""
    with ui.element("dl").classes("facts"):
        for name, value in entries:
            text("dt", name)
            if isinstance(value, str):
                text("dd", value)
            else:
                with ui.element("dd"):
                    value()


def notice(content: str, tone: Tone = "info") -> TextElement:
    """A sentence that should not be missed. Bad ones are announced to screen readers at once."""
    element = text("div", content, "notice")
    element.props["data-tone"] = tone
    element.props["role"] = "alert" if tone == "bad" else "status"
    return element


def empty(what: str, next_step: str) -> None:
    """Nothing to show, and what to do about it."""
    with ui.element("div").classes("empty"):
        text("b", what)
        text("span", next_step)


def reasons(found: Iterable[Reason]) -> None:
    """Why a flow is strange: words, a bar for the share, and observed against expected."""
    with ui.element("div"):
        for reason in found:
            share = min(max(reason.share, 0.0), 1.0)
            with ui.element("div").classes("reason"):
                text("div", reason.text or wording.feature(reason.feature), "said")
                text("div", f"{share * 100:.0f} % of the score", "share")
                with ui.element("div").classes("bar").props("aria-hidden=true"):
                    ui.element("span").style(f"width: {share * 100:.1f}%")
                observed, expected = wording.number(reason.observed), wording.number(reason.expected)
                text("div", f"Observed {observed}, expected about {expected} ({reason.feature})", "figures")


def keys(known: Iterable[tuple[str, str]]) -> None:
    """Which key does what."""
    with ui.element("div").classes("keys").props('aria-label="Keys"'):
        for key, deed in known:
            with ui.element("span"):
                text("kbd", key)
                text("span", f" {deed}")


def button(label: str, on_click: Callable[[], object], *, icon: str | None = None, kind: str = "plain") -> ui.button:
    """A button. `kind`: `main` for what a page is there for, `plain` for the rest, `danger` for what hurts."""
    element = ui.button(label, on_click=on_click, icon=icon, color="primary" if kind == "main" else None)
    if kind == "main":
        return element.props("unelevated dense no-wrap padding='4px 14px'")
    element.props("outline dense no-wrap padding='4px 12px'").classes("plain")
    return element.style("color: var(--bad)") if kind == "danger" else element
