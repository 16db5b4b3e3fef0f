"""A console with models, agents, alerts and incidents, a browser, and pages of it, each watched to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import console_hall as hall
import console_office
import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, onnx_models: ModuleType) -> Iterator[hall.Console]:
    """An aggregator with models, agents, alerts and incidents."""
    folder = tmp_path_factory.mktemp("console")
    process, addresses, token = hall.aggregator(folder)
    agents = []
    try:
        office = console_office
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=addresses["web"], headers=headers, timeout=60) as rest:
            made = hall.Console(addresses["web"], addresses["grpc"], rest, office, [], {}, None)
            hall.fill(made, folder, onnx_models)
            drops = {"packets_dropped": 31_000, "state": "degraded", "detail": "the kernel drops packets"}
            made.agent = office.Agent(made.grpc, "office-gw", made.models[0])
            agents += [made.agent, office.Agent(made.grpc, "lab-tap", made.models[0], health=drops)]
            agents[0].raises(office.scan())
            agents[1].raises(office.others())
            agents[1].loses(1_200)
            for agent in agents:
                agent.beats()
            yield made
    finally:
        hall.close(process, agents)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=hall.CHROMIUM, args=list(hall.FLAGS))
        yield started
        started.close()


@pytest.fixture
def stranger(browser: Browser, console: hall.Console) -> Iterator[Page]:
    """A page of somebody who has not logged in."""
    yield from hall.watched(browser, console)


@pytest.fixture
def page(browser: Browser, console: hall.Console) -> Iterator[Page]:
    """A page of the administrator."""
    for made in hall.watched(browser, console):
        hall.enter(made, console)
        yield made
