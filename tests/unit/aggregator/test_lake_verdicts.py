"""Verdicts into files: whatever lies where, the row carries what people said last."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from lake_room import Room

from aggregator.errors import NotFound
from aggregator.learning import labels
from aggregator.storage import lake, parquet
from aggregator.storage.flows import FlowFilter
from aggregator.storage.lake import HOUR_MS
from protos import contract


@pytest.fixture
def room(tmp_path, parts):
    made = Room(tmp_path, parts)
    yield made
    made.store.close()


def label_flow(room, flow_id, verdict, by="ada", **more):
    place = room.lake.place(flow_id)
    said = labels.Said(verdict, "", by, 77, **more)
    return room.store.write_now(lambda db: labels.add_to_flow(db, place, said))


def verdict_of(room, flow_id):
    return next((row["verdict"], row["family"]) for row in room.lake_table() if row["flow_id"] == flow_id)


@pytest.mark.parametrize("when", ["staged", "compacted", "merged"])
def test_a_verdict_on_a_quiet_flow_reaches_its_row_wherever_it_lay_when_it_was_given(tmp_path, parts, when):
    """In staging, in files put together since, or in the lake; and undoing takes it away again."""
    room = Room(tmp_path, parts, stage_rows=1000 if when == "compacted" else 50_000)
    flow_id = "sensor-1.c0ffee.2.3"
    for _ in range(lake.SMALL_FILES - 1 if when == "compacted" else 3):
        room.receive(4)
        room.lake.stage()
    if when == "merged":
        room.lake.merge(now_ms=parts.START_MS + HOUR_MS, quarantine_hours=0)
    label = label_flow(room, flow_id, "malicious", family="dns tunnel")
    if when == "compacted":
        room.receive(4)
        room.lake.stage()
        assert len(parquet.staged_files(room.lake.staging_dir)) == 1
    room.lake.merge(now_ms=parts.START_MS + HOUR_MS, quarantine_hours=0)
    assert verdict_of(room, flow_id) == ("malicious", "dns tunnel")
    assert room.lake.labelled_rows() == 1
    (found,) = room.lake.flows(FlowFilter(verdict="malicious"), limit=9, cursor=None).items
    assert found.flow_id == flow_id
    room.store.write_now(lambda db: labels.undo(db, label.id, note="", by="ada", at_ms=78))
    assert room.lake.relabel() == 1
    assert verdict_of(room, flow_id) == (None, None)
    assert room.lake.relabel() == 0
    room.store.close()


def test_a_flow_that_is_nowhere_cannot_be_judged(room):
    """A typing error must not become a label."""
    room.receive(4)
    room.lake.stage()
    with pytest.raises(NotFound, match="no flow"):
        room.lake.place("sensor-1.c0ffee.9.9")


def test_a_disputed_row_is_unsure_in_the_lake_and_an_expired_verdict_leaves_it(room, parts):
    """Training reads the lake: it must find there only what may be believed."""
    room.receive(4, alerts=(0, 1))
    room.lake.stage()
    for by, verdict in (("ada", "malicious"), ("bob", "benign")):
        room.store.write_now(
            lambda db, by=by, verdict=verdict: labels.add(
                db, target="alert", target_id=1, verdict=verdict, note="", by=by, at_ms=77
            )
        )
    room.store.write_now(
        lambda db: labels.add(
            db, target="alert", target_id=2, verdict="benign", note="", by="ada", at_ms=77,
            expires_ms=parts.START_MS + 1,
        )
    )  # fmt: skip
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    assert [row["verdict"] for row in room.lake_table()] == ["unsure", "benign", None, None]
    room.lake.merge(now_ms=parts.START_MS + 1, quarantine_hours=0)
    assert [row["verdict"] for row in room.lake_table()] == ["unsure", None, None, None]


def test_the_family_of_an_attack_is_what_its_incident_is_unless_somebody_named_it(room, parts):
    """So that a model can be judged family by family."""
    room.receive(4, alerts=(0, 1))
    room.lake.stage()
    room.store.write_now(
        lambda db: db.execute("INSERT INTO incidents (rule, anchor, updated_ms, kind) VALUES ('pair', 'a', 1, 'flood')")
    )
    room.store.write_now(lambda db: db.execute("UPDATE alerts SET incident_id = 1"))
    for alert_id, family in ((1, ""), (2, "syn flood")):
        room.store.write_now(
            lambda db, alert_id=alert_id, family=family: labels.add(
                db, target="alert", target_id=alert_id, verdict="malicious", note="", by="ada", at_ms=77, family=family
            )
        )
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    assert [row["family"] for row in room.lake_table()] == ["flood", "syn flood", None, None]


def test_a_file_of_an_older_contract_keeps_its_columns_and_its_digest(room, parts):
    """Relabelling or merging after an upgrade must not stamp the new contract on old features."""
    room.receive(4)
    room.lake.stage()
    (file,) = parquet.staged_files(room.lake.staging_dir)
    table = pq.read_table(file.path)
    old = table.rename_columns([f"old_{name}" if name == contract.FEATURES[0] else name for name in table.schema.names])
    parquet.write(old, file.path, received_ms=parts.START_MS, digest="0" * 64)
    room.receive(4)
    room.lake.stage()
    room.judge(1)
    room.lake.merge(now_ms=parts.START_MS + HOUR_MS, quarantine_hours=0)
    first, second = parquet.lake_files(room.lake.lake_dir)
    assert (first.digest, second.digest) == ("0" * 64, contract.DIGEST)
    assert f"old_{contract.FEATURES[0]}" in pq.read_schema(first.path).names
    room.judge(1, "malicious")
    assert room.lake.relabel() == 1
    assert parquet.lake_files(room.lake.lake_dir)[0].digest == "0" * 64
    assert pq.read_table(first.path)["verdict"].to_pylist()[0] == "malicious"
