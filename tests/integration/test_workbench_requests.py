"""REST of the workbench: hostile names, limits, roles, Origin, secrets, downloads; with a stand-in for the trainer."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import httpx
import pytest

from aggregator.rows import Role
from aggregator.web.app import build_app
from aggregator.workbench import addresses, datasets

BASE = "http://127.0.0.1:8080"
CSV = b"a,b,label\n1,2.5,x\n2,3.5,y\n3,4.5,x\n"
SECRET = "hunter2hunter2"


@pytest.fixture
def trainer(tmp_path):
    return tmp_path / "trainer"


@pytest.fixture
async def hall(tmp_path, parts, fake_workbench, trainer):
    settings = {
        "trainer_command": fake_workbench.write(trainer),
        "workbench_free_mib": 0,
        "workbench_upload_mib": 1,
        "workbench_hosts": ("db.example", "files.example"),
    }
    async with parts.services(tmp_path / "state", **settings) as services:
        for role in Role:
            parts.add_user(services, str(role), role)
        yield services


@pytest.fixture
async def web(hall):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE + "/api/v1") as client:
        yield client


@pytest.fixture
async def tokens(hall):
    made = {}
    for role in Role:
        for scope in ("read", "write"):
            _, text = await hall.access.add_token(user=str(role), name=scope, scope=scope, days=1, by="init")
            made[str(role), scope] = {"Authorization": f"Bearer {text}"}
    return made


@pytest.fixture
def analyst(tokens):
    return tokens["analyst", "write"]


async def send(web, who, data=CSV, **query):
    return await web.post("/datasets/upload", params={"filename": "t.csv", **query}, content=data, headers=who)


async def settled(hall, dataset_id):
    async with asyncio.timeout(30):
        while (found := datasets.get_dataset(hall, dataset_id).dataset).busy:
            await asyncio.sleep(0.02)
    return found


async def ran(web, who, hall, **settings):
    """An upload and a finished run on it; the run's id."""
    made = (await send(web, who)).json()
    await settled(hall, made["id"])
    run = await web.post("/experiments", json={"dataset_id": made["id"], "settings": settings}, headers=who)
    assert run.status_code == 202, run.text
    async with asyncio.timeout(30):
        while (await web.get(f"/experiments/{run.json()['id']}", headers=who)).json()["state"] != "done":
            await asyncio.sleep(0.02)
    return run.json()["id"]


def files(hall):
    return list((hall.config.workbench_dir / "incoming").glob("*"))


