"""Training runs, with a stand-in for the trainer that really runs as a process."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from pathlib import Path

import pytest

from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.models.jobs import Jobs
from aggregator.rows import JobState, ModelState

TRAINER = """
    import argparse, json, os, pathlib, shutil, subprocess, sys, time
    parser = argparse.ArgumentParser()
    parser.add_argument("fit")
    for name in ("benign", "attacks", "golden"):
        parser.add_argument("--" + name, nargs="+")
    for name in ("held", "labelled", "champion", "out", "report", "progress", "name", "epochs", "alpha", "seed"):
        parser.add_argument("--" + name)
    options = parser.parse_args()
    here = pathlib.Path(__file__).parent
    (here / "asked.json").write_text(json.dumps(vars(options)))
    plan = json.loads((here / "plan.json").read_text())
    say = lambda **event: print(json.dumps(event), flush=True)
    say(event="progress", stage="corpus", fraction=0.1, message="reading")
    print("a line that is no event", flush=True)
    print("warning on stderr", file=sys.stderr, flush=True)
    if plan.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (here / "child.pid").write_text(str(child.pid))
    if plan.get("hang"):
        (here / "hanging").touch()
        time.sleep(60)
    if plan.get("eat"):
        hog = bytearray(plan["eat"] << 20)
    if "fail" in plan:
        print("ValueError: there are too few rows", file=sys.stderr)
        sys.exit(plan["fail"])
    shutil.copy(plan["model"], options.out)
    report = pathlib.Path(options.report)
    report.mkdir()
    gate = plan.get("gate")
    (report / "report.json").write_text(json.dumps({"model_digest": plan["digest"], "gate": gate}))
    say(event="progress", stage="fit", fraction=0.9, message="almost")
    say(event="result", model=options.out, digest=plan["digest"], report=str(report / "report.json"), gate=gate)
    sys.exit(9 if gate and not gate["passed"] else 0)
"""


@pytest.fixture
def trainer(tmp_path, onnx_models):
    """The stand-in: `plan(...)` says what it will do; `asked()` what it was asked."""

    class Trainer:
        folder = tmp_path / "trainer"
        command = (sys.executable, str(tmp_path / "trainer" / "trainer.py"))

        def plan(self, **what):
            digest = onnx_models.write_model(self.folder / "new.onnx", name="new", bias=what.pop("bias", 0.5))
            plan = {"model": str(self.folder / "new.onnx"), "digest": digest, **what}
            (self.folder / "plan.json").write_text(json.dumps(plan))
            return digest

        def asked(self):
            return json.loads((self.folder / "asked.json").read_text())

    Trainer.folder.mkdir()
    (Trainer.folder / "trainer.py").write_text(textwrap.dedent(TRAINER))
    made = Trainer()
    made.plan()
    return made


@pytest.fixture
async def hall(tmp_path, parts, trainer):
    settings = {"trainer_command": trainer.command, "baseline_benign": ("quiet.pcap",), "job_grace_seconds": 1.0}
    async with parts.services(tmp_path / "state", **settings) as services:
        yield services


async def start(hall, **what):
    wanted = {"name": None, "quarantine_hours": 0.0, "auto_promote": False, "epochs": None, "alpha": None, "seed": None}
    return await hall.jobs.start_retrain(by="ada", **{**wanted, **what})


async def ended(hall, job, *, within_s=20):
    async with asyncio.timeout(within_s):
        while (found := hall.jobs.get(job.id)).state is JobState.RUNNING:
            await asyncio.sleep(0.02)
    return found


async def hanging(trainer):
    async with asyncio.timeout(20):
        while not (trainer.folder / "hanging").exists():
            await asyncio.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_run_ends_with_a_model_in_the_registry(hall, trainer):
    """With its report, its log, and the gate's verdict on the job."""
    digest = trainer.plan(gate={"passed": True, "checks": []})
    done = await ended(hall, await start(hall, name="weekly", epochs=3, seed=7))
    assert (done.state, done.fraction, done.model_digest, done.gate["passed"]) == (
        JobState.SUCCEEDED,
        1.0,
        digest,
        True,
    )
    assert hall.registry.get(digest).state is ModelState.CANDIDATE
    asked = trainer.asked()
    assert (asked["benign"], asked["name"], asked["epochs"], asked["seed"]) == (["quiet.pcap"], "weekly", "3", "7")
    assert (asked["labelled"], asked["champion"], asked["progress"]) == (None, None, "json")
    log = hall.jobs.log(done.id, lines=50)
    assert "a line that is no event" in log
    assert "warning on stderr" in log


