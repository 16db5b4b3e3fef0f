"""How every noun declares its verbs: name, function, the options that many verbs share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.cli.tables import card

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregator.cli.client import Client

    Verb = Callable[[Client, argparse.Namespace], int | None]


def add(verbs: Any, name: str, verb: Verb, *, reads: bool = True) -> argparse.ArgumentParser:
    """Declare a verb; its docstring is its help. One that reads takes `--json`."""
    text = (verb.__doc__ or "").partition("\n")[0].rstrip(".")
    made: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    made.set_defaults(verb=verb)
    # The connection may be named after the verb as well as before the noun; only what is given overrules.
    made.add_argument("--url", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    made.add_argument("--token-file", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    if reads:
        made.add_argument("--json", action="store_true", help="answer in JSON")
    return made


def add_limit(parser: argparse.ArgumentParser, rows: int = 50) -> None:
    """`--limit`."""
    parser.add_argument("--limit", type=_positive, default=rows, metavar="N", help=f"rows at most (default: {rows})")


def print_one(answer: dict[str, Any], options: argparse.Namespace, *, hidden: tuple[str, ...] = ()) -> None:
    """One row, as JSON or a line a field without the `hidden` ones."""
    if options.json:
        print(json.dumps(answer, indent=1))
    else:
        print(card({name: value for name, value in answer.items() if name not in hidden}))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
