"""Verification: whether a run can be done again here, as things are now."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import Invalid, TrainerFailed
from aggregator.rows import Role
from aggregator.workbench import orders, places, runs

if TYPE_CHECKING:
    from aggregator.services import Services
    from aggregator.users import Principal

VERIFICATION: Final = "anomaflow-verification-1"


async def verify(services: Services, actor: Principal, experiment_id: int) -> dict[str, Any]:
    """`{"reproducible", "note", "checks"}`: data, settings, files and versions, looked at now. Viewers too.

    Nothing is kept, since what is true now need not stay so. Raises `NotFound`, `Invalid` for a run without a result,
    `Busy`, `TrainerFailed`.
    """
    actor.require(Role.VIEWER, write=False)
    services.store.read(lambda db: runs.get(db, experiment_id))
    root, out = services.config.workbench_dir, f"{places.INCOMING}/verification-{uuid.uuid4().hex}.json"
    arguments = (orders.WORKBENCH, "verify", places.run_folder(experiment_id), "--out", out)
    try:
        try:
            await services.workbench.short.run(arguments, cwd=root)
        except Invalid:
            # "It cannot be done again" is an answer, though the trainer's command fails with it.
            if not (root / out).exists():
                raise
        told = await asyncio.to_thread(places.read_json, root / out, VERIFICATION)
    finally:
        await asyncio.to_thread((root / out).unlink, missing_ok=True)
    if told is None:
        raise TrainerFailed("the trainer verified nothing; try again")
    return told


def said(told: dict[str, Any]) -> str:
    """The answer in one line: yes, with what may differ; or no, because of what."""
    failed = [str(check["detail"]) for check in told["checks"] if check["passed"] is False]
    if failed:
        return f"can be done again here: no, because {'; '.join(failed)}"
    differs = [str(check["detail"]) for check in told["checks"] if check["passed"] is None]
    return f"can be done again here: yes{''.join(f'; {one}' for one in differs)}"
