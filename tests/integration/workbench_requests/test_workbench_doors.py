"""What may come into the workbench, from whom, and how much: names, endings, limits, roles, Origin, addresses, secrets."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import httpx
import pytest
from workbench_callers import BASE, SECRET, files, holding, ran, send, settled

from aggregator.web.app import build_app
from aggregator.workbench import addresses


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("../../../etc/passwd.csv", "passwd.csv"),
        ("C:\\Users\\ada\\clients.CSV", "clients.csv"),
        ("a\x1b[31m\nb.csv", "a [31m b.csv"),
        (".csv", "table.csv"),
        ("--out=x.csv", "--out=x.csv"),
        ("\u202egnp.csv", "gnp.csv"),
        ("x" * 900 + ".csv", "x" * 116 + ".csv"),
    ],
)
async def test_a_hostile_file_name_is_only_a_text(web, hall, analyst, filename, shown, trainer, fake_workbench):
    """It names no place on the disk, steers no terminal, and is no option of the trainer's."""
    made = await send(web, analyst, filename=filename)
    assert (made.status_code, made.json()["source_what"]) == (202, shown)
    assert (await settled(hall, made.json()["id"])).state == "ready"
    words = fake_workbench.asked(trainer, "import")[0]["words"]
    assert words[0].startswith("incoming/")
    assert f"--file-name={shown}" in words
    inside = [path for path in hall.config.workbench_dir.parent.rglob("*") if "passwd" in path.name]
    assert inside == []


@pytest.mark.parametrize("filename", ["x.exe", "x", "x.csv.zip.sh", "x.pkl", "x.xlsx.gz"])
async def test_an_ending_nobody_can_read_is_refused_with_those_that_can(web, hall, analyst, filename):
    """Before a byte of it is kept."""
    made = await send(web, analyst, filename=filename)
    assert (made.status_code, "parquet" in made.json()["error"]) == (422, True)
    assert files(hall) == []


async def test_bytes_are_counted_while_they_come(web, hall, analyst):
    """With an honest length, with none, and with a wrong one: the limit is named and nothing is left."""

    async def endless():
        while True:
            yield b"1,2,3\n" * 10_000

    big = b"1,2\n" * (300 << 10)
    for content in (big, endless()):
        made = await web.post("/datasets/upload", params={"filename": "big.csv"}, content=content, headers=analyst)
        assert made.status_code == 413, made.text
        assert "1 MiB" in made.json()["error"]
    assert files(hall) == []
    assert (await web.get("/datasets", headers=analyst)).json()["items"] == []
    empty = await send(web, analyst, data=b"")
    assert (empty.status_code, "is empty" in empty.json()["error"]) == (422, True)


async def test_a_body_elsewhere_stays_small(web, analyst):
    """Only the three upload paths take more than 1 MiB."""
    made = await web.post("/experiments/1/predict/text", json={"text": "x" * (2 << 20)}, headers=analyst)
    assert made.status_code == 413


async def test_quotas_are_of_all_and_of_each(tmp_path, parts, fake_workbench, trainer):
    """What is there counts; deleting makes room."""
    command = fake_workbench.write(trainer)
    limits = {"workbench_user_quota_mib": 2, "workbench_quota_mib": 3, "workbench_upload_mib": 4}
    async with parts.services(tmp_path / "state", trainer_command=command, workbench_free_mib=0, **limits) as hall:
        for name in ("ada", "bob"):
            parts.add_user(hall, name, "analyst")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE + "/api/v1") as web:
            who = {}
            for name in ("ada", "bob"):
                _, text = await hall.access.add_token(user=name, name="t", scope="write", days=1, by="init")
                who[name] = {"Authorization": f"Bearer {text}"}
            made = await send(web, who["ada"])
            await settled(hall, made.json()["id"])
            hall.store.write_now(lambda db: db.execute("UPDATE dataset_versions SET bytes = ?", (1800 << 10,)))
            half = b"1\n" * (256 << 10)
            refused = await send(web, who["ada"], data=half)
            assert (refused.status_code, "workbench_user_quota_mib" in refused.json()["error"]) == (413, True)
            assert (await send(web, who["bob"], data=half)).status_code == 202
            refused = await send(web, who["bob"], data=half * 3)
            assert (refused.status_code, "workbench_quota_mib" in refused.json()["error"]) == (413, True)
            room = (await web.get("/datasets/room", headers=who["ada"])).json()
            assert room["user_used_bytes"] == 1800 << 10
            assert (await web.delete(f"/datasets/{made.json()['id']}", headers=who["ada"])).status_code == 204
            assert (await send(web, who["ada"], data=half)).status_code == 202


