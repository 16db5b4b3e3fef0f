"""Flows into files: every row once, whatever is cut off, with the verdicts people gave."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_room import Room

from aggregator.intake import ingest
from aggregator.learning import labels
from aggregator.storage import flows, lake, parquet
from aggregator.storage.flows import FlowFilter
from aggregator.storage.lake import HOUR_MS, Lake
from aggregator.storage.parquet import FlowFile
from protos import contract


@pytest.fixture
def room(tmp_path, parts):
    made = Room(tmp_path, parts)
    yield made
    made.store.close()


def expected_rows(room, rows=10):
    return sorted(f"sensor-1.c0ffee.{number}.{row}" for number in range(1, room.sequence + 1) for row in range(rows))


def test_a_staged_row_is_what_the_agent_sent(room, parts):
    """Identity, score, decision, weight and all features, under the contract's names and digest."""
    room.receive(3, alerts=(1,), sources=["10.1.2.3", "2001:db8::5"], model="a" * 64)
    assert room.lake.stage() == 3
    (file,) = parquet.staged_files(room.lake.staging_dir)
    table = pq.read_table(file.path)
    assert table.schema.names == parquet.STAGING_SCHEMA.names
    assert table.schema.types == parquet.STAGING_SCHEMA.types
    assert table.schema.metadata[b"anomaflow.feature_digest"].decode() == contract.DIGEST
    row = table.to_pylist()[1]
    assert (row["flow_id"], row["src_ip"], row["dst_ip"]) == ("sensor-1.c0ffee.1.1", "2001:db8::5", "10.0.0.9")
    assert (row["decision"], row["score"], row["weight"], row["end"]) == (1, 5.0, 1.0, 3)
    assert (row["model_digest"], row["received_ms"]) == ("a" * 64, parts.START_MS)
    sent = contract.unpack_matrix(parts.batch(3, alerts=(1,), seed=1).features, 3)
    assert [row[name] for name in contract.FEATURES] == sent[1].tolist()


def test_staging_empties_the_inbox(room):
    """And staging again finds nothing to do."""
    for _ in range(3):
        room.receive()
    assert room.lake.stage() == 30
    assert room.store.read(ingest.inbox_depth) == 0
    assert room.lake.stage() == 0
    assert room.rows() == expected_rows(room)


