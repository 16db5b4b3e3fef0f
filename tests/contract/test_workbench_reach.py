"""Every action of the workbench in the console, in REST and on the command lines: docs/workbench.md says where, and is right."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aggregator.cli import main as client
from aggregator.web.api import datasets, experiments, predictions
from trainer.main import _parser

if TYPE_CHECKING:
    import argparse

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "aggregator/web/pages"
NOUNS = ("datasets", "experiments", "predictions")


def rows() -> list[list[str]]:
    """Cells of the table, a row a list."""
    text = (ROOT / "docs/workbench.md").read_text(encoding="utf-8").partition("## Every action")[2]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named(column: int) -> set[str]:
    """What stands between backticks in a column."""
    return {word for row in rows() for word in re.findall(r"`([^`]+)`", row[column])}


def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Commands below a parser."""
    return dict(parser._subparsers._group_actions[0].choices)


def test_the_table_is_whole():
    """Five cells a row, and no action twice under the same path."""
    assert len(rows()) > 50
    assert {len(row) for row in rows()} == {5}
    assert len({row[2] for row in rows()}) == len(rows())


def test_every_path_of_rest_stands_in_it_and_exists():
    """As many as the routes there are: none is forgotten, none made up."""
    there = {
        f"{method} {route.path}"
        for router in (datasets.router, experiments.router, predictions.router)
        for route in router.routes
        for method in route.methods
    }
    assert named(2) == there


def test_every_verb_of_the_client_stands_in_it_and_exists():
    """Of the three nouns of the workbench."""
    nouns = choices(client.parser(dict(os.environ)))
    assert named(3) == {f"{noun} {verb}" for noun in NOUNS for verb in choices(nouns[noun])}


def test_every_verb_of_the_trainer_stands_in_it_and_exists():
    """What is no verb there is a file, told by its ending, or the file named stop."""
    commands = choices(_parser())
    verbs = {*choices(commands["workbench"]), "automl"}
    assert "automl" in commands
    said = {word for word in named(4) if "." not in word and word != "stop"}
    assert said == verbs


def test_every_page_stands_in_it_and_exists():
    """By its address."""
    there = set(re.findall(r'page\("(/workbench[^"]*)"', (PAGES / "__init__.py").read_text(encoding="utf-8")))
    assert named(1) == there


@pytest.mark.parametrize("label", sorted({label for row in rows() for label in re.findall(r"\*([^*]+)\*", row[1])}))
def test_what_a_page_is_said_to_show_is_written_there(label):
    """Buttons, headings and fields by their words."""
    sources = [path.read_text(encoding="utf-8") for path in (PAGES / "workbench").glob("*.py")]
    assert any(f'"{label}"' in source for source in sources)
