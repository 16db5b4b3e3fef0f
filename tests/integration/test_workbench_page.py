"""The workbench in a real browser: a newcomer's run from a file to predictions, with the real trainer behind it."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import console_hall as hall
import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.training,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which(hall.CHROMIUM) is None, reason=f"no browser at {hall.CHROMIUM} (apt-get install chromium)"
    ),
]

MOST_CLICKS = 8
PATIENCE_MS = 240_000


def table(path: Path, rows: int, seed: int, *, label: bool = True, strange: str = "=HYPERLINK(1)") -> Path:
    """Sessions of an office: long uploads at night by an unknown tool are the strange ones."""
    chance = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["duration", "kib_sent", "tool", "hour", *(["class"] if label else [])])
        for _ in range(rows):
            bad = chance.random() < 0.2
            out.writerow(
                [
                    round(chance.gauss(90 if bad else 20, 8), 2),
                    round(chance.lognormvariate(6 if bad else 3, 0.5), 2),
                    chance.choice(["curl", strange]) if bad else chance.choice(["browser", "mail", "curl"]),
                    chance.randrange(0, 6) if bad else chance.randrange(8, 19),
                    *([("anomaly" if bad else "normal")] if label else []),
                ]
            )
    return path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A running aggregator with the real trainer."""
    folder = tmp_path_factory.mktemp("workbench")
    command = [sys.executable, "-Im", "aggregator.main"]
    (folder / "password").write_text(hall.PASSWORD)
    state, ready = folder / "state", folder / "ready.json"
    made = [*command, "init", "--state-dir", state, "--password-file", folder / "password"]
    subprocess.run(made, check=True, timeout=60)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "run", "--state-dir", state, "--ready-file", ready, *hall.PORTS],
            stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not ready.exists():
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < until, (folder / "log.txt").read_text()
            time.sleep(0.05)
        token = (state / "admin.token").read_text().strip()
        web = json.loads(ready.read_text())["web"]
        with httpx.Client(base_url=web, headers={"Authorization": f"Bearer {token}"}, timeout=60) as rest:
            yield {"web": web, "rest": rest, "folder": folder}
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=hall.CHROMIUM, args=list(hall.FLAGS))
        yield made
        made.close()


