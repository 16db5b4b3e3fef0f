"""The console in a real browser: a real aggregator in a process of its own, agents over gRPC, headless Chromium.

Every page a test opened is held to two promises at its end: the browser logged no error, and no request left loopback.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import console_hall as hall
import console_office
import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from playwright.sync_api import Browser, Page


Console = hall.Console

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which(hall.CHROMIUM) is None, reason=f"no browser at {hall.CHROMIUM} (apt-get install chromium)"
    ),
]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, onnx_models: ModuleType) -> Iterator[Console]:
    """An aggregator with models, agents, alerts and incidents."""
    folder = tmp_path_factory.mktemp("console")
    process, addresses, token = hall.aggregator(folder)
    agents = []
    try:
        office = console_office
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=addresses["web"], headers=headers, timeout=60) as rest:
            made = hall.Console(addresses["web"], addresses["grpc"], rest, office, [], {}, None)
            hall.fill(made, folder, onnx_models)
            drops = {"packets_dropped": 31_000, "state": "degraded", "detail": "the kernel drops packets"}
            made.agent = office.Agent(made.grpc, "office-gw", made.models[0])
            agents += [made.agent, office.Agent(made.grpc, "lab-tap", made.models[0], health=drops)]
            agents[0].raises(office.scan())
            agents[1].raises(office.others())
            agents[1].loses(1_200)
            for agent in agents:
                agent.beats()
            yield made
    finally:
        for agent in agents:
            agent.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=hall.CHROMIUM, args=list(hall.FLAGS))
        yield started
        started.close()


def _watched(browser: Browser, console: Console, **options: Any) -> Iterator[Page]:
    context = browser.new_context(base_url=console.web, **options)
    page = context.new_page()
    page.set_default_timeout(10_000)
    problems: list[str] = []
    strangers: list[str] = []

    def noted(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            strangers.append(url)

    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: noted(request.url))
    page.on("websocket", lambda socket: noted(socket.url))
    yield page
    context.close()
    assert not strangers
    # The browser itself notes an answer of 404; the tests that ask for one mean it.
    assert not [problem for problem in problems if "404 (Not Found)" not in problem]


def _enter(page: Page, console: Console, name: str = "admin") -> None:
    """Give the page a session without going through the form."""
    if name not in console.sessions:
        answer = httpx.post(f"{console.web}/api/v1/session", json={"name": name, "password": hall.PASSWORD}, timeout=20)
        answer.raise_for_status()
        console.sessions[name] = dict(answer.cookies)
    cookies = console.sessions[name]
    page.context.add_cookies([{"name": key, "value": value, "url": console.web} for key, value in cookies.items()])


@pytest.fixture
def stranger(browser: Browser, console: Console) -> Iterator[Page]:
    """A page of somebody who has not logged in."""
    yield from _watched(browser, console)


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """A page of the administrator."""
    for made in _watched(browser, console):
        _enter(made, console)
        yield made


def _login(page: Page, name: str, password: str) -> None:
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")


def _until(page: Page, question: Any, wanted: Any) -> None:
    """Wait until REST says so too: a click is stored a moment after it happened."""
    until = time.monotonic() + 10
    while (answer := question()) != wanted:
        assert time.monotonic() < until, answer
        page.wait_for_timeout(50)


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


def test_login_rate(stranger: Page, console: Console) -> None:
    """After too many failures the page says how long to wait, and an address cannot put words on it."""
    for _ in range(5):
        httpx.post(f"{console.web}/login", data={"username": "nobody", "password": "wrong"}, timeout=20)
    stranger.goto("/login?problem=Call+555-0100&error=Call+555-0100")
    assert "555-0100" not in stranger.inner_text("main")
    _login(stranger, "nobody", "wrong again")
    stranger.get_by_text(re.compile(r"Too many failed logins. Try again in \d+ seconds")).wait_for()


def test_alert_live_and_judged(page: Page, console: Console) -> None:
    """A new alert appears by itself, shows its reasons, and a verdict with a note is in REST at once; undo works."""
    page.goto("/alerts")
    page.get_by_text("tried 40 ports in 10 s").wait_for()
    reasons = (
        ("src2dst_bytes", 9e6, 4e3, 0.7, "sent 8.6 MiB, usual is 4 KiB"),
        ("unanswered", 1, 0, 0.1, hall.HOSTILE),
    )
    alert_id = console.raise_alert(src="10.20.0.99", dst="192.0.2.9", score=7.5, reasons=reasons)
    page.get_by_role("link", name=re.compile(r"10\.20\.0\.99")).click()
    page.wait_for_url(f"**/alerts/{alert_id}")
    page.get_by_text("sent 8.6 MiB, usual is 4 KiB").wait_for()
    page.get_by_text("70 % of the score").wait_for()
    assert hall.HOSTILE in page.inner_text("main")
    assert page.evaluate("window.broken") is None
    page.get_by_text("No packet was dropped").wait_for()
    page.get_by_label(re.compile("Note")).fill("backup to <b>the</b> cloud")
    page.get_by_role("button", name="False positive").click()
    page.get_by_text("“backup to <b>the</b> cloud”").wait_for()
    found = console.get(f"/alerts/{alert_id}")
    assert found["verdict"] == "benign"
    assert [(label["by"], label["note"]) for label in found["labels"]] == [("admin", "backup to <b>the</b> cloud")]
    page.get_by_role("main").get_by_role("button", name="Undo").first.click()
    _until(page, lambda: console.get(f"/alerts/{alert_id}")["verdict"], None)


def test_keyboard_triage(page: Page, console: Console) -> None:
    """Keys triage: j and k move, f judges and goes on, z takes it back, Enter opens; filters stand in the address."""
    first = console.raise_alert(src="10.20.7.1", dst="192.0.2.7")
    second = console.raise_alert(src="10.20.7.2", dst="192.0.2.7")
    page.goto("/alerts?text=192.0.2.7")
    page.locator(f"#row-{second}").wait_for()
    page.keyboard.press("j")
    page.locator(f"#row-{second}:focus").wait_for()
    page.keyboard.press("f")
    page.locator(f"#row-{first}:focus").wait_for()
    assert console.get(f"/alerts/{second}")["verdict"] == "benign"
    page.locator(f"#row-{second}").get_by_text("false positive").wait_for()
    page.keyboard.press("z")
    _until(page, lambda: console.get(f"/alerts/{second}")["verdict"], None)
    third = console.raise_alert(src="10.20.7.3", dst="192.0.2.7")
    page.locator(f"#row-{third}").wait_for()
    page.locator(f"#row-{first}:focus").wait_for()  # the mark stays on its alert while another arrives above
    page.keyboard.press("k")
    page.locator(f"#row-{second}:focus").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/alerts/{second}")


def test_row_buttons_and_filter(page: Page, console: Console) -> None:
    """One click judges a row; the filter for alerts without a verdict then leaves it out."""
    alert_id = console.raise_alert(src="10.20.8.1", dst="192.0.2.8")
    page.goto("/alerts?verdict=none&text=192.0.2.8")
    page.locator(f"#row-{alert_id}").get_by_role("button", name="True positive").click()
    page.get_by_text("No alert fits these filters").wait_for()
    assert console.get(f"/alerts/{alert_id}")["verdict"] == "malicious"


def test_incident_judged(page: Page, console: Console) -> None:
    """An incident says in plain words what happened; a verdict on it reaches all its alerts."""
    page.goto("/incidents")
    page.get_by_role("link", name="10.20.0.66 tried 12 ports of 10.20.0.5").click()
    page.get_by_text("It is given to all 12 alerts").wait_for()
    page.get_by_label(re.compile("Note")).fill("nobody asked for this scan")
    panel = page.locator("section", has_text="Verdict on the whole incident")
    panel.get_by_role("button", name="True positive").click()
    page.get_by_text("“nobody asked for this scan”").wait_for()
    incident_id = int(page.url.rsplit("/", 1)[1])
    judged = console.get(f"/alerts?incident={incident_id}")["items"]
    assert {alert["verdict"] for alert in judged} == {"malicious"}
    assert len(judged) == 12


def test_an_alert_says_what_it_looks_like(page: Page, console: Console) -> None:
    """The family a taught model names stands first among the reasons, leads to others like it, and is evidence."""
    named = {"family": "bruteforce", "family_share": 0.931}
    alert_id = console.raise_alert(src="10.20.8.6", dst="192.0.2.17", dst_port=22, **named)
    page.goto(f"/alerts/{alert_id}")
    page.get_by_text("Looks like bruteforce (0.93)").wait_for()
    page.get_by_role("link", name="Others like it").click()
    page.locator(f"#row-{alert_id}").wait_for()
    page.goto("/incidents?host=10.20.8.6")
    page.get_by_role("link", name="One strange flow from 10.20.8.6").click()
    page.get_by_text("1 alert of 1 looks like bruteforce to the model (0.93).").wait_for()


def test_incident_page_and_api_agree(page: Page, console: Console) -> None:
    """Evidence, state and kind on the page are those REST tells, and filters narrow both alike."""
    console.raise_alert(src="10.20.8.7", dst="192.0.2.18")
    page.goto("/incidents?kind=single flow&host=10.20.8.7")
    page.get_by_role("link", name="One strange flow from 10.20.8.7").click()
    page.get_by_text("What speaks for it").wait_for()
    told = console.get(f"/incidents/{int(page.url.rsplit('/', 1)[1])}")
    assert told["kind"] == "single flow"
    shown = page.locator(".evidence li").all_text_contents()
    assert shown == told["evidence"] != []
    assert page.locator(".heading .chip").all_text_contents() == [told["kind"], told["state"]]
    page.goto("/incidents?kind=beacon&host=10.20.8.7")
    page.get_by_text("No incident fits these filters").wait_for()


def test_incidents_are_looked_after_from_the_keyboard(page: Page, console: Console) -> None:
    """Keys acknowledge, assign, comment on and undo on the marked row; filters narrow by it; the page tells the story."""
    console.raise_alert(src="10.20.8.8", dst="192.0.2.28")
    page.goto("/incidents?host=10.20.8.8")
    row = page.locator("tr", has_text="One strange flow from 10.20.8.8")
    row.get_by_text("not acknowledged").wait_for()
    page.keyboard.press("j")
    page.locator("tr:focus", has_text="One strange flow from 10.20.8.8").wait_for()  # the next key is that row's
    page.keyboard.press("a")
    row.get_by_text("seen by admin").wait_for()
    page.keyboard.press("m")
    page.get_by_text("assigned to admin").wait_for()
    page.keyboard.press("z")
    row.get_by_text("nobody").wait_for()
    page.keyboard.press("m")
    page.keyboard.press("c")
    page.get_by_label("What did you find, or do?").fill("asked its owner")
    page.get_by_role("button", name="Comment", exact=True).last.click()
    page.get_by_text("commented on").wait_for()
    (told,) = console.get("/incidents?assignee=me&acknowledged=true&host=10.20.8.8")["items"]
    assert (told["assignee"], told["acknowledged_by"], told["comments"]) == ("admin", "admin", 1)
    page.goto("/incidents?care=mine&host=10.20.8.8")
    row.get_by_role("link").click()
    page.get_by_text("“asked its owner”").wait_for()
    page.get_by_label("Comment or note").fill("a test after all")
    panel = page.locator("section", has_text="Who looks after it")
    panel.get_by_role("button", name="Comment", exact=True).click()
    page.get_by_text("“a test after all”").wait_for()
    panel.locator("li", has_text="Acknowledged by admin").get_by_role("button", name="Undo").click()
    panel.get_by_role("button", name="Acknowledge").wait_for()
    assert console.get("/incidents?acknowledged=true&host=10.20.8.8")["items"] == []
    for care in ("unassigned", "unacknowledged"):
        page.goto(f"/incidents?care={care}&host=10.20.8.8")
        page.get_by_text("No incident fits" if care == "unassigned" else "One strange flow from").wait_for()


def test_what_is_normal_here_is_hidden_until(page: Page, console: Console) -> None:
    """A rule from an incident's page: previewed, made with a reason, listed, undone."""
    alert_id = console.raise_alert(src="10.20.8.9", dst="192.0.2.19")
    page.goto("/incidents?host=10.20.8.9")
    page.get_by_role("link", name="One strange flow from 10.20.8.9").click()
    page.get_by_role("button", name="This is normal here until").click()
    page.get_by_text("it would have hidden 1 of").wait_for()
    page.get_by_role("button", name="Hide it").click()
    page.get_by_text("say why this is normal here").wait_for()
    page.get_by_label("Why is it normal?").fill("our own scanner")
    page.get_by_role("button", name="Hide it").click()
    page.get_by_text("Rules say that this is normal here").wait_for()
    (rule,) = console.get("/suppressions")["items"]
    assert (rule["source"], rule["kind"], rule["alerts"]) == ("10.20.8.9", "single flow", 1)
    assert console.get(f"/alerts/{alert_id}")["suppression_id"] == rule["id"]
    assert console.get("/incidents?host=10.20.8.9")["items"] == []
    page.goto("/suppressions")
    page.get_by_text("our own scanner").wait_for()
    page.get_by_role("button", name="As if it had never been").click()
    page.get_by_text("What it hid is back").wait_for()
    assert console.get("/incidents?host=10.20.8.9")["items"][0]["suppressed"] == 0


