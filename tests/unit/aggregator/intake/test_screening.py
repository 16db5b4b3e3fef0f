"""What an agent may send, and what becomes of what it may not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.config import AggregatorConfig
from aggregator.errors import RecordRefused
from aggregator.intake import screening
from aggregator.intake.screening import Broken, Declared, Sender, Sound
from protos import contract
from protos.v1 import batch_pb2, fleet_pb2

CONFIG = AggregatorConfig()
SENDER = Sender("sensor-1", "c0ffee")


def examine(record):
    return screening.examine(SENDER, record, CONFIG)


def test_a_good_batch_becomes_rows_for_the_alerts_table(parts):
    """An alert's row carries flow identity, reasons, model, observed features and the sensor's health at the time."""
    body = parts.batch(5, alerts=(2,), sources=["fe80::1"], targets=["192.0.2.7"], ports=[22], model="a" * 64)
    found = examine(parts.record(7, body))
    assert isinstance(found, Sound)
    assert (found.rows, found.model_digest, found.health.packets_dropped) == (5, "a" * 64, 7)
    (alert,) = found.alerts
    assert alert["flow_id"] == "sensor-1.c0ffee.7.2"
    assert (alert["src_ip"], alert["dst_ip"], alert["dst_port"]) == ("fe80::1", "192.0.2.7", 22)
    assert [reason["feature"] for reason in json.loads(alert["reasons"])] == ["src_ports_10s", "unanswered"]
    observed = contract.unpack_matrix(body.features, 5)[2]
    assert alert["features"] == observed.tobytes()
    assert json.loads(alert["health"])["packets_dropped"] == 7


def test_a_gap_is_a_declared_loss(parts):
    """What a spool had to drop arrives as figures."""
    gap = batch_pb2.Gap(first_sequence=3, last_sequence=9, flows=700, alerts=0, reason="full\x07disk")
    assert examine(parts.record(9, gap)) == Declared(9, 3, 9, 700, 0, "full disk")


def spoil(change):
    """A record whose batch was changed after it was built."""

    def build(parts):
        body = parts.batch(4, alerts=(1,))
        change(body)
        return parts.record(1, body)

    return build


def break_matrix(body):
    matrix = contract.unpack_matrix(body.features, 4).copy()
    matrix[0, 0] = np.nan
    body.features = matrix.tobytes()


def too_late(body):
    body.flows.last_seen_ms = np.full(4, 2**63, dtype="<u8").tobytes()


BROKEN = {
    "not a protobuf": lambda parts: fleet_pb2.Record(sequence=1, batch=b"\xff\xfe\xfd"),
    "no body": lambda parts: fleet_pb2.Record(sequence=1),
    "matrix too short": spoil(lambda body: setattr(body, "features", body.features[:-1])),
    "a column too long": spoil(lambda body: setattr(body.flows, "src_port", body.flows.src_port + b"\0\0")),
    "more rows than data": spoil(lambda body: setattr(body.flows, "rows", 5)),
    "a value not finite": spoil(break_matrix),
    "another feature contract": spoil(lambda body: setattr(body, "feature_digest", "0" * 64)),
    "an alert without a row": spoil(lambda body: setattr(body.alerts[0], "row", 4)),
    "two alerts on one row": spoil(lambda body: body.alerts.append(body.alerts[0])),
    "a score not finite": spoil(lambda body: setattr(body.alerts[0], "score", float("inf"))),
    "a reason not finite": spoil(lambda body: setattr(body.alerts[0].reasons[0], "share", float("nan"))),
    "a reason of no feature": spoil(lambda body: setattr(body.alerts[0].reasons[0], "feature", "shoe_size")),
    "a time beyond time": spoil(too_late),
    "a model digest that is none": spoil(lambda body: setattr(body, "model_digest", "../../etc")),
    "a gap that ends before it begins": lambda parts: parts.record(1, batch_pb2.Gap(first_sequence=5, last_sequence=4)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_malformed_is_broken_with_a_reason(parts, what):
    """Nothing malformed gets past screening, and nothing malformed raises."""
    found = examine(BROKEN[what](parts))
    assert isinstance(found, Broken)
    assert found.problem


def test_limits_are_named(parts):
    """Too many rows and too many bytes are refused by the setting's name."""
    small = AggregatorConfig(max_rows=3)
    assert "max_rows = 3" in screening.examine(SENDER, parts.record(1, rows=4), small).problem
    tiny = AggregatorConfig(max_record_mib=1)
    large = fleet_pb2.Record(sequence=1, batch=b"x" * (1 << 20 | 1))
    assert "max_record_mib = 1" in screening.examine(SENDER, large, tiny).problem


def test_a_row_count_that_lies_costs_no_memory(parts):
    """A claim of four billion rows is refused by comparing sizes, not by making room."""
    body = parts.batch(1)
    body.flows.rows = 2**32 - 1
    assert isinstance(examine(parts.record(1, body)), Broken)


@pytest.mark.parametrize("sequence", [0, 2**63])
def test_a_sequence_out_of_range_ends_the_stream(parts, sequence):
    """Without a place in the order a record cannot even be set aside."""
    with pytest.raises(RecordRefused, match="out of range"):
        examine(parts.record(sequence))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_mutated_batches_never_raise(parts, data):
    """Any byte flipped, cut or inserted gives Sound or Broken, never an exception."""
    good = parts.batch(3, alerts=(1,)).SerializeToString()
    position = data.draw(st.integers(0, len(good) - 1))
    how = data.draw(st.sampled_from(("flip", "cut", "insert")))
    piece = data.draw(st.binary(min_size=1, max_size=8))
    bad = {
        "flip": good[:position] + bytes([good[position] ^ (piece[0] or 1)]) + good[position + 1 :],
        "cut": good[:position],
        "insert": good[:position] + piece + good[position:],
    }[how]
    assert isinstance(examine(fleet_pb2.Record(sequence=1, batch=bad)), Sound | Broken)


@pytest.mark.parametrize("agent_id", ["", "a b", "../x", "x" * 65, "-x", "é"])
def test_a_name_that_could_harm_is_refused(parts, agent_id):
    """Agent names become parts of file names and flow ids; only plain ones are taken."""
    with pytest.raises(RecordRefused, match="agent id"):
        screening.check_hello(parts.hello(agent_id=agent_id))


def test_an_epoch_must_be_hexadecimal(parts):
    """As the spool makes it."""
    with pytest.raises(RecordRefused, match="epoch"):
        screening.check_hello(parts.hello(epoch="ZZZZ"))


def test_another_contract_is_refused_before_any_record(parts):
    """The agent keeps its records; the message says what to do."""
    with pytest.raises(RecordRefused, match="same version") as refused:
        screening.check_hello(parts.hello(feature_digest="f" * 64))
    assert refused.value.retry is False


def test_text_of_an_agent_is_cut_and_cleaned():
    """No control character and nothing endless reaches the store."""
    assert screening.clean("a\x1b[31mb\n" + "x" * 500) == ("a [31mb " + "x" * 500)[: screening.TEXT]
