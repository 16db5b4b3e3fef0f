"""Explanations: why a model says what it says."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import Conflict, Invalid, TrainerFailed
from aggregator.rows import Role
from aggregator.workbench import orders, places, predictions, results, runs, shelf

if TYPE_CHECKING:
    from aggregator.services import Services
    from aggregator.users import Principal

EXPLANATION: Final = "anomaflow-explanation-1"
METHODS: Final = ("shap", "shap-row", "lime", "importance", "partial")
OF_A_ROW: Final = frozenset({"shap-row", "lime"})


async def explain(
    services: Services,
    actor: Principal,
    experiment_id: int,
    model: str | None = None,
    *,
    method: str,
    row: int | None = None,
    feature: str | None = None,
    of_class: str | None = None,
    prediction_id: int | None = None,
) -> dict[str, Any]:
    """Explain and wait for it; kept for the next asker. `method`: shap, shap-row, lime, importance, partial.

    `row` counts from 0 in the run's data set, or in the prediction's rows if one is named; methods of a row need it,
    `partial` needs `feature`. What is explained is the chance of the class `of_class` if one is named, else how strange
    rows are; `importance` is of no class, since it asks what the model gets right. Viewers too.

    Raises `NotFound`, `Conflict`, `Invalid`, `Busy`, `TrainerFailed`.
    """
    actor.require(Role.VIEWER, write=False)
    if method not in METHODS:
        raise Invalid(f"there is no method {method[:40]!r}; methods are {', '.join(METHODS)}")
    if method in OF_A_ROW and (row is None or row < 0):
        raise Invalid(f"{method} explains one row: say which one, counted from 0")
    if method == "partial" and not feature:
        raise Invalid("partial dependence is of one column: name it")
    if method == "importance" and of_class is not None:
        raise Invalid("importance asks what the model gets right, which is of no single class; leave the class out")
    one, name = results.chosen(services, experiment_id, model)
    if prediction_id is None:
        if services.store.read(lambda db: shelf.gone(db, one.dataset_id, one.dataset_version)):
            raise Conflict("the run's data set was deleted; explain a row of a prediction instead")
        table = f"{places.dataset_folder(one.dataset_id, one.dataset_version)}/table.parquet"
    else:
        made = services.store.read(lambda db: runs.get_prediction(db, prediction_id))
        if made.experiment_id != experiment_id:
            raise Invalid(f"prediction {prediction_id} is of experiment {made.experiment_id}")
        table = str(predictions.rows_path(services, prediction_id).relative_to(services.config.workbench_dir))
    wanted = {"method": method, "row": row if method in OF_A_ROW else None, "feature": feature, "class": of_class}
    mark = hashlib.sha256(json.dumps([wanted, table], sort_keys=True).encode()).hexdigest()[:24]
    folder = places.model_folder(experiment_id, name)
    out = f"{folder}/explanations/{mark}.json"
    path = services.config.workbench_dir / out
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        arguments = (
            orders.WORKBENCH, "explain", "--model", folder, "--table", table, *orders.given(wanted), "--out", out,
        )  # fmt: skip
        await services.workbench.short.run(arguments, cwd=services.config.workbench_dir)
    told = await asyncio.to_thread(places.read_json, path, EXPLANATION)
    if told is None:
        raise TrainerFailed("the trainer explained nothing; try again")
    return told