def test_promote_and_roll_back(page: Page, console: Console) -> None:
    """A promotion is confirmed, carries a reason, and can be rolled back; a failed gate has to be forced."""

    def champion() -> str:
        return next(m["digest"] for m in console.get("/models")["items"] if m["state"] == "champion")

    page.goto("/models")
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


def test_model_page(page: Page, console: Console) -> None:
    """A model shows its figures beside the baseline's, its gate's checks and both curves."""
    page.goto(f"/models/{console.models[2]}")
    page.get_by_text("false positives still alerting").wait_for()
    page.get_by_role("row", name="Average precision 0.700 0.550").wait_for()
    page.locator(".chart svg").nth(1).wait_for()


def test_policy(page: Page, console: Console) -> None:
    """The promised rate is chosen with the score it needs in sight; agents get a new version."""
    before = console.get("/policies")["items"][0]["version"]
    page.goto("/models")
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("combobox", name="Promised false positives").click()
    page.get_by_role("option", name="1 % (score from 2.00)").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("score 2.00 and above alerts").wait_for()
    assert console.get("/policies")["items"][0]["version"] == before + 1


def test_retrain_and_cancel(page: Page, console: Console) -> None:
    """A training run shows how far it is and its log while it goes on, and can be cancelled."""
    page.goto("/models")
    page.get_by_role("button", name="Retrain").click()
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    page.get_by_text(re.compile(r"\d+ %, fit: epoch \d of 10")).wait_for()
    page.get_by_role("log").get_by_text("reading <b>benign</b> flows").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("cancelled", exact=True).wait_for()
    assert console.get("/jobs")["items"][0]["state"] == "cancelled"


