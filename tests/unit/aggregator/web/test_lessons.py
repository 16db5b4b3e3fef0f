"""What a model page says of its report: sums of what was left out, and nothing for reports that do not say it."""

from __future__ import annotations

import pytest

from aggregator.web.pages.lessons import left_out, replayed


def test_reasons_are_added_up_over_files_and_the_most_come_first():
    """Zero is not worth a line."""
    report = {
        "data": {
            "duplicates": 5,
            "capped_by_host": 0,
            "screened": 90,
            "sources": [
                {"left_out": {"open incident": 3, "unsure": 1}},
                {"left_out": {"open incident": 4}, "use": "benign"},
                {"left_out": {"unlabelled": 900}, "use": "labelled"},
                {"left_out": None},
            ],
        }
    }
    assert left_out(report) == [
        ("said to be quiet, and the champion alerts on it", 90),
        ("open incident", 7),
        ("repeats of a row that is in already", 5),
        ("unsure", 1),
    ]


def test_families_are_told_with_their_share():
    """In the order of their names."""
    recall = {"scan": {"rows": 9, "recall": 0.5}, "beacon": {"rows": 3, "recall": 1}, "odd": None}
    assert list(replayed({"frozen": {"attacks": {"recall": recall}}})) == [("beacon", 3, 1.0), ("scan", 9, 0.5)]


@pytest.mark.parametrize(
    "report", [{}, {"data": 5, "frozen": []}, {"frozen": {"attacks": None}, "data": {"sources": None}}]
)
def test_a_report_of_another_kind_says_nothing(report):
    """A page never breaks on a document."""
    assert left_out(report) == []
    assert list(replayed(report)) == []
