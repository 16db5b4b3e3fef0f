"""The answer to "can it be done again here?" in one line."""

from __future__ import annotations

import pytest

from aggregator.workbench.verifying import said


@pytest.mark.parametrize(
    ("passed", "line"),
    [
        ((True, True), "yes"),
        ((True, None), "yes; detail 1"),
        ((False, True), "no, because detail 0"),
        ((False, False), "no, because detail 0; detail 1"),
        ((False, None), "no, because detail 0"),
    ],
)
def test_a_no_names_its_reasons_and_a_yes_what_may_differ(passed, line):
    """What failed outweighs what only differs."""
    checks = [{"passed": one, "detail": f"detail {at}"} for at, one in enumerate(passed)]
    assert said({"checks": checks}) == f"can be done again here: {line}"
