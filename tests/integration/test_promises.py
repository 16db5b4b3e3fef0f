"""Promises as an operator meets them: by the client, by REST, and in a real browser, over a real aggregator process."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from pathlib import Path
from typing import Any

import aggregator_process
import console_hall as browsing
import grpc
import httpx
import pytest
import quiet_network as net

from agent.counting import Tally
from aggregator.calibration.counts import HOUR_MS
from protos.exits import ExitCode
from protos.manifest import Threshold
from protos.v1 import fleet_pb2, fleet_pb2_grpc

ALPHA = 0.005
THRESHOLDS = tuple(
    Threshold(alpha, -math.log10(alpha), True, min(1.0, 30 * alpha), True) for alpha in (0.1, 0.01, ALPHA, 0.001)
)
HOURS = 24


def report(path: Path, digest: str) -> Path:
    """A training report with a curve over thresholds, as the trainer writes it."""
    points = [[round(1 - at / 8, 4), round(0.5 + at / 20, 4), at] for at in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)]
    figures = {"attack_rows": 500, "prevalence": 0.2, "average_precision": 0.9, "roc_auc": 0.95}
    body = {
        "name": "first", "kind": "test", "model_digest": digest, "metrics": {"model": figures},
        "curves": {"model": {"precision_recall": points, "roc": []}}, "gate": None,
    }  # fmt: skip
    path.write_text(json.dumps(body))
    return path


@pytest.fixture(scope="module")
def hall(tmp_path_factory, aggregator_process, onnx_models, parts):
    """An aggregator with a champion and an agent on a network that differs from what the champion knows."""
    folder = tmp_path_factory.mktemp("promises")
    made = aggregator_process.Hall(folder, promised_fpr=ALPHA, recalibrate_hours=0, attend_minutes=60)
    made.found()
    made.start()
    digest = onnx_models.write_model(folder / "first.onnx", name="first", thresholds=THRESHOLDS)
    with made.web() as web, (folder / "first.onnx").open("rb") as model:
        with report(folder / "first.report.json", digest).open("rb") as text:
            web.post("/models", files={"model": model, "report": text}).raise_for_status()
        web.post(f"/models/{digest}/promote", json={"reason": "first"}).raise_for_status()
    tally = Tally(run="ab12", seed=1)
    start = (int(time.time() * 1000) // HOUR_MS - HOURS) * HOUR_MS
    net.QuietNetwork(shift=0.6).count(tally, digest, start, HOURS)
    messages = [fleet_pb2.AgentMessage(hello=parts.hello("edge", model_digest=digest))]
    messages += [fleet_pb2.AgentMessage(score_counts=hour) for hour in net.messages(tally)]
    with grpc.insecure_channel(made.addresses["grpc"]) as channel:
        answers = fleet_pb2_grpc.FleetStub(channel).Connect(iter(messages), timeout=20)
        for _ in answers:  # until the aggregator has read everything and ends the stream
            pass
    try:
        yield made
    finally:
        assert made.stop() == 0


def answer(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_client_sees_a_broken_promise_and_mends_it(hall):
    """`groups`, `show`, `preview`, `recalibrate`, `undo`: each says what REST says."""
    (before,) = [json.loads(line) for line in hall.client("policies", "groups", "--json").stdout.splitlines()]
    assert (before["group"], before["state"], before["flows"]) == ("default", "expired", HOURS * 6 * 300)
    table = hall.client("policies", "groups").stdout
    assert "expired since" in table
    shown = hall.client("policies", "show").stdout
    assert "promised fpr" in shown
    assert "expired" in shown
    assert answer(hall.client("policies", "show", "--json"))["promise"]["state"] == "expired"
    asked = ("policies", "preview", "--fpr", str(ALPHA), "--base-rate", "0.01")
    preview = answer(hall.client(*asked, "--json"))
    with hall.web() as web:
        assert web.get("/policies/preview", params={"fpr": ALPHA, "base_rate": 0.01}).json() == preview
    assert preview["basis"] == "certified"
    assert preview["fpr"] <= ALPHA
    assert ALPHA / 2 < preview["windows"] < 10 * ALPHA  # ten flows of each host in ten minutes
    assert "expected_alerts_per_day" in hall.client(*asked).stdout
    made = answer(hall.client("policies", "recalibrate", "--reason", "new network", "--json"))
    assert made["threshold"] == pytest.approx(preview["threshold"])
    assert (made["basis"], made["reason"]) == ("certified", "new network")
    assert "holds" in hall.client("policies", "groups").stdout
    back = answer(hall.client("policies", "undo", "--json"))
    assert back["threshold"] == pytest.approx(-math.log10(ALPHA))
    assert back["version"] == made["version"] + 1
    listed = hall.client("policies", "list").stdout
    assert "certified" in listed


def test_alerts_a_day_and_a_recall_are_wishes_too(hall):
    """Each gives a promise of its own; what the base rate does to precision is seen before anything is set."""
    daily = answer(hall.client("policies", "preview", "--alerts-per-day", "20", "--base-rate", "0.001", "--json"))
    assert daily["expected_alerts_per_day"] <= 20
    assert daily["flows_per_day"] == pytest.approx(300 * 144, rel=0.02)
    often = answer(hall.client("policies", "preview", "--alerts-per-day", "2000", "--json"))
    assert often["threshold"] < daily["threshold"]
    assert often["recall"] > daily["recall"]
    caught = answer(hall.client("policies", "preview", "--recall", "0.7", "--json"))
    assert caught["recall"] >= 0.7
    assert caught["recall_low"] < caught["recall"] < caught["recall_high"]
    assert caught["precision"] < 0.05  # one attack in a thousand flows drowns
    assert len(caught["curve"]) == 7
    made = answer(hall.client("policies", "set", "--recall", "0.7", "--max-alerts-per-minute", "77", "--json"))
    assert made["promised_fpr"] == pytest.approx(caught["promised_fpr"])
    assert made["max_alerts_per_minute"] == 77
    assert answer(hall.client("policies", "undo", "--json"))["max_alerts_per_minute"] == 600


def test_groups_by_the_client(hall):
    """An agent is put into a group, which then has a policy of its own; refusals keep their exit codes."""
    moved = answer(hall.client("agents", "group", "edge", "plant", "--json"))
    assert moved["group"] == "plant"
    assert "plant" in hall.client("agents", "list").stdout
    made = answer(hall.client("policies", "recalibrate", "--group", "plant", "--fpr", "0.01", "--json"))
    assert (made["group"], made["promised_fpr"]) == ("plant", 0.01)
    names = [json.loads(line)["group"] for line in hall.client("policies", "groups", "--json").stdout.splitlines()]
    assert names == ["default", "plant"]
    refused = hall.client("policies", "recalibrate", "--group", "default")
    assert refused.returncode == ExitCode.AGGREGATOR
    assert "0 flows were counted" in refused.stderr
    assert hall.client("agents", "group", "nobody", "plant").returncode == ExitCode.AGGREGATOR
    assert hall.client("policies", "preview", "--fpr", "0.1", "--recall", "0.5").returncode == ExitCode.USAGE
    assert hall.client("agents", "group", "edge", "default").returncode == 0


def test_machines_can_watch_the_promise(hall):
    """Prometheus text has promised and realised rates by group."""
    text = httpx.get(f"{hall.addresses['web']}/metrics").text
    figures = dict(re.findall(r'^(anomaflow_\w+)\{group="default"\} (\S+)$', text, re.MULTILINE))
    assert float(figures["anomaflow_promised_fpr"]) == ALPHA
    assert float(figures["anomaflow_realised_fpr"]) > 3 * ALPHA
    assert figures["anomaflow_calibration_expired"] == "1"
    assert float(figures["anomaflow_quiet_flows"]) == HOURS * 6 * 300


@pytest.fixture
def page(hall):
    """The administrator's page; the browser must log no error."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browsing.CHROMIUM, args=list(browsing.FLAGS))
        context = browser.new_context(base_url=hall.addresses["web"])
        login = {"name": "admin", "password": hall_password()}
        cookies = httpx.post(f"{hall.addresses['web']}/api/v1/session", json=login, timeout=20).cookies
        context.add_cookies(
            [{"name": key, "value": value, "url": hall.addresses["web"]} for key, value in cookies.items()]
        )
        opened = context.new_page()
        opened.set_default_timeout(10_000)
        problems: list[str] = []
        opened.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        yield opened
        browser.close()
        assert not problems


