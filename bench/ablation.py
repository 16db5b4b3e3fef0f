"""What each group of context features buys: `python bench/ablation.py MANIFEST.csv`. Run by hand; docs/ablation.md.

A portfolio is fitted on benign captures, its p-values on others, and it is tested on a third share and on every attack
capture of the manifest, with a group of features left out, or with only that group beside the flow's own features. All
captures of one source (one device, one collection) go into one share, so that nothing is recognised. Neither a source
nor a capture counts for more than `MOST` flows. The threshold is the one that realises a false-positive rate of 0.5 %
on the benign test flows: what is compared is what features can tell apart, not how well a promise was kept.

Figures are means over the seeds; each seed deals the sources anew.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))

import planted

from agent import features
from agent.context import Context
from agent.meter import read_capture
from protos import contract
from trainer.corpora import truth
from trainer.detectors.portfolio import Portfolio
from trainer.judging.evaluate import average_precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

GROUPS: Final = {
    "counts": r"(src|dst|pair|service)_(flows|peers|ports|unanswered)_\d+s",
    "group address": r"dst_is_group",
    "refused": r".*_refused_\d+s",
    "bytes": r"(src|dst|pair)_(out|in)_bytes_per_second_\d+s",
    "sweep": r"src_service_peers_\d+s",
    "held open": r"service_held_\d+s",
    "exchanges": r"repeat_exchanges_\d+s",
    "paced": r"repeat_paced_\d+s",
    "alike": r"repeat_alike_\d+s",
    "routine": r"repeat_routine_\d+s",
    "DNS": r"dns_.*",
    "ICMP": r"icmp_.*",
}
"""Groups of features by their names. What is in none is a feature of the flow itself."""
MOST: Final = 250
RATE: Final = 0.005
MEMBERS: Final = ("std_count", "mahalanobis", "neighbours")
_BATCH: Final = 1024
_SHARES: Final = (0.5, 0.25)
_BEACON: Final = "beacon, planted"


@dataclass(frozen=True, slots=True)
class Rows:
    """Every flow: its matrix `[n, F]`, the number of its capture, its source, and its kind of attack ('' if benign)."""

    matrix: NDArray[np.float32]
    capture: NDArray[np.int64]
    source: NDArray[np.str_]
    kind: NDArray[np.str_]


def source_of(name: str) -> str:
    """The collection or device of a capture: its file name up to the last of two or more `__`; else the name."""
    parts = Path(name).name.split("__")
    return "__".join(parts[:-1]) if len(parts) > 2 else Path(name).name


def gather(manifest: Path) -> Rows:
    """Meter the captures of a manifest, compute their features, and plant beacons in those that last."""
    parts: list[tuple[NDArray[np.float32], int, str, NDArray[np.str_]]] = []
    rng = np.random.default_rng(7)
    for number, entry in enumerate(truth.read(manifest)):
        metered = list(read_capture(entry.path))
        if not metered:
            continue
        flows = np.concatenate(metered)
        attack = entry.is_attack(flows)
        kind = np.where(attack, entry.attack.split("(")[0], "" if entry.label == "benign" else "background")
        parts.append((rows_of(flows), number, source_of(entry.name), kind.astype("U40")))
        if entry.label == "benign" and planted.fits(flows):
            for pace, (period_s, jitter) in enumerate(planted.PACES):
                mixed, beats = planted.plant(flows, period_s, jitter, rng)
                told = np.full(int(beats.sum()), _BEACON)
                parts.append((rows_of(mixed)[beats], -1 - number - 100_000 * pace, "planted", told))
    return Rows(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([np.full(len(part[0]), part[1]) for part in parts]),
        np.concatenate([np.full(len(part[0]), part[2]) for part in parts]),
        np.concatenate([part[3] for part in parts]),
    )


def rows_of(flows: NDArray) -> NDArray[np.float32]:
    """The matrix of one capture's flows."""
    context = Context()
    return np.concatenate([features.compute(flows[at : at + _BATCH], context) for at in range(0, len(flows), _BATCH)])


def capped(rows: NDArray[np.intp], by: NDArray, rng: np.random.Generator) -> NDArray[np.intp]:
    """Of `rows`, at most `MOST` of each value of `by`."""
    kept = [
        mine if len(mine) <= MOST else np.sort(rng.choice(mine, MOST, replace=False))
        for mine in (rows[by[rows] == value] for value in np.unique(by[rows]))
    ]
    return np.concatenate(kept)


def deal(rows: Rows, seed: int) -> tuple[NDArray[np.intp], ...]:
    """Rows to fit, to make p-values, to test, and the attacks."""
    rng = np.random.default_rng(seed)
    benign = rows.kind == ""
    sources = rng.permutation(np.unique(rows.source[benign]))
    edges = np.cumsum([round(share * len(sources)) for share in _SHARES])
    shares = np.split(sources, edges)
    benign_rows = (np.flatnonzero(benign & np.isin(rows.source, share)) for share in shares)
    attacks = np.flatnonzero(~benign & (rows.kind != "background"))
    return (*(capped(mine, rows.source, rng) for mine in benign_rows), capped(attacks, rows.capture, rng))


