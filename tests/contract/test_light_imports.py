"""Light modules stay light: each is imported in a fresh process, and `sys.modules` is looked at.

This is what keeps gRPC out of the sensor (it does not survive a fork and costs memory), numpy out of the shipper, and
TensorFlow out of everything that must answer at once.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

ENGINE, GRPC, ONNX, NUMPY, SQLITE = "_lib_engine", "grpc", "onnxruntime", "numpy", "sqlite3"
HEAVY = ("tensorflow", "keras", "sklearn", "pandas", "nfstream", "scapy", "pyarrow", "duckdb", "nicegui")

LIGHT = {
    "protos.contract": (GRPC, ONNX, ENGINE),
    "protos.names": (GRPC, ONNX, ENGINE, NUMPY),
    "protos.settings": (GRPC, ONNX, ENGINE, NUMPY),
    "agent.main": (GRPC, ONNX, ENGINE, NUMPY, SQLITE),
    "agent.config": (GRPC, ONNX, ENGINE, NUMPY, SQLITE),
    "agent.supervisor": (GRPC, ONNX, ENGINE, NUMPY, SQLITE),
    "agent.models": (GRPC, ONNX, ENGINE, NUMPY, SQLITE),
    "agent.spool": (GRPC, ONNX, ENGINE, NUMPY),
    "agent.policy": (GRPC, ONNX, ENGINE, NUMPY, SQLITE),
    "agent.detector": (GRPC, ONNX, ENGINE, SQLITE),
    "agent.reasons": (GRPC, ONNX, ENGINE, SQLITE),
    "agent.features": (GRPC, ONNX, ENGINE, SQLITE),
    "agent.meter": (GRPC, ONNX, SQLITE),
    "agent.scorer": (GRPC, ENGINE, SQLITE),
    "agent.sensor": (GRPC,),
    "agent.shipper": (ONNX, ENGINE, NUMPY),
    "agent.doctor": (GRPC, ONNX, ENGINE, NUMPY),
}


def loaded(module: str) -> set[str]:
    """Top-level names in a fresh process that imported `module`."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-Ic", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(("module", "forbidden"), LIGHT.items(), ids=LIGHT)
def test_a_light_module_stays_light(module: str, forbidden: tuple[str, ...]) -> None:
    """Importing it brings neither what its process must not hold, nor anything heavy."""
    brought = loaded(module)
    assert not brought & {*forbidden, *HEAVY}
    assert "agent.shipper" not in brought or module == "agent.shipper"


@pytest.mark.parametrize("module", ["aggregator.main", "aggregator.cli.main"])
def test_the_aggregator_never_brings_training(module: str) -> None:
    """Training runs in a process of its own; the centre holds neither TensorFlow nor the agent."""
    pytest.importorskip(module)
    assert not loaded(module) & {"tensorflow", "keras", "sklearn", "nfstream", "agent", "trainer", ENGINE}


def test_the_trainers_help_is_instant() -> None:
    """`anomaflow-trainer --help` does not load TensorFlow."""
    pytest.importorskip("trainer.main")
    code = (
        "import sys\nfrom trainer.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-Ic", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
