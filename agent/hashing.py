"""A keyed 64-bit hash of addresses and words, vectorised, for tables whose places nobody outside may aim at.

Two words are mixed by the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). It is quick and spreads well;
it is no cryptography, and nothing secret is hashed with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Odd constants: to tell keys of different tables apart, and to multiply by."""


def finish(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of a word depends on every bit of `word` `[n]`."""
    word = (word ^ (word >> np.uint64(30))) * WORDS[1]
    word = (word ^ (word >> np.uint64(27))) * WORDS[2]
    return word ^ (word >> np.uint64(31))


def mix(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One word for two, in this order, `[n]`."""
    return finish(first * WORDS[1] + second)


def fold(addresses: NDArray, key: np.uint64) -> NDArray[np.uint64]:
    """A word for each address, `[n]` from `[n, 16]` bytes, under `key`."""
    halves = np.ascontiguousarray(addresses).view("<u8").reshape(-1, 2)
    return mix(halves[:, 0] * WORDS[0] ^ key, halves[:, 1])
