"""What people read at the command line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.cli import tables


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    """As wide as the widest text."""
    text = tables.align(["name", "count"], [["a", "5"], ["longer", "12345"]])
    assert text.splitlines() == ["name    count", "a           5", "longer  12345"]


def test_rows_are_json_lines_for_scripts(capsys):
    """One object a line, complete, whatever the columns are."""
    tables.show([{"a": 1}, {"a": 2}], [("A", lambda row: str(row["a"]))], as_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"a": 1}, {"a": 2}]


def test_nothing_is_said_to_be_nothing(capsys):
    """An empty table would look like an error."""
    tables.show([], [("A", str)], as_json=False)
    assert capsys.readouterr().out == "(nothing)\n"
    assert tables.table([]) == "(nothing)"


@given(st.text())
def test_what_an_agent_wrote_cannot_steer_a_terminal(text):
    """No control character gets through."""
    assert all(letter.isprintable() or letter.isspace() for letter in tables.clean(text))
    assert "\x1b" not in tables.clean(text)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("received_ms", 1_790_000_000_000, "2026-09-21 14:13:20Z"),
        ("received_ms", 0, "-"),
        ("received_ms", 10**18, str(10**18)),
        ("model_digest", "a" * 64, "a" * 12),
        ("verdict", None, "-"),
        ("disabled", False, "no"),
        ("score", 3.14159, "3.142"),
        ("hosts", ["a"], '["a"]'),
    ],
)
def test_a_field_is_shown_as_its_name_asks(name, value, text):
    """Times as times, digests short, absent values as a dash."""
    assert tables.field(name, value) == text


def test_endpoints_sizes_and_protocols():
    """As one writes them."""
    row = {"src_ip": "fe80::1", "src_port": 443, "dst_ip": "10.0.0.1", "dst_port": 0}
    assert (tables.endpoint(row, "src"), tables.endpoint(row, "dst")) == ("[fe80::1]:443", "10.0.0.1")
    assert [tables.size(count) for count in (512, 2048, 5 << 30)] == ["512 B", "2.0 KiB", "5.0 GiB"]
    assert [tables.protocol(number) for number in (6, 58, 132)] == ["TCP", "ICMPv6", "132"]