class Newcomer:
    """A page on which clicks are counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, role: Any, name: str, **how: Any) -> None:
        """One click."""
        self.clicks += 1
        self.page.get_by_role(role, name=name, exact=True, **how).click()

    def choose(self, name: str, path: Path) -> None:
        """One click on a button that asks for a file, and the file."""
        self.clicks += 1
        with self.page.expect_file_chooser() as asked:
            self.page.get_by_role("button", name=name, exact=True).click()
        asked.value.set_files(path)


def _entered(browser: Browser, bench: dict[str, Any], errors: list[str], **context: Any) -> Page:
    page = browser.new_context(base_url=bench["web"], **context).new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto("/login")
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill(hall.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    return page


def test_a_newcomer_gets_from_a_file_to_predictions_in_eight_clicks(browser: Browser, bench: dict[str, Any]) -> None:
    """Upload, look, start with nothing touched, wait, predict a new file; the page then shows every row's answer."""
    known = table(bench["folder"] / "sessions.csv", 900, 1)
    new = table(bench["folder"] / "tomorrow.csv", 120, 2, label=False, strange="never seen")
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    person = Newcomer(page)

    person.click("link", "Workbench")
    person.choose("Upload a file", known)
    page.wait_for_url("**/workbench/datasets/*")
    page.get_by_text("ready", exact=True).wait_for(timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Exploration").wait_for()
    person.click("button", "New experiment on this data set")
    page.wait_for_url("**/experiment")
    hall.hears(page)
    # Typed, so that the test does not take five minutes. The form waits for the first look, which finds the label.
    page.get_by_label("Time budget, seconds").fill("20", timeout=PATIENCE_MS)
    person.click("button", "Start")
    page.wait_for_url("**/workbench/experiments/*")
    page.get_by_text("The pick", exact=True).wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Predict", exact=True).wait_for(timeout=PATIENCE_MS)
    person.click("button", "Predict")
    person.choose("Upload a file to predict", new)
    page.wait_for_url("**/workbench/predictions/*")
    page.get_by_role("link", name="Download as CSV").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("region", name="Rows with their predictions").get_by_text("anomaly").first.wait_for()
    assert person.clicks <= MOST_CLICKS, person.clicks

    assert page.get_by_text("never seen").first.is_visible()  # what the model had never met is said, not passed over
    summary = bench["rest"].get(f"/api/v1/predictions/{page.url.rsplit('/', 1)[1]}/summary").json()
    assert summary["rows"] == 120
    assert 10 <= summary["counts"]["anomaly"] <= 40
    answered = bench["rest"].get(f"/api/v1/predictions/{page.url.rsplit('/', 1)[1]}/rows.csv")
    assert answered.status_code == 200
    assert len(answered.text.splitlines()) == 121
    assert errors == []


def test_what_was_found_is_all_there(browser: Browser, bench: dict[str, Any]) -> None:
    """After that run: metrics on train and test, curves, importance, and an explanation on request; page and REST agree."""
    (run,) = bench["rest"].get("/api/v1/experiments").json()["items"]
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    hall.visit(page, f"/workbench/experiments/{run['id']}")
    page.get_by_role("region", name="Metrics of every model on train and test rows").wait_for()
    board = bench["rest"].get(f"/api/v1/experiments/{run['id']}/leaderboard").json()
    names = {row["title"] for row in board if row["state"] == "done"}
    shown = set(page.locator("table[aria-label='Models, best first'] tbody .main").all_text_contents())
    assert names <= shown
    assert {"Random forest", "Decision tree", "Logistic regression"} <= names
    page.get_by_text("drawn at random").first.wait_for()  # the warning of a random split
    page.get_by_role("button", name="Can it be done again here?").click()
    page.get_by_text("Can be done again here: yes").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Name").fill("sessions of an office")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    page.get_by_role("heading", name="sessions of an office").wait_for()

    hall.visit(page, f"/workbench/experiments/{run['id']}/models/{run['best']}")
    for heading in ("Metrics", "ROC curve", "Precision and recall", "Importance"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.get_by_role("button", name="Explain", exact=True).click()
    page.get_by_role("region", name="The figures").wait_for(timeout=PATIENCE_MS)
    with httpx.Client(base_url=bench["web"], headers=bench["rest"].headers) as rest:
        file = rest.get(f"/api/v1/experiments/{run['id']}/models/{run['best']}/model.onnx")
    assert file.status_code == 200
    assert errors == []


def test_of_several_classes_one_is_explained(browser: Browser, bench: dict[str, Any]) -> None:
    """Where a model has more than two, the page asks whose chance is meant."""
    lines = [f"{size + at % 7},{at % 5},{name}" for at in range(60) for size, name in ((10, "a"), (40, "b"), (90, "c"))]
    rest = bench["rest"]
    sent = rest.post(
        "/api/v1/datasets/upload?filename=three.csv", content="\n".join(["size,noise,kind", *lines]).encode()
    )
    dataset = sent.json()["id"]
    _until(lambda: not rest.get(f"/api/v1/datasets/{dataset}").json()["dataset"]["busy"])
    wanted = {"label": "kind", "models": ["decision-tree"], "search": False, "time_budget_s": 20}
    run = rest.post("/api/v1/experiments", json={"dataset_id": dataset, "settings": wanted}).json()["id"]
    _until(lambda: rest.get(f"/api/v1/experiments/{run}").json()["state"] not in {"queued", "running"})
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    hall.visit(page, f"/workbench/experiments/{run}/models/decision-tree")
    page.get_by_role("button", name="Explain", exact=True).wait_for()
    assert not page.get_by_label("What is explained").is_visible()  # importance is of no class
    page.get_by_label("How", exact=True).click()
    page.get_by_role("option", name="How its answer changes with one column").click()
    page.get_by_label("What is explained").click()
    page.get_by_role("option", name="chance of b").click()
    page.get_by_role("button", name="Explain", exact=True).click()
    page.get_by_text("The chance of b on average").wait_for(timeout=PATIENCE_MS)
    assert errors == []
    assert rest.delete(f"/api/v1/experiments/{run}").status_code == 204


def _until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_MS / 1000
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_map_of_all_rows_is_made_either_way(browser: Browser, bench: dict[str, Any]) -> None:
    """t-SNE is a choice that only such a map has, and the plot says what it is."""
    (run,) = bench["rest"].get("/api/v1/experiments").json()["items"]
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    hall.visit(page, f"/workbench/datasets/{run['dataset_id']}?view=plots")
    page.get_by_role("button", name="Draw", exact=True).wait_for()
    assert not page.get_by_label("Made by").is_visible()
    page.get_by_label("Plot", exact=True).click()
    page.get_by_role("option", name="All rows on a map").click()
    page.get_by_label("Made by").click()
    page.get_by_role("option", name="t-SNE").click()
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_role("heading", name="t-SNE by class").wait_for(timeout=PATIENCE_MS)
    assert errors == []


def test_the_workbench_fits_a_phone(browser: Browser, bench: dict[str, Any]) -> None:
    """No page scrolls sideways at 390 points, and every control has a name."""
    (run,) = bench["rest"].get("/api/v1/experiments").json()["items"]
    (made,) = bench["rest"].get("/api/v1/predictions").json()["items"]
    unnamed = """() => [...document.querySelectorAll('button, input:not([type=hidden]), a')].filter((e) =>
        e.offsetParent && !e.closest('[aria-hidden=true]') && !e.closest('.sender') && !(e.getAttribute('aria-label') ||
        e.labels?.length || e.getAttribute('aria-labelledby') || e.title || e.innerText.trim()))
        .map((e) => e.outerHTML.slice(0, 200))"""
    errors: list[str] = []
    page = _entered(browser, bench, errors, viewport=hall.PHONE, has_touch=True)
    for path in (
        "/workbench",
        f"/workbench/datasets/{run['dataset_id']}",
        f"/workbench/datasets/{run['dataset_id']}?view=explore",
        f"/workbench/datasets/{run['dataset_id']}?view=plots",
        f"/workbench/datasets/{run['dataset_id']}/experiment",
        f"/workbench/experiments/{run['id']}",
        f"/workbench/experiments/{run['id']}/models/{run['best']}",
        f"/workbench/experiments/{run['id']}/predict",
        f"/workbench/predictions/{made['id']}",
    ):
        hall.visit(page, path)
        page.locator("h1").wait_for()
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(unnamed) == [], path
    assert errors == []


def test_a_hostile_file_is_refused_in_plain_words(browser: Browser, bench: dict[str, Any]) -> None:
    """A program dressed as a table is refused where it was chosen, in words a person understands."""
    path = bench["folder"] / "model.pkl"
    path.write_bytes(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.")
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    person = Newcomer(page)
    hall.visit(page, "/workbench")
    person.choose("Upload a file", path)
    page.locator(".drop .notice").wait_for(state="visible")
    assert "pkl" in page.locator(".drop .notice").inner_text()
    assert page.url.endswith("/workbench")


def test_a_network_is_drawn_while_it_learns_and_its_epochs_stay(browser: Browser, bench: dict[str, Any]) -> None:
    """Accuracy and loss grow by epoch on the run's page; stopped and kept, the curves and the table of epochs are there."""
    (run,) = bench["rest"].get("/api/v1/experiments").json()["items"]
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    hall.visit(page, f"/workbench/datasets/{run['dataset_id']}/experiment?kind=dl")
    page.get_by_label("Time budget, seconds").fill("240")
    page.get_by_label("Epochs", exact=True).fill("9000")  # more than there is time for: it is stopped by hand
    page.get_by_label("Epochs without progress before it stops").fill("9000")
    page.get_by_role("checkbox", name="Complex MLP").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/workbench/experiments/*")
    learning = page.get_by_role("heading", name=re.compile(r"^Complex MLP, epoch ([3-9]|\d\d+)$"))
    learning.wait_for(timeout=PATIENCE_MS)
    assert page.locator(".chart path").count() > 0
    page.get_by_role("button", name="Stop and keep").click()
    page.locator(".heading .chip", has_text="stopped").wait_for(timeout=PATIENCE_MS)
    learning.wait_for()

    hall.visit(page, f"{page.url}/models/complex-mlp")
    rows = page.get_by_role("region", name="Epoch by epoch").locator("tbody tr")
    rows.first.wait_for()
    kept = bench["rest"].get(f"/api/v1{page.url.partition('/workbench')[2]}/history").json()
    assert rows.count() == len(kept) >= 3
    assert errors == []


def test_runs_are_compared_by_ticking_them(browser: Browser, bench: dict[str, Any]) -> None:
    """Two ticks and a click: every model of both runs side by side, and which settings differ."""
    network, trees = bench["rest"].get("/api/v1/experiments").json()["items"]
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    hall.visit(page, "/workbench")
    compare = page.get_by_role("button", name="Compare the ticked ones")
    for run in (network, trees):
        assert compare.is_disabled()
        page.get_by_role("button", name=f"Compare run {run['id']}", exact=True).click()
        page.get_by_role("button", name=f"Compare run {run['id']}", exact=True, pressed=True).wait_for()
    compare.click()
    page.wait_for_url("**/workbench/compare*")
    models = page.get_by_role("region", name="What each model got in each run")
    for title in ("Complex MLP", "Random forest"):
        models.get_by_role("cell", name=title, exact=True).wait_for()
    page.get_by_role("region", name="Settings that differ").get_by_role("cell", name="epochs", exact=True).wait_for()
    assert errors == []


def test_pasted_rows_and_one_typed_row_are_predicted(browser: Browser, bench: dict[str, Any]) -> None:
    """Rows from the clipboard get a page of their own; one row gets its answer where it was typed."""
    run = bench["rest"].get("/api/v1/experiments").json()["items"][-1]
    errors: list[str] = []
    page = _entered(browser, bench, errors)
    hall.visit(page, f"/workbench/experiments/{run['id']}/predict")
    pasted = "duration,kib_sent,tool,hour\n92,900,curl,3\n19,12,mail,11\n"
    page.get_by_label("A heading line, then rows").fill(pasted)
    page.get_by_role("button", name="Predict these rows").click()
    page.wait_for_url("**/workbench/predictions/*")
    page.get_by_role("link", name="Download as CSV").wait_for(timeout=PATIENCE_MS)
    answers = page.get_by_role("region", name="Rows with their predictions").locator("tbody tr td:first-child")
    answers.first.wait_for()
    assert answers.all_inner_texts() == ["anomaly", "normal"]
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/predict")
    hall.hears(page)

    page.get_by_role("checkbox", name="take names that differ in spelling only").click()
    page.wait_for_url("**rename_alike=true*")
    hall.hears(page)
    page.get_by_label("A heading line, then rows").fill(pasted.replace("kib_sent", "KIB-SENT"))
    page.get_by_role("button", name="Predict these rows").click()
    page.wait_for_url("**/workbench/predictions/*")
    page.get_by_role("link", name="Download as CSV").wait_for(timeout=PATIENCE_MS)

    hall.visit(page, f"/workbench/experiments/{run['id']}/predict")
    page.get_by_text("Type it in").click()
    for name, value in (("duration", "92"), ("kib_sent", "900")):
        page.get_by_label(name, exact=True).fill(value)
    page.get_by_role("button", name="Predict this row").click()
    page.locator(".chip", has_text="anomaly").wait_for(timeout=PATIENCE_MS)
    assert errors == []
