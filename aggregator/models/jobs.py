"""Training runs: a spawned `anomaflow-trainer`, watched from here and never loaded here.

A run first brings staging and verdicts into the lake, then trains on the baseline captures and the lake, with the
champion to beat. Its progress lines become the job's row, its output the job's log. It runs in a process group of its
own with a memory limit and a time limit; cancelling it ends the whole group. One run at a time: a unique index holds
that even against a second request in the same moment. A run that was under way when the aggregator stopped is marked
interrupted at the next start; its half-made files stay in its folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from aggregator import audit, paging
from aggregator.calibration import policies
from aggregator.errors import AggregatorError, Conflict, Invalid, NotFound, TrainerFailed
from aggregator.learning import quarantine, yardsticks
from aggregator.models import training
from aggregator.rows import Job, JobState, Page
from aggregator.work import processes
from protos.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.events import Events
    from aggregator.models.registry import Registry
    from aggregator.storage.lake import Lake
    from aggregator.storage.store import Store

log = logging.getLogger(__name__)

RETRAIN: Final = "retrain"
WRITE_EVERY_S: Final = 0.5
"""Progress within a stage is written at most this often."""

LONGEST_LINE: Final = 1 << 20
CUT_OFF: Final = "the aggregator stopped while this ran; start it again"


class Jobs:
    """Starts, watches and ends training runs."""

    def __init__(  # noqa: PLR0917 - the collaborators
        self, store: Store, config: AggregatorConfig, clock: Clock, events: Events, lake: Lake, registry: Registry
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._events = events
        self._lake = lake
        self._registry = registry
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()

    # --- reading -----------------------------------------------------------------------------------------------

    def find(self, *, limit: int, cursor: str | None = None) -> Page[Job]:
        """Training runs, newest first."""
        rows = self._store.read(
            lambda db: db.execute(
                "SELECT * FROM jobs WHERE id < ? ORDER BY id DESC LIMIT ?",
                (paging.id_cursor(cursor), paging.size(limit) + 1),
            ).fetchall()
        )
        return paging.page([_job(row) for row in rows], limit, lambda job: str(job.id))

    def get(self, job_id: int) -> Job:
        """One training run. Raises `NotFound`."""
        row = self._store.read(lambda db: db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone())
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return _job(row)

    def log(self, job_id: int, *, lines: int) -> list[str]:
        """The last lines of a run's log. Raises `NotFound`."""
        self.get(job_id)
        return processes.tail(self._folder(job_id) / "log.txt", lines=lines)

    # --- doing -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Mark what an earlier life left running as interrupted."""
        now_ms = self._clock.now_ms()
        await self._store.write(
            lambda db: db.execute(
                "UPDATE jobs SET state = ?, ended_ms = ?, error = ? WHERE state = ?",
                (JobState.INTERRUPTED, now_ms, CUT_OFF, JobState.RUNNING),
            )
        )

    async def close(self) -> None:
        """End what runs; it is marked interrupted."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start_retrain(
        self,
        *,
        by: str,
        name: str | None,
        quarantine_hours: float | None,
        auto_promote: bool,
        epochs: int | None,
        alpha: float | None,
        seed: int | None,
    ) -> Job:
        """Start a run; it goes on by itself. Raises `Invalid`, and `Conflict` while another is under way."""
        params = {
            "name": name,
            "quarantine_hours": self._config.quarantine_hours if quarantine_hours is None else quarantine_hours,
            "auto_promote": auto_promote,
            "epochs": epochs,
            # The gate judges at the rate that agents will be held to.
            "alpha": self._store.read(policies.current).promised_fpr if alpha is None else alpha,
            "seed": seed,
        }
        _require_sane(params)
        now_ms = self._clock.now_ms()
        job_id = await self._store.write(lambda db: _insert(db, params, by=by, now_ms=now_ms))
        self._tasks[job_id] = asyncio.create_task(self._run(job_id, params, by), name=f"job-{job_id}")
        self._tasks[job_id].add_done_callback(lambda _: self._tasks.pop(job_id, None))
        log.info("job_started id=%d kind=%s by=%s", job_id, RETRAIN, by)
        self._events.publish("job", id=job_id, state=str(JobState.RUNNING))
        return self.get(job_id)

    async def cancel(self, job_id: int, *, by: str) -> Job:
        """End a run and wait until it is gone. Raises `NotFound`, `Conflict` when it is over already."""
        task = self._tasks.get(job_id)
        if task is None:
            raise Conflict(f"job {job_id} is over already ({self.get(job_id).state})")
        now_ms = self._clock.now_ms()
        await self._store.write(
            lambda db: audit.record(db, at_ms=now_ms, actor=by, action="job.cancel", about=f"job {job_id}")
        )
        self._cancelled.add(job_id)
        task.cancel()
        await asyncio.wait([task])
        return self.get(job_id)

    async def _run(self, job_id: int, params: dict[str, Any], by: str) -> None:
        """The whole run; whatever happens, the job's row says how it ended."""
        outcome: dict[str, Any] = {"state": JobState.FAILED}
        try:
            async with asyncio.timeout(self._config.job_hours * 3600):
                outcome = await self._train(job_id, params, by)
        except TimeoutError:
            outcome = {"state": JobState.TIMED_OUT, "error": f"took longer than job_hours = {self._config.job_hours:g}"}
        except asyncio.CancelledError:
            stopped = job_id in self._cancelled
            outcome = {
                "state": JobState.CANCELLED if stopped else JobState.INTERRUPTED,
                "error": "" if stopped else CUT_OFF,
            }
        except AggregatorError as error:
            outcome = {"state": JobState.FAILED, "error": str(error)}
        except Exception as error:  # whatever broke, the row must not say "running" for ever
            log.exception("job_failed id=%d", job_id)
            outcome = {"state": JobState.FAILED, "error": f"{type(error).__name__}: {error}; see the aggregator's log"}
        finally:
            self._cancelled.discard(job_id)
            await self._update(job_id, ended_ms=self._clock.now_ms(), **outcome)
            log.info("job_ended id=%d state=%s error=%s", job_id, outcome["state"], outcome.get("error", ""))

    async def _train(self, job_id: int, params: dict[str, Any], by: str) -> dict[str, Any]:
        folder = self._folder(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        await self._update(job_id, stage="lake", message="bringing flows and verdicts into the lake")
        await asyncio.to_thread(self._lake.stage)
        await asyncio.to_thread(
            self._lake.merge, now_ms=self._clock.now_ms(), quarantine_hours=params["quarantine_hours"]
        )
        held = folder / "held.json"
        holding = await asyncio.to_thread(self._store.read, lambda db: quarantine.held(db, now_ms=self._clock.now_ms()))
        held.write_text(json.dumps(holding), encoding="utf-8")
        attacks, golden = await asyncio.to_thread(self._store.read, lambda db: yardsticks.judges(db, self._config))
        champion = self._registry.champion()
        arguments = training.fit_arguments(
            out=folder / "model.onnx",
            report=folder / "report",
            baseline=self._config.baseline_benign,
            lake=self._lake.lake_dir,
            lake_rows=self._lake.size().lake_rows,
            labelled_rows=await asyncio.to_thread(self._lake.labelled_rows),
            champion=None if champion is None else self._registry.path(champion.digest),
            params=params,
            attacks=attacks,
            golden=golden,
            held=held,
        )
        command = processes.resolve_command(self._config.trainer_command) + arguments
        exit_code, result, complaint = await self._watch(job_id, command, folder)
        if exit_code not in {ExitCode.OK, ExitCode.GATE} or result is None:
            raise TrainerFailed(f"the trainer ended with exit code {exit_code}: {complaint or 'it said nothing'}")
        await self._update(job_id, stage="admit", fraction=0.98, message="checking the new model", exit_code=exit_code)
        report = training.report_file(result)
        model = await self._registry.admit(
            Path(result["model"]),
            report=report,
            by=f"job {job_id}",
            announced=result.get("digest"),
        )
        gate = result.get("gate")
        promoted = False
        better = champion is None or (model.gate_passed and model.digest != champion.digest)
        if params["auto_promote"] and model.gate_passed is not False and better:
            await self._registry.promote(model.digest, by=by, reason=f"job {job_id}, promoted by itself", force=False)
            promoted = True
        verdict = "" if gate is None else " and passed its gate" if model.gate_passed else " but did not pass its gate"
        return {
            "state": JobState.SUCCEEDED,
            "stage": "done",
            "fraction": 1.0,
            "message": f"model {model.digest[:12]} is in the registry{verdict}",
            "model_digest": model.digest,
            "gate": None if gate is None else json.dumps(gate),
            "promoted": promoted,
        }

    async def _watch(self, job_id: int, command: list[str], folder: Path) -> tuple[int, dict[str, Any] | None, str]:
        """Run the trainer to its end: its exit code, its result, and the last line of its complaints.

        Nothing of it is left when this returns or raises.
        """
        with (folder / "log.txt").open("ab") as output:
            output.write(f"$ {' '.join(command)}\n".encode())
            output.flush()
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
            processes.limit(process.pid, memory_mib=self._config.job_memory_mib)
            following = asyncio.gather(self._follow(job_id, process.stdout, output), _copy(process.stderr, output))
            try:
                exit_code = await process.wait()
                await asyncio.wait([following], timeout=self._config.job_grace_seconds)
                processes.signal_group(process.pid, signal.SIGKILL)  # what it left behind may hold its pipes
                result, complaint = await following
                return exit_code, result, complaint
            finally:
                following.cancel()
                await processes.end(
                    process.pid, lambda: process.returncode is not None, grace_s=self._config.job_grace_seconds
                )

    async def _follow(
        self, job_id: int, stream: asyncio.StreamReader | None, output: BinaryIO
    ) -> dict[str, Any] | None:
        result: dict[str, Any] | None = None
        written_s, stage = -WRITE_EVERY_S, ""
        async for line in _lines(stream, output):
            event = training.parse_line(line)
            if event.get("event") == "result":
                result = event
            elif event.get("event") == "progress":
                now_s = self._clock.monotonic_s()
                if event["stage"] != stage or now_s - written_s >= WRITE_EVERY_S:
                    written_s, stage = now_s, event["stage"]
                    await self._update(job_id, stage=stage, fraction=0.95 * event["fraction"], message=event["message"])
        return result

    async def _update(self, job_id: int, **values: Any) -> None:
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        await self._store.write(
            lambda db: db.execute(f"UPDATE jobs SET {assignments} WHERE id = :id", {**values, "id": job_id})  # noqa: S608
        )
        self._events.publish("job", id=job_id)

    def _folder(self, job_id: int) -> Path:
        return self._config.jobs_dir / str(job_id)


def _require_sane(params: dict[str, Any]) -> None:
    name = params["name"]
    if name is not None and (not 1 <= len(name) <= 64 or not name.isprintable() or name.startswith("-")):
        raise Invalid("a model's name has 1 to 64 characters and does not begin with a dash")
    if not 0 <= params["quarantine_hours"] <= 24 * 365:
        raise Invalid(f"quarantine_hours = {params['quarantine_hours']} must be between 0 and {24 * 365}")
    for key, low, high in (("epochs", 1, 10_000), ("alpha", 1e-9, 0.5), ("seed", 0, 2**32 - 1)):
        if params[key] is not None and not low <= params[key] <= high:
            raise Invalid(f"{key} = {params[key]} must be between {low} and {high}")


def _insert(db: sqlite3.Connection, params: dict[str, Any], *, by: str, now_ms: int) -> int:
    try:
        created = db.execute(
            'INSERT INTO jobs (kind, state, stage, fraction, message, params, "by", created_ms, started_ms) '
            "VALUES (?, ?, 'start', 0, '', ?, ?, ?, ?)",
            (RETRAIN, JobState.RUNNING, json.dumps(params), by, now_ms, now_ms),
        )
    except sqlite3.IntegrityError:
        raise Conflict("a training run is under way; wait for it or cancel it") from None
    job_id = int(created.lastrowid or 0)
    audit.record(db, at_ms=now_ms, actor=by, action="job.start", about=f"job {job_id}", detail=params)
    return job_id


async def _copy(stream: asyncio.StreamReader | None, output: BinaryIO) -> str:
    """Copy a stream into the log; returns its last line that says something."""
    last = ""
    async for line in _lines(stream, output):
        last = line.decode("utf-8", errors="replace").strip()[: training.TEXT] or last
    return last


async def _lines(stream: asyncio.StreamReader | None, output: BinaryIO) -> AsyncIterator[bytes]:
    """Lines of a stream, each copied into the log. What is longer than `LONGEST_LINE` is skipped."""
    while stream is not None:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit: asyncio has dropped what it held of it
            continue
        if not line:
            return
        output.write(line)
        output.flush()
        yield line


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        state=JobState(row["state"]),
        stage=row["stage"],
        fraction=row["fraction"],
        message=row["message"],
        params=json.loads(row["params"]),
        by=row["by"],
        created_ms=row["created_ms"],
        started_ms=row["started_ms"],
        ended_ms=row["ended_ms"],
        exit_code=row["exit_code"],
        model_digest=row["model_digest"],
        gate=None if row["gate"] is None else json.loads(row["gate"]),
        promoted=bool(row["promoted"]),
        error=row["error"],
    )
