"""Lists by cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import paging
from aggregator.errors import Invalid


@given(st.text(max_size=30))
def test_a_cursor_that_was_tampered_with_is_invalid_or_harmless(text):
    """It never reaches SQL as anything but a number and a key."""
    for read in (paging.id_cursor, paging.timed_cursor):
        try:
            read(text)
        except Invalid as error:
            assert "leave it out" in str(error)


def test_a_page_has_bounds():
    """Named in the message."""
    for bad in (0, -1, 1001):
        with pytest.raises(Invalid, match="1000"):
            paging.size(bad)


def test_the_last_page_has_no_cursor():
    """So that a reader knows where to stop."""
    assert paging.page([1, 2, 3], 2, str) == paging.Page((1, 2), "2")
    assert paging.page([1, 2], 2, str) == paging.Page((1, 2), None)
