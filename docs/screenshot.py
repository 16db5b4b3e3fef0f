"""Pictures of a running console, for the README: logs in and writes PNG files.

    python docs/screenshot.py --url http://127.0.0.1:8080 --user admin --password-file password.txt --out docs/images

Needs playwright (a development dependency) and a Chromium of the machine; it downloads nothing and talks to nobody but
the console.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import Error, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, Page

FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

VIEWS: Final = (
    ("dark", 1400, 900, "dark"),
    ("light", 1400, 900, "light"),
    ("phone", 390, 844, "light"),
)

PAGES: Final = (
    ("overview", "/"),
    ("alerts", "/alerts"),
    ("incidents", "/incidents"),
    ("review", "/review"),
    ("agents", "/agents"),
    ("models", "/models"),
)

DETAILS: Final = (("alerts", "alert"), ("incidents", "incident"), ("models", "model"))
"""From the first link of a list to what it shows, and that picture's name."""

SETTLE_MS: Final = 900
"""Charts and fonts are drawn by then."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures; 0 when all were written."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where the console is")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password-file", type=Path, required=True, help="its first line is the password")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser to drive")
    options = parser.parse_args(arguments)
    password = options.password_file.read_text(encoding="utf-8").partition("\n")[0]
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=list(FLAGS))
            for name, width, height, mode in VIEWS:
                page = _logged_in(browser, options.url, options.user, password, width=width, height=height, mode=mode)
                _pictures(page, options.url, options.out, name)
                page.context.close()
            browser.close()
    except Error as error:
        print(f"screenshot: {error.message.splitlines()[0]}; is the console running at {options.url}?", file=sys.stderr)
        return 1
    return 0


def _logged_in(browser: Browser, url: str, user: str, password: str, *, width: int, height: int, mode: str) -> Page:
    page = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if mode == "dark" else "light"
    ).new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{url}/login")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_selector("h1:has-text('Overview')")
    return page


def _pictures(page: Page, url: str, out: Path, view: str) -> None:
    shown = list(PAGES)
    for folder, name in DETAILS:
        page.goto(f"{url}/{folder}")
        page.wait_for_timeout(SETTLE_MS)
        link = page.query_selector(f"a[href^='/{folder}/']")
        if link is not None:
            shown.append((name, str(link.get_attribute("href"))))
    for name, path in shown:
        page.goto(f"{url}{path}")
        page.wait_for_timeout(SETTLE_MS)
        target = out / f"{name}-{view}.png"
        page.screenshot(path=target)
        print(target)


if __name__ == "__main__":
    sys.exit(main())
