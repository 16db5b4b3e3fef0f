"""A disk that is really full, or really read-only: the sensor's keeper goes on, and says what it could not keep."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from agent.clock import SystemClock
from agent.keeper import Keeper
from agent.spool import Spool
from agent.spool_file import Entry, Kind
from agent.spool_reader import SpoolReader
from agent.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.spool_file import Record

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


class Clock(SystemClock):
    """A minute passes with every look, so that every attempt is due."""

    now = 0.0

    def monotonic(self) -> float:
        self.now += 60
        return self.now


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four mebibytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def state(disk: Path) -> StateDir:
    state = StateDir(disk / "state")
    state.prepare()
    return state


def keeper(state: StateDir) -> Keeper:
    clock = Clock()
    return Keeper(lambda: Spool.open(state, max_bytes=64 << 20, clock=clock), clock=clock)


def read(state: StateDir) -> list[Record]:
    reader = SpoolReader(state)
    try:
        return reader.lease(100_000, max_bytes=1 << 30)
    finally:
        reader.close()


def alert(number: int) -> Entry:
    return Entry(b"%06d" % number + bytes(1000), 1, 1)


def fill(disk: Path) -> Path:
    """Take all the space there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def test_a_full_disk_costs_no_alert(state: StateDir, disk: Path) -> None:
    """Alerts that meet a full disk wait in memory and are on disk once there is space; quiet flows are declared."""
    keep = keeper(state)
    keep.keep([alert(0)])
    ballast = fill(disk)
    for number in range(1, 200):
        keep.keep([alert(number), Entry(b"quiet" + bytes(1000), 0, 10)])
    assert "free some space" in keep.trouble
    assert keep.waiting > 100
    ballast.unlink()
    keep.tick()
    assert (keep.trouble, keep.waiting) == ("", 0)
    records = read(state)
    batches = [record for record in records if record.kind is Kind.BATCH]
    assert [int(record.payload[:6]) for record in batches if record.alerts] == list(range(200))
    quiet = sum(not record.alerts for record in batches)
    declared = sum(record.flows for record in records if record.kind is Kind.GAP)
    assert declared + 10 * quiet == 1990
    keep.close()


def test_a_spool_that_fills_its_disk_by_itself(state: StateDir) -> None:
    """A limit larger than the disk ends in the same way: nothing acknowledged is lost, the rest is said."""
    keep = keeper(state)
    for number in range(2500):
        keep.keep([alert(number)])
    assert keep.trouble
    kept = [int(record.payload[:6]) for record in read(state)]
    assert kept == list(range(len(kept)))
    assert len(kept) + keep.waiting == 2500
    keep.close()


def test_a_sensor_that_starts_on_a_full_disk(state: StateDir, disk: Path) -> None:
    """No space for the spool at start is trouble, not the end."""
    ballast = fill(disk)
    keep = keeper(state)
    assert keep.trouble
    keep.keep([alert(7)])
    assert keep.waiting == 1
    ballast.unlink()
    keep.tick()
    assert [record.payload[:6] for record in read(state)] == [b"000007"]
    keep.close()


def test_a_disk_that_turns_read_only(state: StateDir, disk: Path) -> None:
    """A remount after a disk error is survived, and everything is there when it is writable again."""
    keep = keeper(state)
    keep.keep([alert(1)])
    subprocess.run(["mount", "-o", "remount,ro,size=4m", str(disk)], check=False, capture_output=True)
    if os.statvfs(disk).f_flag & os.ST_RDONLY == 0:  # busy: the file is open for writing
        keep.close()
        subprocess.run(["mount", "-o", "remount,ro,size=4m", str(disk)], check=True)
        keep = keeper(state)
    keep.keep([alert(2)])
    assert keep.waiting == 1
    assert keep.trouble
    subprocess.run(["mount", "-o", "remount,rw,size=4m", str(disk)], check=True)
    keep.tick()
    assert (keep.trouble, keep.waiting) == ("", 0)
    assert [record.payload[:6] for record in read(state)] == [b"000001", b"000002"]
    keep.close()
