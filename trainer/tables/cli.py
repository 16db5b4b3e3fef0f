"""`anomaflow-trainer benchmark`: arguments, and what is done with them. Nothing heavy is imported until it runs."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protos.exits import ExitCode
from trainer.arguments import positive
from trainer.captures import cli as captures
from trainer.learning import cli as learning

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.progress import Progress
    from trainer.tables.labelled import Labelled

_MODES = ("benign-only", "supervised")


def add_arguments(commands: Any, clock: Callable[[], Callable[[], int]]) -> argparse.ArgumentParser:
    """The command and its data sets. `clock` makes the clock that reports of captures are dated by."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "benchmark", help="judge the detectors on public data sets, captures, or a table of your own"
    )
    sets = parser.add_subparsers(title="data sets", required=True, metavar="DATASET")

    nsl = sets.add_parser("nsl-kdd", help="NSL-KDD: raw files with 43 columns, or tables with a class column")
    nsl.set_defaults(load=_nsl_kdd)
    nsl.add_argument(
        "--train", type=Path, required=True, metavar="FILE", help="training file; gzip allowed, as everywhere"
    )
    nsl.add_argument("--test", type=Path, metavar="FILE", help="KDDTest+; without it attack families are held out")
    nsl.add_argument(
        "--test-21", type=Path, metavar="FILE", help="KDDTest-21; derived from a raw KDDTest+ if not given"
    )

    kdd = sets.add_parser("kdd99", help="KDD Cup 99: raw files with 42 columns, five classes")
    kdd.set_defaults(load=_kdd99)
    kdd.add_argument("--data", type=Path, required=True, metavar="FILE", help="such as kddcup.data_10_percent.gz")
    kdd.add_argument("--test", type=Path, metavar="FILE", help="such as corrected.gz; without it families are held out")

    table = sets.add_parser("table", help="any table with a column that says what a row is")
    table.set_defaults(load=_table)
    table.add_argument("--train", type=Path, required=True, metavar="FILE", help="CSV with a header; gzip allowed")
    table.add_argument(
        "--test", type=Path, metavar="FILE", help="table of the same columns; without it families are held out"
    )
    table.add_argument("--label", required=True, metavar="COLUMN", help="column that says what a row is")
    table.add_argument("--benign", required=True, metavar="VALUE", help="its value for benign rows")
    table.add_argument("--family", metavar="COLUMN", help="column that names attacks more finely than the label")
    table.add_argument("--time", metavar="COLUMN", help="column by whose order benign rows are dealt; never a feature")
    _add_columns(table)

    cicids = sets.add_parser("cicids2017", help="CICIDS2017 by day: benign rows of the first against all later days")
    cicids.set_defaults(load=_cicids2017)
    cicids.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="the improved table, with Timestamp and Label"
    )
    _add_columns(cicids)

    unsw = sets.add_parser("unsw-nb15", help="UNSW-NB15: tables with the columns label and attack_cat")
    unsw.set_defaults(load=_unsw_nb15)
    unsw.add_argument("--data", type=Path, required=True, metavar="FILE", help="the training table")
    unsw.add_argument("--test", type=Path, metavar="FILE", help="the testing table; without it families are held out")
    _add_columns(unsw)

    for each in (nsl, kdd, table, cicids, unsw):
        each.set_defaults(run=run)
        _add_common(each)
    learning.add_arguments(sets)
    captures.add_captures(sets).set_defaults(
        run=lambda options, progress: captures.run_captures(options, progress, clock())
    )
    return parser


def _add_columns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--drop", nargs="+", default=[], metavar="COLUMN", help="columns that must not be features")
    parser.add_argument(
        "--keep",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns that are features although they look like identifiers, addresses, ports, times or TTLs",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--report", type=Path, metavar="DIR", help="folder for report.json and report.html")
    parser.add_argument("--seeds", type=positive, default=3, help="how many seeds (default 3)")
    parser.add_argument("--alpha", type=_calibrated, default=0.01, help="promised false-positive rate (default 0.01)")
    parser.add_argument(
        "--flows-a-day",
        type=float,
        default=1e6,
        help="benign flows a day that false alerts are stated for (default 1000000)",
    )
    parser.add_argument(
        "--max-rows",
        type=positive,
        default=60_000,
        help="most rows used beside the test file; the rest is set aside (default 60000)",
    )
    parser.add_argument("--mode", choices=(*_MODES, "both"), default="both", help="which detectors (default both)")
    parser.add_argument("--epochs", type=positive, help="most passes of the autoencoders over their rows (default 60)")
    parser.add_argument(
        "--progress", choices=("bar", "json", "none"), help="how progress is shown: a bar on a terminal, if not given"
    )


def run(options: argparse.Namespace, progress: Progress) -> ExitCode:
    """Load, judge, write, print."""
    from dataclasses import replace

    from trainer.tables import report
    from trainer.tables.benchmark import benchmark
    from trainer.tables.portfolio import NETWORK
    from trainer.tables.settings import Run

    def tell(fraction: float, message: str) -> None:
        progress.stage("benchmark", fraction, message)

    tell(0.0, "reading")
    data: Labelled = options.load(options)
    found = benchmark(
        data,
        Run(
            tell=tell,
            clock=time.perf_counter,
            seeds=options.seeds,
            alpha=options.alpha,
            flows_a_day=options.flows_a_day,
            most_rows=options.max_rows,
            modes=_MODES if options.mode == "both" else (options.mode,),
            network=NETWORK if options.epochs is None else replace(NETWORK, epochs=options.epochs),
        ),
    )
    progress.end()
    if options.report is not None:
        report.save(found, options.report)
    if not progress.event("result", {"report": None if options.report is None else str(options.report), **found}):
        print(json.dumps(found) if options.json else report.as_text(found))
    return ExitCode.OK


def _nsl_kdd(options: argparse.Namespace) -> Labelled:
    from trainer.tables import kdd

    return kdd.nsl_kdd(options.train, options.test, options.test_21)


def _kdd99(options: argparse.Namespace) -> Labelled:
    from trainer.tables import kdd

    return kdd.kdd99(options.data, options.test)


def _table(options: argparse.Namespace) -> Labelled:
    from trainer.tables import sets

    return sets.table(
        options.train,
        options.test,
        label=options.label,
        benign=options.benign,
        family=options.family,
        time=options.time,
        drop=options.drop,
        keep=options.keep,
    )


def _cicids2017(options: argparse.Namespace) -> Labelled:
    from trainer.tables import sets

    return sets.cicids2017(options.data, drop=options.drop, keep=options.keep)


def _unsw_nb15(options: argparse.Namespace) -> Labelled:
    from trainer.tables import sets

    return sets.unsw_nb15(options.data, options.test, drop=options.drop, keep=options.keep)


def _calibrated(text: str) -> float:
    from trainer.making.recipe import ALPHAS

    value = float(text)
    if value not in ALPHAS:
        raise argparse.ArgumentTypeError(f"{text} is not one of the calibrated rates {', '.join(map(str, ALPHAS))}")
    return value
