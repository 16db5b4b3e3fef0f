"""The console in a real browser: who gets in, models, and what holds of every page.

Every page a test opened is held to two promises at its end: the browser logged no error, and no request left loopback.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import console_hall as hall
import httpx
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which(hall.CHROMIUM) is None, reason=f"no browser at {hall.CHROMIUM} (apt-get install chromium)"
    ),
]


def _login(page: Page, name: str, password: str) -> None:
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")


def test_login(stranger: Page) -> None:
    """A wrong password is told so, a right one leads where one wanted to go, and logging out ends it."""
    stranger.goto("/alerts?verdict=none")
    assert urlsplit(stranger.url).path == "/login"
    _login(stranger, "admin", "not the password")
    stranger.get_by_text("Wrong name or password").wait_for()
    _login(stranger, "admin", hall.PASSWORD)
    stranger.get_by_role("heading", name="Alerts").wait_for()
    stranger.get_by_role("button", name=re.compile("Account")).click()
    stranger.get_by_role("button", name="Log out").click()
    stranger.wait_for_url("**/login")
    stranger.goto("/agents")
    assert urlsplit(stranger.url).path == "/login"


def test_login_rate(stranger: Page, console: hall.Console) -> None:
    """After too many failures the page says how long to wait, and an address cannot put words on it."""
    for _ in range(5):
        httpx.post(f"{console.web}/login", data={"username": "nobody", "password": "wrong"}, timeout=20)
    stranger.goto("/login?problem=Call+555-0100&error=Call+555-0100")
    assert "555-0100" not in stranger.inner_text("main")
    _login(stranger, "nobody", "wrong again")
    stranger.get_by_text(re.compile(r"Too many failed logins. Try again in \d+ seconds")).wait_for()


def test_promote_and_roll_back(page: Page, console: hall.Console) -> None:
    """A promotion is confirmed, carries a reason, and can be rolled back; a failed gate has to be forced."""

    def champion() -> str:
        return next(m["digest"] for m in console.get("/models")["items"] if m["state"] == "champion")

    hall.visit(page, "/models")
    page.get_by_role("button", name="Promote office 2").click()
    page.get_by_label(re.compile("Reason")).fill("finds more")
    page.get_by_role("button", name="Promote", exact=True).last.click()
    page.get_by_text("office, version 2, is champion now").wait_for()
    assert champion() == console.models[1]
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    page.get_by_text("Back to office, version 1").wait_for()
    assert champion() == console.models[0]
    page.get_by_role("button", name="Promote odd 3").click()
    page.get_by_text("It did not pass its gate").wait_for()
    page.get_by_role("button", name="Promote", exact=True).last.click()
    page.get_by_text(re.compile("did not pass its gate against the champion; see its report")).wait_for()
    assert champion() == console.models[0]


def test_model_page(page: Page, console: hall.Console) -> None:
    """A model shows its figures beside the baseline's, its gate's checks and both curves."""
    hall.visit(page, f"/models/{console.models[2]}")
    page.get_by_text("false positives still alerting").wait_for()
    page.get_by_role("row", name="Average precision 0.700 0.550").wait_for()
    page.locator(".chart svg").nth(1).wait_for()


def test_policy(page: Page, console: hall.Console) -> None:
    """The promised rate is chosen with the score it needs in sight; agents get a new version."""
    before = console.get("/policies")["items"][0]["version"]
    hall.visit(page, "/models")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("combobox", name="Promised false positives").click()
    page.get_by_role("option", name="1 % (score from 2.00)").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("score 2.00 and above alerts").wait_for()
    assert console.get("/policies")["items"][0]["version"] == before + 1


def test_retrain_and_cancel(page: Page, console: hall.Console) -> None:
    """A training run shows how far it is and its log while it goes on, and can be cancelled."""
    hall.visit(page, "/models")
    page.get_by_role("button", name="Retrain").click()
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    page.get_by_text(re.compile(r"\d+ %, fit: epoch \d of 10")).wait_for()
    page.get_by_role("log").get_by_text("reading <b>benign</b> flows").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("cancelled", exact=True).wait_for()
    assert console.get("/jobs")["items"][0]["state"] == "cancelled"


def test_viewer_reads_only(browser: Browser, console: hall.Console) -> None:
    """Somebody who may only read sees everything and no way to change it."""
    for page in hall.watched(browser, console):
        hall.enter(page, console, "reader")
        for path in ("/alerts", "/alerts/1", "/incidents", "/incidents/1", "/models", f"/models/{console.models[1]}"):
            hall.visit(page, path)
            page.locator("h1").wait_for()
            page.wait_for_timeout(150)
            writes = page.get_by_role("main").get_by_role(
                "button", name=re.compile("positive|unsure|promote|roll back|retrain|change|undo|note", re.IGNORECASE)
            )
            assert [found.inner_text() for found in writes.all()] == [], path


def test_phone_and_names(browser: Browser, console: hall.Console) -> None:
    """On a phone no page scrolls sideways, and every control has a name for those who cannot see it."""
    paths = ["/", "/alerts", "/alerts/1", "/incidents", "/incidents/1", "/agents", "/models"]
    unnamed = """() => [...document.querySelectorAll('button, input:not([type=hidden]), a')].filter((e) =>
        e.offsetParent && !e.closest('[aria-hidden=true]') && !(e.getAttribute('aria-label') || e.labels?.length ||
        e.getAttribute('aria-labelledby') || e.title || e.innerText.trim())).map((e) => e.outerHTML.slice(0, 200))"""
    for page in hall.watched(browser, console, viewport=hall.PHONE, has_touch=True):
        page.goto("/login")
        page.locator("h1").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "/login"
        hall.enter(page, console)
        for path in (*paths, f"/models/{console.models[1]}"):
            hall.visit(page, path)
            page.locator("h1").wait_for()
            page.wait_for_timeout(250)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert page.evaluate(unnamed) == [], path


def test_missing_pages(page: Page) -> None:
    """What is not there is said in the console's own words, with the status that belongs to it."""
    for path, words in (("/alerts/999999", "There is no alert 999999"), ("/nowhere", "There is no page at /nowhere")):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 404
        page.get_by_text(words).wait_for()
        assert "Exception" not in page.inner_text("body")


def test_colours_are_kept(page: Page) -> None:
    """The choice of light or dark outlives a reload."""
    hall.visit(page, "/agents")
    page.get_by_role("button", name="Colours: auto. Change").click()
    page.locator("body.body--dark").wait_for()
    page.reload()
    page.locator("body.body--dark").wait_for()
