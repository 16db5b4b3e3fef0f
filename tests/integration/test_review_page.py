"""The review page in a real browser: what it asks is what REST answers, one key is a verdict, and roles are respected."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import console_hall as hall
import console_office
import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from playwright.sync_api import Page


pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which(hall.CHROMIUM) is None, reason=f"no browser at {hall.CHROMIUM} (apt-get install chromium)"
    ),
]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, onnx_models: ModuleType) -> Iterator[Any]:
    """An aggregator with alerts, incidents, and quiet flows in staging."""
    folder = tmp_path_factory.mktemp("review")
    process, addresses, token = hall.aggregator(folder)
    agents: list[Any] = []
    try:
        office = console_office
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=addresses["web"], headers=headers, timeout=60) as rest:
            made = hall.Console(addresses["web"], addresses["grpc"], rest, office, [], {}, None)
            hall.fill(made, folder, onnx_models)
            agents.append(office.Agent(made.grpc, "office-gw", made.models[0]))
            agents[0].raises(office.scan())
            agents[0].raises(office.others())
            _until(lambda: _count(made, quiet=True) > 0 and _count(made, quiet=False) > 2)
            yield made
    finally:
        hall.close(process, agents)


@pytest.fixture(params=["admin"])
def page(console: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of somebody with a session; at its end the browser must have logged no error."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=hall.CHROMIUM, args=list(hall.FLAGS))
        context = browser.new_context(base_url=console.web, viewport={"width": 1400, "height": 1000})
        answer = httpx.post(
            f"{console.web}/api/v1/session", json={"name": request.param, "password": hall.PASSWORD}, timeout=20
        )
        answer.raise_for_status()
        cookies = [{"name": key, "value": value, "url": console.web} for key, value in answer.cookies.items()]
        context.add_cookies(cookies)
        made = context.new_page()
        made.set_default_timeout(10_000)
        problems: list[str] = []
        made.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        made.on("pageerror", lambda error: problems.append(str(error)))
        yield made
        browser.close()
        assert not problems


def _count(console: Any, *, quiet: bool) -> int:
    return sum((item["alert_id"] is None) == quiet for item in console.get("/labels/queue")["items"])


def _until(question: Any) -> None:
    until = time.monotonic() + 40
    while not question():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_page_asks_what_rest_answers_and_a_key_is_a_verdict(page: Page, console: Any) -> None:
    """Alerts first, then quiet flows, each with its reason; `m` on the marked row labels that very flow."""
    hall.visit(page, "/review")
    page.get_by_role("heading", name="Review").wait_for()
    asked = console.get("/labels/queue")["items"]
    rows = page.locator("table[aria-label='Flows whose verdict would teach most'] tbody tr")
    rows.nth(len(asked) - 1).wait_for()
    assert rows.count() == len(asked)
    for place, item in enumerate(asked):
        said = rows.nth(place).inner_text()
        assert item["reason"] in said
        assert f"alert {item['alert_id']}" in said or item["alert_id"] is None
        assert ("raised no alert" in said) == (item["alert_id"] is None)
    if folder := os.environ.get("ANOMAFLOW_PICTURES"):
        page.screenshot(path=f"{folder}/review.png", full_page=True)
    last = asked[-1]
    assert last["alert_id"] is None
    page.evaluate("window.here = true")
    rows.nth(len(asked) - 1).focus()
    page.keyboard.press("Enter")  # a quiet flow has no page of its own: one stays here
    page.keyboard.press("m")
    _until(lambda: console.get("/labels")["items"][:1] != [])
    label = console.get("/labels")["items"][0]
    assert (label["flow_id"], label["verdict"], label["by"]) == (last["flow_id"], "malicious", "admin")
    assert page.evaluate("window.here")
    page.get_by_text("admin").first.wait_for()
    page.keyboard.press("z")
    _until(lambda: console.get("/labels")["items"][0]["undoes"] == label["id"])


def test_a_button_judges_an_alert(page: Page, console: Any) -> None:
    """It leaves the list, and the day's count rises."""
    hall.visit(page, "/review")
    rows = page.locator("table[aria-label='Flows whose verdict would teach most'] tbody tr")
    rows.first.wait_for()
    first = console.get("/labels/queue")["items"][0]
    rows.first.get_by_role("button", name="Benign").click()
    _until(lambda: console.get(f"/alerts/{first['alert_id']}")["verdict"] == "benign")
    _until(lambda: first["flow_id"] not in {item["flow_id"] for item in console.get("/labels/queue")["items"]})


@pytest.mark.parametrize("page", ["reader"], indirect=True)
def test_a_viewer_reads_and_judges_nothing(page: Page, console: Any) -> None:
    """No buttons, and keys do nothing."""
    before = len(console.get("/labels")["items"])
    hall.visit(page, "/review")
    rows = page.locator("table[aria-label='Flows whose verdict would teach most'] tbody tr")
    rows.first.wait_for()
    assert page.get_by_role("button", name="Benign").count() == 0
    rows.first.focus()
    page.keyboard.press("m")
    page.wait_for_timeout(500)
    assert len(console.get("/labels")["items"]) == before
