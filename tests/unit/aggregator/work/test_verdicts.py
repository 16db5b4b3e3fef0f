"""How work went is a table of cases."""

from __future__ import annotations

import pytest

from aggregator.work.rows import Ended, Order, WorkState
from aggregator.work.verdicts import judge

ORDER = Order("run", "experiment 1", "runs/1", (), "heavy", "resume", 7200, 512)


@pytest.mark.parametrize(
    ("ended", "whole", "state", "says"),
    [
        ({"exit_code": 0, "said": "done"}, True, WorkState.DONE, ""),
        ({"exit_code": None, "said": "done"}, True, WorkState.DONE, ""),
        ({"exit_code": 0, "said": "stopped"}, True, WorkState.STOPPED, ""),
        ({"exit_code": 0, "said": "done", "asked": "cancel"}, True, WorkState.CANCELLED, ""),
        ({"exit_code": -9, "asked": "cancel"}, False, WorkState.CANCELLED, ""),
        ({"exit_code": -15, "timed_out": True}, True, WorkState.TIMED_OUT, "workbench_hours allows 2 hours"),
        ({"exit_code": -9}, True, WorkState.FAILED, "out of memory"),
        ({"exit_code": -15}, False, WorkState.INTERRUPTED, "ended its process"),
        ({"exit_code": 130, "said": "cancelled"}, False, WorkState.INTERRUPTED, "ended its process"),
        ({"exit_code": 1, "complaint": "MemoryError: Unable to allocate"}, False, WorkState.FAILED, "512 MiB"),
        ({"exit_code": 10, "complaint": "too few rows"}, False, WorkState.FAILED, "too few rows"),
        ({"exit_code": 10, "complaint": "too few rows"}, True, WorkState.FAILED, "too few rows"),
        ({"exit_code": 0, "said": "failed", "complaint": "every model failed"}, True, WorkState.FAILED, "every model"),
        ({"exit_code": 0}, False, WorkState.FAILED, "exit code 0"),
        ({"exit_code": None}, False, WorkState.FAILED, "said nothing"),
    ],
)
def test_the_end_of_a_process_is_judged(ended, whole, state, says):
    """By what was asked, by the time, by its own word, by its result; each with a sentence to act on."""
    known = {"exit_code": None, "asked": "", "timed_out": False, "said": "", "complaint": "", **ended}
    found, sentence = judge(ORDER, Ended(**known), whole=whole)
    assert (found, says in sentence, bool(sentence)) == (state, True, bool(says))
