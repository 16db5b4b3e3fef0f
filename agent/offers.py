"""What becomes of a model offer: fetched to a temporary file, verified in a capped child, installed by rename.

Whatever goes wrong on the way (the connection, the size, the digest, the child's verdict), the old model stays and the
temporary file goes. An offer that was refused once is not fetched again as long as this process lives.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from agent import models
from agent.errors import AggregatorAway, DiskTrouble, ModelRefused
from agent.onnx_file import MOST_BYTES
from agent.state import read_json
from protos import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agent.state import StateDir

log = logging.getLogger(__name__)

_PART: Final = ".download-"
_HEX: Final = frozenset("0123456789abcdef")


class Outcome(Enum):
    """What is reported of an offer."""

    INSTALLED = "installed"
    RUNNING = "running"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Offer:
    """A model the aggregator wants run."""

    digest: str
    size: int
    name: str
    feature_digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the model `digest`, and why if it was refused."""

    digest: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What the sensor says of models."""

    running: str = ""
    refused: tuple[tuple[str, str], ...] = ()


def read_status(path: Path) -> ModelStatus:
    """The sensor's word; empty before it has spoken."""
    content = read_json(path)
    refused = content.get("refused", {})
    pairs = tuple((str(key), str(value)) for key, value in refused.items()) if isinstance(refused, dict) else ()
    return ModelStatus(str(content.get("running", "")), pairs)


class Offers:
    """Answers offers. `fetch(digest)` gives the bytes of a model in pieces."""

    def __init__(self, state: StateDir, fetch: Callable[[str], AsyncIterator[bytes]]) -> None:
        self._state = state
        self._fetch = fetch
        self._refused: dict[str, str] = {}
        for left in state.models.glob(f"{_PART}*"):  # of a process that was killed
            left.unlink(missing_ok=True)

    async def answer(self, offer: Offer) -> Answer:
        """Install what is offered, or say why not.

        Raises `AggregatorAway` when the connection fails on the way: the offer may be tried again.
        """
        status = read_status(self._state.model_status)
        if offer.digest == status.running:
            return Answer(offer.digest, Outcome.RUNNING)
        refusal = self._refused.get(offer.digest) or dict(status.refused).get(offer.digest) or _unfit(offer)
        if refusal:
            return Answer(offer.digest, Outcome.REFUSED, refusal)
        if offer.digest == models.current_digest(self._state):
            return Answer(offer.digest, Outcome.INSTALLED)
        try:
            await self._install(offer, running=status.running)
        except ModelRefused as error:
            log.warning("model_refused digest=%s error=%s", offer.digest, error)
            self._refused[offer.digest] = str(error)
            return Answer(offer.digest, Outcome.REFUSED, str(error))
        except DiskTrouble as error:  # not the model's fault: a later offer is tried again
            log.warning("model_not_installed digest=%s error=%s", offer.digest, error)
            return Answer(offer.digest, Outcome.REFUSED, str(error))
        return Answer(offer.digest, Outcome.INSTALLED)

    async def _install(self, offer: Offer, *, running: str) -> None:
        present = self._state.models / f"{offer.digest}.onnx"
        source = present if present.exists() else self._state.models / f"{_PART}{offer.digest}.{os.getpid()}"
        try:
            if source is not present:
                await self._download(offer, source)
            await asyncio.to_thread(models.install, self._state, source, expected_digest=offer.digest, running=running)
        except OSError as error:
            raise DiskTrouble(
                f"fetching model {offer.digest[:12]} to {source.parent}: {error.strerror}; free some space"
            ) from error
        finally:
            if source is not present:
                source.unlink(missing_ok=True)

    async def _download(self, offer: Offer, target: Path) -> None:
        hasher, size = hashlib.sha256(), 0
        with target.open("wb") as file:
            async for piece in self._fetch(offer.digest):
                size += len(piece)
                if size > min(offer.size, MOST_BYTES):
                    raise ModelRefused(f"fetching model {offer.digest[:12]}: it exceeds the {offer.size} bytes offered")
                hasher.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if size < offer.size:
            raise AggregatorAway(f"fetching model {offer.digest[:12]}: only {size} of {offer.size} bytes came")
        if hasher.hexdigest() != offer.digest:
            raise ModelRefused(
                f"fetching model {offer.digest[:12]}: {size} of {offer.size} bytes came, with the digest "
                f"{hasher.hexdigest()[:12]}; the file at the aggregator is damaged"
            )


def _unfit(offer: Offer) -> str:
    """Why an offer is not even fetched; empty when it may be. Pure."""
    if len(offer.digest) != 64 or not set(offer.digest) <= _HEX:
        return f"the offered digest {offer.digest[:80]!r} is not a SHA-256"
    if not 0 < offer.size <= MOST_BYTES:
        return f"the offered model has {offer.size} bytes; at most {MOST_BYTES >> 20} MiB are accepted"
    if offer.feature_digest and offer.feature_digest != names.DIGEST:
        return (
            f"the offered model {offer.name!r} reads another feature contract ({offer.feature_digest[:12]}, here "
            f"{names.DIGEST[:12]}); upgrade the agent, or train it for this version"
        )
    return ""
