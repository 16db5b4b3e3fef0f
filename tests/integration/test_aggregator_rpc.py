"""The fleet protocol over real gRPC: streams, acknowledgements, offers, and agents that misbehave."""

from __future__ import annotations

import asyncio
import hashlib

import grpc
import pytest

from aggregator import agents
from aggregator.calibration import policies
from aggregator.errors import BindRefused, StateError
from aggregator.intake import ingest, rpc
from aggregator.upkeep import Upkeep
from protos.v1 import batch_pb2, fleet_pb2, fleet_pb2_grpc, models_pb2


class Agent:
    """One agent's end of a stream: `send` anything, `expect` the next message of a kind."""

    def __init__(self, stub):
        self.call = stub.Connect()

    async def send(self, **body):
        await self.call.write(fleet_pb2.AgentMessage(**body))

    async def next(self):
        message = await asyncio.wait_for(self.call.read(), 10)
        return None if message is grpc.aio.EOF else message

    async def expect(self, kind):
        """The next message of that kind; others before it are passed over."""
        while (message := await self.next()) is not None:
            if message.WhichOneof("body") == kind:
                return getattr(message, kind)
        raise AssertionError(f"the stream ended without {kind}")

    async def acknowledged(self, sequence):
        while (ack := await self.expect("ack")).sequence < sequence:
            pass
        return ack

    async def open(self, hello):
        await self.send(hello=hello)
        return await self.expect("welcome")


@pytest.fixture
async def hall(tmp_path, parts):
    async with parts.services(tmp_path / "state", stage_seconds=0.1, max_record_mib=1) as services:
        yield services


@pytest.fixture
async def address(hall):
    upkeep = Upkeep(hall)
    servicer = rpc.FleetServicer(hall, upkeep.stored)
    async with upkeep.running(), rpc.serve(servicer, host="127.0.0.1", port=0, max_record_mib=1) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
async def stub(address):
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield fleet_pb2_grpc.FleetStub(channel)


async def crown(hall, folder, onnx_models, name, **how):
    onnx_models.write_model(folder / f"{name}.onnx", name=name, **how)
    model = await hall.registry.admit(folder / f"{name}.onnx", report=None, by="ada")
    return await hall.registry.promote(model.digest, by="ada", reason="", force=False)


async def until(question, *, seconds=10):
    async with asyncio.timeout(seconds):
        while not (answer := question()):
            await asyncio.sleep(0.02)
    return answer


async def test_acknowledged_means_stored(hall, stub, parts):
    """When the acknowledgement arrives, alerts and flows are in the database; it covers everything before it."""
    agent = Agent(stub)
    welcome = await agent.open(parts.hello())
    assert (welcome.cursor, welcome.window) == (0, hall.config.stream_window)
    assert (await agent.expect("policy")).version == 1
    for sequence in range(1, 21):
        await agent.send(record=parts.record(sequence, rows=5, alerts=(2,)))
    ack = await agent.acknowledged(20)
    assert ack.sequence == 20
    stored = hall.store.read(lambda db: db.execute("SELECT count(*) FROM alerts").fetchone()[0])
    assert stored == 20
    await until(lambda: len(hall.lake.flows(None, limit=500, cursor=None).items) == 100)
    await until(lambda: hall.store.read(lambda db: db.execute("SELECT count(*) FROM incidents").fetchone()[0]))


async def test_a_stream_goes_on_where_the_last_one_was_stored(hall, stub, parts):
    """The welcome names the cursor; what is sent again is acknowledged and ignored."""
    first = Agent(stub)
    await first.open(parts.hello())
    for sequence in (1, 2, 3):
        await first.send(record=parts.record(sequence, alerts=(0,)))
    await first.acknowledged(3)
    await first.call.done_writing()
    await first.next()
    second = Agent(stub)
    assert (await second.open(parts.hello())).cursor == 3
    for sequence in (2, 3, 4):
        await second.send(record=parts.record(sequence, alerts=(0,)))
    await second.acknowledged(4)
    assert hall.store.read(lambda db: db.execute("SELECT count(*) FROM alerts").fetchone()[0]) == 4


