"""What tests of the workbench's REST do over and over: send a table, wait for it, run something on it."""

from __future__ import annotations

import asyncio

from aggregator.workbench import datasets

BASE = "http://127.0.0.1:8080"
CSV = b"a,b,label\n1,2.5,x\n2,3.5,y\n3,4.5,x\n"
SECRET = "hunter2hunter2"


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
