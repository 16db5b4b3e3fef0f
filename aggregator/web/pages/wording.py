"""Figures and names as an operator reads them. Pure functions; nothing here knows a page.

Whatever an agent or a user wrote passes through here unchanged and reaches the browser as text, never as markup.
"""

from __future__ import annotations

import math
from typing import Final
from urllib.parse import urlencode

PROTOCOLS: Final = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP"}

VERDICT_WORDS: Final = {"benign": "false positive", "malicious": "true positive", "unsure": "unsure", "mixed": "mixed"}
"""A verdict is on the flow in the store and on the alert in the console: a benign flow made a false alert."""

VERDICT_TONES: Final = {"benign": "good", "malicious": "bad", "unsure": "warn", "mixed": "warn"}

END_WORDS: Final = {
    "idle": "fell silent",
    "active": "still going, cut at the active timeout",
    "tcp": "closed by TCP",
    "half-open": "never answered",
    "evicted": "pushed out early, the flow table was full",
    "stop": "the sensor stopped",
}

MODEL_TONES: Final = {"champion": "good", "candidate": "info", "refused": "bad"}

JOB_TONES: Final = {"running": "info", "succeeded": "good", "failed": "bad", "timed_out": "bad"}


def verdict(value: str | None) -> str:
    """A verdict in words; `no verdict` for None."""
    return "no verdict" if value is None else VERDICT_WORDS.get(value, value)


def protocol(number: int) -> str:
    """The name of an IP protocol, or its number."""
    return PROTOCOLS.get(number, f"protocol {number}")


def endpoint(address: str, port: int) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`; the bare address where the protocol has no ports."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def count(value: float) -> str:
    """A whole number with thousands set apart: `12 345`, by narrow no-break spaces."""
    return f"{value:,.0f}".replace(",", "\u202f")


def plural(number: float, noun: str) -> str:
    """`1 alert`, `2 alerts`."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def size(value: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def duration(milliseconds: float) -> str:
    """A span of time: `340 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def percent(share: float) -> str:
    """A share as a percentage with two or three significant digits."""
    value = share * 100
    if value == 0 or not math.isfinite(value):
        return "0 %" if value == 0 else "unknown"
    digits = max(0, 1 - math.floor(math.log10(abs(value)))) if abs(value) < 100 else 0
    text = f"{value:.{min(digits, 6)}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def number(value: float) -> str:
    """A measured value of unknown unit and size, in at most five significant digits."""
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 10_000 or value == round(value):
        return count(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def metric(value: object) -> str:
    """A metric of a report, or a dash where the report has none."""
    return f"{value:.3f}" if isinstance(value, int | float) and math.isfinite(value) else "-"


def feature(name: str) -> str:
    """A feature's name as words: `src_ports_10s` becomes `src ports 10s`."""
    return name.replace("_", " ")


def short(digest: str) -> str:
    """The beginning of a digest, enough to tell models apart; `none` where there is none."""
    return digest[:12] or "none"


def link(path: str, **query: str | float | None) -> str:
    """An address within the console, with what is not None as its query."""
    given = {key: value for key, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(given)}" if given else path
