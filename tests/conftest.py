"""What several test modules share: the builder of tiny models, which lie beside this file (`pythonpath` in pyproject.toml)."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="session")
def onnx_models() -> ModuleType:
    """The module `tests/onnx_models.py`: `write_model(path, ...) -> digest` and the variants that must be refused."""
    return importlib.import_module("onnx_models")


@pytest.fixture(scope="session")
def fake_aggregator() -> ModuleType:
    """The module `tests/fake_aggregator.py`: a real gRPC server that an agent may talk to."""
    return importlib.import_module("fake_aggregator")


@pytest.fixture(scope="session")
def tiny_pcap() -> ModuleType:
    """The module `tests/tiny_pcap.py`: captures of a few packets, and a port scan."""
    return importlib.import_module("tiny_pcap")


@pytest.fixture(scope="session")
def parts() -> ModuleType:
    """The module `tests/aggregator_parts.py`: batches, records, a clock by hand, services over a folder."""
    return importlib.import_module("aggregator_parts")


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module `tests/synthetic.py`: made-up rows of ordinary traffic, of a backup and of scans."""
    return importlib.import_module("synthetic")


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
def fake_workbench() -> ModuleType:
    """The module `tests/fake_workbench.py`: a stand-in for the trainer's workbench that runs as a process."""
    return importlib.import_module("fake_workbench")


@pytest.fixture(scope="session")
def aggregator_process() -> ModuleType:
    """The module `tests/aggregator_process.py`: a real aggregator process and the commands."""
    return importlib.import_module("aggregator_process")