def test_a_crash_between_rename_and_delete_stages_nothing_twice(room, monkeypatch):
    """The file is there, the inbox still is too: the next start forgets the inbox rows, not the other way round."""
    room.receive()
    with monkeypatch.context() as patch:
        patch.setattr(lake, "_forget", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            room.lake.stage()
    room.receive()
    again = Lake(room.config.state_dir, room.store).open()
    assert again.stage() == 10
    assert room.rows() == expected_rows(room)
    assert len(parquet.staged_files(room.lake.staging_dir)) == 2


def test_a_crash_before_the_rename_loses_nothing(room, monkeypatch):
    """The half-written file is dropped, the inbox rows are staged again."""
    room.receive()
    with monkeypatch.context() as patch:
        patch.setattr(parquet.pq, "write_table", lambda _, file, **__: (file.write(b"PAR1 half"), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            room.lake.stage()
    assert not list(room.lake.staging_dir.iterdir())
    (room.lake.staging_dir / ".2026-01-31.000000000001-000000000002.parquet.0a1b2c3d.tmp").write_bytes(b"PAR1 half")
    again = Lake(room.config.state_dir, room.store).open()
    assert not list(room.lake.staging_dir.glob("*.tmp"))
    assert again.stage() == 10
    assert room.rows() == expected_rows(room)


@pytest.mark.parametrize("step", ["_write_judged", "remove"])
def test_a_crash_while_merging_moves_every_row_once(room, parts, monkeypatch, step):
    """Before the lake file appears nothing has changed; after it, the staging files are spent."""
    for _ in range(3):
        room.receive()
        room.lake.stage()
    with monkeypatch.context() as patch:
        target = (Lake, step) if step.startswith("_") else (parquet, step)
        patch.setattr(*target, lambda *_, **__: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    assert room.rows() == expected_rows(room)
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    assert sorted(row["flow_id"] for row in room.lake_table()) == expected_rows(room)
    assert parquet.staged_files(room.lake.staging_dir) == []
    assert room.rows() == expected_rows(room)


def test_quarantine_keeps_young_rows_out_of_the_lake(room, parts):
    """A row becomes permanent when it is old enough; a run may ask for less."""
    room.receive(now_ms=parts.START_MS)
    room.lake.stage()
    room.receive(now_ms=parts.START_MS + HOUR_MS)
    room.lake.stage()
    assert room.lake.merge(now_ms=parts.START_MS + HOUR_MS, quarantine_hours=2) == 0
    assert room.lake.merge(now_ms=parts.START_MS + HOUR_MS, quarantine_hours=1) == 10
    assert room.lake.merge(now_ms=parts.START_MS + HOUR_MS, quarantine_hours=0) == 10
    assert room.lake.size().lake_rows == 20


def test_the_lake_is_partitioned_by_the_day_of_receipt(room, parts):
    """Whatever times an agent reports."""
    room.receive(now_ms=parts.START_MS, at_ms=1)
    room.receive(now_ms=parts.START_MS + 24 * HOUR_MS, at_ms=1)
    room.lake.stage()
    room.lake.merge(now_ms=parts.START_MS + 99 * HOUR_MS, quarantine_hours=0)
    days = sorted(folder.name for folder in room.lake.lake_dir.iterdir())
    assert days == ["day=2026-09-21", "day=2026-09-22"]


def test_a_verdict_given_before_the_merge_is_in_the_lake(room, parts):
    """Staging is where labels are corrected: the lake gets what counts at the moment of the merge."""
    stored = room.receive(alerts=(2, 5))
    room.judge(stored.alert_ids[0], "malicious")
    room.lake.stage()
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    said = {row["row"]: (row["verdict"], row["verdict_by"], row["verdict_ms"]) for row in room.lake_table()}
    assert said[2] == ("malicious", "ada", 77)
    assert said[5] == said[0] == (None, None, None)
    assert room.lake.labelled_rows() == 1


def test_a_verdict_that_comes_or_changes_later_reaches_the_lake(room, parts):
    """A file is rewritten for it, at once and whole; an undone verdict leaves it again."""
    (alert_id,) = room.receive(alerts=(2,)).alert_ids
    room.lake.stage()
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    assert room.lake.labelled_rows() == 0
    label = room.judge(alert_id)
    assert room.lake.relabel() == 1
    assert [row["verdict"] for row in room.lake_table()][2] == "benign"
    assert room.lake.relabel() == 0
    room.store.write_now(lambda db: labels.undo(db, label.id, note="", by="bob", at_ms=78))
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    assert room.lake.labelled_rows() == 0
    assert len(room.lake_table()) == 10


def test_a_verdict_that_changes_while_the_lake_is_written_stays_stale(room, parts, monkeypatch):
    """Settled means: the lake says what counts now, not what counted when it was read."""
    (alert_id,) = room.receive(alerts=(2,)).alert_ids
    room.lake.stage()
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    room.judge(alert_id, "benign")
    write = parquet.write

    def judged_meanwhile(*arguments, **how):
        write(*arguments, **how)
        room.judge(alert_id, "malicious")

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write", judged_meanwhile)
        room.lake.relabel()
    assert room.lake.relabel() == 1
    assert room.lake_table()[2]["verdict"] == "malicious"


def test_many_small_files_become_few(tmp_path, parts):
    """Neighbouring staging files of a day are put together; no row is lost or doubled."""
    room = Room(tmp_path, parts)
    for _ in range(40):
        room.receive(2)
        room.lake.stage()
    assert len(parquet.staged_files(room.lake.staging_dir)) < 32
    assert room.rows() == expected_rows(room, 2)
    room.store.close()


def test_ids_are_never_used_again_after_an_older_database_came_back(room, parts):
    """A restored database must not name new records as files on disk already do: they would count as staged."""
    room.receive()
    room.receive()
    room.lake.stage()
    room.store.write_now(lambda db: db.execute("UPDATE sqlite_sequence SET seq = 1 WHERE name = 'inbox'"))
    again = Lake(room.config.state_dir, room.store).open()
    room.receive()
    assert again.stage() == 10
    assert room.rows() == expected_rows(room)


def test_flows_are_found_by_what_one_would_ask(room):
    """Filters narrow; the verdict is today's, wherever the row lies."""
    stored = room.receive(6, alerts=(0, 1), sources=["10.0.0.1", "10.0.0.2"], ports=[22, 80, 443])
    room.lake.stage()
    room.judge(stored.alert_ids[1], "malicious")

    def ask(**where):
        return [
            flow.flow_id.rpartition(".")[2]
            for flow in room.lake.flows(FlowFilter(**where), limit=50, cursor=None).items
        ]

    assert ask() == ["5", "4", "3", "2", "1", "0"]
    assert ask(host="10.0.0.2") == ["5", "3", "1"]
    assert ask(port=443, agent="sensor-1") == ["5", "2"]
    assert ask(agent="other") == []
    assert ask(raised=True, min_score=4) == ["1", "0"]
    assert ask(verdict="malicious") == ["1"]
    assert ask(verdict="none", raised=True) == ["0"]
    (found,) = room.lake.flows(FlowFilter(verdict="malicious"), limit=5, cursor=None).items
    assert (found.verdict, found.raised, found.end) == ("malicious", True, "tcp")


def test_flows_page_by_cursor_across_staging_and_lake(room, parts):
    """Without gaps or repeats while rows lie in both."""
    room.receive(5)
    room.lake.stage()
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    room.receive(5)
    room.lake.stage()
    found, cursor = [], None
    for _ in range(4):
        page = room.lake.flows(None, limit=3, cursor=cursor)
        found += [flow.flow_id for flow in page.items]
        cursor = page.next
    assert cursor is None
    assert sorted(found) == expected_rows(room, 5)


def test_flows_per_minute_include_quiet_minutes(room, parts):
    """Weights say how many flows the sampled rows stand for."""
    room.receive(4, alerts=(0,), now_ms=parts.START_MS)
    room.lake.stage()
    counts = room.lake.counts_per_minute(now_ms=parts.START_MS + 60_000, minutes=3)
    assert [(count.rows, count.flows, count.alerts, count.bytes) for count in counts] == [
        (0, 0.0, 0, 0),
        (4, 61.0, 1, 480),
        (0, 0.0, 0, 0),
    ]


def test_a_file_that_vanishes_while_a_question_runs_is_no_error(room, parts):
    """Merging under a reader: the question is asked again on the new list of files."""
    room.receive()
    room.lake.stage()
    stale = room.lake.files()
    room.lake.merge(now_ms=parts.START_MS, quarantine_hours=0)
    answers = iter([stale])
    questions = flows.Questions(lambda: next(answers, room.lake.files()), room.store, memory_mib=256, seconds=20)
    assert len(questions.find(None, limit=50, cursor=None).items) == 10


def test_an_empty_lake_answers_with_nothing(room):
    """Before the first flow there is nothing to read, and that is no error."""
    assert room.lake.flows(None, limit=5, cursor=None).items == ()
    assert room.lake.size().lake_rows == room.lake.size().staged_rows == room.lake.labelled_rows() == 0
    assert room.lake.merge(now_ms=1, quarantine_hours=0) == 0


def file_of(low, high, day="2026-01-01", folder="staging"):
    from pathlib import Path

    return FlowFile(low, high, day, Path(f"{folder}/{day}.{low}-{high}"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.data())
def test_spent_are_exactly_the_files_another_one_covers(widths, data):
    """The rule that makes crashes harmless, against its plain statement."""
    small, low = [], 1
    for width in widths:
        small.append(file_of(low, low + width - 1))
        low += width
    first = data.draw(st.integers(0, len(small) - 1))
    last = data.draw(st.integers(first, len(small) - 1))
    wide = file_of(small[first].low, small[last].high, folder="lake")
    gone = parquet.spent(small, [wide])
    assert gone == small[first : last + 1]
    if first != last:
        together = file_of(small[first].low, small[last].high)
        assert parquet.spent([*small, together], []) == small[first : last + 1]


def test_files_of_different_days_never_cover_each_other():
    """A clock that steps back over midnight must not lose a day."""
    assert parquet.spent([file_of(3, 4, "2026-01-02")], [file_of(1, 9, "2026-01-01", "lake")]) == []
