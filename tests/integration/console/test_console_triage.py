"""Alerts and incidents in a real browser: live, judged, looked after, hidden; by mouse and by keyboard.

Every page a test opened is held to two promises at its end: the browser logged no error, and no request left loopback.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import console_hall as hall
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which(hall.CHROMIUM) is None, reason=f"no browser at {hall.CHROMIUM} (apt-get install chromium)"
    ),
]


def test_alert_live_and_judged(page: Page, console: hall.Console) -> None:
    """A new alert appears by itself, shows its reasons, and a verdict with a note is in REST at once; undo works."""
    hall.visit(page, "/alerts")
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
    hall.until(page, lambda: console.get(f"/alerts/{alert_id}")["verdict"], None)


def test_keyboard_triage(page: Page, console: hall.Console) -> None:
    """Keys triage: j and k move, f judges and goes on, z takes it back, Enter opens; filters stand in the address."""
    first = console.raise_alert(src="10.20.7.1", dst="192.0.2.7")
    second = console.raise_alert(src="10.20.7.2", dst="192.0.2.7")
    hall.visit(page, "/alerts?text=192.0.2.7")
    page.locator(f"#row-{second}").wait_for()
    page.keyboard.press("j")
    page.locator(f"#row-{second}:focus").wait_for()
    page.keyboard.press("f")
    page.locator(f"#row-{first}:focus").wait_for()
    assert console.get(f"/alerts/{second}")["verdict"] == "benign"
    page.locator(f"#row-{second}").get_by_text("false positive").wait_for()
    page.keyboard.press("z")
    hall.until(page, lambda: console.get(f"/alerts/{second}")["verdict"], None)
    third = console.raise_alert(src="10.20.7.3", dst="192.0.2.7")
    page.locator(f"#row-{third}").wait_for()
    page.locator(f"#row-{first}:focus").wait_for()  # the mark stays on its alert while another arrives above
    page.keyboard.press("k")
    page.locator(f"#row-{second}:focus").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/alerts/{second}")


def test_row_buttons_and_filter(page: Page, console: hall.Console) -> None:
    """One click judges a row; the filter for alerts without a verdict then leaves it out."""
    alert_id = console.raise_alert(src="10.20.8.1", dst="192.0.2.8")
    hall.visit(page, "/alerts?verdict=none&text=192.0.2.8")
    page.locator(f"#row-{alert_id}").get_by_role("button", name="True positive").click()
    page.get_by_text("No alert fits these filters").wait_for()
    assert console.get(f"/alerts/{alert_id}")["verdict"] == "malicious"


def test_incident_judged(page: Page, console: hall.Console) -> None:
    """An incident says in plain words what happened; a verdict on it reaches all its alerts."""
    hall.visit(page, "/incidents")
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


def test_an_alert_says_what_it_looks_like(page: Page, console: hall.Console) -> None:
    """The family a taught model names stands first among the reasons, leads to others like it, and is evidence."""
    named = {"family": "bruteforce", "family_share": 0.931}
    alert_id = console.raise_alert(src="10.20.8.6", dst="192.0.2.17", dst_port=22, **named)
    hall.visit(page, f"/alerts/{alert_id}")
    page.get_by_text("Looks like bruteforce (0.93)").wait_for()
    page.get_by_role("link", name="Others like it").click()
    page.locator(f"#row-{alert_id}").wait_for()
    hall.visit(page, "/incidents?host=10.20.8.6")
    page.get_by_role("link", name="One strange flow from 10.20.8.6").click()
    page.get_by_text("1 alert of 1 looks like bruteforce to the model (0.93).").wait_for()


def test_incident_page_and_api_agree(page: Page, console: hall.Console) -> None:
    """Evidence, state and kind on the page are those REST tells, and filters narrow both alike."""
    console.raise_alert(src="10.20.8.7", dst="192.0.2.18")
    hall.visit(page, "/incidents?kind=single flow&host=10.20.8.7")
    page.get_by_role("link", name="One strange flow from 10.20.8.7").click()
    page.get_by_text("What speaks for it").wait_for()
    told = console.get(f"/incidents/{int(page.url.rsplit('/', 1)[1])}")
    assert told["kind"] == "single flow"
    shown = page.locator(".evidence li").all_text_contents()
    assert shown == told["evidence"] != []
    assert page.locator(".heading .chip").all_text_contents() == [told["kind"], told["state"]]
    hall.visit(page, "/incidents?kind=beacon&host=10.20.8.7")
    page.get_by_text("No incident fits these filters").wait_for()


def test_incidents_are_looked_after_from_the_keyboard(page: Page, console: hall.Console) -> None:
    """Keys acknowledge, assign, comment on and undo on the marked row; filters narrow by it; the page tells the story."""
    console.raise_alert(src="10.20.8.8", dst="192.0.2.28")
    hall.visit(page, "/incidents?host=10.20.8.8")
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
    hall.visit(page, "/incidents?care=mine&host=10.20.8.8")
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
        hall.visit(page, f"/incidents?care={care}&host=10.20.8.8")
        page.get_by_text("No incident fits" if care == "unassigned" else "One strange flow from").wait_for()


def test_what_is_normal_here_is_hidden_until(page: Page, console: hall.Console) -> None:
    """A rule from an incident's page: previewed, made with a reason, listed, undone."""
    alert_id = console.raise_alert(src="10.20.8.9", dst="192.0.2.19")
    hall.visit(page, "/incidents?host=10.20.8.9")
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
    hall.visit(page, "/suppressions")
    page.get_by_text("our own scanner").wait_for()
    page.get_by_role("button", name="As if it had never been").click()
    page.get_by_text("What it hid is back").wait_for()
    assert console.get("/incidents?host=10.20.8.9")["items"][0]["suppressed"] == 0