def hall_password() -> str:
    return str(aggregator_process.PASSWORD)


@pytest.mark.browser
@pytest.mark.skipif(shutil.which(browsing.CHROMIUM) is None, reason=f"no browser at {browsing.CHROMIUM}")
def test_the_page_shows_chooses_recalibrates_and_undoes(hall, page, tmp_path):
    """The figures of the page are those of REST, they move with the knob, and nothing changes before Apply."""
    from playwright.sync_api import expect

    with hall.web() as web:
        version = web.get("/policies/current").json()["version"]
    browsing.visit(page, "/policies")
    expect(page.get_by_text("calibration expired")).to_be_visible()
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(6)
    value = page.get_by_label("Value")
    value.fill("0.1")
    with hall.web() as web:
        strict = web.get("/policies/preview", params={"fpr": 0.001}).json()
        loose = web.get("/policies/preview", params={"fpr": 0.05}).json()
    expect(tiles.nth(0)).to_contain_text(f"{strict['threshold']:.2f}")
    value.fill("5")
    expect(tiles.nth(0)).to_contain_text(f"{loose['threshold']:.2f}")
    expect(tiles.nth(3)).to_contain_text("500 labelled attack rows")
    expect(tiles.nth(1)).to_contain_text("hard cap 600 a minute")
    recall = tiles.nth(3).inner_text()
    page.get_by_label("Attacks among flows, %").fill("10")
    expect(tiles.nth(5)).to_contain_text("at 10 % attacks")
    assert tiles.nth(3).inner_text() == recall
    with hall.web() as web:
        assert web.get("/policies/current").json()["version"] == version
    page.screenshot(path=tmp_path / "policies.png", full_page=True)
    slider = page.locator(".q-slider")
    slider.click(position={"x": 5, "y": 10})
    expect(tiles.nth(0)).not_to_contain_text(f"{loose['threshold']:.2f}")
    value.fill("1")
    page.get_by_label("Reason").fill("a calm week")
    expect(tiles.nth(2)).to_contain_text("at most 1 %: certified")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("is on its way to the agents")).to_be_visible()
    with hall.web() as web:
        current = web.get("/policies/current").json()
    assert (current["version"], current["promised_fpr"], current["reason"]) == (version + 1, 0.01, "a calm week")
    expect(page.get_by_text("calibration holds")).to_be_visible()
    page.get_by_role("button", name="Back to the version before").click()
    expect(page.get_by_text("calibration expired")).to_be_visible()
    page.get_by_role("button", name="Recalibrate").click()
    expect(page.get_by_text("calibration holds")).to_be_visible()
    browsing.visit(page, "/")
    expect(page.get_by_text("Calibration", exact=True)).to_be_visible()
    browsing.visit(page, "/agents")
    page.get_by_label("Group").first.fill("lab")
    page.get_by_label("Agent").first.click()
    page.get_by_role("option", name="edge").click()
    page.get_by_role("button", name="Put into group").click()
    expect(page.get_by_text("edge is in group lab")).to_be_visible()
    page.screenshot(path=tmp_path / "agents.png", full_page=True)
    with hall.web() as web:
        assert web.get("/agents/edge").json()["group"] == "lab"
