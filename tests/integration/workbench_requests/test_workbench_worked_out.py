"""What is worked out while the caller waits: can a run be done again, plots, explanations; with a stand-in for the trainer."""

from __future__ import annotations

from workbench_callers import files, ran


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
