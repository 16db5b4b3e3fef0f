"""The workbench in a real aggregator process, by its commands: uploads, runs, predictions, a kill -9, and roles."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import httpx
import pytest

from aggregator.work import processes
from protos.exits import ExitCode

CSV = "a,b,label\n1,2.5,x\n2,3.5,y\n3,4.5,=1+1\n"


@pytest.fixture
def trainer(tmp_path, fake_workbench):
    """The stand-in's folder."""
    fake_workbench.write(tmp_path / "trainer")
    return tmp_path / "trainer"


@pytest.fixture
def hall(tmp_path, aggregator_process, fake_workbench, trainer):
    """A founded and running aggregator whose trainer is the stand-in."""
    command = list(fake_workbench.write(trainer))
    made = aggregator_process.Hall(
        tmp_path / "hall", trainer_command=command, job_grace_seconds=1.0, workbench_free_mib=1
    )
    made.found()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "clients.csv"
    path.write_text(CSV)
    return path


def answer(done):
    """What a command said in JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def memory_kib(hall, name):
    """VmRSS or VmHWM of the aggregator."""
    pid = hall._process.pid
    return int(re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])


def hanging(trainer):
    until = time.monotonic() + 20
    while not ((path := trainer / "hanging").exists() and path.read_text()):
        assert time.monotonic() < until, "it never came to hang"
        time.sleep(0.02)
    return int(path.read_text())


def test_from_an_upload_to_a_prediction_by_commands(hall, trainer, table, tmp_path, fake_workbench):
    """Every step of the workbench is a command with an answer for people and one for scripts."""
    done = hall.client("datasets", "upload", str(table))
    assert (done.returncode, "has 3 rows, 3 columns" in done.stdout) == (0, True), done.stderr
    listed = answer(hall.client("datasets", "list", "--json"))
    assert (listed["name"], listed["label"], listed["state"]) == ("clients", "label", "ready")
    assert "label" in hall.client("datasets", "get", "1").stdout
    rows = hall.client("datasets", "preview", "1", "--sort", "a", "--descending", "--limit", "1", "--json")
    assert answer(rows) == {"a": 3, "b": 4.5, "label": "=1+1"}
    assert "3 rows, 3 columns" in hall.client("datasets", "profile", "1").stdout
    assert answer(hall.client("datasets", "plot", "1", "--kind", "histogram", "--x", "a"))["option"] == {"x": "a"}
    made = hall.client("datasets", "plot", "1", "--kind", "embedding", "--method", "tsne", "--save", "A map")
    assert answer(made)["kind"] == "embedding"
    assert hall.client("datasets", "plot", "1", "--kind", "box", "--out", str(tmp_path / "p.svg")).returncode == 0
    assert (tmp_path / "p.svg").read_bytes() == b"<svg/>"
    assert answer(hall.client("datasets", "rename", "1", "customers", "--json"))["name"] == "customers"
    second = hall.client("datasets", "upload", str(table), "--version-of", "1", "--json")
    assert (answer(second)["version"], answer(second)["versions"]) == (2, 2)

    settings = tmp_path / "settings.yaml"
    settings.write_text("time_budget_s: 60\nmodels: [random-forest]\n")
    done = hall.client("experiments", "run", "1", "--settings", str(settings), "--set", "seed=3", "--wait", "--json")
    run = answer(done)
    assert (run["state"], run["best"], run["label"]) == ("done", "random-forest", "label")
    assert (run["settings"]["seed"], run["settings"]["time_budget_s"]) == (3, 60.0)
    assert hall.client("experiments", "watch", "1").stdout.startswith("experiment 1")
    assert "random-forest" in hall.client("experiments", "leaderboard", "1", "--sort", "test.f1").stdout
    answer(hall.client("experiments", "run", "1", "--wait", "--json"))
    assert "same data" in hall.client("experiments", "compare", "1", "2").stdout
    out = tmp_path / "rows.csv"
    done = hall.client("experiments", "predict", "1", "--file", str(table), "--out", str(out), "--json")
    assert (answer(done)["rows"], answer(done)["source"]) == (3, "clients.csv")
    assert out.read_text().splitlines()[3].split(",")[2] == "'=1+1", "a formula is guarded"
    row = hall.client("experiments", "predict", "1", "--row", '{"a": 1}')
    assert answer(row)["row"]["prediction"] == "normal"
    assert answer(hall.client("experiments", "explain", "1", "--method", "shap", "--json"))["method"] == "shap"
    assert hall.client("experiments", "explain", "1", "--method", "lime", "--row", "0", "--class", "x").returncode == 0
    assert "--class=x" in fake_workbench.asked(trainer, "explain")[-1]["words"]
    assert hall.client("experiments", "download", "1", "--out", str(tmp_path / "m.onnx")).returncode == 0
    assert (tmp_path / "m.onnx").read_bytes() == b"onnx random-forest"
    for what, begins in (("script", "print"), ("settings", "# Settings")):
        hall.client("experiments", "download", "1", "--what", what, "--out", str(tmp_path / what))
        assert (tmp_path / what).read_text().startswith(begins)
    assert answer(hall.client("experiments", "verify", "1", "--json"))["reproducible"] is True
    fake_workbench.plan(trainer, same=False)
    done = hall.client("experiments", "verify", "1")
    assert (done.returncode, "FAILED   data: the table has changed" in done.stdout) == (ExitCode.DATA, True)
    fake_workbench.plan(trainer)
    assert hall.client("experiments", "delete", "2").returncode == 0
    assert hall.client("datasets", "delete", "1").returncode == 0
    assert hall.client("datasets", "list").stdout == "(nothing)\n"
    assert hall.command("check").returncode == 0


def test_what_is_kept_is_listed_named_and_deleted_by_commands(
    hall, trainer, table, tmp_path, fake_workbench, monkeypatch
):
    """Logs, plots, names, models, and predictions: what a page shows, a command tells."""
    hall.client("datasets", "upload", str(table), "--header", "yes")
    assert "--header=yes" in fake_workbench.asked(trainer, "import")[0]["words"]
    assert "workbench import" in hall.client("datasets", "log", "1").stdout
    hall.client("datasets", "plot", "1", "--kind", "box", "--save", "A box")
    assert answer(hall.client("datasets", "plots", "1", "--json"))["title"] == "A box"
    assert answer(hall.client("datasets", "plot-get", "1"))["kind"] == "box"
    assert hall.client("datasets", "plot-delete", "1").returncode == 0
    assert hall.client("datasets", "plots", "1").stdout == "(nothing)\n"

    begin = tmp_path / "begin.yaml"
    done = hall.client("experiments", "defaults", "1", "--kind", "dl", "--out", str(begin))
    assert (done.returncode, "3 values" in done.stderr) == (0, True), done.stderr
    assert "kind: dl" in begin.read_text()
    run = answer(hall.client("experiments", "run", "1", "--settings", str(begin), "--wait", "--json"))
    assert (run["kind"], run["state"]) == ("dl", "done")
    assert answer(hall.client("experiments", "rename", "1", "weekly", "--json"))["name"] == "weekly"
    assert "weekly" in hall.client("experiments", "list", "--kind", "dl", "--state", "done").stdout
    assert hall.client("experiments", "list", "--kind", "ml").stdout == "(nothing)\n"
    assert "Random-Forest: done" in hall.client("experiments", "model", "1").stdout
    assert answer(hall.client("experiments", "history", "1", "--json"))[0]["val_acc"] == 0.8
    assert answer(hall.client("experiments", "form", "1", "--json"))[0]["name"] == "a"

    renames = ("--rename", "A=a", "--rename", "B=b", "--fill-missing")
    for source in (("--file", str(table)), ("--dataset", "1")):
        assert hall.client("experiments", "predict", "1", *source, *renames).returncode == 0
        words = fake_workbench.asked(trainer, "predict")[-1]["words"]
        assert [word for word in words if "rename" in word or "fill" in word] == [
            "--rename=A=a", "--rename=B=b", "--fill-missing",
        ]  # fmt: skip
    assert hall.client("experiments", "promotion", "1").returncode == ExitCode.DATA, "none was offered"
    monkeypatch.setattr("sys.stdin", io.StringIO(CSV))
    assert "3 rows" in hall.client("experiments", "predict", "1", "--text", "--rename-alike").stdout
    done = hall.client("experiments", "predict", "1", "--file", str(table), "--rename", "A")
    assert (done.returncode, "THEIRS=MINE" in done.stderr) == (ExitCode.USAGE, True)
    listed = hall.client("predictions", "list", "--experiment", "1", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in listed] == [3, 2, 1]
    assert answer(hall.client("predictions", "get", "1", "--json"))["rows"] == 3
    assert "anomalies  1" in hall.client("predictions", "summary", "1").stdout
    odd = hall.client("predictions", "rows", "1", "--prediction", "odd", "--sort", "score", "--json")
    assert answer(odd)["a"] == 2
    assert hall.client("predictions", "download", "1", "--out", str(tmp_path / "p.csv")).returncode == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 4
    assert hall.client("predictions", "cancel", "1").returncode == ExitCode.AGGREGATOR, "it is over"
    assert hall.client("predictions", "delete", "1").returncode == 0
    assert hall.client("predictions", "get", "1").returncode == ExitCode.AGGREGATOR


def test_what_became_of_an_offer_to_agents_has_its_exit_code(hall, trainer, table, fake_workbench, onnx_models):
    """While it is made and afterwards: that the gate held it back is told from a failure."""
    hall.client("datasets", "upload", str(table))
    hall.client("experiments", "run", "1", "--wait")
    digest = onnx_models.write_model(trainer / "m.onnx", name="bench")
    fake_workbench.plan(trainer, model=str(trainer / "m.onnx"), digest=digest, gate={"passed": False, "checks": []})
    for verb in ("promote", "promotion"):
        done = hall.client("experiments", verb, "1")
        assert (done.returncode, "did not pass its gate" in done.stdout) == (ExitCode.GATE, True), done.stdout


def test_what_goes_wrong_has_its_exit_code(hall, trainer, table, tmp_path, fake_workbench):
    """A wrong file, a wrong setting, a failed import, a lost race: scripts can tell them apart."""
    assert hall.client("datasets", "upload", str(tmp_path / "none.csv")).returncode == ExitCode.USAGE
    (tmp_path / "x.exe").write_text("x")
    done = hall.client("datasets", "upload", str(tmp_path / "x.exe"))
    assert (done.returncode, "endings" in done.stderr) == (ExitCode.USAGE, True)
    assert hall.client("datasets", "get", "9").returncode == ExitCode.AGGREGATOR
    fake_workbench.plan(trainer, fail=True)
    done = hall.client("datasets", "upload", str(table))
    assert (done.returncode, "ragged rows" in done.stderr) == (ExitCode.DATA, True)
    fake_workbench.plan(trainer)
    hall.client("datasets", "upload", str(table))
    done = hall.client("experiments", "run", "2", "--set", "seed=many")
    assert (done.returncode, "whole number" in done.stderr) == (ExitCode.USAGE, True)


def test_a_run_survives_kill_9_of_the_aggregator(hall, trainer, table, fake_workbench):
    """Its process goes on; the next life follows the same process to its end."""
    hall.client("datasets", "upload", str(table))
    fake_workbench.plan(trainer, hang="run")
    hall.client("experiments", "run", "1")
    pid = hanging(trainer)
    hall.kill()
    assert processes.identify(pid) is not None
    hall.start()
    assert answer(hall.client("experiments", "get", "1", "--json"))["state"] == "running"
    answer(hall.client("experiments", "stop", "1", "--json"))
    done = answer(hall.client("experiments", "watch", "1", "--json"))
    assert (done["state"], done["attempts"]) == ("stopped", 1)
    assert len(fake_workbench.asked(trainer, "run")) == 1


def test_a_run_killed_with_the_aggregator_is_started_again(hall, trainer, table, fake_workbench):
    """As after a power cut: both die at once, and the run goes on from what it had."""
    hall.client("datasets", "upload", str(table))
    fake_workbench.plan(trainer, hang="run")
    hall.client("experiments", "run", "1")
    pid = hanging(trainer)
    hall.kill()
    processes.signal_group(pid, processes.signal.SIGKILL)
    fake_workbench.plan(trainer)
    hall.start()
    done = answer(hall.client("experiments", "watch", "1", "--json"))
    assert (done["state"], done["attempts"]) == ("done", 2)
    assert [told["words"][-1] for told in fake_workbench.asked(trainer, "run")] == ["runs/1", "--resume"]


def test_an_upload_is_streamed(hall, tmp_path):
    """The aggregator's memory does not grow with the file: 192 MiB come in, at most 48 MiB are ever held more."""
    big = tmp_path / "big.xlsx"
    with big.open("wb") as file:
        file.truncate(192 << 20)
    with hall.web() as web:
        small = web.post("/datasets/upload", params={"filename": "small.xlsx"}, content=b"x" * 4096)
        assert small.status_code == 202
        Path(f"/proc/{hall._process.pid}/clear_refs").write_text("5")  # VmHWM begins anew
        before = memory_kib(hall, "VmRSS")
        with big.open("rb") as body:
            answered = web.post("/datasets/upload", params={"filename": "big.xlsx"}, content=body)
        assert answered.status_code == 202, answered.text
    assert memory_kib(hall, "VmHWM") - before < 48 << 10


def test_an_upload_that_breaks_off_leaves_nothing(hall):
    """Neither a file nor a row."""

    def half():
        yield b"a,b\n" * 1000
        raise httpx.WriteError("the line is cut")

    with hall.web() as web, pytest.raises(httpx.WriteError):
        web.post("/datasets/upload", params={"filename": "half.csv"}, content=half())
    until = time.monotonic() + 10
    while list((hall.state / "workbench" / "incoming").glob("*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert hall.client("datasets", "list").stdout == "(nothing)\n"


def test_a_backup_holds_the_workbench_when_asked(hall, table, tmp_path, aggregator_process):
    """The rows always, the files with --workbench; `check` names what is missing."""
    hall.client("datasets", "upload", str(table))
    hall.client("experiments", "run", "1", "--wait")
    for name, more in (("rows", []), ("all", ["--workbench"])):
        assert hall.command("backup", str(tmp_path / name), *more).returncode == 0
        other = aggregator_process.Hall(tmp_path / f"hall-{name}")
        assert other.command("restore", str(tmp_path / name)).returncode == 0
        checked = other.command("check")
        assert ("the table of data set 1" in checked.stdout + checked.stderr) is (name == "rows")
