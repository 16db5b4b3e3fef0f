"""`anomaflow-trainer automl` and `workbench run`, as a person or the console starts them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from tables_of_rows import columns, write

from protos.exits import ExitCode
from trainer.main import main
from trainer.workbench.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

QUICK = "search: false\nmodels: [decision-tree, lightgbm]\n"


def sheet(path: Path, held: dict[str, Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(held)
        writer.writerows(zip(*held.values(), strict=True))
    return path


def test_a_file_in_the_best_model_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two CSV files and a YAML of settings; JSON on standard output, everything else in the folder."""
    train = sheet(tmp_path / "T.csv", columns(500, seed=1))
    test = sheet(tmp_path / "U.csv", columns(200, seed=2))
    (tmp_path / "S.yaml").write_text(QUICK)
    command = ["automl", "--data", str(train), "--target", "kind", "--test", str(test), "--time-budget", "60"]
    command += ["--settings", str(tmp_path / "S.yaml"), "--out", str(tmp_path / "run"), "--json", "--seed", "3"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "done"
    assert told["split"]["how"] == "file"
    assert told["split"]["test"] == 200
    assert told["settings"]["seed"] == 3
    assert (tmp_path / "run/models" / told["best"] / "model.onnx").is_file()
    best = next(entry for entry in told["leaderboard"] if entry["name"] == told["best"])
    top = max(entry["test"]["f1"] for entry in told["leaderboard"] if entry["state"] == "done")
    assert best["test"]["f1"] >= top - 0.05


@pytest.mark.parametrize(
    ("extra", "said", "code"),
    [
        (["--target", "nothing"], "there is no column 'nothing'", ExitCode.USAGE),
        (["--target", "kind", "--benign", "elsewhere"], "no row has 'elsewhere'", ExitCode.USAGE),
        (["--target", "kind", "--test", "away.csv"], "no such file", ExitCode.DATA),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], said: str, code: ExitCode
) -> None:
    """On standard error, with an exit code of its own."""
    train = sheet(tmp_path / "T.csv", columns(100))
    assert main(["automl", "--data", str(train), "--out", str(tmp_path / "run"), *extra]) == code
    assert said in capsys.readouterr().err


def test_a_run_that_is_terminated_goes_on_later(tmp_path: Path) -> None:
    """SIGTERM after the first model; the folder run again does what is missing, and no more."""
    write(tmp_path / "table.parquet", columns(4000, kinds=3))
    settings = Settings(label="kind", search=False, time_budget_s=300)
    (tmp_path / "settings.json").write_text(json.dumps(settings.to_json()))
    (tmp_path / "data.json").write_text(json.dumps({"table": "table.parquet", "about": None, "test_table": None}))
    command = [sys.executable, "-Im", "trainer.main", "workbench", "run", str(tmp_path), "--progress", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    for line in process.stdout:
        told = json.loads(line)
        if told["event"] == "model" and told["state"] == "done" and told["name"] == "lightgbm":
            process.send_signal(signal.SIGTERM)
            break
    process.stdout.read()
    assert process.wait(timeout=60) == 130
    assert json.loads((tmp_path / "result.json").read_text())["state"] == "stopped"
    kept = (tmp_path / "models/lightgbm/model.onnx").stat().st_mtime_ns
    time.sleep(0.01)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert events[-1]["event"] == "end"
    assert events[-1]["state"] == "done"
    assert (tmp_path / "models/lightgbm/model.onnx").stat().st_mtime_ns == kept
    states = {
        entry["name"]: entry["state"] for entry in json.loads((tmp_path / "result.json").read_text())["leaderboard"]
    }
    assert {"lightgbm", "decision-tree", "random-forest"} <= {name for name, state in states.items() if state == "done"}
