"""Cells for spreadsheets: what would run as a formula is text, and everything else is what it was."""

from __future__ import annotations

import pytest

from protos.formulas import guarded


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\uff1d1+1",
        "-",
    ],
)
def test_what_would_run_gets_an_apostrophe(text: str) -> None:
    """Also behind blanks and line ends, and in full width."""
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+1.5e3", "-.5", "plain = text", "a-b", "", "  "])
def test_numbers_and_ordinary_texts_stay(text: str) -> None:
    """A column of negative numbers can be added up."""
    assert guarded(text) == text
