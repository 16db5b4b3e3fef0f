"""`anomaflow-trainer evaluate` and `anomaflow-trainer benchmark captures`: arguments and output, nothing else."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protos.exits import ExitCode
from trainer.arguments import amount, positive, rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.progress import Progress

_MANIFEST = (
    "table with the columns file, label (benign, attack, mixed), attack and attack_rule, and optionally source_repo or "
    "network"
)


def add_evaluate(commands: Any) -> argparse.ArgumentParser:
    """The command `evaluate`."""
    parser: argparse.ArgumentParser = commands.add_parser("evaluate", help="score captures whose truth is known")
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL")
    parser.add_argument(
        "--benign",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="the captures the model was fitted on; Mahalanobis, nearest neighbours and an isolation forest are fitted "
        "on the same rows and stand beside it",
    )
    _add_common(parser)
    return parser


def add_captures(kinds: Any) -> argparse.ArgumentParser:
    """The benchmark `captures`."""
    parser: argparse.ArgumentParser = kinds.add_parser(
        "captures", help="fit on some benign captures of a manifest and evaluate on the others and on every attack"
    )
    parser.add_argument("--seeds", type=positive, default=3, help="how many splits, at least three (default 3)")
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
    parser.add_argument(
        "--hold-out",
        choices=("captures", "networks"),
        default="captures",
        help="what is kept from the fit: captures drawn at random, or one whole network after the other",
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the fitted models here; forgotten if not given")
    parser.add_argument("--epochs", type=positive, default=60, help="most passes over the rows (default 60)")
    _add_common(parser)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, required=True, metavar="CSV", help=_MANIFEST)
    parser.add_argument(
        "--fpr",
        "--alpha",
        dest="alpha",
        type=rate,
        default=5e-3,
        help="promised false-positive rate whose threshold is used (default 0.005)",
    )
    parser.add_argument(
        "--recalibrate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let networks with enough quiet traffic set their own threshold, as agent groups do (default yes)",
    )
    parser.add_argument(
        "--flows-per-day",
        type=amount,
        default=1_000_000.0,
        metavar="N",
        help="flows a day for which false alerts are stated (default 1000000)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write evaluation.json and evaluation.html here")
    parser.add_argument(
        "--progress", choices=("bar", "none"), help="how progress is shown: a bar on a terminal if not given"
    )


def run_evaluate(options: argparse.Namespace, progress: Progress) -> ExitCode:
    """Examine one model."""
    from trainer.captures import baselines, page, text
    from trainer.judging import examine
    from trainer.making import model

    judged = model.load(options.model)
    beside: dict[str, examine.Baseline] = {}
    fitted_on = frozenset[str]()
    if options.benign:
        beside, fitted_on = baselines.fit(
            options.benign, judged, lambda fraction, message: progress.stage("fit", fraction, message)
        )
    found = examine.examine(
        judged,
        options.manifest,
        options.alpha,
        lambda fraction, message: progress.stage("evaluate", fraction, message),
        recalibrated=options.recalibrate,
        baselines=beside,
        fitted_on=fitted_on,
        flows_per_day=options.flows_per_day,
    )
    progress.end()
    if options.report:
        page.save(found, options.report)
    print(json.dumps(found, allow_nan=False) if options.json else text.as_text(found))
    return ExitCode.OK


def run_captures(options: argparse.Namespace, progress: Progress, clock: Callable[[], int]) -> ExitCode:
    """Fit and examine models, a split after the other."""
    from trainer.captures import page, study, summary

    plan = study.Plan(
        manifest=options.manifest,
        alpha=options.alpha,
        seeds=options.seeds,
        first_seed=options.first_seed,
        fit_share=options.fit_share,
        by_network=options.hold_out == "networks",
        recalibrated=options.recalibrate,
        epochs=options.epochs,
        flows_per_day=options.flows_per_day,
        work=options.work,
    )
    found = study.run(plan, progress, clock)
    progress.end()
    if options.report:
        page.save_study(found, options.report)
    print(json.dumps(found, allow_nan=False) if options.json else summary.as_text(found))
    return ExitCode.OK