def holding(folder, text):
    """Files below a folder that hold a text."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if text.encode() in path.read_bytes()]


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


async def test_downloads_are_files_and_never_pages(web, hall, analyst):
    """A name of our own, the right type, nothing a browser would run; cells that a spreadsheet would run are guarded."""
    hostile = b'a,b\n"=HYPERLINK(1)",1\n+1,2\n-2,3\n@x,4\nplain,5\n'
    run = await ran(web, analyst, hall, label="label")
    made = await web.post(
        f"/experiments/{run}/predict/upload", params={"filename": "h.csv"}, content=hostile, headers=analyst
    )
    number = made.json()["id"]
    async with asyncio.timeout(30):
        while (await web.get(f"/predictions/{number}", headers=analyst)).json()["state"] != "done":
            await asyncio.sleep(0.02)
    got = await web.get(f"/predictions/{number}/rows.csv", headers=analyst)
    assert got.headers["content-disposition"] == f'attachment; filename="prediction-{number}.csv"'
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"].startswith("default-src 'none'")
    cells = [line.partition(",")[0] for line in got.text.splitlines()[1:]]
    assert cells == ["'=HYPERLINK(1)", "'+1", "'-2", "'@x", "plain"]
    got = await web.get(f"/experiments/{run}/models/random-forest/model.onnx", headers=analyst)
    assert got.headers["content-disposition"] == f'attachment; filename="random-forest-{run}.onnx"'
    for name in ("..", "../../../x", "random%2Fforest", "x" * 80):
        got = await web.get(f"/experiments/{run}/models/{name}/model.onnx", headers=analyst)
        assert got.status_code == 404, name


async def test_rows_come_by_page_and_sorted(web, hall, analyst):
    """Only by a column that is there; a page says how many there are."""
    made = (await send(web, analyst)).json()
    await settled(hall, made["id"])
    page = (await web.get(f"/datasets/{made['id']}/preview?offset=1&limit=1", headers=analyst)).json()
    assert page == {
        "columns": ["a", "b", "label"], "types": ["integer", "number", "categorical"], "rows": [[2, 3.5, "y"]],
        "offset": 1, "total": 3,
    }  # fmt: skip
    for sort in ("nope", 'a" DESC; DROP', "1"):
        got = await web.get(f"/datasets/{made['id']}/preview", params={"sort": sort}, headers=analyst)
        assert got.status_code == 422


async def test_lists_page_by_cursor(web, hall, analyst):
    """Until `next` is null; names stay apart by a number."""
    for _ in range(3):
        await settled(hall, (await send(web, analyst)).json()["id"])
    names, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await web.get("/datasets", params=query, headers=analyst)).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == ["t (3)", "t (2)", "t"]
    taken = await send(web, analyst, name="t")
    assert (taken.status_code, "already" in taken.json()["error"]) == (409, True)


async def test_a_data_set_in_use_is_not_deleted(web, hall, analyst, trainer, fake_workbench):
    """While a run reads it; afterwards its files go and the run stays, but cannot go on."""
    made = (await send(web, analyst)).json()
    await settled(hall, made["id"])
    fake_workbench.plan(trainer, hang="run")
    run = (await web.post("/experiments", json={"dataset_id": made["id"]}, headers=analyst)).json()
    refused = await web.delete(f"/datasets/{made['id']}", headers=analyst)
    assert (refused.status_code, "under way" in refused.json()["error"]) == (409, True)
    await web.post(f"/experiments/{run['id']}/cancel", headers=analyst)
    assert (await web.delete(f"/datasets/{made['id']}", headers=analyst)).status_code == 204
    assert not list((hall.config.workbench_dir / "datasets" / str(made["id"])).glob("v*"))
    assert (await web.get(f"/experiments/{run['id']}", headers=analyst)).json()["dataset_name"] == "t"
    resumed = await web.post(f"/experiments/{run['id']}/resume", headers=analyst)
    assert (resumed.status_code, "was deleted" in resumed.json()["error"]) == (409, True)


async def test_a_promoted_model_goes_through_the_registrys_own_door(
    web, hall, tokens, analyst, trainer, fake_workbench, onnx_models
):
    """With its gate's verdict; a file that agents could not run is refused with the registry's sentence."""
    run = await ran(web, analyst, hall, label="label")
    digest = onnx_models.write_model(trainer / "m.onnx", name="bench")
    operator = tokens["operator", "write"]

    async def promoted():
        await web.post(f"/experiments/{run}/promote", json={"reason": "best so far"}, headers=operator)
        async with asyncio.timeout(60):
            while True:
                found = (await web.get(f"/experiments/{run}/promotion", headers=operator)).json()
                if found["work"]["state"] not in {"queued", "running"}:
                    return found
                await asyncio.sleep(0.05)

    gate = {"passed": True, "checks": []}
    fake_workbench.plan(trainer, model=str(trainer / "m.onnx"), digest=digest, gate=gate)
    found = await promoted()
    assert (found["work"]["state"], found["digest"], found["gate_passed"]) == ("done", digest, True), found
    assert (await web.get(f"/models/{digest}", headers=operator)).json()["state"] == "candidate"
    words = fake_workbench.asked(trainer, "promote")[0]["words"]
    assert words[words.index("--attacks") + 1] == "generated", "the same sets as any model"
    (trainer / "m.onnx").write_bytes(b"no model")
    found = await promoted()
    assert (found["work"]["state"], found["digest"]) == ("failed", "")
    audit = await web.get("/users/audit", headers=tokens["admin", "write"])
    assert "experiment.promote" in {entry["action"] for entry in audit.json()["items"]}


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


async def test_the_story_of_a_run_is_read_on_from_a_place(web, hall, analyst):
    """So that a page that follows a run reads each line once."""
    run = await ran(web, analyst, hall, label="label")
    first = (await web.get(f"/experiments/{run}/events?limit=2", headers=analyst)).json()
    rest = (await web.get(f"/experiments/{run}/events?since={first['next']}", headers=analyst)).json()
    told = [event["event"] for event in first["items"] + rest["items"]]
    assert told == ["stage", "epoch", "model", "epoch", "model", "end"]
    over = (await web.get(f"/experiments/{run}/events?since={rest['next']}", headers=analyst)).json()
    assert (over["items"], over["next"], over["state"]) == ([], rest["next"], "done")


async def test_settings_travel_as_yaml(web, hall, analyst):
    """Both ways; what is unknown or not allowed is refused by name, and a bomb is not unpacked."""
    run = await ran(web, analyst, hall, label="label", seed=11)
    text = (await web.get(f"/experiments/{run}/settings.yaml", headers=analyst)).text
    back = await web.post("/experiments/settings/read", json={"text": text}, headers=analyst)
    assert back.json() == (await web.get(f"/experiments/{run}", headers=analyst)).json()["settings"]
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nmodels: *b\n"
    for wrong, says in (("nonsense: 1", "no setting 'nonsense'"), ("seed: x", "whole number"), ("- 1", "object"),
                        ("a: [", "line"), (bomb, "alias"), ("!!python/object/apply:os.system ['x']", "YAML")):  # fmt: skip
        got = await web.post("/experiments/settings/read", json={"text": wrong}, headers=analyst)
        assert (got.status_code, says in got.json()["error"]) == (422, True), got.text


async def test_what_was_asked_wrong_is_no_failure(web, hall, analyst, trainer, fake_workbench):
    """The trainer's own sentence, as an answer to the request."""
    run = await ran(web, analyst, hall, label="label")
    fake_workbench.plan(trainer, fail=True)
    got = await web.get(f"/experiments/{run}/explanation?method=shap", headers=analyst)
    assert (got.status_code, "ragged rows" in got.json()["error"]) == (422, True)
    for query in ("method=magic", "method=lime", "method=partial"):
        assert (await web.get(f"/experiments/{run}/explanation?{query}", headers=analyst)).status_code == 422


