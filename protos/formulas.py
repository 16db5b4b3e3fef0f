"""Text that a spreadsheet would run, made text that it shows.

What leaves as CSV is other people's text, and a cell that begins with = + - @ (or a tab or line end, behind which such
a sign may hide) runs as a formula when a spreadsheet opens the file. Both rooms that write CSV guard it alike.
"""

from __future__ import annotations

import re
from typing import Final

_LEADS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Signs that begin a formula, their full-width forms as some spreadsheets read them, and what may hide one."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guarded(text: str) -> str:
    """`text`, behind an apostrophe if it would run; plain numbers stay as they are, negative ones included."""
    runs = text.lstrip(" ").startswith(_LEADS) and not _NUMBER.fullmatch(text)
    return f"'{text}" if runs else text
