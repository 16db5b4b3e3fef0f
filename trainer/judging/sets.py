"""`anomaflow-trainer sets`: the command that makes a frozen set file for the aggregator to keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protos.exits import ExitCode
from protos.manifest import CaptureProfile
from trainer.corpora.rows import file_digest
from trainer.judging import frozen

if TYPE_CHECKING:
    import argparse


def add_arguments(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to the trainer's parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "sets",
        help="make a frozen set: attacks or benign flows that judge models and never train one",
        description="Meter captures into a set file, for `fit --attacks`, `fit --golden`, or the aggregator to keep.",
    )
    parser.add_argument("--purpose", choices=frozen.PURPOSES, required=True, help="what the rows are")
    parser.add_argument(
        "--from",
        dest="sources",
        nargs="+",
        required=True,
        metavar="PATH",
        help="captures, folders, manifests, set files; for attacks also the word generated",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the set file to write (.parquet)")
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    return parser


def run(options: argparse.Namespace) -> ExitCode:
    """Write the file and say what is in it. Raises `TrainerError`, or the agent's `SourceError`."""
    made = frozen.read(options.sources, options.purpose, CaptureProfile())
    frozen.write(made, options.purpose, options.out)
    told = {"file": str(options.out), "sha256": file_digest(options.out), "purpose": options.purpose, **made.to_json()}
    if options.json:
        print(json.dumps(told))
    else:
        print(f"set      {options.out}\nsha256   {told['sha256']}\nrows     {told['rows']}")
        for name, rows in told["families"].items():
            print(f"  {name:<24} {rows:>7}")
    return ExitCode.OK
