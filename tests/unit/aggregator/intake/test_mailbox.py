"""Both ends of a stream, bounded."""

from __future__ import annotations

import asyncio

from aggregator.intake.mailbox import Inbound, Outbox
from protos.v1 import fleet_pb2, models_pb2


def ack(sequence):
    return fleet_pb2.AggregatorMessage(ack=fleet_pb2.Ack(sequence=sequence))


async def test_only_the_newest_of_a_kind_waits():
    """An agent that does not read costs a handful of messages, however much is told to it."""
    outbox = Outbox()
    for sequence in range(1000):
        outbox.put(ack(sequence))
        outbox.put(fleet_pb2.AggregatorMessage(policy=models_pb2.Policy(version=sequence)))
    outbox.close()
    sent = [message async for message in outbox]
    assert [message.WhichOneof("body") for message in sent] == ["ack", "policy"]
    assert (sent[0].ack.sequence, sent[1].policy.version) == (999, 999)


async def test_what_is_put_later_is_sent_later():
    """An iteration that waits is woken."""
    outbox = Outbox()
    sent = []

    async def send():
        sent.extend([message.ack.sequence async for message in outbox])

    sending = asyncio.create_task(send())
    for sequence in (1, 2):
        outbox.put(ack(sequence))
        await asyncio.sleep(0.01)
    outbox.close()
    await sending
    assert sent == [1, 2]


async def test_a_full_queue_makes_the_filler_wait():
    """Back pressure instead of memory."""
    taken = 0

    async def messages():
        nonlocal taken
        for sequence in range(1, 100):
            taken = sequence
            yield fleet_pb2.AgentMessage(record=fleet_pb2.Record(sequence=sequence))

    inbound = Inbound(4)
    filling = asyncio.create_task(inbound.fill(messages()))
    await asyncio.sleep(0.02)
    assert taken == 5
    got = [await inbound.get() for _ in range(99)]
    assert [message.record.sequence for message in got] == list(range(1, 100))
    assert await inbound.get() is None
    await filling


async def test_looking_ahead_for_records_keeps_the_order():
    """Another kind of message stays in its place."""
    inbound = Inbound(8)

    async def messages():
        yield fleet_pb2.AgentMessage(record=fleet_pb2.Record(sequence=1))
        yield fleet_pb2.AgentMessage(heartbeat=fleet_pb2.Heartbeat())
        yield fleet_pb2.AgentMessage(record=fleet_pb2.Record(sequence=2))

    await inbound.fill(messages())
    assert inbound.next_record().sequence == 1
    assert inbound.next_record() is None
    assert (await inbound.get()).WhichOneof("body") == "heartbeat"
    assert inbound.next_record().sequence == 2
    assert inbound.next_record() is None
    assert await inbound.get() is None
