"""The commands, run as processes: found, run, ask, label, promote, back up, restore, check."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest

from protos.exits import ExitCode
from protos.v1 import fleet_pb2, fleet_pb2_grpc


def ship(address, parts, records, *, agent="sensor-1"):
    """Send records over a synchronous stream until the last is acknowledged."""

    def messages():
        yield fleet_pb2.AgentMessage(hello=parts.hello(agent))
        for record in records:
            yield fleet_pb2.AgentMessage(record=record)

    with grpc.insecure_channel(address) as channel:
        reached = 0
        for message in fleet_pb2_grpc.FleetStub(channel).Connect(messages(), timeout=20):
            if message.WhichOneof("body") == "ack":
                reached = message.ack.sequence
            if reached >= records[-1].sequence:
                break
        return reached


@pytest.fixture(scope="module")
def hall(tmp_path_factory, aggregator_process, parts):
    """A running aggregator that has received a port scan and a stranger."""
    made = aggregator_process.Hall(tmp_path_factory.mktemp("hall"))
    made.found()
    made.start()
    scan = parts.batch(30, alerts=range(30), sources=["10.6.6.6"], ports=range(1, 31))
    stranger = parts.batch(5, alerts=(4,), sources=["10.0.0.5"], targets=["192.0.2.1"], ports=[8443])
    ship(made.addresses["grpc"], parts, [parts.record(1, scan), parts.record(2, stranger)])
    yield made
    made.stop()


def settled(ask, *, seconds=10):
    until = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return answer


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_init_makes_a_password_and_a_token_that_only_the_owner_reads(tmp_path, aggregator_process):
    """Shown once, never an argument; a second init is refused."""
    hall = aggregator_process.Hall(tmp_path)
    done = hall.command("init", "--json")
    made = json.loads(done.stdout)
    assert len(made["password"]) >= 16
    assert stat.S_IMODE(hall.token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(hall.state.stat().st_mode) == 0o700
    again = hall.command("init")
    assert (again.returncode, "already" in again.stderr) == (ExitCode.AGGREGATOR, True)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("run", "--grpc-host", "0.0.0.0"), ExitCode.CONFIG, "identities"),  # noqa: S104
        (("run", "--web-host", "192.0.2.1"), ExitCode.CONFIG, "loopback|identities|encryption"),
        (("run",), ExitCode.STATE, "init"),
        (("check",), ExitCode.STATE, "init"),
        (("token", "list"), ExitCode.STATE, "init"),
        (("restore", "/nowhere"), ExitCode.USAGE, "no backup"),
        (("nonsense",), ExitCode.USAGE, "invalid choice"),
    ],
)
def test_what_cannot_be_done_ends_with_a_remedy_and_a_documented_code(
    tmp_path, aggregator_process, arguments, code, text
):
    """No stack trace."""
    done = aggregator_process.Hall(tmp_path).command(*arguments)
    assert done.returncode == code, done.stderr
    assert re.search(text, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_is_named(tmp_path, aggregator_process):
    """With the nearest one that exists."""
    hall = aggregator_process.Hall(tmp_path, stage_secnds=1)
    done = hall.command("check")
    assert (done.returncode, "stage_seconds" in done.stderr) == (ExitCode.CONFIG, True)


def test_a_state_directory_serves_one_aggregator(hall):
    """A second one is refused before it touches anything."""
    done = hall.command("run")
    assert (done.returncode, "another aggregator" in done.stderr) == (ExitCode.STATE, True)


def test_a_port_in_use_is_said(tmp_path, aggregator_process):
    """By its number."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        hall = aggregator_process.Hall(tmp_path)
        hall.found()
        done = hall.command("run", "--web-port", str(port))
    assert (done.returncode, str(port) in done.stderr) == (ExitCode.CONFIG, True)


def test_alerts_and_incidents_are_read_from_the_command_line(hall):
    """A scan and a stranger: two incidents; tables for people, JSON Lines for scripts."""

    def both():
        found = lines(hall.client("incidents", "list", "--json"))
        return found if len(found) == 2 else None

    incidents = settled(both)
    assert sorted(found["kind"] for found in incidents) == ["port scan", "single flow"]
    alerts = lines(hall.client("alerts", "list", "--json", "--limit", "100"))
    assert len(alerts) == 31
    assert len(lines(hall.client("alerts", "list", "--json", "--limit", "7"))) == 7
    table = hall.client("alerts", "list", "--host", "192.0.2.1").stdout
    assert "192.0.2.1:8443" in table
    assert "40 ports in 10 s" in table
    shown = hall.client("alerts", "show", str(alerts[0]["id"])).stdout
    assert "40 ports in 10 s" in shown
    scan = next(found for found in incidents if found["kind"] == "port scan")
    assert "tried 30 ports" in hall.client("incidents", "show", str(scan["id"])).stdout


