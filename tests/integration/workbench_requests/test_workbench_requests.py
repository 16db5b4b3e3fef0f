"""What the workbench answers over REST: pages, downloads, promotion, settings, stories, the lake; with a stand-in for the trainer."""

from __future__ import annotations

import asyncio
import json

import httpx
from workbench_callers import BASE, files, ran, send, settled

from aggregator.web.app import build_app


async def test_downloads_are_files_and_never_pages(web, hall, analyst):
    """A name of our own, the right type, nothing a browser would run; cells that a spreadsheet would run are guarded, numbers not."""
    hostile = b'a,b\n"=HYPERLINK(1)",1\n+1+1,2\n-2,3\n@x,4\n =1,5\nplain,6\n'
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
    assert cells == ["'=HYPERLINK(1)", "'+1+1", "-2", "'@x", "' =1", "plain"]
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
