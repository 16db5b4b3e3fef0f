"""What a report's page is drawn with: its style, curves in SVG, tables of pairs. No script, nothing fetched.

Every text that came from outside (names, messages, file names) is escaped by whoever puts it on a page, with `text`.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLE: Final = """
:root { color-scheme: light dark; --ink:#1b2430; --soft:#5b6675; --line:#d5dbe3; --back:#fff; --card:#f6f8fa;
  --one:#0b6bcb; --two:#c2570c; --good:#1a7f4b; --bad:#b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6eaf0; --soft:#9aa6b5; --line:#39424f; --back:#12161c;
  --card:#1a2029; --one:#6cb2ff; --two:#ffa657; --good:#57c98b; --bad:#ff8a80; } }
* { box-sizing: border-box; }
body { margin:0 auto; padding:1rem; max-width:62rem; background:var(--back); color:var(--ink);
  font:16px/1.5 system-ui, sans-serif; }
h1 { font-size:1.5rem; margin:.5rem 0; } h2 { font-size:1.15rem; margin:2rem 0 .5rem; }
p { margin:.4rem 0; } .soft { color:var(--soft); } code { font-size:.85em; overflow-wrap:anywhere; }
.wide { overflow-x:auto; } table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th, td { text-align:left; padding:.3rem .6rem; border-bottom:1px solid var(--line); vertical-align:top; }
td.n, th.n { text-align:right; white-space:nowrap; }
.plots { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap:1rem; }
figure { margin:0; padding:.8rem; background:var(--card); border-radius:.5rem; }
figcaption { font-size:.85rem; color:var(--soft); } svg { width:100%; height:auto; display:block; }
svg text { fill:var(--soft); font-size:11px; } svg .frame { stroke:var(--line); fill:none; }
.one { stroke:var(--one); } .two { stroke:var(--two); stroke-dasharray:6 4; } .even { stroke:var(--line); }
path { fill:none; stroke-width:2; } .key-one { color:var(--one); } .key-two { color:var(--two); }
.good { color:var(--good); } .bad { color:var(--bad); }
"""
_LEFT, _TOP, _SIDE, _BOTTOM = 48, 8, 250, 30


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of `parts`, readable on a phone and in the dark."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def at_prevalence(roc: Sequence[Sequence[float]], prevalence: float) -> list[tuple[float, float]]:
    """Recall and precision of ROC points `[FPR, TPR]` where a share `prevalence` of rows are attacks."""
    return [
        (caught, prevalence * caught / (prevalence * caught + (1 - prevalence) * wrong))
        for wrong, caught in roc
        if caught > 0
    ]


def figure(
    title: str,
    first: Sequence[tuple[float, float]],
    second: Sequence[tuple[float, float]],
    axes: tuple[str, str],
    *,
    marks: Sequence[str] = ("0", "0.5", "1"),
    extra: str = "",
) -> str:
    """Two curves in a frame with axes from 0 to 1; `marks` name their ticks, `extra` is drawn beneath."""
    ticks = "".join(
        f'<text x="{_LEFT + place * _SIDE:.0f}" y="{_TOP + _SIDE + 14}" text-anchor="middle">{mark}</text>'
        f'<text x="{_LEFT - 4}" y="{_TOP + _SIDE - place * _SIDE + 4:.0f}" text-anchor="end">{mark}</text>'
        for place, mark in zip((i / (len(marks) - 1) for i in range(len(marks))), marks, strict=True)
    )
    size = f"0 0 {_LEFT + _SIDE + 8} {_TOP + _SIDE + _BOTTOM}"
    return (
        f'<figure><svg viewBox="{size}" role="img" aria-label="{text(title)}">'
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>{extra}{ticks}'
        f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 27}" text-anchor="middle">{text(axes[0])}</text>'
        f'<text transform="translate(9 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">{text(axes[1])}</text>'
        f"{line(second, 'two')}{line(first, 'one')}</svg><figcaption>{text(title)}: "
        '<span class="key-one">model</span>, <span class="key-two">baseline (dashed)</span></figcaption></figure>'
    )


def line(points: Iterable[tuple[float, float]], style: str) -> str:
    """A curve through points of the unit square."""
    drawn = " ".join(
        f"{'L' if number else 'M'}{_LEFT + x * _SIDE:.1f} {_TOP + (1 - y) * _SIDE:.1f}"
        for number, (x, y) in enumerate(points)
    )
    return f'<path class="{style}" d="{drawn}"/>' if drawn else ""


def pairs(entries: dict[str, Any]) -> str:
    """A table of names and values."""
    rows = "".join(
        f"<tr><td>{text(key.replace('_', ' '))}</td><td>{text(number(value))}</td></tr>"
        for key, value in entries.items()
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, names joined by spaces; long lists by their length."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key} ")
        elif isinstance(value, list | tuple):
            shown = [str(item) for item in value]
            found[prefix + key] = ", ".join(shown) if len(shown) <= 12 else f"{len(shown)} entries"
        else:
            found[prefix + key] = value
    return found


def number(value: Any) -> str:
    """A value as it is shown."""
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def text(value: Any) -> str:
    """Anything, escaped."""
    return html.escape(str(value))
