"""Spawned work: queued, followed, ended, and found again after a restart, with a stand-in that really runs as a process."""

from __future__ import annotations

import asyncio
import errno
import os
import signal

import pytest

from aggregator.errors import Conflict
from aggregator.rows import Role
from aggregator.users import Principal
from aggregator.work import processes, story
from aggregator.work.rows import WorkState
from aggregator.workbench import datasets, experiments, results, uploads

ADA = Principal("ada", Role.ANALYST)
CSV = b"a,b,label\n1,2.5,x\n2,3.5,y\n3,4.5,x\n"


@pytest.fixture
def bench(tmp_path, fake_workbench):
    """The stand-in trainer's folder, its plans and questions."""

    class Bench:
        folder = tmp_path / "trainer"
        command = fake_workbench.write(tmp_path / "trainer")

        def plan(self, **what):
            (self.folder / "hanging").unlink(missing_ok=True)
            fake_workbench.plan(self.folder, **what)

        def asked(self, verb=None):
            return fake_workbench.asked(self.folder, verb)

        async def hanging(self):
            async with asyncio.timeout(20):
                while not ((path := self.folder / "hanging").exists() and path.read_text()):
                    await asyncio.sleep(0.02)
            return int(path.read_text())

    return Bench()


@pytest.fixture
def opened(tmp_path, parts, bench):
    """Services over one state directory, as often as asked."""

    def again(**settings):
        wanted = {"trainer_command": bench.command, "job_grace_seconds": 1.0, "workbench_free_mib": 0, **settings}
        return parts.services(tmp_path / "state", **wanted)

    return again


async def chunks(data, size=7):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def uploaded(hall, data=CSV, filename="clients.csv", **how):
    made = await uploads.receive_upload(hall, ADA, chunks(data), filename=filename, **how)
    return await settled(hall, made.id)


async def settled(hall, dataset_id, *, within_s=30):
    async with asyncio.timeout(within_s):
        while (found := datasets.get_dataset(hall, dataset_id).dataset).busy:
            await asyncio.sleep(0.02)
    return found


async def hung(hall, bench, **plan):
    """A run that has begun and goes no further, and its process."""
    data = await uploaded(hall)
    bench.plan(hang="run", **plan)
    run = await begun(hall, data.id)
    return run, await bench.hanging()


async def over(hall, experiment_id, *, within_s=30):
    async with asyncio.timeout(within_s):
        while not (found := experiments.get_experiment(hall, experiment_id)).state.over:
            await asyncio.sleep(0.02)
    return found


async def begun(hall, dataset_id, **settings):
    return await experiments.start_experiment(hall, ADA, settings, dataset_id=dataset_id)


def kill(pid):
    """As a power cut would: the process and its whole group, at once."""
    os.killpg(pid, signal.SIGKILL)


async def vanished(pid):
    async with asyncio.timeout(10):
        while processes.identify(pid) is not None:
            await asyncio.sleep(0.02)


async def test_an_upload_becomes_a_profiled_data_set_and_a_run_a_leaderboard(opened, bench):
    """Each step by a process of its own, and nothing of the upload is left lying around."""
    async with opened() as hall:
        data = await uploaded(hall)
        assert (data.state, data.rows, data.columns, data.profiled, data.label) == ("ready", 3, 3, True, "label")
        assert (data.name, data.source_what, data.warnings) == ("clients", "clients.csv", ("one column is constant",))
        assert list((hall.config.workbench_dir / "incoming").iterdir()) == []
        run = await over(hall, (await begun(hall, data.id, label="label")).id)
        assert (run.state, run.best, run.metric, run.models_done) == (WorkState.DONE, "random-forest", "f1", 2)
        assert (run.value, run.fraction, run.stage) == (0.91, 1.0, "done")
        board = results.leaderboard(hall, run.id)
        assert [entry["name"] for entry in board] == ["random-forest", "decision-tree"]
        assert results.history(hall, run.id, "decision-tree")[0]["val_acc"] == 0.8


async def test_heavy_work_waits_its_turn_and_light_work_passes_it(opened, bench):
    """One experiment at a time by the setting; an import goes on beside it."""
    async with opened() as hall:
        data = await uploaded(hall)
        bench.plan(hang="run")
        first, second = await begun(hall, data.id, name="one"), await begun(hall, data.id, name="two")
        await bench.hanging()
        states = [experiments.get_experiment(hall, one.id).state for one in (first, second)]
        assert states == [WorkState.RUNNING, WorkState.QUEUED]
        assert (await uploaded(hall)).state == "ready"
        bench.plan()
        await experiments.stop_experiment(hall, ADA, first.id)
        assert (await over(hall, first.id)).state is WorkState.STOPPED
        assert (await over(hall, second.id)).state is WorkState.DONE


