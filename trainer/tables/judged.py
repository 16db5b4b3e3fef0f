"""Judging the benign-only detectors: every figure of the protocol, for every part of the test, over all seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.judging import evaluate, spread
from trainer.making import calibrate as calibration
from trainer.making.recipe import ALPHAS
from trainer.tables import cost, fitted
from trainer.tables.labelled import BENIGN
from trainer.tables.portfolio import PORTFOLIO
from trainer.tables.protocol import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.tables.fitted import Fitted
    from trainer.tables.labelled import Labelled
    from trainer.tables.settings import Run

TEST: Final = "test"
_SINGLE: Final = ("prevalence", "benign_rows", "attack_rows", "promised_fpr")
_SPREAD: Final = (*spread.FIGURES, "recall", "realised_fpr", "false_alerts_a_day")
CURVES_OF: Final = (PORTFOLIO, "std_count")


def run_seeds(data: Labelled, run: Run, share: float) -> list[Fitted]:
    """Fit and score with every seed; progress goes from 0 to `share`."""
    width = share / run.seeds
    return [
        fitted.fit(data, fitted.roles(data, seed), seed, run, reached=at * width, width=width)
        for at, seed in enumerate(run.each_seed())
    ]


def parts(data: Labelled, deal_test: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """The named parts of the test, or the one there is."""
    return data.parts or {TEST: deal_test}


def judge(data: Labelled, seeds: Sequence[Fitted], run: Run) -> dict[str, Any]:
    """The benign-only part of the report."""
    known = np.setdiff1d(np.unique(data.family[~data.test_file]), np.array(seeds[0].deal.held_out, dtype=np.str_))
    by_part: dict[str, Any] = {}
    for part in parts(data, seeds[0].deal.of(Role.TEST)):
        found = {
            name: _detector(data, seeds, name, part, run=run, known=known, draws=-(-spread.RESAMPLES // len(seeds)))
            for name in seeds[0].scores
        }
        test = parts(data, seeds[0].deal.of(Role.TEST))[part]
        by_part[part] = {
            "rows": int(test.sum()),
            "prevalence": found[PORTFOLIO]["prevalence"],
            "never_seen_families": np.unique(data.family[test & data.never_seen(data.family, known)]).tolist(),
            "detectors": found,
            "best_single_feature": _stump(data, seeds[0], test),
            "curves": {name: _curves(data, seeds[0], name, part) for name in CURVES_OF},
        }
    return {
        "protocol": seeds[0].deal.rule,
        "roles": seeds[0].deal.counts(),
        "held_out_families": list(seeds[0].deal.held_out),
        "features": len(seeds[0].encoding.names),
        "headline": PORTFOLIO,
        "interval": "95 %, bootstrap of benign and attack test rows, pooled over the seeds; t over seeds beside it",
        "tests": by_part,
        "cost": {name: _cost(seeds, name, run) for name in seeds[0].scores},
    }


def _detector(
    data: Labelled,
    seeds: Sequence[Fitted],
    name: str,
    part: str,
    *,
    run: Run,
    known: NDArray[np.str_],
    draws: int,
) -> dict[str, Any]:
    each, drawn, classes, families, unseen = [], [], [], [], []
    for seed in seeds:
        scores, thresholds, test = _calibrated(data, seed, name, part)
        benign, attack = scores[data.benign[test]], scores[~data.benign[test]]
        metrics = evaluate.metrics(benign, attack, thresholds, run.alpha)
        metrics["false_alerts_a_day"] = evaluate.alerts_a_day(metrics["realised_fpr"], run.flows_a_day)
        each.append(metrics)
        drawn.append(spread.redrawn(benign, attack, draws, np.random.default_rng([seed.seed, 37])))
        names = data.family[test][~data.benign[test]]
        classes.append(evaluate.recall_by_class(attack, data.class_[test][~data.benign[test]], metrics["threshold"]))
        families.append(evaluate.recall_by_class(attack, names, metrics["threshold"]))
        new = data.never_seen(names, known)
        unseen.append(float(np.mean(attack[new] >= metrics["threshold"])) if new.any() else None)
    over_rows = spread.over_rows(drawn)
    figures: dict[str, Any] = {key: each[0][key] for key in _SINGLE}
    for key in _SPREAD:
        values = [metrics[key] for metrics in each]
        if None in values:
            figures[key] = None
            continue
        told = spread.over_seeds(values)
        interval = over_rows.get(key)
        figures[key] = {**told, "interval": interval if interval is not None else _widest(each, key)}
    figures["promises"] = [
        _promise([metrics["false_positive_rates"][at] for metrics in each]) for at in range(len(ALPHAS))
    ]
    figures["recall_by_class"] = _mean_recall(classes)
    figures["recall_by_family"] = _mean_recall(families)
    figures["recall_never_seen"] = (
        None if None in unseen else spread.over_seeds([value for value in unseen if value is not None])
    )
    return figures


def _calibrated(
    data: Labelled, seed: Fitted, name: str, part: str
) -> tuple[NDArray[np.float32], Any, NDArray[np.bool_]]:
    """`-log10 p` of the part's test rows, the thresholds, and which rows they are."""
    calibrate = seed.deal.of(Role.CALIBRATE) & data.benign
    test = parts(data, seed.deal.of(Role.TEST))[part] & seed.deal.of(Role.TEST)
    found = calibration.calibrate(seed.of(name, calibrate), ALPHAS)
    return found.score(seed.of(name, test)), found.thresholds, test


