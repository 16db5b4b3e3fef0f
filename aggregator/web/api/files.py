"""Files that come in as the body of a request, as they are, and files that go out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Text = Annotated[str | None, Query(max_length=256)]
Header = Annotated[
    Literal["auto", "yes", "no"] | None,
    Query(description="Whether the first line names the columns; found by looking if left out."),
]
BODY: Final = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
"""How an upload looks in the API's description: the file itself is the body, nothing around it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file on its way in: its bytes, what its sender calls it, and the size that the sender claims."""

    chunks: AsyncIterator[bytes]
    filename: str
    announced: int | None


def _sent(request: Request, filename: Annotated[str, Query(min_length=1, max_length=1024)]) -> Sent:
    claimed = request.headers.get("content-length", "")
    announced = int(claimed) if claimed.isdecimal() and len(claimed) < 19 else None
    return Sent(request.stream(), filename, announced)


def _reading(
    sheet: Text = None, delimiter: Text = None, encoding: Text = None, header: Header = None
) -> dict[str, Any]:
    return {"sheet": sheet, "delimiter": delimiter, "encoding": encoding, "header": header}


Upload = Annotated[Sent, Depends(_sent)]
"""The body as a file; its name is a parameter."""

Reading = Annotated[dict[str, Any], Depends(_reading)]
"""How a table is to be read, where its file leaves that open."""


def attachment(name: str) -> dict[str, str]:
    """Headers of a download. `name` is our own, of letters that need no quoting."""
    return {"content-disposition": f'attachment; filename="{name}"'}