async def test_the_lake_and_the_champion_take_part(hall, trainer, parts, tmp_path, onnx_models):
    """Flows that were received are merged first; labelled ones are named; the champion is the one to beat."""
    from aggregator.intake import ingest, screening
    from aggregator.learning import labels

    hall.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
    found = screening.examine(parts.SENDER, parts.record(1, rows=8, alerts=(3,)), hall.config)
    hall.store.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=parts.START_MS))
    hall.store.write_now(
        lambda db: labels.add(db, target="alert", target_id=1, verdict="benign", note="", by="ada", at_ms=1)
    )
    onnx_models.write_model(tmp_path / "old.onnx", name="old")
    old = await hall.registry.admit(tmp_path / "old.onnx", report=None, by="ada")
    await hall.registry.promote(old.digest, by="ada", reason="", force=False)
    done = await ended(hall, await start(hall))
    assert done.state is JobState.SUCCEEDED, done.error
    lake = str(hall.lake.lake_dir)
    assert trainer.asked()["benign"] == ["quiet.pcap", lake]
    assert trainer.asked()["labelled"] == lake
    assert trainer.asked()["champion"] == str(hall.registry.path(old.digest))
    assert hall.lake.labelled_rows() == 1


@pytest.mark.parametrize(
    ("gate", "promoted"),
    [({"passed": True, "checks": []}, True), ({"passed": False, "checks": []}, False), (None, True)],
)
async def test_promoting_by_itself_follows_the_gate(hall, trainer, gate, promoted):
    """A model that failed its gate waits for a person; a first model has nobody to beat."""
    digest = trainer.plan(gate=gate)
    done = await ended(hall, await start(hall, auto_promote=True))
    assert (done.state, done.promoted) == (JobState.SUCCEEDED, promoted)
    champion = hall.registry.champion()
    assert (champion.digest if champion else None) == (digest if promoted else None)


async def test_the_champion_itself_is_not_promoted_again(hall, trainer):
    """The same data and recipe give the same model: nothing to do, and no error."""
    trainer.plan(gate=None)
    await ended(hall, await start(hall, auto_promote=True))
    again = await ended(hall, await start(hall, auto_promote=True))
    assert (again.state, again.promoted) == (JobState.SUCCEEDED, False)


async def test_a_failing_trainer_is_explained(hall, trainer):
    """By its exit code and its last line."""
    trainer.plan(fail=10)
    done = await ended(hall, await start(hall))
    assert done.state is JobState.FAILED
    assert "exit code 10" in done.error
    assert "too few rows" in done.error


async def test_cancelling_ends_the_whole_process_group(hall, trainer):
    """The trainer and what it started; when the call returns nothing of it runs."""
    trainer.plan(hang=True, child=True)
    job = await start(hall)
    await hanging(trainer)
    child = int((trainer.folder / "child.pid").read_text())
    assert alive(child)
    done = await hall.jobs.cancel(job.id, by="bob")
    assert done.state is JobState.CANCELLED
    async with asyncio.timeout(5):
        while alive(child):
            await asyncio.sleep(0.02)
    with pytest.raises(Conflict, match="over already"):
        await hall.jobs.cancel(job.id, by="bob")


async def test_a_time_limit_ends_it(tmp_path, parts, trainer):
    """A training that never comes to an end is ended."""
    trainer.plan(hang=True)
    settings = {"trainer_command": trainer.command, "baseline_benign": ("q",), "job_hours": 1 / 3600}
    async with parts.services(tmp_path / "state", job_grace_seconds=0.5, **settings) as hall:
        done = await ended(hall, await start(hall))
    assert (done.state, "job_hours" in done.error) == (JobState.TIMED_OUT, True)


