"""Services with a stand-in for the trainer, a client of their REST, and a token of every role."""

from __future__ import annotations

import httpx
import pytest
from workbench_callers import BASE

from aggregator.rows import Role
from aggregator.web.app import build_app


@pytest.fixture
def trainer(tmp_path):
    return tmp_path / "trainer"


@pytest.fixture
async def hall(tmp_path, parts, fake_workbench, trainer):
    settings = {
        "trainer_command": fake_workbench.write(trainer),
        "workbench_free_mib": 0,
        "workbench_upload_mib": 1,
        "workbench_hosts": ("db.example", "files.example"),
    }
    async with parts.services(tmp_path / "state", **settings) as services:
        for role in Role:
            parts.add_user(services, str(role), role)
        yield services


@pytest.fixture
async def web(hall):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE + "/api/v1") as client:
        yield client


@pytest.fixture
async def tokens(hall, parts):
    return await parts.headers(hall)


@pytest.fixture
def analyst(tokens):
    return tokens["analyst", "write"]
