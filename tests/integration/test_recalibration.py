"""Promises over real gRPC and SQLite: a sensor's counts go in, a group's new threshold comes back, and it is kept."""

from __future__ import annotations

import asyncio
import math

import grpc
import pytest
import quiet_network as net

from agent.counting import Tally
from aggregator import audit
from aggregator.calibration import policies
from aggregator.calibration.counts import HOUR_MS
from aggregator.calibration.readouts import Wish
from aggregator.errors import Conflict, Forbidden, Invalid, NotFound
from aggregator.intake import rpc
from aggregator.rows import Role
from aggregator.upkeep import Upkeep
from aggregator.users import Principal
from protos.manifest import Threshold
from protos.v1 import fleet_pb2, fleet_pb2_grpc

ALPHA = 0.005
THRESHOLDS = tuple(Threshold(alpha, -math.log10(alpha), True) for alpha in (0.1, 0.01, ALPHA, 0.001, 1e-4))
ADA = Principal("ada", Role.OPERATOR, "write")
EVE = Principal("eve", Role.ANALYST, "write")
NIGHTS = 24


@pytest.fixture
def clock(parts):
    return parts.HandClock(parts.START_MS // HOUR_MS * HOUR_MS + NIGHTS * HOUR_MS)


@pytest.fixture
async def hall(tmp_path, parts, clock):
    settings = {"promised_fpr": ALPHA}
    async with parts.services(tmp_path / "state", clock, **settings) as services:
        yield services


@pytest.fixture
async def champion(hall, tmp_path, onnx_models):
    digest = onnx_models.write_model(tmp_path / "first.onnx", name="first", thresholds=THRESHOLDS)
    await hall.registry.admit(tmp_path / "first.onnx", report=None, by="ada")
    return (await hall.registry.promote(digest, by="ada", reason="", force=False)).digest


@pytest.fixture
async def stub(hall):
    servicer = rpc.FleetServicer(hall, lambda flows, alerts: None)
    async with (
        rpc.serve(servicer, host="127.0.0.1", port=0, max_record_mib=1) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield fleet_pb2_grpc.FleetStub(channel)


class Agent:
    """An agent's end of a stream, with a sensor's counts."""

    def __init__(self, stub, parts, name="edge", run="ab12"):
        self.name = name
        self.parts = parts
        self.call = stub.Connect()
        self.tally = Tally(run=run, seed=1)

    async def open(self):
        await self.call.write(fleet_pb2.AgentMessage(hello=self.parts.hello(self.name)))
        return await self.policy()

    async def policy(self, newer_than=0):
        """The next policy that is newer."""
        while True:
            message = await asyncio.wait_for(self.call.read(), 10)
            if message.WhichOneof("body") == "policy" and message.policy.version > newer_than:
                return message.policy

    async def tell(self, hall, times=1):
        """Send everything counted, `times` over, and wait until it is stored."""
        for _ in range(times):
            for counted in net.messages(self.tally):
                await self.call.write(fleet_pb2.AgentMessage(score_counts=counted))
        wanted = sum(int(hour.flows.sum()) for hour in self.tally.hours.values())

        def stored():
            rows = hall.store.read(
                lambda db: db.execute(
                    "SELECT coalesce(sum(flows), 0) FROM score_counts WHERE agent_id = ? AND run = ?",
                    (self.name, self.tally.run),
                ).fetchone()
            )
            return rows[0] == wanted

        async with asyncio.timeout(10):
            while not stored():
                await asyncio.sleep(0.01)


def start(hall):
    return hall.clock.now_ms() - NIGHTS * HOUR_MS


async def test_a_new_network_is_recalibrated_and_its_promise_kept(hall, champion, stub, parts):
    """Scores of the new network are shifted: the promise breaks ten times over. After `recalibrate` the agent follows a
    new threshold within the stream, certified, and later flows keep to the promise."""
    network = net.QuietNetwork(shift=0.6, stretch=1.2)
    agent = Agent(stub, parts)
    before = await agent.open()
    assert network.realised(before.threshold) > 4 * ALPHA
    network.count(agent.tally, champion, start(hall), NIGHTS)
    await agent.tell(hall)
    [standing] = hall.promises.standing()
    assert standing.state == "expired"
    made = await hall.promises.recalibrate(ADA, Wish(), reason="a new network")
    after = await agent.policy(before.version)
    assert after.threshold == pytest.approx(made.threshold)
    assert (made.basis, made.promised_fpr) == ("certified", ALPHA)
    assert network.realised(after.threshold) <= ALPHA
    assert network.realised(after.threshold) > ALPHA / 3
    [standing] = hall.promises.standing()
    assert standing.state == "holds"
    last = hall.store.read(lambda db: audit.find(db, limit=1)).items[0]
    assert (last.actor, last.action) == ("ada", "policy.set")
    assert last.detail["reason"] == "a new network"
    assert last.detail["basis"] == "certified"


@pytest.mark.parametrize("scanning", [(3,), tuple(range(NIGHTS))])
async def test_a_scan_while_counting_does_not_raise_the_threshold(hall, champion, stub, parts, scanning):
    """An hour of scanning, or a whole day of it, that no incident ever recognised: the threshold is what it was."""
    network = net.QuietNetwork()
    agent = Agent(stub, parts)
    before = await agent.open()
    network.count(agent.tally, champion, start(hall), NIGHTS, scanning=scanning)
    await agent.tell(hall)
    try:
        made = await hall.promises.recalibrate(ADA, Wish())
    except Conflict as refused:
        assert "how an attack looks" in str(refused)
        assert hall.store.read(policies.current).version == before.version
    else:
        assert made.threshold <= before.threshold + 0.25


async def test_counts_are_stored_once_whoever_starts_again(hall, champion, stub, parts):
    """The same counts over one stream, over another one, and from a sensor that lost its file."""
    network = net.QuietNetwork()
    first = Agent(stub, parts)
    await first.open()
    network.count(first.tally, champion, start(hall), 2)
    await first.tell(hall, times=3)
    second = Agent(stub, parts)
    await second.open()
    second.tally = first.tally
    await second.tell(hall)
    [standing] = hall.promises.standing()
    assert standing.flows == 2 * 6 * 300
    assert standing.hours == 2


async def test_groups_are_apart(hall, champion, stub, parts):
    """An agent is put into a group by an operator and at once follows it; the other group keeps its threshold."""
    office, plant = Agent(stub, parts, "office"), Agent(stub, parts, "plant")
    before = [await agent.open() for agent in (office, plant)]
    moved = await hall.promises.assign(ADA, "plant", "factory")
    assert moved.group == "factory"
    joined = await plant.policy(before[1].version)
    assert joined.threshold == before[1].threshold
    for agent, shift in ((office, 0.0), (plant, 1.0)):
        net.QuietNetwork(shift=shift, hosts=20).count(agent.tally, champion, start(hall), NIGHTS)
        await agent.tell(hall)
    hall.clock.forward(seconds=60)
    states = {found.group: found.state for found in hall.promises.standing()}
    assert states == {"default": "holds", "factory": "expired"}
    made = await hall.promises.recalibrate(ADA, Wish(alerts_per_day=100), group="factory")
    assert (await plant.policy(joined.version)).threshold == pytest.approx(made.threshold)
    assert made.group == "factory"
    assert hall.store.read(policies.current).threshold == pytest.approx(before[0].threshold)
    members = {found.group: [member.agent_id for member in found.members] for found in hall.promises.standing()}
    assert members == {"default": ["office"], "factory": ["plant"]}


async def test_by_itself_a_group_is_recalibrated_once(hall, champion, stub, parts):
    """A new network with a day of counts gets its own threshold without anybody asking, and then is left alone."""
    agent = Agent(stub, parts)
    before = await agent.open()
    assert await hall.promises.attend() == ()
    net.QuietNetwork(shift=0.5).count(agent.tally, champion, start(hall), NIGHTS)
    await agent.tell(hall)
    [made] = await hall.promises.attend()
    assert (made.by, made.basis) == ("recalibration", "certified")
    assert (await agent.policy(before.version)).threshold == pytest.approx(made.threshold)
    assert await hall.promises.attend() == ()


async def test_the_aggregator_attends_to_it(hall, champion, stub, parts):
    """The loop that does it runs with the others, and drops counts that are too old."""
    agent = Agent(stub, parts)
    before = await agent.open()
    net.QuietNetwork(shift=0.5).count(agent.tally, champion, start(hall), NIGHTS)
    await agent.tell(hall)
    async with Upkeep(hall).running():
        assert (await agent.policy(before.version)).threshold > before.threshold
        hall.clock.forward(hours=24 * 40)
        async with asyncio.timeout(10):
            while hall.store.read(lambda db: db.execute("SELECT count(*) FROM score_counts").fetchone()[0]):
                await asyncio.sleep(0.01)


async def test_what_was_undone_by_hand_is_not_done_again(hall, champion, stub, parts):
    """Undo brings back what the version before said, and the group is left alone for a day."""
    agent = Agent(stub, parts)
    before = await agent.open()
    net.QuietNetwork(shift=0.5).count(agent.tally, champion, start(hall), NIGHTS)
    await agent.tell(hall)
    [made] = await hall.promises.attend()
    back = await hall.promises.undo(ADA, reason="too deaf")
    assert back.version == made.version + 1
    assert back.threshold == pytest.approx(before.threshold)
    assert "too deaf" in back.reason
    assert await hall.promises.attend() == ()
    hall.clock.forward(hours=25)
    assert len(await hall.promises.attend()) == 1


async def test_a_threshold_set_by_hand_is_left_alone(hall, champion, stub, parts):
    """Whatever was counted."""
    agent = Agent(stub, parts)
    await agent.open()
    net.QuietNetwork(shift=0.5).count(agent.tally, champion, start(hall), NIGHTS)
    await agent.tell(hall)
    await hall.promises.set(ADA, Wish(threshold=2.0))
    assert await hall.promises.attend() == ()
    with pytest.raises(Conflict, match="set by hand"):
        await hall.promises.recalibrate(ADA, Wish())
    made = await hall.promises.recalibrate(ADA, Wish(fpr=ALPHA))
    assert made.basis == "certified"


async def test_a_new_champion_begins_with_its_own_calibration(hall, champion, stub, parts, tmp_path, onnx_models):
    """Counts of another model's scores say nothing about its scores; every group starts anew."""
    agent = Agent(stub, parts)
    await agent.open()
    await hall.promises.assign(ADA, "edge", "lab")
    net.QuietNetwork(shift=0.5).count(agent.tally, champion, start(hall), NIGHTS)
    await agent.tell(hall)
    await hall.promises.recalibrate(ADA, Wish(), group="lab")
    onnx_models.write_model(tmp_path / "second.onnx", name="second", bias=1.0, thresholds=THRESHOLDS)
    second = await hall.registry.admit(tmp_path / "second.onnx", report=None, by="ada")
    await hall.registry.promote(second.digest, by="ada", reason="", force=False)
    policy = hall.store.read(lambda db: policies.current(db, "lab"))
    assert (policy.model_digest, policy.basis, policy.promised_fpr) == (second.digest, "model", ALPHA)
    assert policy.threshold == pytest.approx(-math.log10(ALPHA))
    with pytest.raises(Conflict, match="another model"):
        await hall.promises.undo(ADA, group="lab")
    assert next(found for found in hall.promises.standing() if found.group == "lab").flows == 0


async def test_who_may_and_what_is_refused(hall, champion, stub, parts):
    """Operators only; groups have names; too few counts change nothing and say how many there were."""
    agent = Agent(stub, parts)
    await agent.open()
    for deed in (
        hall.promises.recalibrate(EVE, Wish()),
        hall.promises.set(EVE, Wish(fpr=0.1)),
        hall.promises.undo(EVE),
        hall.promises.assign(EVE, "edge", "lab"),
    ):
        with pytest.raises(Forbidden):
            await deed
    with pytest.raises(Invalid, match="letters, digits"):
        await hall.promises.assign(ADA, "edge", "no group/")
    with pytest.raises(NotFound):
        await hall.promises.assign(ADA, "nobody", "lab")
    with pytest.raises(NotFound, match="no group"):
        await hall.promises.recalibrate(ADA, Wish(), group="nowhere")
    with pytest.raises(Conflict, match="0 flows were counted"):
        await hall.promises.recalibrate(ADA, Wish())
    with pytest.raises(Conflict, match="no policy of its own"):
        await hall.promises.undo(ADA, group="lab")
