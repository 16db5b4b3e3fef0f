"""`anomaflow <noun> <verb>`: parse, ask, show. Exit codes are those of protos/exits.py."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli import (
    agents,
    alerts,
    datasets,
    experiments,
    flows,
    incidents,
    jobs,
    labels,
    models,
    policies,
    predictions,
    sets,
    suppressions,
    users,
)
from aggregator.cli.client import DEFAULT_URL, Client, ClientError
from protos.exits import ExitCode
from protos.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOUNS = (
    alerts, incidents, flows, agents, models, policies, labels, sets, suppressions, jobs, datasets, experiments,
    predictions, users,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code."""
    options = parser(os.environ).parse_args(arguments)
    try:
        with Client(options.url, token_file=options.token_file) as client:
            return int(options.verb(client, options) or ExitCode.OK)
    except ClientError as error:
        print(f"anomaflow: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.OK)


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """All nouns and verbs."""
    made = argparse.ArgumentParser(prog="anomaflow", description="Ask and steer an Anomaflow aggregator.")
    made.add_argument("--version", action="version", version=VERSION)
    made.add_argument(
        "--url",
        default=environ.get("ANOMAFLOW_URL", DEFAULT_URL),
        help=f"address of the aggregator (environment: ANOMAFLOW_URL; default: {DEFAULT_URL})",
    )
    token_file = environ.get("ANOMAFLOW_TOKEN_FILE")
    made.add_argument(
        "--token-file",
        type=Path,
        default=None if token_file is None else Path(token_file),
        metavar="FILE",
        help="file with an API token (environment: ANOMAFLOW_TOKEN_FILE)",
    )
    nouns = made.add_subparsers(metavar="NOUN", required=True)
    for module in NOUNS:
        name = module.__name__.rpartition(".")[2]
        text = (module.__doc__ or "").partition(":")[2].strip().rstrip(".")
        noun = nouns.add_parser(name, help=text, description=text)
        module.add_verbs(noun.add_subparsers(metavar="VERB", required=True))
    return made


if __name__ == "__main__":
    sys.exit(main())
