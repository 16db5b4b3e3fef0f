"""Files that are really damaged: opening never fails, sound records survive, and every loss is declared."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from agent.clock import SystemClock
from agent.errors import SpoolDamaged
from agent.spool import Spool
from agent.spool_file import Cursor, Kind, connect, write_cursor
from agent.spool_reader import SpoolReader
from agent.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.spool_file import Record

RECORDS = 60
ROUNDS = range(12)


def payload(number: int) -> bytes:
    return random.Random(number).randbytes(200 + 97 * (number % 40))


def open_spool(state: StateDir) -> Spool:
    return Spool.open(state, max_bytes=1 << 20, clock=SystemClock())


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """A closed spool of `RECORDS` records, every third with an alert."""
    state = StateDir(tmp_path)
    state.prepare()
    spool = open_spool(state)
    for number in range(1, RECORDS + 1):
        spool.enqueue(payload(number), alerts=int(number % 3 == 0), flows=number)
    spool.close()
    return state


def read(state: StateDir) -> list[Record]:
    reader = SpoolReader(state)
    try:
        records = reader.lease(10_000, max_bytes=1 << 30)
        expected = records[0].first if records else 1
        for record in records:
            assert record.first == expected, "every number is covered once"
            expected = record.sequence + 1
        return records
    finally:
        reader.close()


def flip_bits(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 5, 200])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def blank_pages(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(3):
        page = chance.randrange(len(data) // 4096)
        data[page * 4096 : (page + 1) * 4096] = bytes(4096)
    path.write_bytes(data)


def scribble(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(5_000))


@pytest.mark.parametrize("damage", [flip_bits, cut, blank_pages, scribble])
@pytest.mark.parametrize("seed", ROUNDS)
def test_damage_is_survived_and_declared(
    state: StateDir, damage: Callable[[Path, random.Random], None], seed: int
) -> None:
    """Whatever happened to the file, the spool opens, hands out only sound records, and says that others are gone."""
    damage(state.spool, random.Random(seed))
    spool = open_spool(state)
    originals = {payload(number) for number in range(1, RECORDS + 1)}
    records = read(state)
    kept = [record for record in records if record.kind is Kind.BATCH]
    assert all(record.payload in originals for record in kept)
    assert len({record.payload for record in kept}) == len(kept), "nothing comes out twice"
    if len(kept) < RECORDS:
        assert any(record.kind is Kind.GAP for record in records), "a loss is declared"
    number = spool.enqueue(b"after", alerts=1, flows=1)
    assert read(state)[-1].payload == b"after"
    assert read(state)[-1].sequence == number
    spool.close()
    open_spool(state).close()


def test_a_damaged_file_is_set_aside_not_deleted(state: StateDir) -> None:
    """The bytes of the damaged file stay, and the new one has another epoch."""
    reader = SpoolReader(state)
    epoch = reader.epoch
    reader.close()
    state.spool.write_bytes(b"nothing of use")
    spool = open_spool(state)
    assert spool.epoch != epoch
    [broken] = state.root.glob("*.broken")
    assert broken.read_bytes() == b"nothing of use"
    assert "what it held is not known" in read(state)[0].reason
    spool.close()


@pytest.mark.parametrize("how", ["empty", "removed"])
def test_a_spool_that_vanished_is_declared(state: StateDir, how: str) -> None:
    """An empty or missing file where there was a spool is a loss of unknown size, not a fresh start."""
    reader = SpoolReader(state)
    reader.commit(3)
    reader.close()
    state.spool.unlink()
    if how == "empty":
        state.spool.touch()
    spool = open_spool(state)
    assert [record.kind for record in read(state)] == [Kind.GAP]
    spool.close()


def test_what_was_sent_is_not_recovered(state: StateDir) -> None:
    """Records the aggregator has are not sent again under the new epoch; of the rest, unreadable ones are declared."""
    reader = SpoolReader(state)
    write_cursor(state.cursor, Cursor(reader.epoch, 50))
    reader.close()
    data = bytearray(state.spool.read_bytes())
    place = data.index(payload(55)[:64])
    data[place] ^= 0xFF
    state.spool.write_bytes(data)
    state.root.joinpath("spool.suspect").touch()
    spool = open_spool(state)
    records = read(state)
    assert [(r.first, r.sequence, r.kind) for r in records] == [
        (n, n, Kind.GAP if n == 5 else Kind.BATCH) for n in range(1, 11)
    ]
    assert "1 record could not be read" in records[4].reason
    spool.close()


def test_a_flipped_bit_in_a_payload_is_not_sent(state: StateDir) -> None:
    """SQLite does not see a flipped bit inside a value; the checksum does, and the record becomes a gap."""
    data = bytearray(state.spool.read_bytes())
    data[data.index(payload(20)[:64])] ^= 1
    state.spool.write_bytes(data)
    spool = open_spool(state)
    record = read(state)[19]
    assert (record.kind, record.flows) == (Kind.GAP, 20)
    assert "damaged on disk" in record.reason
    spool.close()


@pytest.mark.parametrize("step", ["log renamed", "file renamed", "before"])
def test_a_crash_during_recovery_is_finished_at_the_next_start(state: StateDir, step: str) -> None:
    """A complete recovery is installed by the next start, wherever the crash came."""
    state.spool.rename(state.spool.with_name("spool.db.recovered"))
    if step != "file renamed":
        state.spool.write_bytes(b"the damaged one")
    if step == "before":
        state.spool.with_name("spool.db-wal").write_bytes(b"a log that must not be replayed")
    spool = open_spool(state)
    assert len(read(state)) == RECORDS
    assert not state.spool.with_name("spool.db.recovered").exists()
    spool.close()


def test_damage_found_by_the_shipper_is_repaired_by_the_sensor(state: StateDir) -> None:
    """A page that only the shipper reads is repaired all the same: it leaves a mark, and the sensor looks."""
    spool = open_spool(state)
    reader = SpoolReader(state)
    db = connect(state.spool, "rw")
    [root] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'records'").fetchone()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    with state.spool.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(SpoolDamaged, match=r"set aside as \.broken"):
        reader.lease(100)
    with pytest.raises(SpoolDamaged, match="damaged record"):
        spool.prune()
    spool.close()
    reader.close()
    spool = open_spool(state)
    assert list(state.root.glob("*.broken"))
    assert read(state)
    spool.close()
