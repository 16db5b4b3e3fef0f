"""As a user: I run a deep-learning experiment, the machine dies in the middle of it, I run it again and lose nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from trainer.main import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.training

EPOCHS = 24
SETTINGS: dict[str, Any] = {
    "format": "anomaflow-experiment-1",
    "kind": "dl",
    "label": "class",
    "benign": ["normal"],
    "models": ["tabular-mlp"],
    "search": False,
    "epochs": EPOCHS,
    "patience": EPOCHS,
    "batch_size": 16,
    "time_budget_s": 3000,
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows of two kinds that a network tells apart with some mistakes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(8)
    numbers = chance.normal(size=(1600, 5))
    strange = numbers[:, 0] * numbers[:, 1] + 0.5 * chance.normal(size=1600) > 0
    columns: dict[str, Any] = {f"n{at}": numbers[:, at] for at in range(5)}
    columns["word"] = np.array(["tcp", "udp", "icmp"])[chance.integers(0, 3, 1600)]
    columns["class"] = np.where(strange, "attack", "normal")
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def prepare(where: Path, table: Path) -> Path:
    where.mkdir()
    (where / "settings.json").write_text(json.dumps(SETTINGS))
    (where / "data.json").write_text(json.dumps({"table": str(table), "about": None, "test_table": None}))
    return where


def start(where: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "trainer.main", "workbench", "run", str(where), "--progress", "json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)


def finish(where: Path) -> None:
    """Run to the end."""
    assert main(["workbench", "run", str(where), "--progress", "none"]) == 0


def epochs(where: Path) -> list[dict[str, Any]]:
    """Epoch events so far; a last line that is only half written is none."""
    path = where / "events.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == "epoch" and event["name"] == "tabular-mlp"]


def wait_for_epoch(where: Path, wanted: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 240
    while len(epochs(where)) < wanted:
        assert process.poll() is None, "the run ended before it was to be cut off"
        assert time.monotonic() < until, "the run tells no epochs"
        time.sleep(0.01)


def history(where: Path) -> list[dict[str, float]]:
    return json.loads((where / "models" / "tabular-mlp" / "result.json").read_text())["history"]


def test_a_run_killed_in_its_epochs_and_one_stopped_by_hand_end_as_one_that_was_left_alone(
    tmp_path: Path, table: Path
) -> None:
    """Killed by -9, then a stop, then to the end: the history is that of an uncut run, with a tree and baselines beside."""
    finish(prepare(uncut := tmp_path / "uncut", table))
    assert [event["epoch"] for event in epochs(uncut)] == list(range(1, EPOCHS + 1))

    process = start(prepare(where := tmp_path / "cut", table))
    wait_for_epoch(where, 5, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = len(epochs(where))
    assert 5 <= before < EPOCHS

    process = start(where)
    wait_for_epoch(where, 2 * before + 3, process)  # the epochs before are told again
    (where / "stop").touch()
    process.communicate(timeout=280)
    assert process.returncode == 0
    stopped = json.loads((where / "result.json").read_text())
    assert stopped["state"] == "stopped"
    [entry] = [entry for entry in stopped["leaderboard"] if entry["name"] == "tabular-mlp"]
    assert entry["state"] == "done"
    assert entry["why"].startswith("Stopped after")
    assert before < len(history(where)) < EPOCHS

    # Stopped again before the network had its turn: what it was judged with still stands.
    process = start(where)
    process.communicate(timeout=280)
    assert process.returncode == 0
    again = json.loads((where / "result.json").read_text())
    assert [one["test"] for one in again["leaderboard"] if one["name"] == "tabular-mlp"] == [entry["test"]]

    (where / "stop").unlink()
    finish(where)
    assert history(where) == history(uncut)
    assert len(history(where)) == EPOCHS
    assert set(history(where)[0]) == {"epoch", "acc", "loss", "val_acc", "val_loss"}

    mine, theirs = (json.loads((one / "result.json").read_text()) for one in (where, uncut))
    assert mine["state"] == "done"
    figures = [
        {entry["name"]: [entry[role] for role in ("train", "select", "test")] for entry in told["leaderboard"]}
        for told in (mine, theirs)
    ]
    assert figures[0] == figures[1]
    assert all(role["accuracy"] is not None for role in figures[0]["tabular-mlp"])
    assert {"tabular-mlp", "lightgbm", "stump", "most-frequent"} <= set(figures[0])