async def test_the_disk_keeps_room(tmp_path, parts, fake_workbench, trainer):
    """An upload that would leave less than the setting says is refused."""
    settings = {"trainer_command": fake_workbench.write(trainer), "workbench_free_mib": 1 << 40}
    async with parts.services(tmp_path / "state", **settings) as hall:
        parts.add_user(hall, "ada", "analyst")
        _, text = await hall.access.add_token(user="ada", name="t", scope="write", days=1, by="init")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE + "/api/v1") as web:
            made = await send(web, {"Authorization": f"Bearer {text}"})
    assert (made.status_code, "workbench_free_mib" in made.json()["error"]) == (413, True)


async def test_who_may_do_what(web, hall, tokens, analyst):
    """Viewers look, analysts upload, run and predict, operators connect and promote; a reading token changes nothing."""
    run = await ran(web, analyst, hall, label="label")
    writes = [
        ("POST", "/datasets/upload?filename=t.csv", None, "analyst"),
        ("POST", "/datasets/1/upload?filename=t.csv", None, "analyst"),
        ("PATCH", "/datasets/1", {"name": "x"}, "analyst"),
        ("POST", "/datasets/1/profile", {}, "analyst"),
        ("POST", "/datasets/1/plots", {"kind": "box"}, "analyst"),
        ("POST", "/datasets/lake", {}, "analyst"),
        ("DELETE", "/datasets/1", None, "analyst"),
        ("POST", "/experiments", {"dataset_id": 1}, "analyst"),
        ("POST", f"/experiments/{run}/predict", {"dataset_id": 1}, "analyst"),
        ("POST", f"/experiments/{run}/predict/row", {"row": {"a": 1}}, "analyst"),
        ("POST", f"/experiments/{run}/predict/text", {"text": "a\n1"}, "analyst"),
        ("POST", f"/experiments/{run}/predict/upload?filename=t.csv", None, "analyst"),
        ("POST", f"/experiments/{run}/cancel", None, "analyst"),
        ("DELETE", f"/experiments/{run}", None, "analyst"),
        ("POST", "/datasets/sql", {"url": "postgresql://db.example/x", "query": "SELECT 1"}, "operator"),
        ("POST", "/datasets/remote", {"url": "https://files.example/x.csv"}, "operator"),
        ("POST", f"/experiments/{run}/promote", {}, "operator"),
    ]
    below = {
        "analyst": [("viewer", "write"), ("analyst", "read")],
        "operator": [("analyst", "write"), ("operator", "read")],
    }
    for method, path, body, least in writes:
        for who in below[least]:
            answered = await web.request(method, path, json=body, headers=tokens[who])
            assert answered.status_code == 403, (method, path, who, answered.text)
    for path in (
        "/datasets", "/datasets/1", "/datasets/1/preview", "/datasets/1/profile", "/datasets/1/plot?kind=box",
        "/datasets/1/defaults", f"/experiments/{run}/leaderboard", f"/experiments/{run}/events", "/predictions",
        f"/experiments/{run}/explanation?method=shap", f"/experiments/{run}/models/random-forest/model.onnx",
        f"/experiments/{run}/models/random-forest/script.py",
    ):  # fmt: skip
        answered = await web.get(path, headers=tokens["viewer", "read"])
        assert answered.status_code == 200, (path, answered.text)


async def test_a_strangers_page_cannot_upload(web, hall):
    """The session cookie alone is not enough: the browser must say that our own page sent this."""
    secret = await hall.access.login("analyst", "a long password", address="x")
    web.cookies.set("anomaflow_session", secret)
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        made = await send(web, origin)
        assert made.status_code == 403, origin
    assert (await send(web, {"Origin": BASE})).status_code == 202


