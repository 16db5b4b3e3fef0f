"""Work of the trainer's that takes long: queued, spawned, followed, found again after a restart, and ended.

- Two lanes, each with a number of places. What has no place waits in the store, oldest first.
- Progress is read from `events.jsonl` in the work's folder, its output goes to `log.txt` there: neither needs the
  aggregator to live. A restart follows a process that still runs (known by number and birth), concludes one that ended
  meanwhile, starts one that was cut off again (with `--resume` where it can go on), and gives up after `ATTEMPTS`.
- What became of it is judged by the concluder of its kind, from its files, and written with what it brought in one
  transaction: there is no finished work without its result, and no result twice.
- Ending is for the whole process group: SIGTERM, a grace, SIGKILL. Stopping only leaves the file `stop`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import signal
from typing import TYPE_CHECKING, Any, Final, Protocol

from aggregator import audit
from aggregator.errors import AggregatorError, Conflict, TrainerFailed
from aggregator.work import endings, ledger, processes, story
from aggregator.work.rows import Outcome, Work, WorkState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.events import Events
    from aggregator.storage.store import Store
    from aggregator.work.processes import Identity
    from aggregator.work.rows import Ended, Order

log = logging.getLogger(__name__)

ATTEMPTS: Final = 3
LOOK_EVERY_S: Final = 0.25
WRITE_EVERY_S: Final = 0.5
"""Progress within a stage is written at most this often."""

LANES: Final = ("heavy", "light")
STOP: Final = "stop"

GIVEN_UP: Final = f"it was cut off {ATTEMPTS} times and was not started again; look at its log"
KEPT_OUT: Final = frozenset({"ANOMAFLOW_TOKEN_FILE"})
"""Of the aggregator's environment, what the trainer has no business with."""


class Concluder(Protocol):
    """What is known about one kind of work."""

    def whole(self, folder: Path) -> bool:
        """True when its result lies in `folder`. Reads files."""
        ...

    async def conclude(self, work: Work, order: Order, folder: Path, ended: Ended) -> Outcome:
        """What became of it. May raise `AggregatorError`: it failed then."""
        ...

    def topic(self, work: Work) -> tuple[str, dict[str, Any]]:
        """What to tell watchers when its row changed."""
        ...


