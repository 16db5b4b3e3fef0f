"""The keyed hash: a function of key and address, and of nothing else."""

from __future__ import annotations

import numpy as np

from agent.hashing import fold, mix


def test_the_same_address_and_key_give_the_same_word() -> None:
    """Wherever the address stands in a batch."""
    addresses = np.random.default_rng(1).integers(0, 256, size=(500, 16), dtype=np.uint8)
    words = fold(addresses, np.uint64(7))
    assert np.array_equal(fold(addresses[::-1], np.uint64(7)), words[::-1])
    assert len(set(words.tolist())) == 500


def test_another_key_gives_other_places() -> None:
    """Of 4,000 neighbouring addresses in 256 places, no more share one under another key than chance has it."""
    addresses = np.zeros((4000, 16), dtype=np.uint8)
    addresses[:, 14:] = np.arange(4000, dtype=">u2").view(np.uint8).reshape(-1, 2)
    first, second = (fold(addresses, np.uint64(key)) & np.uint64(255) for key in (1, 3))
    assert np.mean(first == second) < 0.02
    assert np.bincount(first.astype(int), minlength=256).max() < 40


def test_the_order_of_two_words_matters() -> None:
    """A pair of hosts is not the pair the other way round."""
    one, two = np.array([1], dtype=np.uint64), np.array([2], dtype=np.uint64)
    assert mix(one, two)[0] != mix(two, one)[0]