async def test_a_databases_password_is_written_nowhere(web, hall, tokens, trainer, fake_workbench, monkeypatch):
    """The trainer reads it from a file that nobody else may read, and that is gone afterwards."""
    monkeypatch.setattr(addresses, "look_up", lambda _: ["10.0.0.5"])
    fake_workbench.plan(trainer, hang="import")
    operator = tokens["operator", "write"]
    url = f"postgresql://ada:{SECRET}@db.example/shop"
    made = await web.post("/datasets/sql", json={"url": url, "query": "SELECT 1"}, headers=operator)
    assert (made.status_code, made.json()["source_what"]) == (202, "postgresql://db.example/shop")
    async with asyncio.timeout(20):
        while not (trainer / "hanging").exists():
            await asyncio.sleep(0.02)
    (kept,) = files(hall)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    remote = {"url": "https://files.example/x.csv", "options": {"token": SECRET}}
    fake_workbench.plan(trainer)
    again = await web.post("/datasets/remote", json=remote, headers=operator)
    assert (await settled(hall, again.json()["id"])).state == "ready"
    told = fake_workbench.asked(trainer, "import")[-1]
    assert told["env"] == {"FSSPEC_HTTPS_TOKEN": SECRET}
    cancelled = await web.post(f"/datasets/{made.json()['id']}/cancel", headers=operator)
    assert cancelled.json()["state"] == "failed"
    assert files(hall) == []
    assert holding(Path(hall.config.state_dir), SECRET) == []
    words = [word for told in fake_workbench.asked(trainer) for word in told["words"]]
    assert not any(SECRET in word for word in words)
    assert "url.txt" not in {path.name for path in trainer.iterdir()}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/datasets/sql", {"url": "sqlite:////etc/passwd", "query": "SELECT 1"}, 403),
        ("/datasets/sql", {"url": "postgresql://db.example/x?host=169.254.169.254", "query": "SELECT 1"}, 422),
        ("/datasets/sql", {"url": "postgresql:///x", "query": "SELECT 1"}, 422),
        ("/datasets/sql", {"url": "postgresql://other.example/x", "query": "SELECT 1"}, 403),
        ("/datasets/remote", {"url": "file:///etc/passwd"}, 403),
        ("/datasets/remote", {"url": "http://files.example/x.csv"}, 403),
        ("/datasets/remote", {"url": "https://169.254.169.254/latest/meta-data"}, 403),
        ("/datasets/remote", {"url": f"https://ada:{SECRET}@files.example/x.csv"}, 422),
        ("/datasets/remote", {"url": f"https://files.example/x.csv?X-Amz-Signature={SECRET}"}, 422),
        ("/datasets/remote", {"url": "s3://bucket/x.csv", "options": {"endpoint_url": "https://127.0.0.1"}}, 403),
        ("/datasets/remote", {"url": "s3://bucket/x.csv", "options": {"LD_PRELOAD": "x"}}, 422),
        ("/datasets/remote", {"url": "simplecache::https://files.example/x"}, 403),
    ],
)
async def test_an_address_into_this_machine_or_its_network_is_refused(
    web, hall, tokens, path, body, status, monkeypatch
):
    """And the answer repeats no secret."""
    monkeypatch.setattr(addresses, "look_up", lambda host: ["203.0.113.9"] if host.endswith("example") else [host])
    made = await web.post(path, json=body, headers=tokens["operator", "write"])
    assert made.status_code == status, made.text
    assert SECRET not in made.text
    assert files(hall) == []


async def test_every_deed_is_audited(web, hall, tokens, analyst):
    """Uploads, runs, renames, deletions: who, what, and nothing secret."""
    run = await ran(web, analyst, hall, label="label")
    await web.patch(f"/experiments/{run}", json={"name": "weekly"}, headers=analyst)
    await web.delete(f"/experiments/{run}", headers=analyst)
    await web.delete("/datasets/1", headers=analyst)
    entries = (await web.get("/users/audit", headers=tokens["admin", "write"])).json()["items"]
    deeds = {entry["action"]: entry for entry in entries}
    assert {"dataset.import", "experiment.start", "experiment.rename", "experiment.delete", "dataset.delete"} <= set(
        deeds
    )
    assert deeds["dataset.import"]["detail"]["what"] == "t.csv"