async def test_cancelling_ends_the_whole_process_group(opened, bench):
    """Even one that does not listen, with what it started; one that waits is cancelled without having begun."""
    async with opened() as hall:
        data = await uploaded(hall)
        bench.plan(hang="run", child=True, stubborn=True)
        first, second = await begun(hall, data.id), await begun(hall, data.id)
        pid = await bench.hanging()
        child = int((bench.folder / "child.pid").read_text())
        assert (await experiments.cancel_experiment(hall, ADA, second.id)).state is WorkState.CANCELLED
        done = await experiments.cancel_experiment(hall, ADA, first.id)
        assert (done.state, done.error) == (WorkState.CANCELLED, "")
        await vanished(pid)
        await vanished(child)
        assert len(bench.asked("run")) == 1
        with pytest.raises(Conflict, match="over already"):
            await experiments.cancel_experiment(hall, ADA, first.id)


async def test_a_stop_leaves_what_is_whole(opened, bench):
    """The run ends by itself, and says so; it can be gone on with."""
    async with opened() as hall:
        run, _ = await hung(hall, bench)
        await experiments.stop_experiment(hall, ADA, run.id)
        stopped = await over(hall, run.id)
        assert (stopped.state, stopped.best) == (WorkState.STOPPED, "random-forest")
        bench.plan()
        await experiments.resume_experiment(hall, ADA, run.id)
        assert (await over(hall, run.id)).state is WorkState.DONE
        assert bench.asked("run")[-1]["words"][-1] == "--resume"
        with pytest.raises(Conflict, match="nothing to go on with"):
            await experiments.resume_experiment(hall, ADA, run.id)


async def test_what_cannot_be_followed_is_ended_and_says_so(opened, bench, monkeypatch):
    """A disk that fails under its story: nothing of the run stays behind, and its row is not running for ever."""
    read, broken = story.read, []

    def failing(*args, **how):
        if not broken:
            broken.append(args)
            raise OSError(errno.EIO, "Input/output error")
        return read(*args, **how)

    async with opened() as hall:
        run, pid = await hung(hall, bench)
        monkeypatch.setattr(story, "read", failing)
        lost = await over(hall, run.id)
        assert (lost.state, "Input/output error" in lost.error) == (WorkState.INTERRUPTED, True)
        await vanished(pid)
        bench.plan()
        await experiments.resume_experiment(hall, ADA, run.id)
        assert (await over(hall, run.id)).state is WorkState.DONE


async def test_a_stop_of_the_aggregator_leaves_work_alone_and_the_next_life_follows_it(opened, bench):
    """The same process goes on, once, and its end is told to who asks."""
    async with opened() as hall:
        run, pid = await hung(hall, bench)
    assert processes.identify(pid) is not None
    async with opened() as hall:
        assert experiments.get_experiment(hall, run.id).state is WorkState.RUNNING
        await experiments.stop_experiment(hall, ADA, run.id)
        done = await over(hall, run.id)
        assert (done.state, done.attempts, done.best) == (WorkState.STOPPED, 1, "random-forest")
    assert len(bench.asked("run")) == 1


async def test_work_that_ended_while_nobody_watched_is_concluded(opened, bench):
    """From what it left: done, without another attempt."""
    async with opened() as hall:
        run, pid = await hung(hall, bench)
    await asyncio.to_thread((hall.config.workbench_dir / "runs" / str(run.id) / "stop").touch)
    async with asyncio.timeout(20):
        while processes.identify(pid) is not None:
            await asyncio.sleep(0.02)
    async with opened() as hall:
        done = experiments.get_experiment(hall, run.id)
        assert (done.state, done.attempts, done.models_done) == (WorkState.STOPPED, 1, 2)
    assert len(bench.asked("run")) == 1


