"""Work of the trainer's that is waited for: a plot, an explanation, one row. Bounded in number, time and memory.

Nothing of it outlives the request: when who waits goes away or the time is up, the whole process group ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aggregator.errors import Busy, Invalid, TrainerFailed
from aggregator.work import processes, story
from protos.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aggregator.config import AggregatorConfig

WAITING: Final = 8
"""Requests that may wait for a place, for each place."""


ASKED_WRONG: Final = frozenset({ExitCode.USAGE, ExitCode.CONFIG, ExitCode.SOURCE, ExitCode.MODEL, ExitCode.DATA})
"""Ends of the trainer's that are an answer to what was asked, not a failure."""


class Short:
    """Places for short work."""

    def __init__(self, config: AggregatorConfig) -> None:
        self._config = config
        self._places = asyncio.Semaphore(config.workbench_short)
        self._here = 0

    async def run(self, arguments: Sequence[str], *, cwd: Path, said: bytes = b"") -> None:
        """Run the trainer to its end, with `said` as its input. Raises `Busy`, `Invalid`, `TrainerFailed`."""
        if self._here >= self._config.workbench_short * (1 + WAITING):
            raise Busy("as many plots and explanations as may wait are waiting; try again in a few seconds", 5)
        self._here += 1
        try:
            async with self._places:
                await self._run(arguments, cwd, said)
        finally:
            self._here -= 1

    async def _run(self, arguments: Sequence[str], cwd: Path, said: bytes) -> None:
        command = processes.resolve_command(self._config.trainer_command) + list(arguments)
        seconds = self._config.workbench_short_seconds
        async with _scratch() as folder:
            log, heard = folder / "log.txt", folder / "input"
            await asyncio.to_thread(heard.write_bytes, said)
            with log.open("wb") as output, heard.open("rb") as spoken:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=cwd,
                    stdin=spoken,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            processes.limit(
                process.pid,
                memory_mib=self._config.workbench_light_memory_mib,
                file_mib=self._config.workbench_table_mib,
            )
            try:
                async with asyncio.timeout(seconds):
                    code = await process.wait()
            except TimeoutError:
                raise TrainerFailed(
                    f"this took longer than workbench_short_seconds = {seconds:g}; ask for less"
                ) from None
            finally:
                await processes.end(process.pid, lambda: process.returncode is not None, grace_s=1.0)
            if code != ExitCode.OK:
                said_last = _last_words(log) or f"the trainer ended with exit code {code} and said nothing"
                raise Invalid(said_last) if code in ASKED_WRONG else TrainerFailed(said_last)


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in processes.tail(log, lines=20)]
    last = next((line for line in reversed(lines) if line), "")
    return last.removeprefix("anomaflow-trainer: ")[: story.TEXT]


@contextlib.asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="anomaflow-short-") as folder:
        yield Path(folder)
