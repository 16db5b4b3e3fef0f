"""Where the look comes from: theme.css for everything the browser styles, the colours below for what it draws.

Charts are drawn once for both modes, so their colours are middle tones that stand out from light and dark alike.
A visitor's choice of mode is kept in a cookie of its own, so that the server knows it before the page is painted.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from starlette.responses import Response

MODE_COOKIE: Final = "anomaflow_mode"
MODES: Final = {"light": False, "dark": True}

SERIES: Final = "#4c8fdd"
BASELINE: Final = "#b08a4a"
GRID: Final = "rgba(127, 140, 155, 0.25)"
GROUNDS: Final = {"light": "#f4f6f8", "dark": "#0e141b"}

LOGO: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f5fae"/>'
    '<path d="M4 18h6l3-4 4 11 4-18 3 11h4" fill="none" stroke="#fff" stroke-width="2.4" stroke-linejoin="round" '
    'stroke-linecap="round"/></svg>'
)
"""The icon in the browser's tab."""


@cache
def sheet() -> tuple[str, str]:
    """The style sheet and its address, which changes with its text so that browsers may keep it for good."""
    content = Path(__file__).with_name("theme.css").read_text(encoding="utf-8")
    return content, f"/static/console-{hashlib.sha256(content.encode()).hexdigest()[:12]}.css"


def sheet_response() -> Response:
    """The style sheet over HTTP."""
    return Response(sheet()[0], media_type="text/css", headers={"cache-control": "public, max-age=31536000, immutable"})


def head(mode: str | None) -> str:
    """What goes into a page's head: the sheet, and the right ground before it has been read."""
    ground = GROUNDS["dark" if mode == "dark" else "light"]
    auto = f"@media (prefers-color-scheme: dark) {{ html {{ background: {GROUNDS['dark']} }} }}"
    style = f"<style>html {{ background: {ground} }} {'' if mode in MODES else auto}</style>"
    return f'<link rel="stylesheet" href="{sheet()[1]}">{style}'