async def test_work_that_was_killed_with_the_aggregator_goes_on(opened, bench):
    """With --resume where it can, from the start where it cannot."""
    async with opened() as hall:
        run, killed = await hung(hall, bench)
    kill(killed)
    await vanished(killed)
    bench.plan()
    async with opened() as hall:
        done = await over(hall, run.id)
        assert (done.state, done.attempts) == (WorkState.DONE, 2)
    assert [told["words"][-1] for told in bench.asked("run")] == [f"runs/{run.id}", "--resume"]
    bench.plan(hang="import")
    async with opened() as hall:
        again = await uploads.receive_upload(hall, ADA, chunks(CSV), filename="again.csv")
        killed = await bench.hanging()
    kill(killed)
    await vanished(killed)
    bench.plan()
    async with opened() as hall:
        assert (await settled(hall, again.id)).state == "ready"


async def test_a_run_that_is_cut_off_again_and_again_is_given_up(opened, bench):
    """After three attempts it is marked interrupted, with a sentence; a person may go on with it."""
    bench.plan()
    async with opened() as hall:
        run, killed = await hung(hall, bench)
    for _ in range(2):
        kill(killed)
        await vanished(killed)
        bench.plan(hang="run")
        async with opened() as hall:
            killed = await bench.hanging()
    kill(killed)
    await vanished(killed)
    bench.plan()
    async with opened() as hall:
        found = experiments.get_experiment(hall, run.id)
        assert (found.state, found.attempts) == (WorkState.INTERRUPTED, 3)
        assert "cut off 3 times" in found.error
        await experiments.resume_experiment(hall, ADA, run.id)
        assert (await over(hall, run.id)).state is WorkState.DONE


async def test_work_can_be_ended_with_the_aggregator(opened, bench):
    """By the setting; it goes on at the next start."""
    async with opened(workbench_leave_running=False) as hall:
        run, pid = await hung(hall, bench)
    assert processes.identify(pid) is None
    bench.plan()
    async with opened() as hall:
        assert (await over(hall, run.id)).state is WorkState.DONE


async def test_a_strangers_process_with_the_same_number_is_left_alone(opened, bench):
    """A number is used again; only number and birth together are the process."""
    stranger = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    async with opened() as hall:
        run, killed = await hung(hall, bench)
    kill(killed)
    await vanished(killed)
    bench.plan()
    async with opened() as hall:
        await over(hall, run.id)
        hall.store.write_now(
            lambda db: db.execute(
                "UPDATE works SET state = 'running', pid = ?, born = 'x 1' WHERE kind = 'run'", (stranger.pid,)
            )
        )
    async with opened() as hall:
        await over(hall, run.id)
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"fail": True}, "ragged rows"),
        ({"eat": 700}, "memory"),
        ({"crash": "import"}, "killed from outside"),
    ],
)
async def test_a_failure_is_explained_and_leaves_no_upload(opened, bench, plan, says):
    """By the trainer's own last words, or by what ended it."""
    async with opened(workbench_light_memory_mib=400) as hall:
        bench.plan(**plan)
        data = await uploaded(hall)
        assert (data.state, says in data.error) == ("failed", True), data.error
        assert list((hall.config.workbench_dir / "incoming").iterdir()) == []
        with pytest.raises(Conflict, match="has no table"):
            await begun(hall, data.id)


async def test_a_time_limit_ends_it(opened, bench):
    """And names the setting."""
    async with opened(workbench_light_minutes=0.5 / 60) as hall:
        bench.plan(hang="import")
        data = await uploads.receive_upload(hall, ADA, chunks(CSV), filename="slow.csv")
        found = await settled(hall, data.id)
        assert (found.state, "workbench_light_minutes" in found.error) == ("failed", True)


async def test_a_process_begins_only_after_it_is_known(tmp_path):
    """One whose starter dies in between ends without having run a line of its program."""
    mark = tmp_path / "ran"
    how = {"cwd": tmp_path, "log": tmp_path / "log", "environment": {"PATH": os.environ["PATH"]}}
    held = processes.spawn(["touch", str(mark)], **how, memory_mib=256, file_mib=1)
    assert processes.alive(held.identity)
    held.abandon()
    assert not mark.exists()
    held = processes.spawn(["touch", str(mark)], **how, memory_mib=256, file_mib=1)
    held.release()
    async with asyncio.timeout(10):
        while processes.alive(held.identity):
            await asyncio.sleep(0.01)
    assert processes.collect(held.identity.pid) == 0
    assert await asyncio.to_thread(mark.exists)
    assert await asyncio.to_thread((tmp_path / "log").read_bytes) == b""
