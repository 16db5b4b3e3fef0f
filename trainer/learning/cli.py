"""`anomaflow-trainer benchmark learning`: arguments and output, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protos.exits import ExitCode
from trainer.arguments import positive, rate

if TYPE_CHECKING:
    import argparse

    from trainer.progress import Progress


def add_arguments(kinds: Any) -> argparse.ArgumentParser:
    """The benchmark `learning`; its `run` default is this module's `run`."""
    parser: argparse.ArgumentParser = kinds.add_parser(
        "learning", help="what verdicts on some incidents of a manifest are worth on attacks never labelled"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--manifest",
        type=Path,
        required=True,
        metavar="CSV",
        help="table with the columns file, label (benign, attack, mixed), attack and attack_rule",
    )
    parser.add_argument("--incidents", type=positive, default=50, help="verdicts that are given (default 50)")
    parser.add_argument("--seeds", type=positive, default=3, help="how many deals (default 3)")
    parser.add_argument(
        "--first-seed",
        type=positive,
        default=1,
        metavar="N",
        help="seeds are counted from here; what was settled by some seeds is confirmed only by others (default 1)",
    )
    parser.add_argument(
        "--fit-share", type=rate, default=0.6, help="share of the benign captures that are fitted on (default 0.6)"
    )
    parser.add_argument("--alpha", type=rate, default=5e-3, help="rate at which flows alert (default 0.005)")
    parser.add_argument("--epochs", type=positive, default=60, help="most passes over the rows (default 60)")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--progress", choices=("bar", "none"), help="a bar on a terminal, if not given")
    return parser


def run(options: argparse.Namespace, progress: Progress) -> ExitCode:
    """Measure and print. The gate of the benchmark is told, not enforced: exit codes are about the run."""
    from trainer.learning import study, text
    from trainer.learning.roles import Plan

    plan = Plan(
        manifest=options.manifest,
        incidents=options.incidents,
        seeds=options.seeds,
        first_seed=options.first_seed,
        fit_share=options.fit_share,
        alpha=options.alpha,
        epochs=options.epochs,
    )
    found = study.measure(plan, lambda fraction, message: progress.stage("benchmark", fraction, message))
    progress.end()
    print(json.dumps(found) if options.json else text.as_text(found))
    return ExitCode.OK