async def test_a_promotion_reaches_an_open_stream_at_once(hall, stub, parts, tmp_path, onnx_models):
    """Policy and model are offered, the model can be fetched, its bytes are those of its digest."""
    agent = Agent(stub)
    await agent.open(parts.hello())
    await agent.expect("policy")
    champion = await crown(hall, tmp_path, onnx_models, "first")
    offer = await agent.expect("model_offer")
    assert (offer.digest, offer.version, offer.name) == (champion.digest, 1, "first")
    chunks = [chunk.data async for chunk in stub.FetchModel(models_pb2.ModelRequest(digest=offer.digest))]
    data = b"".join(chunks)
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (offer.digest, offer.size)
    await agent.send(model_report=models_pb2.ModelReport(digest=offer.digest, state=models_pb2.ModelReport.RUNNING))
    await until(lambda: hall.registry.get(champion.digest).agents == 1)
    second = await crown(hall, tmp_path, onnx_models, "second", bias=1.0)
    assert (await agent.expect("model_offer")).digest == second.digest
    await hall.registry.rollback(by="ada", reason="")
    assert (await agent.expect("model_offer")).digest == champion.digest


async def test_who_runs_the_champion_is_offered_nothing(hall, stub, parts, tmp_path, onnx_models):
    """And a new policy arrives alone."""
    champion = await crown(hall, tmp_path, onnx_models, "first")
    agent = Agent(stub)
    await agent.open(parts.hello(model_digest=champion.digest, policy_version=2))
    change = {"promised_fpr": None, "threshold": 7.5, "keep_fraction": None, "max_alerts_per_minute": None}
    hall.store.write_now(lambda db: policies.change(db, **change, by="ada", reason="", now_ms=1))
    hall.events.publish("policy")
    message = await agent.next()
    assert message.WhichOneof("body") == "policy"
    assert (message.policy.version, message.policy.threshold, message.policy.model_digest) == (3, 7.5, champion.digest)