def test_viewer_reads_only(browser: Browser, console: Console) -> None:
    """Somebody who may only read sees everything and no way to change it."""
    for page in _watched(browser, console):
        _enter(page, console, "reader")
        for path in ("/alerts", "/alerts/1", "/incidents", "/incidents/1", "/models", f"/models/{console.models[1]}"):
            page.goto(path)
            page.locator("h1").wait_for()
            page.wait_for_timeout(150)
            writes = page.get_by_role("main").get_by_role(
                "button", name=re.compile("positive|unsure|promote|roll back|retrain|change|undo|note", re.IGNORECASE)
            )
            assert [found.inner_text() for found in writes.all()] == [], path


def test_phone_and_names(browser: Browser, console: Console) -> None:
    """On a phone no page scrolls sideways, and every control has a name for those who cannot see it."""
    paths = ["/", "/alerts", "/alerts/1", "/incidents", "/incidents/1", "/agents", "/models"]
    unnamed = """() => [...document.querySelectorAll('button, input:not([type=hidden]), a')].filter((e) =>
        e.offsetParent && !e.closest('[aria-hidden=true]') && !(e.getAttribute('aria-label') || e.labels?.length ||
        e.getAttribute('aria-labelledby') || e.title || e.innerText.trim())).map((e) => e.outerHTML.slice(0, 200))"""
    for page in _watched(browser, console, viewport=hall.PHONE, has_touch=True):
        page.goto("/login")
        page.locator("h1").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "/login"
        _enter(page, console)
        for path in (*paths, f"/models/{console.models[1]}"):
            page.goto(path)
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
    page.goto("/agents")
    page.get_by_role("button", name="Colours: auto. Change").click()
    page.locator("body.body--dark").wait_for()
    page.reload()
    page.locator("body.body--dark").wait_for()
