"""The console: NiceGUI pages over the same plain functions as REST.

`mount` puts it on an application. Nothing is fetched from elsewhere: styles, scripts, fonts and charts come from this
process. The console keeps no state of its own in the browser or on disk, so NiceGUI's storage, and the secret it would
need, stay switched off; who somebody is comes from the session cookie of web/access.py alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui
from starlette.responses import RedirectResponse, Response

from aggregator.web.pages import (
    agents,
    alert,
    alerts,
    incident,
    incidents,
    login,
    model,
    models,
    normal,
    overview,
    policies,
    review,
    theme,
)
from aggregator.web.pages.frame import Console
from aggregator.web.pages.workbench import (
    candidate,
    compare,
    dataset,
    experiment,
    home,
    predict,
    prediction,
    setup,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from aggregator.services import Services

RECONNECT_S = 10.0
"""A browser that lost its connection finds its page as it was within this time; later it loads it again."""


def mount(app: FastAPI, services: Services) -> None:
    """Put the console on `app`, at `/`. Call it last: its catch-all comes after every other route."""
    console = Console(services)
    console.page("/", "Overview", overview.build)
    console.page("/alerts", "Alerts", alerts.build)
    console.page("/alerts/{alert_id}", "Alert", alert.build)
    console.page("/incidents", "Incidents", incidents.build)
    console.page("/incidents/{incident_id}", "Incident", incident.build)
    console.page("/suppressions", "What is normal here", normal.build)
    console.page("/review", "Review", review.build)
    console.page("/agents", "Agents", agents.build)
    console.page("/policies", "Policies", policies.build)
    console.page("/models", "Models", models.build)
    console.page("/models/{digest}", "Model", model.build)
    console.page("/workbench", "Workbench", home.build)
    console.page("/workbench/datasets/{dataset_id}", "Data set", dataset.build)
    console.page("/workbench/datasets/{dataset_id}/experiment", "New experiment", setup.build)
    console.page("/workbench/experiments/{experiment_id}", "Experiment", experiment.build)
    console.page("/workbench/experiments/{experiment_id}/models/{model}", "Model of a run", candidate.build)
    console.page("/workbench/experiments/{experiment_id}/predict", "Predict", predict.build)
    console.page("/workbench/predictions/{prediction_id}", "Prediction", prediction.build)
    console.page("/workbench/compare", "Compare", compare.build)
    login.add(console, app)
    app.include_router(console.router)

    @app.get(theme.sheet()[1], include_in_schema=False)
    async def sheet() -> Response:
        return theme.sheet_response()

    @app.get("/logout", include_in_schema=False)
    async def logout_by_address() -> Response:
        return RedirectResponse("/", status_code=303)

    ui.run_with(
        app,
        root=console.not_found,
        title="Anomaflow",
        favicon=theme.LOGO,
        dark=None,
        tailwind=False,
        reconnect_timeout=RECONNECT_S,
        show_welcome_message=False,
    )
