"""What is worked out while the caller waits: can a run be done again, plots, explanations; with a stand-in for the trainer."""

from __future__ import annotations

import asyncio
import dataclasses

from workbench_callers import files, ran, send, settled

from aggregator.work import processes


async def test_whether_a_run_can_be_done_again_is_asked_anew_each_time(
    web, hall, analyst, tokens, trainer, fake_workbench
):
    """A no is an answer with its reason, no failure; viewers may ask; nothing is left of it."""
    run = await ran(web, analyst, hall, label="label")
    path = f"/experiments/{run}/verification"
    told = (await web.get(path, headers=tokens["viewer", "read"])).json()
    assert (told["reproducible"], [check["passed"] for check in told["checks"]]) == (True, [True, None])
    fake_workbench.plan(trainer, same=False)
    got = await web.get(path, headers=analyst)
    assert (got.status_code, got.json()["reproducible"]) == (200, False), got.text
    assert got.json()["checks"][0]["detail"] == "the table has changed"
    fake_workbench.plan(trainer, fail=True)
    got = await web.get(path, headers=analyst)
    assert (got.status_code, "ragged rows" in got.json()["error"]) == (422, True)
    assert (await web.get("/experiments/99/verification", headers=analyst)).status_code == 404
    assert files(hall) == []


async def test_how_a_map_of_all_rows_is_made_is_chosen(web, hall, analyst, trainer, fake_workbench):
    """By principal components or t-SNE, each drawn once and kept apart; other plots know no method."""
    made = (await send(web, analyst)).json()
    await settled(hall, made["id"])
    path = f"/datasets/{made['id']}/plot"
    for query in ("", "&method=tsne", "&method=tsne", "&method=pca"):
        assert (await web.get(f"{path}?kind=embedding{query}", headers=analyst)).status_code == 200
    asked = [told["words"] for told in fake_workbench.asked(trainer, "plot")]
    assert [[word for word in words if "method" in word] for words in asked] == [
        [], ["--method=tsne"], ["--method=pca"],
    ]  # fmt: skip
    kept = await web.post(f"{path}s", json={"kind": "embedding", "method": "tsne"}, headers=analyst)
    assert (kept.status_code, kept.json()["request"]["method"]) == (201, "tsne"), kept.text
    assert (await web.get(f"{path}/image?kind=embedding&method=tsne", headers=analyst)).content == b"<svg/>"
    for query in ("kind=embedding&method=umap", "kind=box&x=a&method=tsne"):
        assert (await web.get(f"{path}?{query}", headers=analyst)).status_code == 422, query


async def test_a_plot_that_takes_too_long_is_ended(web, hall, analyst, trainer, fake_workbench, monkeypatch):
    """After the time that the settings give it; its process too, and the answer names the setting."""
    made = (await send(web, analyst)).json()
    await settled(hall, made["id"])
    fake_workbench.plan(trainer, hang="plot")
    monkeypatch.setattr(hall.workbench.short, "_config", dataclasses.replace(hall.config, workbench_short_seconds=1.0))
    async with asyncio.timeout(20):
        got = await web.get(f"/datasets/{made['id']}/plot?kind=embedding&method=tsne", headers=analyst)
    assert (got.status_code, "workbench_short_seconds = 1" in got.json()["error"]) == (500, True), got.text
    assert processes.identify(int((trainer / "hanging").read_text())) is None


async def test_the_class_that_is_explained_is_named(web, hall, analyst, trainer, fake_workbench):
    """A stranger's word that looks like an option stays a value; each class has an answer of its own."""
    run = await ran(web, analyst, hall, label="label")
    path = f"/experiments/{run}/explanation"
    for named in ({}, {"class": "x"}, {"class": "--out=y"}, {"class": "x"}):
        got = await web.get(path, params={"method": "shap", **named}, headers=analyst)
        assert got.status_code == 200, got.text
    asked = [told["words"] for told in fake_workbench.asked(trainer, "explain")]
    assert [[word for word in words if "class" in word] for words in asked] == [[], ["--class=x"], ["--class=--out=y"]]
    got = await web.get(path, params={"method": "importance", "class": "x"}, headers=analyst)
    assert (got.status_code, "leave the class out" in got.json()["error"]) == (422, True)
