"""Rows as plain data."""

from __future__ import annotations

from aggregator import paging
from aggregator.rows import as_json


def test_json_of_rows_is_plain_data():
    """Tuples become lists, rows become dictionaries."""
    assert as_json(paging.Page((1, "a"), None)) == {"items": [1, "a"], "next": None}
