"""The client's command line: where the connection may be named, and that every verb says what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.cli.main import parser

AFTER = ["alerts", "list", "--url", "http://127.0.0.1:9", "--token-file", "t"]
BEFORE = ["--url", "http://127.0.0.1:9", "--token-file", "t", "alerts", "list"]


@pytest.mark.parametrize("words", [AFTER, BEFORE], ids=["after the verb", "before the noun"])
def test_the_connection_may_be_named_on_either_side(words):
    """Nobody has to remember the order."""
    options = parser({"ANOMAFLOW_URL": "http://elsewhere"}).parse_args(words)
    assert options.url == "http://127.0.0.1:9"
    assert options.token_file == Path("t")


def test_the_environment_names_it_otherwise():
    """Without flags the environment counts, then the default."""
    options = parser({"ANOMAFLOW_URL": "http://elsewhere", "ANOMAFLOW_TOKEN_FILE": "f"}).parse_args(["alerts", "list"])
    assert (options.url, options.token_file) == ("http://elsewhere", Path("f"))
    assert parser({}).parse_args(["alerts", "list"]).token_file is None