def _widest(each: Sequence[dict[str, Any]], key: str) -> list[float] | None:
    """For rates that count test rows: from the least low end to the greatest high end of the seeds' intervals."""
    if key == "recall":
        spans = [
            evaluate.interval(round(metrics["recall"] * metrics["attack_rows"]), metrics["attack_rows"])
            for metrics in each
        ]
    elif key == "realised_fpr":
        spans = [metrics["realised_fpr_interval"] for metrics in each]
    else:
        return None
    return [min(span[0] for span in spans), max(span[1] for span in spans)]


def _promise(rates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One promised rate, and what came of it over the seeds."""
    return {
        "promised": rates[0]["alpha"],
        "certified": all(rate["certified"] for rate in rates),
        "realised": spread.over_seeds([rate["realised"] for rate in rates]),
        "interval": [min(rate["interval"][0] for rate in rates), max(rate["interval"][1] for rate in rates)],
    }


def _mean_recall(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Recall by name, averaged over the seeds whose test has the name."""
    told: dict[str, Any] = {}
    for name in sorted({name for entry in found for name in entry if name != BENIGN}):
        there = [entry[name] for entry in found if name in entry]
        told[name] = {
            "rows": max(entry["rows"] for entry in there),
            "recall": float(np.mean([entry["recall"] for entry in there])),
            "interval": [min(entry["interval"][0] for entry in there), max(entry["interval"][1] for entry in there)],
        }
    return told


def _stump(data: Labelled, seed: Fitted, test: NDArray[np.bool_]) -> dict[str, Any]:
    """The best single feature, chosen where labels may be looked at; otherwise on the test, as the bound it then is."""
    train = ~data.test_file & ~test & (~data.benign | seed.deal.of(Role.FIT))
    honest = bool((~data.benign[train]).any())
    looked = train if honest else test
    name, side, at, area = evaluate.best_stump(seed.matrix[looked], ~data.benign[looked], seed.encoding.names)
    values = seed.matrix[test, at]
    shown = area if not honest else evaluate.stump_area(values, ~data.benign[test], side)
    chosen = (
        "labels of training rows" if honest else "labels of the test: a bound on what one column can do, not a result"
    )
    return {"feature": name, "side": side, "roc_auc": shown, "chosen_by": chosen}


def _curves(data: Labelled, seed: Fitted, name: str, part: str) -> dict[str, Any]:
    scores, _, test = _calibrated(data, seed, name, part)
    return evaluate.curves(scores[data.benign[test]], scores[~data.benign[test]])


def _cost(seeds: Sequence[Fitted], name: str, run: Run) -> dict[str, Any]:
    first = seeds[0]
    model = first.models[name]
    rows = first.matrix[first.scored]
    return {
        "train_seconds": round(float(np.mean([seed.seconds[name] for seed in seeds])), 3),
        "train_rows": int((first.deal.of(Role.FIT)).sum()),
        "model_bytes": cost.size(model),
        "rows_per_second_one_core": round(cost.rows_a_second(model.raw_score, rows, run.clock), 1),
    }