async def test_the_lake_becomes_a_data_set(web, hall, analyst, parts):
    """Of files that stay while they are read; without flows, a sentence."""
    from aggregator.intake import ingest, screening

    empty = await web.post("/datasets/lake", json={}, headers=analyst)
    assert (empty.status_code, "quarantine" in empty.json()["error"]) == (409, True)
    hall.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
    found = screening.examine(parts.SENDER, parts.record(1, rows=8), hall.config)
    hall.store.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=parts.START_MS))
    await asyncio.to_thread(hall.lake.stage)
    await asyncio.to_thread(hall.lake.merge, now_ms=parts.START_MS + 1, quarantine_hours=0)
    made = await web.post("/datasets/lake", json={"days": 2}, headers=analyst)
    assert made.status_code == 202, made.text
    ready = await settled(hall, made.json()["id"])
    assert (ready.state, ready.rows, ready.source_kind) == ("ready", 1, "lake")
    assert files(hall) == []
    assert (await web.get("/metrics".replace("/api/v1", ""), headers=analyst)).status_code == 404


async def test_metrics_tell_how_the_workbench_stands(hall, web, analyst):
    """Work that runs and waits, bytes, data sets."""
    await settled(hall, (await send(web, analyst)).json()["id"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(hall)), base_url=BASE) as client:
        text = (await client.get("/metrics")).text
    assert "anomaflow_workbench_datasets 1" in text
    assert "anomaflow_workbench_running 0" in text
    assert json.dumps(text).count("anomaflow_workbench_bytes") == 3
