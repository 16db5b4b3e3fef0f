"""How long to wait before the next attempt: exponential, with full jitter, so that a fleet does not return in step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
LEAST_S: Final = 0.05


class Backoff:
    """Pauses that grow from `first_s` to `longest_s`. `chance()` is uniform in [0, 1)."""

    def __init__(self, chance: Callable[[], float], *, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._chance = chance
        self._first = first_s
        self._longest = longest_s
        self._attempt = 0

    def next_s(self) -> float:
        """The pause after one more failure: anything from a little to the current limit."""
        limit = min(self._longest, self._first * 2 ** min(self._attempt, 30))
        self._attempt += 1
        return max(LEAST_S, self._chance() * limit)

    def reset(self) -> None:
        """It worked: begin again with short pauses."""
        self._attempt = 0