class Works:
    """All spawned work that goes on by itself. Made over the workbench's folder; `open` it before use."""

    def __init__(
        self,
        store: Store,
        config: AggregatorConfig,
        clock: Clock,
        events: Events,
        concluders: Mapping[str, Concluder],
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._events = events
        self._concluders = concluders
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._starting = asyncio.Lock()
        self._places = {"heavy": config.workbench_heavy, "light": config.workbench_light}
        self._lanes: dict[int, str] = {}
        self._closed = False

    # --- reading -----------------------------------------------------------------------------------------------

    def get(self, work_id: int) -> Work:
        """One piece of work. Raises `NotFound`."""
        return self._store.read(lambda db: ledger.get(db, work_id))

    # --- life --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Follow, conclude or queue again what an earlier life left running; then start what waits."""
        self._config.workbench_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for work in self._store.read(ledger.running):
            await self._take_over(work)
        await self.start_queued()

    async def close(self) -> None:
        """Follow no longer. What runs is left alone, or ended and started again at the next start, by the setting."""
        self._closed = True
        tasks = list(self._tasks.items())
        for _, task in tasks:
            task.cancel()
        await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        if not self._config.workbench_leave_running:
            await asyncio.gather(*(self._end(work_id) for work_id, _ in tasks))

    async def start_queued(self) -> None:
        """Start what waits, as far as there are places."""
        async with self._starting:
            for lane in LANES:
                while not self._closed and sum(of == lane for of in self._lanes.values()) < self._places[lane]:
                    work_id = self._store.read(functools.partial(ledger.next_queued, lane=lane))
                    if work_id is None:
                        break
                    await self._start(work_id)

    # --- doing -------------------------------------------------------------------------------------------------

    async def cancel(self, work_id: int, *, by: str) -> Work:
        """End it and wait until nothing of it runs. Raises `NotFound`, `Conflict` when it is over already."""
        await self._ask(work_id, "cancel", by=by)
        async with self._starting:  # it may be about to start
            task = self._tasks.get(work_id)
        if task is None:
            if not self.get(work_id).state.over:
                await self._conclude(work_id, None)
        else:
            await self._end(work_id)
            await asyncio.wait([task])
        await self.start_queued()
        return self.get(work_id)

    async def stop(self, work_id: int, *, by: str) -> Work:
        """Ask it to finish with what it has; one that waits is cancelled. Raises `NotFound`, `Conflict`."""
        if self.get(work_id).state is WorkState.QUEUED:
            return await self.cancel(work_id, by=by)
        await self._ask(work_id, "stop", by=by)
        await asyncio.to_thread((self._folder(work_id) / STOP).touch)
        return self.get(work_id)

    # --- its course --------------------------------------------------------------------------------------------

    async def _ask(self, work_id: int, asked: str, *, by: str) -> None:
        now_ms = self._clock.now_ms()

        def ask(db: sqlite3.Connection) -> None:
            work = ledger.get(db, work_id)
            if work.state.over:
                raise Conflict(f"the {work.kind} of {work.about} is over already ({work.state})")
            ledger.update(db, work_id, asked=asked)
            audit.record(db, at_ms=now_ms, actor=by, action=f"work.{asked}", about=work.about, detail={"work": work_id})

        await self._store.write(ask)
        self._tell(work_id)

    async def _take_over(self, work: Work) -> None:
        identity, order = self._store.read(lambda db: (ledger.identity_of(db, work.id), ledger.order_of(db, work.id)))
        if identity is not None and processes.alive(identity):
            log.info("work_found id=%d kind=%s pid=%d", work.id, work.kind, identity.pid)
            self._follow(work.id, order, identity)
            return
        if identity is not None and processes.identify(identity.pid) is None:
            processes.signal_group(identity.pid, signal.SIGKILL)  # children that outlived it
        folder = self._config.workbench_dir / order.folder
        ended = await asyncio.to_thread(self._story_end, work.id, order)
        # A "cancelled" that nobody here asked for came with the aggregator's own end: it goes on.
        told = ended.said not in {"", "cancelled"}
        if work.asked == "cancel" or told or (order.again == "restart" and self._concluders[work.kind].whole(folder)):
            await self._conclude(work.id, None)
        elif work.attempts < ATTEMPTS:
            log.info("work_again id=%d kind=%s attempts=%d", work.id, work.kind, work.attempts)
            message = "waits to go on: the aggregator was restarted"
            await self._update(work.id, state=WorkState.QUEUED, pid=None, born="", message=message)
        else:
            await self._conclude(work.id, None, cut_off=GIVEN_UP)

    async def _start(self, work_id: int) -> None:
        work, order = self._store.read(lambda db: (ledger.get(db, work_id), ledger.order_of(db, work_id)))
        folder = self._config.workbench_dir / order.folder
        resumed = order.again == "resume" and work.attempts and "--resume" not in order.arguments
        arguments = [*order.arguments, *(["--resume"] if resumed else [])]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            command = processes.resolve_command(self._config.trainer_command) + arguments
            place = story.size(folder / order.story)
            with (folder / endings.LOG).open("a", encoding="utf-8") as output:
                output.write(f"$ {' '.join(command)}\n")
            held = processes.spawn(
                command,
                cwd=self._config.workbench_dir,
                log=folder / endings.LOG,
                environment=self._environment(order),
                memory_mib=order.memory_mib,
                file_mib=self._config.workbench_quota_mib,
            )
        except (OSError, TrainerFailed) as error:
            await self._conclude(work_id, None, cut_off=f"starting the trainer: {error}")
            return
        now_ms = self._clock.now_ms()
        try:
            await self._update(
                work_id,
                state=WorkState.RUNNING,
                pid=held.identity.pid,
                born=held.identity.born,
                events_from=place,
                attempts=work.attempts + 1,
                started_ms=work.started_ms or now_ms,
                stage="start",
                message="",
            )
        except BaseException:
            held.abandon()
            raise
        held.release()
        log.info("work_started id=%d kind=%s about=%s pid=%d", work_id, order.kind, order.about, held.identity.pid)
        self._follow(work_id, order, held.identity)

    def _follow(self, work_id: int, order: Order, identity: Identity) -> None:
        self._lanes[work_id] = order.lane
        task = asyncio.create_task(self._course(work_id, order, identity), name=f"work-{work_id}")
        self._tasks[work_id] = task

    async def _course(self, work_id: int, order: Order, identity: Identity) -> None:
        """From now to its end; whatever happens, its row says how it ended."""
        started_ms = self.get(work_id).started_ms or self._clock.now_ms()
        left_s = order.seconds - (self._clock.now_ms() - started_ms) / 1000
        code: list[int | None] = [None]

        def gone() -> bool:
            if processes.alive(identity):
                return False
            code[0] = processes.collect(identity.pid) if code[0] is None else code[0]
            return True

        timed_out = False
        try:
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    await self._read_on(work_id, order, gone)
            except TimeoutError:
                timed_out = True
            await processes.end(identity.pid, gone, grace_s=self._config.job_grace_seconds)
            await self._conclude(work_id, code[0], timed_out=timed_out)
        except asyncio.CancelledError:
            raise  # the aggregator stops; the next life goes on from the row
        except Exception as error:  # whatever broke in following it, a row must not say "running" for ever
            log.exception("work_lost id=%d", work_id)
            await self._lose(work_id, identity, gone, f"{type(error).__name__}: {error}")
        finally:
            self._tasks.pop(work_id, None)
            self._lanes.pop(work_id, None)
        await self.start_queued()

    async def _lose(self, work_id: int, identity: Identity, gone: Callable[[], bool], why: str) -> None:
        try:
            await processes.end(identity.pid, gone, grace_s=self._config.job_grace_seconds)
            await self._conclude(work_id, None, cut_off=f"it could not be followed: {why}; see the aggregator's log")
        except Exception:  # nothing of it runs; the next start takes the row over
            log.exception("work_not_concluded id=%d", work_id)

    async def _read_on(self, work_id: int, order: Order, gone: Callable[[], bool]) -> None:
        path = self._config.workbench_dir / order.folder / order.story
        place = self._store.read(lambda db: ledger.events_from(db, work_id))
        written_s, stage = -WRITE_EVERY_S, ""
        pending: dict[str, Any] = {}
        steps = 0
        while True:
            over = gone()
            events, place = await asyncio.to_thread(story.read, path, place)
            for event in events:
                pending |= endings.progress(event)
                if event["event"] == "model" and event.get("state") == "done":
                    steps += 1
                    pending["steps"] = steps
            now_s = self._clock.monotonic_s()
            if pending and (over or pending.get("stage", stage) != stage or now_s - written_s >= WRITE_EVERY_S):
                written_s, stage = now_s, pending.get("stage", stage)
                await self._update(work_id, **pending)
                pending = {}
            if over and not events:
                return
            if not events:
                await self._clock.sleep(LOOK_EVERY_S)

    async def _conclude(
        self, work_id: int, exit_code: int | None, *, timed_out: bool = False, cut_off: str = ""
    ) -> None:
        work, order = self._store.read(lambda db: (ledger.get(db, work_id), ledger.order_of(db, work_id)))
        folder = self._config.workbench_dir / order.folder
        ended = await asyncio.to_thread(
            self._story_end, work_id, order, exit_code=exit_code, asked=work.asked, timed_out=timed_out
        )
        for secret in order.secrets:
            await asyncio.to_thread(endings.discard, self._config.workbench_dir / secret)
        (folder / STOP).unlink(missing_ok=True)
        outcome = await self._judged(work, order, folder, ended, cut_off)
        now_ms = self._clock.now_ms()

        def conclude(db: sqlite3.Connection) -> None:
            done = outcome.state in {WorkState.DONE, WorkState.STOPPED}
            ledger.update(
                db,
                work_id,
                state=outcome.state,
                message=outcome.message,
                error=outcome.error,
                ended_ms=now_ms,
                exit_code=exit_code,
                **({"fraction": 1.0, "stage": "done"} if done else {}),
            )
            if outcome.keep is not None:
                outcome.keep(db)

        await self._store.write(conclude)
        log.info("work_ended id=%d kind=%s state=%s error=%s", work_id, work.kind, outcome.state, outcome.error)
        self._tell(work_id)

    async def _judged(self, work: Work, order: Order, folder: Path, ended: Ended, cut_off: str) -> Outcome:
        concluder = self._concluders[work.kind]
        try:
            outcome = await concluder.conclude(work, order, folder, ended)
        except AggregatorError as error:
            outcome = Outcome(WorkState.FAILED, error=str(error))
        except Exception as error:  # what a trainer wrote may be anything; the row says so instead of staying open
            log.exception("work_not_concluded id=%d", work.id)
            outcome = Outcome(WorkState.FAILED, error=f"{type(error).__name__}: {error}; see the aggregator's log")
        if not cut_off or outcome.state in {WorkState.DONE, WorkState.STOPPED}:
            return outcome
        began = work.started_ms is not None
        return Outcome(WorkState.INTERRUPTED if began else WorkState.FAILED, error=cut_off, keep=outcome.keep)

    def _story_end(self, work_id: int, order: Order, **known: Any) -> Ended:
        place = self._store.read(lambda db: ledger.events_from(db, work_id))
        return endings.read(self._config.workbench_dir / order.folder, order, place, **known)

    async def _end(self, work_id: int) -> None:
        identity = self._store.read(lambda db: ledger.identity_of(db, work_id))
        if identity is not None and processes.alive(identity):
            await processes.end(
                identity.pid, lambda: not processes.alive(identity), grace_s=self._config.job_grace_seconds
            )

    async def _update(self, work_id: int, **values: Any) -> None:
        await self._store.write(lambda db: ledger.update(db, work_id, **values))
        self._tell(work_id)

    def _tell(self, work_id: int) -> None:
        work = self.get(work_id)
        topic, detail = self._concluders[work.kind].topic(work)
        self._events.publish(topic, state=str(work.state), **detail)

    def _environment(self, order: Order) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in KEPT_OUT}
        if order.environment:
            kept |= json.loads((self._config.workbench_dir / order.environment).read_text(encoding="utf-8"))
        return kept

    def _folder(self, work_id: int) -> Path:
        return self._config.workbench_dir / self._store.read(lambda db: ledger.order_of(db, work_id)).folder
