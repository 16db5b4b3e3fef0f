"""How a moment is shown: UTC, with its age beside it, and the age keeps up by itself.

The browser renders `<afl-time ms="…">` (a custom element of our own, below), so that a list does not have to be sent
again for every minute that passes. `short` leaves the date out on the same day; `clock` shows the current time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from nicegui import ui

SCRIPT: Final = """
<script>
(() => {
  const shown = new Set();
  const two = (n) => String(n).padStart(2, "0");
  const day = (d) => `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
  const hour = (d) => `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
  const age = (ms) => {
    const s = Math.round((Date.now() - ms) / 1000);
    if (s < -172800) return `in ${Math.floor(-s / 86400)} d`;
    if (s < -3600) return `in ${Math.floor(-s / 3600)} h`;
    if (s < -60) return `in ${Math.floor(-s / 60)} min`;
    if (s < 5) return "just now";
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ago`;
    return `${Math.floor(s / 86400)} d ago`;
  };
  class Moment extends HTMLElement {
    static observedAttributes = ["ms"];
    connectedCallback() { shown.add(this); this.show(); }
    disconnectedCallback() { shown.delete(this); }
    attributeChangedCallback() { this.show(); }
    show() {
      if (this.hasAttribute("clock")) { this.textContent = `${hour(new Date()).slice(0, 5)} UTC`; return; }
      const ms = Number(this.getAttribute("ms"));
      if (!ms || !Number.isFinite(ms)) { this.textContent = "never"; return; }
      const at = new Date(ms);
      if (Number.isNaN(at.getTime())) { this.textContent = "unknown"; return; }
      const today = day(at) === day(new Date());
      const clock = this.hasAttribute("short") ? (today ? hour(at) : day(at)) : `${day(at)} ${hour(at)} UTC`;
      this.title = at.toISOString();
      const exact = document.createElement("span");
      exact.textContent = clock;
      const old = document.createElement("span");
      old.className = "age";
      old.textContent = age(ms);
      this.replaceChildren(exact, " ", old);
    }
  }
  customElements.define("afl-time", Moment);
  setInterval(() => shown.forEach((element) => element.show()), 5000);
})();
</script>
"""


def moment(at_ms: int | None, *, short: bool = False) -> ui.element:
    """An element that shows `at_ms` (UTC milliseconds), `never` for None or 0."""
    return ui.element("afl-time").props(f"ms={int(at_ms or 0)}" + (" short" if short else ""))


def clock() -> ui.element:
    """An element that shows what time it is in UTC."""
    return ui.element("afl-time").props("clock")


def minute(at_ms: int) -> str:
    """`14:05`, UTC: the label of a minute on an axis."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%H:%M")


def second(at_ms: int) -> str:
    """`14:05:09`, UTC: a moment on an axis that spans minutes."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%H:%M:%S")


def hour(at_ms: int) -> str:
    """`03-17 14:05`, UTC: a moment on an axis that spans hours or days."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%m-%d %H:%M")
