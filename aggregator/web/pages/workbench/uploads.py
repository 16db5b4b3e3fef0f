"""Choosing a file in the browser and sending it, as it is, to a REST route: streamed there, never held in this process.

The browser's own session and origin speak for the sender, as with any other request of a page. What the route refuses
is shown in its own words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.web.pages import parts
from aggregator.web.pages.visits import sentence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nicegui.events import GenericEventArguments

ROUTE: Final = "/api/v1/datasets/upload"
"""Where a file becomes a data set."""

_ANSWER: Final = """(info) => {
  let answer = {};
  try { answer = JSON.parse(info.xhr.responseText || "{}"); } catch { answer = {}; }
  emit({status: info.xhr.status, answer});
}"""


def picker(
    label: str,
    address: str,
    on_done: Callable[[dict[str, Any]], Awaitable[None]],
    *,
    accept: str = "",
    main: bool = True,
) -> ui.element:
    """A button that chooses a file, sends it to `address` with its name, and hands on the route's answer.

    A file can be dropped on it as well. `address` is a path of REST, with or without a query.
    """
    with ui.element("div").classes("drop") as made:
        refused = parts.notice("", "bad")
        refused.visible = False
        sending = ui.element("q-uploader").props("auto-upload send-raw flat method=POST").classes("sender")
        joint = "&" if "?" in address else "?"
        sending._props[":url"] = (  # noqa: SLF001 - NiceGUI's way to a property that is a function
            f"(files) => {json.dumps(address + joint + 'filename=')} + encodeURIComponent(files[0].name)"
        )
        sending._props[":headers"] = "[{name: 'Content-Type', value: 'application/octet-stream'}]"  # noqa: SLF001
        if accept:
            sending.props["accept"] = accept
        choose = parts.button(label, lambda: None, icon="upload_file", kind="main" if main else "plain")
        choose.on("click", js_handler=f"() => getElement({sending.id}).pickFiles()")
        parts.text("span", "or drop it here", "muted optional")

        async def done(event: GenericEventArguments) -> None:
            refused.visible = False
            await on_done(dict(event.args["answer"]))

        def failed(event: GenericEventArguments) -> None:
            said = str(event.args["answer"].get("error") or f"the upload ended with status {event.args['status']}")
            refused.text = sentence(said)
            refused.visible = True
            sending.run_method("reset")

        sending.on("uploaded", done, js_handler=_ANSWER)
        sending.on("failed", failed, js_handler=_ANSWER)
    return made
