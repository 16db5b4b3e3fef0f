"""Which hyper-parameters to try next: seeded draws from a candidate's space, every other one near the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described

MOST: Final = 40
"""Settings tried of one candidate, at most."""


class Draws:
    """The tries of one candidate. The same seed and the same answers give the same tries."""

    def __init__(self, described: Described, seed: int) -> None:
        self._space = described.space
        self._chance = np.random.default_rng([seed, 87, *described.name.encode()])
        self._seen: set[tuple[tuple[str, str], ...]] = set()
        self.tried = 0

    def next(self, best: dict[str, Any]) -> dict[str, Any] | None:
        """Settings not tried before, or None when there are no more."""
        if not self._space or self.tried >= MOST:
            return None
        for _ in range(50):
            given = {key: values[int(self._chance.integers(len(values)))] for key, values in self._space.items()}
            if self.tried % 2 == 1:
                # Every other try changes one or two settings of the best so far.
                moved = self._chance.permutation(list(self._space))[: 1 + int(self._chance.integers(2))]
                given = {**best, **{str(key): given[str(key)] for key in moved}}
            key = tuple(sorted((name, repr(value)) for name, value in given.items()))
            if key not in self._seen:
                self._seen.add(key)
                self.tried += 1
                return given
        return None
