"""What the trainer is asked, and what is believed of what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from aggregator.errors import NotEnoughData, TrainerFailed
from aggregator.models import training
from aggregator.work import processes


def test_progress_lines_are_held_to_bounds():
    """A trainer's line is data, not trusted."""
    line = json.dumps({"event": "progress", "stage": "x" * 99, "fraction": 7, "message": "m" * 9999}).encode()
    event = training.parse_line(line)
    assert (len(event["stage"]), event["fraction"], len(event["message"])) == (32, 1.0, training.TEXT)
    for bad in (b"", b"nonsense", b"[]", b'{"event": "progress"}', b'{"event": "result", "model": 5}', b'"x"'):
        assert training.parse_line(bad) == {}


def test_without_anything_benign_there_is_no_command():
    """An empty lake and no baseline."""
    with pytest.raises(NotEnoughData, match="quarantine"):
        training.fit_arguments(
            out=Path("o"), report=Path("r"), baseline=(), lake=Path("l"), lake_rows=0, labelled_rows=0, champion=None,
            params={},
        )  # fmt: skip


def test_the_trainer_is_looked_for_beside_this_python_first():
    """So that a virtual environment uses its own; then in PATH; else it says what to install."""
    assert processes.resolve_command(("anomaflow-trainer",))[0].startswith(str(Path(sys.executable).parent))
    assert processes.resolve_command(("/opt/trainer", "-v")) == ["/opt/trainer", "-v"]
    with pytest.raises(TrainerFailed, match="install"):
        processes.resolve_command(("no-such-trainer",))


def test_frozen_sets_and_what_is_held_back_are_handed_on():
    """Every run is judged by the sets in use, and none trains on what an incident speaks against."""
    arguments = training.fit_arguments(
        out=Path("o"), report=Path("r"), baseline=("b.pcap",), lake=Path("l"), lake_rows=0, labelled_rows=0,
        champion=None, params={}, attacks=("generated", "s.parquet"), golden=("g.parquet",), held=Path("held.json"),
    )  # fmt: skip
    place = arguments.index("--attacks")
    assert arguments[place : place + 3] == ["--attacks", "generated", "s.parquet"]
    assert arguments[arguments.index("--golden") + 1] == "g.parquet"
    assert arguments[arguments.index("--held") + 1] == "held.json"
