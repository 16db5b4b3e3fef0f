"""kill -9 in the middle of enqueueing: nothing that was acknowledged is lost, nothing comes out half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from agent.clock import SystemClock
from agent.spool import Spool
from agent.spool_reader import SpoolReader
from agent.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import os, sys, hashlib
from pathlib import Path
from agent.clock import SystemClock
from agent.spool import Spool
from agent.state import StateDir
spool = Spool.open(StateDir(Path(sys.argv[1])), max_bytes=1 << 30, clock=SystemClock())
while True:
    body = os.urandom(3000)
    number = spool.enqueue(hashlib.sha256(body).digest() + body, alerts=1, flows=1)
    os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("milliseconds", [1, 7, 23, 61, 150])
def test_kill_minus_nine_loses_nothing_acknowledged(tmp_path: Path, milliseconds: int) -> None:
    """Every number a killed writer had printed is in the spool, whole, and the next writer goes on after it."""
    state = StateDir(tmp_path)
    state.prepare()
    writer = subprocess.Popen([sys.executable, "-Ic", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(milliseconds / 1000)
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read()
    writer.wait()
    writer.stdout.close()
    printed = [int(line) for line in (first + rest).split(b"\n") if line]

    spool = Spool.open(state, max_bytes=1 << 30, clock=SystemClock())
    reader = SpoolReader(state)
    records = reader.lease(1_000_000, max_bytes=1 << 40)
    assert printed == list(range(1, len(printed) + 1))
    assert len(printed) <= len(records) <= len(printed) + 1
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert all(sha256(record.payload[32:]).digest() == record.payload[:32] for record in records)
    assert spool.enqueue(b"", alerts=0, flows=0) == len(records) + 1
    reader.close()
    spool.close()
