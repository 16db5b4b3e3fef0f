"""Events of a run are a stranger's lines: read on from a place, held to bounds, never believed."""

from __future__ import annotations

import json

import pytest

from aggregator.work import story


def test_a_line_that_is_being_written_is_read_the_next_time(tmp_path):
    """No event is read half, and none twice."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "stage", "fraction": 0.5}\n{"event": "sta')
    events, place = story.read(path, 0)
    assert [event["fraction"] for event in events] == [0.5]
    assert story.read(path, place) == ([], place)
    with path.open("ab") as file:
        file.write(b'ge", "fraction": 1}\n')
    events, after = story.read(path, place)
    assert (events[0]["fraction"], after) == (1.0, story.size(path))


def test_a_limit_leaves_the_rest_for_the_next_time(tmp_path):
    """The place is after the last event given."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"event": "epoch", "epoch": number}) + "\n" for number in range(5)))
    first, place = story.read(path, 0, limit=2)
    rest, _ = story.read(path, place)
    assert [event["epoch"] for event in first + rest] == [0, 1, 2, 3, 4]


def test_without_a_file_there_is_nothing_yet(tmp_path):
    """A run that has not begun to speak is no error."""
    assert story.read(tmp_path / "none", 7) == ([], 7)
    assert story.size(tmp_path / "none") == 0


def test_a_line_without_end_is_passed_over(tmp_path):
    """Memory stays bounded whatever is written."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * (story.MOST + 10) + b'\n{"event": "end", "state": "done"}\n')
    found, place = [], 0
    for _ in range(4):
        events, place = story.read(path, place)
        found += events
    assert [event["event"] for event in found] == ["end"]


@pytest.mark.parametrize(
    "line", [b"", b"nonsense", b"[]", b"5", b'{"event": 5}', b'{"stage": "x"}', b"\xff\xfe", b'{"event": "x"']
)
def test_what_is_no_event_is_left_out(line):
    """The log is read as a story, too: most of its lines are none."""
    assert story.parse(line) == {}


def test_values_are_held_to_bounds():
    """Texts are cut, a fraction lies between 0 and 1, what is no number is nothing, what is nested is text."""
    told = {"event": "stage", "message": "m" * 9999, "fraction": 7, "loss": float("nan"), "deep": {"a": [1]}}
    event = story.parse(json.dumps(told).encode())
    assert (len(event["message"]), event["fraction"], event["loss"], event["deep"]) == (
        story.TEXT,
        1.0,
        None,
        '{"a": [1]}',
    )
    assert story.parse(b'{"event": "stage", "fraction": "much"}')["fraction"] == 0.0
