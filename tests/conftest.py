"""What several test modules share: the builder of tiny models, loaded by path because tests are no package."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def _load(name: str) -> ModuleType:
    """A module beside this file."""
    full = f"anomaflow_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def onnx_models() -> ModuleType:
    """The module `tests/onnx_models.py`: `write_model(path, ...) -> digest` and the variants that must be refused."""
    return _load("onnx_models")


@pytest.fixture(scope="session")
def fake_aggregator() -> ModuleType:
    """The module `tests/fake_aggregator.py`: a real gRPC server that an agent may talk to."""
    return _load("fake_aggregator")


@pytest.fixture(scope="session")
def tiny_pcap() -> ModuleType:
    """The module `tests/tiny_pcap.py`: captures of a few packets, and a port scan."""
    return _load("tiny_pcap")


@pytest.fixture(scope="session")
def parts() -> ModuleType:
    """The module `tests/aggregator_parts.py`: batches, records, a clock by hand, services over a folder."""
    return _load("aggregator_parts")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing may be skipped (continuous integration), name the tests that were and fail the run.

    A skipped test would hide that a part of the product was not looked at.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("ANOMAFLOW_NO_SKIPS") and skipped:
        for report in skipped:
            reporter.write_line(
                f"\nskipped, but ANOMAFLOW_NO_SKIPS is set: {report.nodeid}: {report.longrepr}", red=True
            )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def aggregator_process() -> ModuleType:
    """The module `tests/aggregator_process.py`: a real aggregator process and the commands."""
    return _load("aggregator_process")
