"""Arguments that make no sense are refused in words."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from trainer.arguments import amount, positive, rate

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("kind", "text"),
    [(positive, "0"), (positive, "-3"), (rate, "0"), (rate, "1"), (rate, "nan"), (amount, "0"), (amount, "inf")],
)
def test_what_makes_no_sense_is_refused_by_name(kind: Callable[[str], float], text: str) -> None:
    """The refusal repeats what was given."""
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        kind(text)


def test_numbers_pass() -> None:
    """As their own type."""
    assert (positive("3"), rate("0.005"), amount("1e6")) == (3, 0.005, 1e6)