async def test_a_refused_model_is_not_offered_again_and_again(hall, stub, parts, tmp_path, onnx_models):
    """The agent said no; heartbeats do not bring it up again."""
    champion = await crown(hall, tmp_path, onnx_models, "first")
    agent = Agent(stub)
    await agent.open(parts.hello())
    await agent.expect("model_offer")
    report = models_pb2.ModelReport(digest=champion.digest, state=models_pb2.ModelReport.REFUSED, detail="no")
    await agent.send(model_report=report)
    for _ in range(3):
        await agent.send(heartbeat=fleet_pb2.Heartbeat(policy_version=2))
    await agent.send(record=parts.record(1))
    message = await agent.next()
    assert message.WhichOneof("body") == "ack"


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "0" * 64])
async def test_only_known_models_can_be_fetched(stub, digest):
    """By their whole digest."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in stub.FetchModel(models_pb2.ModelRequest(digest=digest)):
            pass
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_malformed_record_ends_its_stream_and_nobody_elses(hall, stub, parts):
    """It is set aside; its agent goes on behind it after coming back; the other one notices nothing."""
    bad, good = Agent(stub), Agent(stub)
    await bad.open(parts.hello("bad"))
    await good.open(parts.hello("good"))
    await bad.send(record=parts.record(1, alerts=(0,)))
    await bad.send(record=fleet_pb2.Record(sequence=2, batch=b"\xde\xad\xbe\xef"))
    refusal = await bad.expect("refusal")
    assert refusal.retry
    assert "set aside" in refusal.reason
    assert await bad.next() is None
    await good.send(record=parts.record(1, alerts=(0,)))
    await good.acknowledged(1)
    again = Agent(stub)
    assert (await again.open(parts.hello("bad"))).cursor == 2
    await again.send(record=parts.record(3, alerts=(0,)))
    await again.acknowledged(3)
    assert (hall.config.broken_dir / "bad.c0ffee.2.broken").read_bytes() == b"\xde\xad\xbe\xef"


async def test_a_record_that_is_too_large_is_set_aside_and_passed(stub, parts):
    """The agent is not stuck on it for ever."""
    agent = Agent(stub)
    await agent.open(parts.hello())
    await agent.send(record=fleet_pb2.Record(sequence=1, batch=b"x" * (1 << 20 | 1)))
    assert "max_record_mib = 1" in (await agent.expect("refusal")).reason
    again = Agent(stub)
    assert (await again.open(parts.hello())).cursor == 1


REFUSED = {
    "no hello": lambda parts: [{"heartbeat": fleet_pb2.Heartbeat()}],
    "an empty message": lambda parts: [{}],
    "a second hello": lambda parts: [{"hello": parts.hello()}, {"hello": parts.hello()}],
    "a bad name": lambda parts: [{"hello": parts.hello(agent_id="../etc")}],
    "another contract": lambda parts: [{"hello": parts.hello(feature_digest="0" * 64)}],
    "sequence zero": lambda parts: [{"hello": parts.hello()}, {"record": parts.record(0)}],
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_breaks_the_protocol_is_refused_in_words(stub, parts, what):
    """The stream ends; retrying without a change is useless."""
    agent = Agent(stub)
    for body in REFUSED[what](parts):
        await agent.send(**body)
    refusal = await agent.expect("refusal")
    assert refusal.reason
    assert not refusal.retry
    assert await agent.next() is None


async def test_a_second_stream_of_an_agent_takes_over(hall, stub, parts):
    """After a broken link the old one may linger; the agent stays connected throughout."""
    first, second = Agent(stub), Agent(stub)
    await first.open(parts.hello())
    await second.open(parts.hello())
    assert (await first.expect("refusal")).retry
    await second.send(record=parts.record(1))
    await second.acknowledged(1)
    connected = hall.store.read(lambda db: db.execute("SELECT connected FROM agents").fetchone()[0])
    assert connected == 1
    await second.call.done_writing()
    await until(lambda: not hall.store.read(lambda db: db.execute("SELECT connected FROM agents").fetchone()[0]))


async def test_heartbeats_and_gaps_show_on_the_agent(hall, stub, parts):
    """State, spool and declared losses."""
    agent = Agent(stub)
    await agent.open(parts.hello(source="veth0"))
    health = batch_pb2.SensorHealth(state="interface-lost", detail="veth0 vanished")
    await agent.send(heartbeat=fleet_pb2.Heartbeat(health=health, spool_bytes=4096, policy_version=1))
    await agent.send(record=parts.record(5, batch_pb2.Gap(first_sequence=1, last_sequence=5, flows=50, reason="full")))
    await agent.acknowledged(5)
    shown = hall.store.read(lambda db: agents.get(db, "sensor-1"))
    assert (shown.health.state, shown.spool_bytes, shown.lost_flows, shown.source) == (
        "interface-lost",
        4096,
        50,
        "veth0",
    )


async def test_a_disk_that_takes_nothing_acknowledges_nothing(hall, stub, parts, monkeypatch):
    """The agent is told to come again; when the disk works, everything arrives once."""
    agent = Agent(stub)
    await agent.open(parts.hello())

    async def full(*_, **__):
        raise StateError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "push", full)
        await agent.send(record=parts.record(1, alerts=(0,)))
        refusal = await agent.expect("refusal")
    assert refusal.retry
    again = Agent(stub)
    assert (await again.open(parts.hello())).cursor == 0
    await again.send(record=parts.record(1, alerts=(0,)))
    await again.acknowledged(1)


async def test_a_full_inbox_asks_agents_to_pause(tmp_path, parts, monkeypatch):
    """Rather than growing without end while Parquet files cannot be written."""
    async with parts.services(tmp_path / "state", inbox_high_water=3) as hall:
        servicer = rpc.FleetServicer(hall, lambda *_: None)
        async with (
            rpc.serve(servicer, host="127.0.0.1", port=0, max_record_mib=16) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            agent = Agent(fleet_pb2_grpc.FleetStub(channel))
            await agent.open(parts.hello())
            pauses = []
            for sequence in range(1, 7):
                await agent.send(record=parts.record(sequence))
                pauses.append((await agent.acknowledged(sequence)).pause_ms)
            assert pauses == [0, 0, 0, 500, 500, 500]


async def test_an_agent_that_does_not_read_costs_nothing(hall, stub, parts):
    """Acknowledgements are cumulative; what it did not read is not piled up."""
    agent = Agent(stub)
    await agent.open(parts.hello())
    for sequence in range(1, 200):
        await agent.send(record=parts.record(sequence, rows=1))
    await until(lambda: hall.store.read(lambda db: ingest.cursor(db, parts.SENDER)) == 199)
    assert (await agent.acknowledged(199)).sequence == 199


async def test_it_does_not_listen_beyond_this_machine(hall):
    """Identities come first."""
    for host in ("0.0.0.0", "192.0.2.1"):  # noqa: S104
        with pytest.raises(BindRefused, match="loopback|identities"):
            async with rpc.serve(rpc.FleetServicer(hall, lambda *_: None), host=host, port=0, max_record_mib=1):
                pass


async def test_a_port_in_use_is_said(hall, address):
    """With the likely reason."""
    port = int(address.rpartition(":")[2])
    with pytest.raises(BindRefused, match="another aggregator"):
        async with rpc.serve(rpc.FleetServicer(hall, lambda *_: None), host="127.0.0.1", port=port, max_record_mib=1):
            pass
