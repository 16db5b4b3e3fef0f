"""What every route needs: the services, who is asking, and how a list is paged. And what answers look like."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, create_model

from aggregator import queries, rows
from aggregator.calibration import promised
from aggregator.errors import Unauthenticated
from aggregator.learning import lessons
from aggregator.paging import LARGEST
from aggregator.rows import Role
from aggregator.services import Services
from aggregator.triage import handling
from aggregator.users import Principal
from aggregator.workbench import rows as workbench_rows


def services_of(request: Request) -> Services:
    """The services the application was built over."""
    services: Services = request.app.state.services
    return services


def asker(request: Request) -> Principal:
    """Who is asking, by cookie or token. Raises `Unauthenticated`."""
    principal = services_of(request).access.current_user(request)
    if principal is None:
        raise Unauthenticated("log in, or send a valid token as `Authorization: Bearer`")
    principal.require(Role.VIEWER, write=False)
    return principal


Served = Annotated[Services, Depends(services_of)]
Asker = Annotated[Principal, Depends(asker)]
Limit = Annotated[int, Query(ge=1, le=LARGEST, description="Rows of the page.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next` of the page before.")]
PAGE = queries.PAGE


class Renaming(BaseModel):
    """The new name."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=256)


def shape(row: type, *, name: str | None = None, extra: dict[str, Any] | None = None) -> type[BaseModel]:
    """A description of `row` for the API's documentation."""
    named = vars(rows) | vars(lessons) | vars(promised) | vars(handling) | vars(workbench_rows)
    hints = typing.get_type_hints(row, named)
    fields: dict[str, Any] = {field.name: (_shape_of(hints[field.name]), ...) for field in dataclasses.fields(row)}
    return create_model(name or row.__name__, **{**fields, **(extra or {})})


def list_of(row: type) -> type[BaseModel]:
    """A description of a page of `row`."""
    items: Any = list[_shape(row)]  # type: ignore[misc]
    return create_model(f"{row.__name__}Page", items=(items, ...), next=(str | None, ...))


_SHAPES: dict[type, type[BaseModel]] = {}


def _shape(row: type) -> type[BaseModel]:
    if row not in _SHAPES:
        _SHAPES[row] = shape(row)
    return _SHAPES[row]


def _shape_of(kind: Any) -> Any:
    """`kind` with every row in it replaced by its description, tuples of rows by lists."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _shape(kind)
    if typing.get_origin(kind) is tuple:
        return list[_shape_of(typing.get_args(kind)[0])]  # type: ignore[misc]
    if type(None) in typing.get_args(kind):
        return next(_shape_of(part) for part in typing.get_args(kind) if part is not type(None)) | None
    return kind
