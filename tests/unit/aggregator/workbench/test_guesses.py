"""The label a run begins with."""

from __future__ import annotations

from typing import Any

import pytest

from aggregator.workbench import guesses


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([], None),
        ([{"name": "class", "likely": True}, {"name": "kind", "likely": False}], "class"),
        ([{"name": "failed_logins", "likely": False}], None),
        ([{"name": "failed_logins", "likely": False}, {"name": "first", "likely": True}], "first"),
        ([{"name": "old", "reason": "a profile of before"}], "old"),
    ],
)
def test_a_likely_label_is_taken_and_others_are_proposed(labels: list[dict[str, Any]], wanted: str | None) -> None:
    """A count in the last column is shown to people and not chosen for them."""
    found = guesses.of_profile({"labels": labels})
    assert [guess.name for guess in found] == [one["name"] for one in labels]
    assert guesses.taken(found) == wanted


def test_without_a_profile_nothing_is_guessed() -> None:
    """A run can still be set up, by hand."""
    assert guesses.of_profile(None) == ()
