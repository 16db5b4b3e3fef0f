"""What pages make of a text or a figure before they show it."""

from __future__ import annotations

import pytest

from aggregator.web.pages.visits import sentence
from aggregator.web.pages.workbench.grid import figure


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("splitting the table: no row is left", "Splitting the table: no row is left."),
        ("empty.csv is empty", "empty.csv is empty."),
        ("failed_logins has two values", "failed_logins has two values."),
        ("is the console running?", "Is the console running?"),
        ("", "."),
    ],
)
def test_an_error_becomes_a_sentence_and_a_name_stays_a_name(said: str, shown: str) -> None:
    """A capital and a full stop; a file or a column is called what it is called."""
    assert sentence(said) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.99998, "1"),
        (0.5, "0.5"),
        (3.0, "3"),
        (-0.12345, "-0.1235"),
        (0.00001234, "1.234e-05"),
        (float("inf"), "infinite"),
    ],
)
def test_a_figure_has_no_tail(value: float, shown: str) -> None:
    """At most six digits, with no zero and no point left at its end."""
    assert figure(value) == shown