async def test_a_memory_limit_ends_it(tmp_path, parts, trainer):
    """A training that wants the whole machine fails alone."""
    trainer.plan(eat=2000)
    settings = {"trainer_command": trainer.command, "baseline_benign": ("q",), "job_memory_mib": 200}
    async with parts.services(tmp_path / "state", **settings) as hall:
        done = await ended(hall, await start(hall))
    assert done.state is JobState.FAILED
    assert "MemoryError" in done.error


async def test_one_run_at_a_time(hall, trainer):
    """A second request is refused, and goes through when the first is over."""
    trainer.plan(hang=True)
    job = await start(hall)
    with pytest.raises(Conflict, match="under way"):
        await start(hall)
    await hanging(trainer)
    await hall.jobs.cancel(job.id, by="ada")
    trainer.plan()
    assert (await ended(hall, await start(hall))).state is JobState.SUCCEEDED


async def test_a_run_cut_off_by_a_stop_is_marked_interrupted(hall, trainer):
    """At the stop, or at the next start when there was no time to say so."""
    trainer.plan(hang=True)
    job = await start(hall)
    await hanging(trainer)
    await hall.jobs.close()
    assert hall.jobs.get(job.id).state is JobState.INTERRUPTED
    hall.store.write_now(lambda db: db.execute("UPDATE jobs SET state = 'running'"))
    again = Jobs(hall.store, hall.config, hall.clock, hall.events, hall.lake, hall.registry)
    await again.open()
    found = again.get(job.id)
    assert (found.state, "start it again" in found.error) == (JobState.INTERRUPTED, True)


async def test_nothing_to_train_on_is_said_in_words(tmp_path, parts, trainer):
    """With what could be done about it."""
    async with parts.services(tmp_path / "state", trainer_command=trainer.command) as hall:
        done = await ended(hall, await start(hall))
    assert done.state is JobState.FAILED
    assert "baseline_benign" in done.error


@pytest.mark.parametrize(
    "what",
    [{"quarantine_hours": -1.0}, {"epochs": 0}, {"alpha": 0.9}, {"seed": -1}, {"name": "--out"}, {"name": "a\nb"}],
)
async def test_parameters_are_checked_before_anything_starts(hall, what):
    """Nothing of a request reaches the trainer's command line unchecked."""
    with pytest.raises(Invalid):
        await start(hall, **what)
    assert hall.jobs.find(limit=5).items == ()


async def test_an_unknown_job_is_not_found(hall):
    """Neither its row nor its log."""
    with pytest.raises(NotFound):
        hall.jobs.get(5)
    with pytest.raises(NotFound):
        hall.jobs.log(5, lines=5)


async def test_a_run_is_told_what_to_be_judged_by_and_what_not_to_learn(hall, trainer):
    """The built-in attacks, the sets in use, and the list of what incidents speak against."""
    trainer.plan(gate={"passed": True, "checks": []})
    hall.store.write_now(
        lambda db: db.execute(
            "INSERT INTO incidents (rule, anchor, updated_ms, kind, src_ip, hosts, first_seen_ms, last_seen_ms, alerts) "
            "VALUES ('source', 'x', 1, 'port scan', '10.0.0.66', '[]', 5, 9, 3)"
        )
    )
    hall.store.write_now(
        lambda db: db.execute(
            'INSERT INTO frozen_sets (purpose, sha256, feature_digest, row_count, families, made_of, note, "by", at_ms) '
            "VALUES ('golden', 'abc', 'f', 3, '{}', '[]', 'vouched for', 'ada', 1)"
        )
    )
    await ended(hall, await start(hall))
    asked = trainer.asked()
    assert asked["attacks"] == ["generated"]
    assert asked["golden"] == [str(hall.config.sets_dir / "abc.parquet")]
    held = json.loads(await asyncio.to_thread(Path(asked["held"]).read_text))
    assert [(entry["host"], entry["why"]) for entry in held["hosts"]] == [("10.0.0.66", "unjudged port scan")]
