"""`/models`: the registry."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from aggregator import queries
from aggregator.models.registry import INCOMING
from aggregator.rows import Model, Role, as_json
from aggregator.web.api.asking import Asker, Served, list_of, shape

if TYPE_CHECKING:
    from typing import BinaryIO

router = APIRouter(prefix="/models", tags=["models"])
_MODEL = shape(Model)


class Decision(BaseModel):
    """Why, for the audit log."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=500)


class Promotion(Decision):
    """`force` promotes a model that did not pass its gate, and needs a reason."""

    force: bool = False


@router.get("", response_model=list_of(Model), summary="Models, newest version first")
def list_models(services: Served, _: Asker) -> Any:
    """States: admitted, candidate (its gate passed), champion (what agents run), retired, refused."""
    return as_json(queries.list_models(services))


@router.post("", response_model=_MODEL, status_code=201, summary="Admit a model file, with its report")
async def add_model(services: Served, asker: Asker, model: UploadFile, report: UploadFile | None = None) -> Any:
    """Verified before it is kept: size, manifest, feature contract, and its self-test in a process with limits.

    Operators and up. A file that is in the registry already is answered with its row.
    """
    asker.require(Role.OPERATOR)
    services.config.models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=INCOMING, dir=services.config.models_dir) as folder:
        path, summary = Path(folder) / "model.onnx", Path(folder) / "report.json"
        await asyncio.to_thread(_save, model.file, path)
        if report is not None:
            await asyncio.to_thread(_save, report.file, summary)
        admitted = await queries.add_model(services, asker, path, report=None if report is None else summary)
    return as_json(admitted)


@router.post("/rollback", response_model=_MODEL, summary="Bring the previous champion back")
async def rollback(services: Served, asker: Asker, decision: Decision) -> Any:
    """Agents receive it at once, with a policy of its own. Operators and up."""
    return as_json(await queries.rollback(services, asker, reason=decision.reason))


@router.get("/{digest}", response_model=_MODEL, summary="One model")
def get_model(services: Served, _: Asker, digest: str) -> Any:
    """By its digest, or an unambiguous beginning of at least 8 digits."""
    return as_json(queries.get_model(services, digest))


@router.get("/{digest}/report", response_model=None, summary="The training report of a model")
def get_report(services: Served, _: Asker, digest: str) -> dict[str, Any]:
    """As the trainer wrote it."""
    return queries.get_model_report(services, digest)


@router.post("/{digest}/promote", response_model=_MODEL, summary="Make a model the champion")
async def promote(services: Served, asker: Asker, digest: str, promotion: Promotion) -> Any:
    """Agents receive it at once, with a policy whose threshold follows from its calibration. Operators and up."""
    return as_json(await queries.promote(services, asker, digest, reason=promotion.reason, force=promotion.force))


@router.post("/{digest}/refuse", response_model=_MODEL, summary="Mark a model as not wanted")
async def refuse(services: Served, asker: Asker, digest: str, decision: Decision) -> Any:
    """It can then never be promoted. Operators and up."""
    return as_json(await queries.refuse_model(services, asker, digest, reason=decision.reason))


def _save(source: BinaryIO, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
