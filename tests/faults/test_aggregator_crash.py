"""kill -9 of a real aggregator while it takes records: what was acknowledged is there, exactly once."""

from __future__ import annotations

import random
import threading

import grpc
import pytest

from protos.v1 import fleet_pb2, fleet_pb2_grpc

ROUNDS = 4
RECORDS = 120
ROWS = 40


class Spool:
    """An agent with all its records at hand: sends from wherever it is welcomed, remembers what was acknowledged."""

    def __init__(self, parts):
        self._parts = parts
        self._records = {
            sequence: parts.record(sequence, rows=ROWS, alerts=(sequence % ROWS,), seed=sequence)
            for sequence in range(1, RECORDS + 1)
        }
        self.acknowledged = 0
        self.welcomed: list[int] = []

    def ship(self, address, *, slowly_s=0.0):
        """One stream, until everything is acknowledged or the other side is gone."""
        welcome = threading.Event()
        start = 0

        def messages():
            yield fleet_pb2.AgentMessage(hello=self._parts.hello())
            welcome.wait(20)
            for sequence in range(start + 1, RECORDS + 1):
                yield fleet_pb2.AgentMessage(record=self._records[sequence])
                if slowly_s:
                    threading.Event().wait(slowly_s)
            finished.wait(20)

        finished = threading.Event()
        try:
            with grpc.insecure_channel(address) as channel:
                for message in fleet_pb2_grpc.FleetStub(channel).Connect(messages(), timeout=60):
                    kind = message.WhichOneof("body")
                    if kind == "welcome":
                        start = message.welcome.cursor
                        self.welcomed.append(start)
                        welcome.set()
                    elif kind == "ack":
                        self.acknowledged = max(self.acknowledged, message.ack.sequence)
                    if self.acknowledged == RECORDS:
                        return
        except grpc.RpcError:
            pass
        finally:
            welcome.set()
            finished.set()


def all_flows(web):
    found, cursor = [], None
    while True:
        page = web.get("/flows", params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).json()
        found += [flow["flow_id"] for flow in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.timeout(180)
def test_killed_at_random_moments_every_acknowledged_row_is_there_once(tmp_path, aggregator_process, parts):
    """Alerts in the database, flows in the files, cursor, and a clean check; whatever the moment of the kill."""
    chance = random.Random(20260131)
    hall = aggregator_process.Hall(
        tmp_path, stage_seconds=0.05, stage_rows=200, merge_minutes=0.002, quarantine_hours=0.0
    )
    hall.found()
    spool = Spool(parts)
    for _ in range(ROUNDS):
        hall.start()
        before = spool.acknowledged
        shipping = threading.Thread(target=spool.ship, args=(hall.addresses["grpc"],), kwargs={"slowly_s": 0.01})
        shipping.start()
        shipping.join(chance.uniform(0.2, 0.8))
        hall.kill()
        shipping.join(30)
        assert not shipping.is_alive()
        assert not spool.welcomed or spool.welcomed[-1] >= before, "an acknowledged record was forgotten"
    hall.start()
    try:
        spool.ship(hall.addresses["grpc"])
        assert spool.acknowledged == RECORDS
        assert hall.stop() == 0  # stages what came last
        hall.start()
        with hall.web() as web:
            alerts = []
            cursor = None
            while True:
                page = web.get("/alerts", params={"limit": 500, **({"cursor": cursor} if cursor else {})}).json()
                alerts += [alert["flow_id"] for alert in page["items"]]
                cursor = page["next"]
                if cursor is None:
                    break
            flows = all_flows(web)
            agent = web.get("/agents").json()["items"][0]
    finally:
        hall.stop()
    expected = sorted(f"sensor-1.c0ffee.{number}.{row}" for number in range(1, RECORDS + 1) for row in range(ROWS))
    assert sorted(flows) == expected
    assert sorted(alerts) == sorted(f"sensor-1.c0ffee.{number}.{number % ROWS}" for number in range(1, RECORDS + 1))
    assert (agent["flows"], agent["alerts"], agent["batches"]) == (RECORDS * ROWS, RECORDS, RECORDS)
    checked = hall.command("check")
    assert checked.returncode == 0, checked.stdout
    assert len(set(spool.welcomed)) > 2, "the kills came too early to prove anything"
