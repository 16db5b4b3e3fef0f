"""What a taught model says an alert looks like: a family of labelled attacks and its share, in words.

Agents and the aggregator say it alike. It names, and decides nothing: whether a flow alerts is its score's to say.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 64
"""Characters of a family's name, as a verdict may give it."""


def sentence(family: str, share: float) -> str:
    """`looks like bruteforce (0.93)`; `share` 0 to 1 is the classifier's."""
    return f"looks like {family} ({share:.2f})"
