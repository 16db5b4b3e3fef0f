"""The aggregator at work: its parts built once, and one event loop for agents, browsers and upkeep.

    async with opened(config, clock) as services:      # the parts, without any socket
        await serve(services, stop, ready)             # until `stop` is set

A state directory serves one aggregator: a lock file says so before anything is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

from aggregator.calibration import policies
from aggregator.calibration.promises import Promises
from aggregator.config import require_loopback
from aggregator.errors import BindRefused, StateError
from aggregator.events import Events
from aggregator.intake import rpc
from aggregator.learning.reviewing import Reviewing
from aggregator.models.jobs import Jobs
from aggregator.models.registry import Registry
from aggregator.services import Services
from aggregator.statedir import locked
from aggregator.storage.lake import Lake
from aggregator.storage.store import Store
from aggregator.upkeep import Upkeep
from aggregator.web.access import Access
from aggregator.workbench import workbench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running aggregator listens."""

    grpc: str
    web: str


@contextlib.asynccontextmanager
async def opened(config: AggregatorConfig, clock: Clock) -> AsyncIterator[Services]:
    """The parts of the aggregator over its state directory, recovered and ready. Raises `StateError`."""
    if not config.database.exists():
        raise StateError(f"there is no aggregator in {config.state_dir}; run `anomaflow-aggregator init` first")
    with locked(config.state_dir):
        store = Store(config.database).open()
        try:
            now_ms = clock.now_ms()
            await store.write(lambda db: policies.ensure_first(db, config, now_ms=now_ms))
            await store.write(lambda db: db.execute("UPDATE agents SET connected = 0"))
            events = Events()
            registry = Registry(store, config, clock, events).open()
            lake = Lake(
                config.state_dir,
                store,
                stage_rows=config.stage_rows,
                lake_file_rows=config.lake_file_rows,
                query_memory_mib=config.query_memory_mib,
                query_seconds=config.query_seconds,
            )
            await asyncio.to_thread(lake.open)
            jobs = Jobs(store, config, clock, events, lake, registry)
            await jobs.open()
            try:
                async with workbench.opened(store, config, clock, events, registry) as bench:
                    yield Services(
                        config=config,
                        clock=clock,
                        store=store,
                        lake=lake,
                        registry=registry,
                        promises=Promises(store, config, clock, events, registry),
                        jobs=jobs,
                        access=Access(store, clock, config),
                        events=events,
                        reviewing=Reviewing(store, lake, config, clock),
                        workbench=bench,
                    )
            finally:
                await jobs.close()
        finally:
            await asyncio.to_thread(store.close)


async def serve(services: Services, stop: asyncio.Event, ready: Callable[[Addresses], None]) -> None:
    """Serve agents and browsers until `stop` is set. `ready` hears where. Raises `BindRefused`."""
    # NiceGUI and its assets take a second to import; commands that only open the parts do not need them.
    from aggregator.web import pages
    from aggregator.web.app import build_app

    config = services.config
    upkeep = Upkeep(services)
    servicer = rpc.FleetServicer(services, upkeep.stored)
    app = build_app(services)
    pages.mount(app, services)
    async with (
        upkeep.running(),
        rpc.serve(
            servicer, host=config.grpc_host, port=config.grpc_port, max_record_mib=config.max_record_mib
        ) as grpc_port,
        web(app, host=config.web_host, port=config.web_port) as web_port,
    ):
        ready(Addresses(f"{config.grpc_host}:{grpc_port}", f"http://{config.web_host}:{web_port}"))
        await stop.wait()
        log.info("stopping")


@contextlib.asynccontextmanager
async def web(app: Any, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` while the block runs; gives the port. Raises `BindRefused` beyond loopback or for a port in use."""
    require_loopback(host, "web_host")
    listening = _listen(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
            lifespan="on",
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="web")
    try:
        while not server.started:
            if serving.done():
                await serving
                raise BindRefused("the console's server did not start; see the log above")
            await asyncio.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
        listening.close()


class _Server(uvicorn.Server):
    """uvicorn without hands on the process's signals: main.py has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
    except OSError as error:
        listening.close()
        raise BindRefused(f"listening on {host}:{port}: {error.strerror}; is another program using it?") from error
    return listening
