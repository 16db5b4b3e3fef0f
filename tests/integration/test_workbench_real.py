"""The workbench with the real trainer, through REST: a file is uploaded, looked at, learnt from, and predicted."""

from __future__ import annotations

import asyncio

import httpx
import numpy as np
import pytest

from aggregator.clock import SystemClock
from aggregator.web.app import build_app

BASE = "http://127.0.0.1:8080/api/v1"
ROWS = 400


def table():
    """Requests of which some are odd: large, and to a rare place."""
    chance = np.random.default_rng(5)
    odd = chance.random(ROWS) < 0.3
    size = np.where(odd, chance.normal(900, 80, ROWS), chance.normal(300, 80, ROWS)).round(1)
    place = np.where(odd, "rare", np.where(chance.random(ROWS) < 0.5, "near", "far"))
    count = chance.integers(1, 60, ROWS)
    lines = [f"{a},{b},{c},{'odd' if d else 'normal'}" for a, b, c, d in zip(size, place, count, odd, strict=True)]
    return "\n".join(["size,place,count,class", *lines]) + "\n"


@pytest.fixture
async def web(tmp_path, parts):
    async with parts.services(tmp_path / "state", SystemClock(), workbench_free_mib=0) as hall:
        parts.add_user(hall, "ada", "analyst")
        _, token = await hall.access.add_token(user="ada", name="t", scope="write", days=1, by="init")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(build_app(hall)),
            base_url=BASE,
            headers={"Authorization": f"Bearer {token}"},
            timeout=300,
        ) as client:
            yield client


async def when(web, path, over):
    """The answer of `path` once it is over."""
    async with asyncio.timeout(240):
        while not over(found := (await web.get(path)).json()):
            await asyncio.sleep(0.2)
    return found


async def test_a_newcomers_way_from_a_file_to_predictions(web):
    """Every step by the trainer itself, each with what the next one needs."""
    text = table()
    await web.post("/datasets/upload", params={"filename": "requests.csv"}, content=text.encode())
    data = (await when(web, "/datasets/1", lambda one: not one["dataset"]["busy"]))["dataset"]
    assert (data["state"], data["rows"], data["columns"], data["label"]) == ("ready", ROWS, 4, "class"), data["error"]
    preview = (await web.get("/datasets/1/preview", params={"sort": "size", "descending": True, "limit": 3})).json()
    assert preview["total"] == ROWS
    assert preview["rows"][0][0] == max(float(line.split(",")[0]) for line in text.splitlines()[1:])
    begin = (await web.get("/datasets/1/defaults")).json()
    assert (begin["task"], begin["settings"]["label"]) == ("binary", "class")
    plotted = await web.get("/datasets/1/plot", params={"kind": "histogram", "x": "size", "by": "class"})
    assert plotted.json()["option"]["series"]
    mapped = (await web.get("/datasets/1/plot", params={"kind": "embedding", "method": "tsne"})).json()
    assert (mapped["title"], "t-SNE" in mapped["note"]) == ("t-SNE", True)
    wanted = {**begin["settings"], "models": ["decision-tree"], "search": False, "time_budget_s": 60}
    await web.post("/experiments", json={"dataset_id": 1, "settings": wanted})
    run = await when(web, "/experiments/1", lambda one: one["state"] not in {"queued", "running"})
    assert (run["state"], run["task"], run["best"]) == ("done", "binary", "decision-tree"), run["error"]
    assert run["test_value"] > 0.95
    detail = (await web.get("/experiments/1/models/decision-tree")).json()
    assert detail["confusion"]["classes"]
    again = (await web.get("/experiments/1/verification")).json()
    assert again["reproducible"] is True, again
    await web.post("/experiments/1/predict/text", json={"text": "\n".join(text.splitlines()[:21])})
    made = await when(web, "/predictions/1", lambda one: one["state"] not in {"queued", "running"})
    assert (made["state"], made["rows"]) == ("done", 20), made["error"]
    rows = (await web.get("/predictions/1/rows")).json()
    told = [dict(zip(rows["columns"], row, strict=True)) for row in rows["rows"]]
    assert sum(row["class"] == row["prediction"] for row in told) >= 18
    one = await web.post("/experiments/1/predict/row", json={"row": {"size": 950, "place": "rare", "count": 3}})
    assert one.json()["row"]["prediction"] == "odd", one.text
    why = {"method": "partial", "feature": "size", "class": "odd"}
    told = (await web.get("/experiments/1/explanation", params=why)).json()
    assert "chance of odd" in told["note"], told
    no = await web.get("/experiments/1/explanation", params={**why, "class": "strange"})
    assert (no.status_code, "normal, odd" in no.json()["error"]) == (422, True), no.text
    await web.delete("/datasets/1")
    again = (await web.get("/experiments/1/verification")).json()
    assert (again["reproducible"], "cannot be read" in again["note"]) == (False, True), again