def test_the_client_is_a_command(hall):
    """Installed, configured by environment, ending with its exit code."""
    environ = {**os.environ, "ANOMAFLOW_URL": hall.addresses["web"], "ANOMAFLOW_TOKEN_FILE": str(hall.token_file)}
    program = str(Path(sys.executable).parent / "anomaflow")
    done = subprocess.run([program, "users", "me", "--json"], capture_output=True, text=True, env=environ, timeout=60)
    assert json.loads(done.stdout)["role"] == "admin"
    done = subprocess.run([program, "alerts", "show", "999"], capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == ExitCode.AGGREGATOR


def test_every_read_answers_in_both_ways(hall):
    """`--json` on every read, and a table otherwise."""
    reads = ["alerts list", "incidents list", "flows list", "flows counts", "agents list", "agents gaps", "models list",
             "policies list", "policies show", "labels list", "jobs list", "suppressions list", "users me", "users list", "users tokens",
             "users audit"]  # fmt: skip
    settled(lambda: lines(hall.client("flows", "list", "--json")))
    for read in reads:
        done = hall.client(*read.split(), "--json")
        assert done.returncode == 0, (read, done.stderr)
        text = done.stdout
        json.loads(text) if read.endswith(("me", "show")) else [json.loads(line) for line in text.splitlines()]
        plain = hall.client(*read.split())
        assert (plain.returncode, bool(plain.stdout.strip())) == (0, True), read


def test_a_verdict_is_given_and_taken_back(hall):
    """From the command line, as from the console."""
    (alert,) = lines(hall.client("alerts", "list", "--json", "--host", "192.0.2.1"))
    (label,) = lines(
        hall.client("labels", "add", "alert", str(alert["id"]), "benign", "--note", "backup host", "--json")
    )
    assert (label["verdict"], label["by"], label["note"]) == ("benign", "admin", "backup host")
    assert lines(hall.client("alerts", "list", "--json", "--verdict", "benign"))[0]["id"] == alert["id"]
    assert "undone" in hall.client("labels", "undo", str(label["id"])).stdout
    assert lines(hall.client("alerts", "list", "--json", "--verdict", "benign")) == []
    assert hall.client("labels", "undo", str(label["id"])).returncode == ExitCode.AGGREGATOR


def test_an_incident_is_looked_after_from_the_command_line(hall):
    """Acknowledged, assigned, commented on and taken back; lists narrow by it, `show` tells it."""
    settled(lambda: lines(hall.client("incidents", "list", "--json", "--kind", "port scan")))
    (scan,) = lines(hall.client("incidents", "list", "--json", "--kind", "port scan", "--acknowledged", "no"))
    number = str(scan["id"])
    (seen,) = lines(hall.client("incidents", "acknowledge", number, "--note", "looking", "--json"))
    assert (seen["deed"], seen["by"], seen["note"]) == ("acknowledge", "admin", "looking")
    assert hall.client("incidents", "acknowledge", number).returncode == ExitCode.AGGREGATOR
    assert "assigned to admin by admin" in hall.client("incidents", "assign", number).stdout
    assert "commented on" in hall.client("incidents", "comment", number, "it is our scanner").stdout
    (mine,) = lines(hall.client("incidents", "list", "--json", "--assignee", "me", "--acknowledged", "yes"))
    assert (mine["id"], mine["comments"]) == (scan["id"], 1)
    assert "it is our scanner" in hall.client("incidents", "show", number).stdout
    assert "assigned to nobody" in hall.client("incidents", "assign", number, "--nobody").stdout
    assert hall.client("incidents", "assign", number, "--to", "stranger").returncode == ExitCode.USAGE
    assert f"step {seen['id']} taken back" in hall.client("incidents", "undo", str(seen["id"])).stdout
    assert lines(hall.client("incidents", "list", "--json", "--acknowledged", "yes")) == []


def test_what_is_normal_here_is_said_from_the_command_line(hall):
    """Looked at beforehand, made with an end and a reason, ended, undone."""
    settled(lambda: lines(hall.client("incidents", "list", "--json", "--host", "192.0.2.1")))
    scope = ("--destination", "192.0.2.1", "--port", "8443")
    assert "hidden 1" in hall.client("suppressions", "preview", *scope).stdout
    assert hall.client("suppressions", "add", *scope, "--reason", "ours").returncode == ExitCode.USAGE
    made = hall.client("suppressions", "add", *scope, "--reason", "ours", "--days", "30", "--past-days", "1", "--json")
    (rule,) = lines(made)
    assert (rule["alerts"], rule["state"], rule["by"]) == (1, "in force", "admin")
    assert lines(hall.client("incidents", "list", "--json", "--host", "192.0.2.1")) == []
    (hidden,) = lines(hall.client("incidents", "list", "--json", "--state", "suppressed"))
    assert "192.0.2.1" in hidden["hosts"]
    assert "any to 192.0.2.1 port 8443" in hall.client("suppressions", "list").stdout
    assert "ended" in hall.client("suppressions", "end", str(rule["id"])).stdout
    assert "undone" in hall.client("suppressions", "undo", str(rule["id"])).stdout
    assert len(lines(hall.client("incidents", "list", "--json", "--host", "192.0.2.1"))) == 1


def test_models_go_round_from_the_command_line(hall, tmp_path, onnx_models):
    """Add, promote, look, roll back; a failed gate and a bad file have codes of their own."""
    for place, name in enumerate(("one", "two")):
        digest = onnx_models.write_model(tmp_path / f"{name}.onnx", name=name, bias=float(place))
        (tmp_path / f"{name}.json").write_text(json.dumps({"model_digest": digest, "gate": {"passed": place == 0}}))
        added = lines(
            hall.client(
                "models", "add", str(tmp_path / f"{name}.onnx"), "--report", str(tmp_path / f"{name}.json"), "--json"
            )
        )
        assert added[0]["digest"] == digest
    two = digest[:10]
    one = onnx_models.file_digest(tmp_path / "one.onnx")[:10]
    assert "champion" in hall.client("models", "promote", one).stdout
    failed = hall.client("models", "promote", two)
    assert (failed.returncode, "gate" in failed.stderr) == (ExitCode.GATE, True)
    assert hall.client("models", "promote", two, "--force", "--reason", "drill").returncode == 0
    assert one in hall.client("models", "rollback").stdout
    onnx_models.write_foreign(tmp_path / "bad.onnx")
    bad = hall.client("models", "add", str(tmp_path / "bad.onnx"))
    assert (bad.returncode, "contract" in bad.stderr) == (ExitCode.MODEL, True)
    assert "certified" in hall.client("models", "show", one).stdout
    policy = json.loads(hall.client("policies", "set", "--promised-fpr", "0.01", "--json").stdout)
    assert (policy["threshold"], policy["promised_fpr"]) == (2.0, 0.01)


def test_accounts_and_tokens_from_both_commands(hall, tmp_path):
    """The aggregator's own command works beside the running server, without a second one that checkpoints."""
    (tmp_path / "password").write_text("a fine long password\n")
    added = hall.command("user", "add", "vic", "--role", "viewer", "--password-file", str(tmp_path / "password"))
    assert added.returncode == 0, added.stderr
    token = tmp_path / "vic.token"
    made = hall.command("token", "add", "--user", "vic", "--name", "script", "--token-file", str(token))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert json.loads(hall.client("users", "me", "--json", token=token).stdout)["name"] == "vic"
    refused = hall.client("labels", "add", "alert", "1", "benign", token=token)
    assert (refused.returncode, "viewer" in refused.stderr) == (ExitCode.PERMISSION, True)
    assert hall.client("users", "change", "vic", "--disable").returncode == 0
    assert hall.client("users", "me", token=token).returncode == ExitCode.PERMISSION
    assert "vic" in hall.command("user", "list").stdout
    assert "script" in hall.command("token", "list").stdout


def test_the_client_says_what_is_wrong(hall, tmp_path, aggregator_process):
    """Nobody there, no token, a token file that is not there."""
    done = aggregator_process.client(["alerts", "list"], url="http://127.0.0.1:9", token=None)
    assert (done.returncode, "is it running" in done.stderr) == (ExitCode.AGGREGATOR, True)
    done = aggregator_process.client(["alerts", "list"], url=hall.addresses["web"], token=None)
    assert (done.returncode, "--token-file" in done.stderr) == (ExitCode.PERMISSION, True)
    done = aggregator_process.client(["alerts", "list"], url=hall.addresses["web"], token=tmp_path / "absent")
    assert done.returncode == ExitCode.CONFIG
    done = hall.client("alerts", "show", "999999")
    assert (done.returncode, "no alert" in done.stderr) == (ExitCode.AGGREGATOR, True)


def test_a_backup_is_taken_while_it_runs_and_brings_everything_back(hall, tmp_path, aggregator_process, parts):
    """Database, models and their reports; the restored aggregator answers like the first, and checks clean."""
    with hall.web() as web:
        before = web.get("/alerts", params={"limit": 100}).json()
        models = web.get("/models").json()["items"]
    for target, arguments in (("plain", ()), ("all.tar.gz", ("--flows",))):
        done = hall.command("backup", str(tmp_path / target), *arguments)
        assert done.returncode == 0, done.stderr
    for source in ("plain", "all.tar.gz"):
        other = aggregator_process.Hall(tmp_path / f"other-{source.partition('.')[0]}")
        done = other.command("restore", str(tmp_path / source))
        assert done.returncode == 0, done.stderr
        checked = other.command("check", "--json")
        assert (checked.returncode, json.loads(checked.stdout)) == (0, {"problems": []})
    other.token_file.write_text(hall.token_file.read_text())
    other.start()
    try:
        with other.web() as web:
            assert web.get("/alerts", params={"limit": 100}).json() == before
            assert [model["digest"] for model in web.get("/models").json()["items"]] == [m["digest"] for m in models]
            assert web.get("/flows").json()["items"]
        reached = ship(other.addresses["grpc"], parts, [parts.record(3, rows=2)])
        assert reached == 3
    finally:
        assert other.stop() == 0
    again = other.command("restore", str(tmp_path / "plain"))
    assert (again.returncode, "--force" in again.stderr) == (ExitCode.AGGREGATOR, True)
    assert other.command("restore", str(tmp_path / "plain"), "--force").returncode == 0
    assert (other.state / "aggregator.db.old").exists()


def test_a_damaged_backup_is_not_restored(hall, tmp_path, aggregator_process):
    """Every file is compared with its digest first."""
    assert hall.command("backup", str(tmp_path / "b")).returncode == 0
    database = tmp_path / "b" / "aggregator.db"
    database.write_bytes(database.read_bytes()[:-1] + b"?")
    other = aggregator_process.Hall(tmp_path / "other")
    done = other.command("restore", str(tmp_path / "b"))
    assert (done.returncode, "damaged" in done.stderr) == (ExitCode.USAGE, True)
    assert not (other.state / "aggregator.db").exists()


def test_check_finds_what_is_wrong(tmp_path, aggregator_process, onnx_models):
    """A damaged model, a flow file that is none, a broken audit log: each in a sentence, and code 8."""
    hall = aggregator_process.Hall(tmp_path)
    hall.found()
    assert hall.command("check").stdout.strip() == "all is well"
    hall.start()
    onnx_models.write_model(tmp_path / "m.onnx")
    digest = lines(hall.client("models", "add", str(tmp_path / "m.onnx"), "--json"))[0]["digest"]
    assert hall.stop() == 0
    (hall.state / "models" / f"{digest}.onnx").write_bytes(b"rot")
    (hall.state / "staging" / "2026-01-01.000000000001-000000000002.parquet").write_bytes(b"PAR1 not really")
    with sqlite3.connect(hall.state / "aggregator.db") as db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET actor = 'nobody' WHERE id = 1")
    db.close()
    done = hall.command("check", "--json")
    problems = json.loads(done.stdout)["problems"]
    assert done.returncode == ExitCode.STATE
    assert [problem.partition(":")[0] for problem in problems] == ["models", "audit", "flows"]


def test_it_stops_when_told_to_and_loses_nothing(tmp_path, aggregator_process, parts):
    """SIGTERM: exit code 0, and what came last is in a file."""
    hall = aggregator_process.Hall(tmp_path, stage_seconds=3600.0)
    hall.found()
    hall.start()
    ship(hall.addresses["grpc"], parts, [parts.record(1, rows=9)])
    assert hall.stop() == 0
    assert len(list((hall.state / "staging").glob("*.parquet"))) == 1
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_the_console_and_rest_are_served_from_one_place(hall):
    """Pages behind a login, documentation without one."""
    base = hall.addresses["web"]
    assert httpx.get(base + "/api/docs").status_code == 200
    assert httpx.get(base + "/healthz").json() == {"status": "ok"}
    front = httpx.get(base + "/", follow_redirects=False)
    assert (front.status_code, front.headers["location"]) == (303, "/login?next=/")
