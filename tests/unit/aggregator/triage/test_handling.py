"""Who looks after an incident follows from the steps alone."""

from __future__ import annotations

import itertools

import pytest

from aggregator.errors import Conflict, Invalid
from aggregator.triage import handling
from aggregator.triage.handling import ACKNOWLEDGE, ASSIGN, COMMENT, UNDO, Handling, Step
from aggregator.triage.kinds import PORT_SCAN, SINGLE_FLOW, UNUSUAL_EXCHANGE


def step(number, deed, *, incident=1, assignee=None, kind=SINGLE_FLOW, by="ada", undoes=None, undone=False):
    return Step(number, incident, deed, assignee, kind, "", by, 1000 + number, undoes, undone)


CASES = {
    "nothing was done": ([], Handling()),
    "acknowledged": ([step(1, ACKNOWLEDGE)], Handling("ada", 1001)),
    "taken back": ([step(1, ACKNOWLEDGE, undone=True), step(2, UNDO, undoes=1)], Handling()),
    "the newest assignment": (
        [step(1, ASSIGN, assignee="ada"), step(2, ASSIGN, assignee="bob")],
        Handling(assignee="bob"),
    ),
    "the one before it, when it was taken back": (
        [step(1, ASSIGN, assignee="ada"), step(2, ASSIGN, assignee="bob", undone=True)],
        Handling(assignee="ada"),
    ),
    "nobody's again": ([step(1, ASSIGN, assignee="ada"), step(2, ASSIGN)], Handling()),
    "comments that count": (
        [step(1, COMMENT), step(2, COMMENT), step(3, COMMENT, undone=True)],
        Handling(comments=2),
    ),
    "of what was merged into it, all but acknowledgements": (
        [step(1, ACKNOWLEDGE, incident=2), step(2, ASSIGN, incident=2, assignee="ada"), step(3, COMMENT, incident=2)],
        Handling(assignee="ada", comments=1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_counts(name):
    """Whatever order the steps are read in."""
    steps, expected = CASES[name]
    for order in itertools.permutations(steps):
        assert handling.standing(order, 1, kind=SINGLE_FLOW, reopened_ms=0) == expected


@pytest.mark.parametrize(
    ("seen_as", "now", "reopened_ms", "stands"),
    [
        (SINGLE_FLOW, SINGLE_FLOW, 0, True),
        (SINGLE_FLOW, UNUSUAL_EXCHANGE, 0, True),
        (SINGLE_FLOW, PORT_SCAN, 0, False),
        (PORT_SCAN, PORT_SCAN, 0, True),
        (PORT_SCAN, UNUSUAL_EXCHANGE, 0, True),
        ("", PORT_SCAN, 0, True),
        (PORT_SCAN, PORT_SCAN, 1001, True),
        (PORT_SCAN, PORT_SCAN, 1002, False),
    ],
)
def test_an_acknowledgement_is_of_what_was_seen(seen_as, now, reopened_ms, stands):
    """It lapses when the incident gets a name or is opened again; growing and merging do not matter to it."""
    found = handling.standing([step(1, ACKNOWLEDGE, kind=seen_as)], 1, kind=now, reopened_ms=reopened_ms)
    assert (found.acknowledged_by == "ada") is stands


def test_a_step_says_something_new():
    """Twice the same is refused with who it was; a comment needs words."""
    now = Handling("ada", 1, "bob")
    with pytest.raises(Conflict, match="ada has acknowledged"):
        handling.require_new(ACKNOWLEDGE, now, assignee=None, note="")
    with pytest.raises(Conflict, match="assigned to bob already"):
        handling.require_new(ASSIGN, now, assignee="bob", note="")
    with pytest.raises(Conflict, match="assigned to nobody already"):
        handling.require_new(ASSIGN, Handling(), assignee=None, note="")
    with pytest.raises(Invalid, match="says something"):
        handling.require_new(COMMENT, now, assignee=None, note="  ")
    with pytest.raises(Invalid, match="2000"):
        handling.require_new(COMMENT, now, assignee=None, note="x" * 2001)
    assert handling.require_new(COMMENT, now, assignee=None, note=" found it ") == "found it"
    assert handling.require_new(ASSIGN, now, assignee=None, note="") == ""


def test_what_was_taken_back_stays_so():
    """Neither a taking back nor what was taken back can be."""
    for one in (step(1, ACKNOWLEDGE, undone=True), step(2, UNDO, undoes=1)):
        with pytest.raises(Conflict):
            handling.require_undoable(one)
    handling.require_undoable(step(1, COMMENT))