def judge(rows: Rows, columns: NDArray[np.intp], seed: int, members: Sequence[str]) -> dict[str, float]:
    """The figures of one seed with some columns of the matrix."""
    fit, calibrate, test, attacks = deal(rows, seed)
    matrix = np.ascontiguousarray(rows.matrix[:, columns])
    learned = np.unique(matrix[fit], axis=0)
    portfolio = Portfolio(seed=seed, members=members).fit(learned, calibrate=matrix[calibrate])
    benign, hostile = portfolio.raw_score(matrix[test]), portfolio.raw_score(matrix[attacks])
    raised = hostile > np.quantile(benign, 1 - RATE, method="higher")
    kinds, captures = rows.kind[attacks], rows.capture[attacks]
    _, group, sizes = np.unique(captures, return_inverse=True, return_counts=True)
    weight = np.concatenate([np.ones(len(test)), len(test) / sizes[group] / len(sizes)])
    truths = np.concatenate([np.zeros(len(test)), np.ones(len(attacks))])
    alarms = benign > np.quantile(benign, 1 - RATE)
    result = {
        "AUC": float(roc_auc_score(truths, np.concatenate([benign, hostile]), sample_weight=weight)),
        "AP at 1 %": average_precision(benign, hostile, 0.01),
        "sources with alarms": len(np.unique(rows.source[test][alarms])) / len(np.unique(rows.source[test])),
    }
    recalls = {kind: float(raised[kinds == kind].mean()) for kind in np.unique(kinds)}
    families = {kind: [value for other, value in recalls.items() if family(other) == kind] for kind in FAMILIES}
    return result | {kind: float(np.mean(values)) for kind, values in families.items() if values}


FAMILIES: Final = {
    "scan": r"scan",
    "flood": r"ddos:syn",
    "amplification": r"ddos:amp",
    "spray": r"malware:cerber",
    "guessing": r"bruteforce",
    "slowloris": r"dos:slow",
    "beacon": r"beacon",
    "C2": r"c2",
    "DNS tunnel": r"tunnel:dns",
    "ICMP tunnel": r"tunnel:icmp",
    "lateral": r"lateral",
    "web": r"web|exploit",
    "other": r"",
}
"""Families of attacks by the manifest's kinds; the first that begins so decides."""


def family(kind: str) -> str:
    """The family of a kind of attack."""
    return next(name for name, pattern in FAMILIES.items() if re.match(pattern, kind))


def variants() -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Names and columns: the flow alone, the flow and one group, everything, everything but one group."""
    group = np.array([
        next((name for name, pattern in GROUPS.items() if re.fullmatch(pattern, feature)), "")
        for feature in contract.FEATURES
    ])  # fmt: skip
    yield "flow", np.flatnonzero(group == "")
    for name in GROUPS:
        yield f"flow + {name}", np.flatnonzero((group == "") | (group == name))
    yield "flow + counts + group address", np.flatnonzero(np.isin(group, ["", "counts", "group address"]))
    yield "all", np.arange(len(group))
    for name in GROUPS:
        yield f"all but {name}", np.flatnonzero(group != name)


def main() -> int:
    """Print the table, a line as soon as it is known."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("manifest", type=Path)
    arguments.add_argument("--seeds", type=int, default=4)
    arguments.add_argument("--members", default=",".join(MEMBERS), help="members of the portfolio, by comma")
    arguments.add_argument("--only", default="", help="regular expression of the variants wanted")
    arguments.add_argument("--spread", action="store_true", help="also the standard deviation between seeds")
    arguments.add_argument("--rows", type=Path, help="keep the rows in this file, and take them from it if it is there")
    options = arguments.parse_args()
    if options.rows and options.rows.exists():
        kept = np.load(options.rows)
        rows = Rows(kept["matrix"], kept["capture"], kept["source"], kept["kind"])
    else:
        rows = gather(options.manifest)
        if options.rows:
            np.savez(options.rows, matrix=rows.matrix, capture=rows.capture, source=rows.source, kind=rows.kind)
    members = tuple(options.members.split(","))
    benign = rows.kind == ""
    print(f"{benign.sum():,} benign flows of {len(np.unique(rows.source[benign]))} sources; ", end="")
    print(f"contract {contract.DIGEST[:16]}; members {', '.join(members)}; {options.seeds} seeds\n")
    heading = False
    for name, columns in variants():
        if not re.search(options.only, name):
            continue
        began = time.perf_counter()
        runs = [judge(rows, columns, seed, members) for seed in range(options.seeds)]
        means = {key: 100 * float(np.mean([run[key] for run in runs])) for key in runs[0]}
        if not heading:
            print("| features | n |", " | ".join(means), "|")
            print("|---|---|" + "---|" * len(means))
            heading = True
        cells = " | ".join(f"{value:.1f}" for value in means.values())
        print(f"| {name} | {len(columns)} | {cells} |", flush=True)
        if options.spread:
            spread = (100 * float(np.std([run[key] for run in runs], ddof=1)) for key in means)
            print("| ± between seeds | |", " | ".join(f"{value:.1f}" for value in spread), "|", flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
