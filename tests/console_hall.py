"""A console to test: a real aggregator in a process of its own, filled with models, and how to start a browser on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("ANOMAFLOW_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PASSWORD = "correct horse battery"
HOSTILE = "<img src=x onerror=\"window.broken='in'\"> {{ 7 * 7 }}"
PORTS = ("--web-port", "0", "--grpc-port", "0")
TRAINER = """
import json, sys, time
print("reading <b>benign</b> flows", file=sys.stderr, flush=True)
for tenth in range(1, 4):
    progress = {"event": "progress", "stage": "fit", "fraction": tenth / 10, "message": f"epoch {tenth} of 10"}
    print(json.dumps(progress), flush=True)
    time.sleep(0.2)
time.sleep(60)
"""
"""Stands in for the trainer: says how far it is, and never ends by itself."""
PHONE = {"width": 390, "height": 844}


@dataclass
class Console:
    """A running aggregator, what is in it, and a client that may do everything."""

    web: str
    grpc: str
    rest: httpx.Client
    office: ModuleType
    models: list[str]
    sessions: dict[str, dict[str, str]]
    agent: Any

    def get(self, path: str) -> Any:
        """A REST answer."""
        answer = self.rest.get(f"/api/v1{path}")
        answer.raise_for_status()
        return answer.json()

    def raise_alert(self, **seen: Any) -> int:
        """One more alert from the office's agent; returns its id."""
        self.agent.raises([self.office.Seen(**seen)])
        return int(self.get("/alerts?limit=1")["items"][0]["id"])


def aggregator(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, str], str]:
    """Found and run an aggregator; returns its process, its addresses and the administrator's token."""
    command = [sys.executable, "-Im", "aggregator.main"]
    (folder / "password").write_text(PASSWORD)
    state, ready, config, trainer = (folder / name for name in ("state", "ready.json", "aggregator.toml", "trainer.py"))
    trainer.write_text(TRAINER)
    wanted = {"trainer_command": [sys.executable, str(trainer)], "baseline_benign": [str(folder)]}
    config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in wanted.items()))
    subprocess.run(
        [*command, "init", "--state-dir", state, "--password-file", folder / "password"], check=True, timeout=60
    )
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "run", "--config", config, "--state-dir", state, "--ready-file", ready, *PORTS],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    until = time.monotonic() + 60
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError((folder / "log.txt").read_text())
        time.sleep(0.05)
    return process, json.loads(ready.read_text()), (state / "admin.token").read_text().strip()


def fill(console: Console, folder: Path, onnx_models: ModuleType) -> None:
    """Three models (a champion, a better one, one that failed its gate) and a viewer."""
    for index, (name, skill, passed) in enumerate(
        (("office", 0.88, True), ("office", 0.93, True), ("odd", 0.7, False))
    ):
        path = folder / f"{index}.onnx"
        digest = onnx_models.write_model(path, name=name, bias=0.01 * index)
        champion = console.models[0] if index else None
        report = console.office.report(folder / f"{index}.json", digest, champion=champion, passed=passed, skill=skill)
        with path.open("rb") as model, report.open("rb") as text:
            answer = console.rest.post("/api/v1/models", files={"model": model, "report": text})
        assert answer.status_code < 300, answer.text
        console.models.append(digest)
        if not index:
            console.rest.post(f"/api/v1/models/{digest}/promote", json={"reason": "first"}).raise_for_status()
    viewer = {"name": "reader", "role": "viewer", "password": PASSWORD}
    console.rest.post("/api/v1/users", json=viewer).raise_for_status()


def close(process: subprocess.Popen[bytes], agents: Iterable[Any]) -> None:
    """End the sensors, then the aggregator, which must end by itself."""
    for agent in agents:
        agent.close()
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def watched(browser: Browser, console: Console, **options: Any) -> Iterator[Page]:
    """A page of its own. At its end: the browser logged no error, and no request left loopback."""
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
    assert not strangers, strangers
    # The browser itself notes an answer of 404; the tests that ask for one mean it.
    assert not [problem for problem in problems if "404 (Not Found)" not in problem], problems


def visit(page: Page, path: str) -> None:
    """Open a page of the console, and wait until it hears."""
    page.goto(path)
    hears(page)


def hears(page: Page) -> None:
    """Wait until the page's socket is up: what is typed before is lost."""
    page.wait_for_function("window.did_handshake === true")


def enter(page: Page, console: Console, name: str = "admin") -> None:
    """Give the page a session without going through the form."""
    if name not in console.sessions:
        answer = httpx.post(f"{console.web}/api/v1/session", json={"name": name, "password": PASSWORD}, timeout=20)
        answer.raise_for_status()
        console.sessions[name] = dict(answer.cookies)
    cookies = console.sessions[name]
    page.context.add_cookies([{"name": key, "value": value, "url": console.web} for key, value in cookies.items()])


def until(page: Page, question: Any, wanted: Any) -> None:
    """Wait until REST says so too: a click is stored a moment after it happened."""
    latest = time.monotonic() + 10
    while (answer := question()) != wanted:
        assert time.monotonic() < latest, answer
        page.wait_for_timeout(50)
