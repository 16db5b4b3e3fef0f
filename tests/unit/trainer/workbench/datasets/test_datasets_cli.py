"""The command itself, as whoever spawns it sees it: exit codes, progress lines, and hostile files under a memory limit."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import tables_in_files as files

from protos.exits import ExitCode

ROOM = 4 << 30


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Sets the limit in the child's own interpreter: code between fork and exec is not safe beside the threads of gRPC."""


def command(*arguments, environment=None):
    trainer = Path(sys.executable).with_name("anomaflow-trainer")
    return subprocess.run(
        [sys.executable, "-Ic", LIMITED, str(ROOM), str(trainer), "workbench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=environment,
    )


def test_from_file_to_picture(tmp_path):
    """Import, profile and plot, each with progress as JSON lines that rise to one and end."""
    (tmp_path / "t.csv").write_bytes(b"bytes,class\n" + b"1,normal\n20,attack\n3,normal\n" * 20)
    out = tmp_path / "set"
    for arguments in (
        ("import", tmp_path / "t.csv", "--out", out, "--name", "clients"),
        ("profile", out, "--label", "class"),
    ):
        done = command(*arguments, "--progress", "json")
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert {event["event"] for event in events} == {"stage", "end"}
        fractions = [event["fraction"] for event in events if event["event"] == "stage"]
        assert fractions == sorted(fractions)
        assert (fractions[-1], events[-1]["state"]) == (1.0, "done")
        assert all(event["at_ms"] > 1_700_000_000_000 for event in events)
    assert json.loads((out / "about.json").read_text())["name"] == "clients"
    picture = command("plot", out, "--kind", "counts", "--x", "class", "--out", tmp_path / "p.png")
    assert picture.returncode == 0, picture.stderr
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    plain = command("plot", out, "--kind", "histogram", "--x", "bytes")
    assert json.loads(plain.stdout)["format"] == "anomaflow-plot-1"


def gzip_bomb():
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b"1,2,3\n" * 200_000) for _ in range(200)), packer.flush()])


def spread_xls():
    return files.xls_bytes([(0, 0, "a"), (1, 0, 1.0), (65_535, 65_000, 1.0)])


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("bomb.csv.gz", gzip_bomb, "max-ratio"),
        ("spread.xls", spread_xls, "Excel file"),
        ("deep.json", lambda: b'{"a":' * 100_000, "max-depth"),
        ("model.csv", lambda: b"\x80\x04\x95" + bytes(50), "pickle"),
        ("open.csv", lambda: b'a,b\n"1,2\n' + b"3,4\n" * 4_000_000, "never closed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_files_under_a_memory_limit(tmp_path, name, data, says):
    """One sentence, the exit code for unusable data, no traceback, and nothing left behind."""
    (tmp_path / name).write_bytes(data())
    done = command("import", tmp_path / name, "--out", tmp_path / "set", "--progress", "json")
    assert done.returncode == ExitCode.DATA, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "exit_code" in done.stdout.splitlines()[-1]
    assert list((tmp_path / "set").iterdir()) == []


def test_a_database_by_file_and_by_environment(tmp_path):
    """The address comes from a file or a variable, never from an argument, and is not printed."""
    import sqlite3

    with sqlite3.connect(tmp_path / "d.db") as base:
        base.execute("CREATE TABLE t (a, b)")
        base.executemany("INSERT INTO t VALUES (?, ?)", [(1, "x"), (2, "y")])
    base.close()
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path / 'd.db'}\n")
    query = ("--query", "SELECT * FROM t", "--json")
    by_file = command("import", "sql:", "--out", tmp_path / "one", "--url-file", tmp_path / "url", *query)
    assert by_file.returncode == 0, by_file.stderr
    variable = {"ANOMAFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'd.db'}", "PATH": "/usr/bin"}
    by_variable = command("import", "sql:", "--out", tmp_path / "two", *query, environment=variable)
    assert json.loads(by_file.stdout)["digest"] == json.loads(by_variable.stdout)["digest"]
    none = command("import", "sql:", "--out", tmp_path / "three", *query, environment={"PATH": "/usr/bin"})
    assert none.returncode == ExitCode.USAGE
    assert "--url-file" in none.stderr
