"""Progress: lines for programs, a bar for people."""

from __future__ import annotations

import io
import itertools
import json

from trainer.progress import STAGES, Progress


def _made(style: str) -> tuple[Progress, io.StringIO, io.StringIO]:
    out, terminal = io.StringIO(), io.StringIO()
    return Progress(style, out=out, terminal=terminal), out, terminal


def test_json_is_one_object_a_line_and_never_goes_back() -> None:
    """A program can follow it without knowing the stages."""
    progress, out, terminal = _made("json")
    for name in STAGES:
        for fraction in (0.0, 0.5, 0.2, 1.0, 7.0):
            progress.stage(name, fraction, "a message\nwith a line break")
    assert progress.event("result", {"model": "m", "gate": None})
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    fractions = [event["fraction"] for event in events[:-1]]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert {event["stage"] for event in events[:-1]} == set(STAGES)
    assert events[-1] == {"event": "result", "model": "m", "gate": None}
    assert terminal.getvalue() == ""


def test_the_bar_leaves_standard_output_to_the_results() -> None:
    """It is drawn in place on the terminal and ends its line."""
    progress, out, terminal = _made("bar")
    progress.stage("fit", 0.5, "epoch 3")
    progress.end()
    assert not progress.event("result", {})
    assert out.getvalue() == ""
    assert terminal.getvalue().startswith("\r[")
    assert "fit: epoch 3" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


def test_none_is_silent() -> None:
    """Nothing at all."""
    progress, out, terminal = _made("none")
    progress.stage("fit", 0.5, "epoch 3")
    progress.end()
    assert out.getvalue() + terminal.getvalue() == ""


def test_a_stage_of_no_fit_is_a_run_of_its_own() -> None:
    """A benchmark's half is half."""
    progress, out, _ = _made("json")
    progress.stage("benchmark", 0.5, "seed 7")
    assert json.loads(out.getvalue())["fraction"] == 0.5


def test_the_stages_fill_the_whole() -> None:
    """No gap, no overlap."""
    spans = list(STAGES.values())
    assert spans[0][0] == 0
    assert spans[-1][1] == 1
    assert all(first[1] == second[0] for first, second in itertools.pairwise(spans))
