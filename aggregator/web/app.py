"""The web application: REST routes, health, metrics and the API's own documentation, behind the guard.

Routes are skins over aggregator.queries; what can go wrong there is answered as JSON with the status its error carries.
Nothing is loaded from another origin: the API's documentation is a page made here from its OpenAPI description.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from aggregator.errors import AggregatorError, TooMany
from aggregator.web.api import (
    agents,
    alerts,
    datasets,
    documentation,
    experiments,
    flows,
    incidents,
    jobs,
    labels,
    models,
    monitoring,
    overview,
    policies,
    predictions,
    session,
    sets,
    suppressions,
    users,
)
from aggregator.web.guard import Guard
from protos.exits import ExitCode
from protos.version import VERSION

if TYPE_CHECKING:
    from starlette.requests import Request

    from aggregator.services import Services

log = logging.getLogger(__name__)

PREFIX = "/api/v1"


def build_app(services: Services) -> FastAPI:
    """The application over `services`. Console pages are mounted onto it afterwards."""
    app = FastAPI(
        title="Anomaflow",
        version=VERSION,
        description="Alerts, incidents, flows, agents, models, verdicts, and the workbench. Lists page by cursor: pass "
        "`next` back as `cursor` until it is null. Send a token as `Authorization: Bearer`, or log in for a session "
        "cookie.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for module in (
        overview,
        alerts,
        incidents,
        labels,
        agents,
        flows,
        models,
        policies,
        jobs,
        sets,
        suppressions,
        datasets,
        experiments,
        predictions,
        users,
        session,
    ):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(monitoring.router)
    app.include_router(documentation.router)
    app.add_exception_handler(AggregatorError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_plain)
    app.add_middleware(Guard, access=services.access, config=services.config)
    return app


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, AggregatorError) else 500
    if status >= 500:
        log.error("request_failed path=%s error=%s", request.url.path, error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.retry_after_s)
    code = error.exit_code if isinstance(error, AggregatorError) else ExitCode.FAILED
    return JSONResponse({"error": str(error), "exit_code": int(code)}, status_code=status, headers=headers)


async def _answer_plain(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    texts = [f"{'.'.join(str(part) for part in problem['loc'][1:])}: {problem['msg']}" for problem in problems]
    return JSONResponse({"error": "; ".join(texts) or "the request cannot be read"}, status_code=422)
