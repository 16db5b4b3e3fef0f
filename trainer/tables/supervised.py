"""The supervised part: classifiers on labelled rows, judged where nothing near was learned, and the trap beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.errors import NotEnoughRows
from trainer.judging import evaluate, spread
from trainer.tables import classifiers, cost, fitted, protocol
from trainer.tables.classifiers import CLASSIFIERS, Boosting, Perceptron
from trainer.tables.encoding import Encoding
from trainer.tables.judged import TEST, parts
from trainer.tables.labelled import BENIGN, Labelled
from trainer.tables.portfolio import PORTFOLIO
from trainer.tables.protocol import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.tables.fitted import Fitted
    from trainer.tables.protocol import Deal
    from trainer.tables.settings import Run

MEAN = "mean_of_classifiers"
GUARDED = "classifiers_or_portfolio"
TRAP = "the trap: never compare this figure with one from an official or held-out test"


def judge(data: Labelled, seeds: Sequence[Fitted], run: Run, reached: float) -> dict[str, Any]:
    """The supervised part of the report; progress goes from `reached` to 1."""
    if data.official_test is not None and not (~data.benign & ~data.official_test).any():
        # The rows before the test hold no attack to learn from, so families are held out of the whole instead.
        data = replace(data, official_test=None, parts={}, notes=())
        seeds = []
    step = (1 - reached) / run.seeds
    found: list[dict[str, Any]] = []
    traps: list[dict[str, Any]] = []
    skipped, rule, held = None, "", []
    for at, seed in enumerate(run.each_seed()):
        start = reached + at * step
        run.tell(start, f"seed {seed}: a random split, to show the trap")
        traps.append(_trap(data, seed))
        if skipped is not None:
            continue
        try:
            deal = protocol.supervised(data, seed)
        except NotEnoughRows as error:
            skipped = str(error)
            continue
        rule = deal.rule
        held.append(list(deal.held_out))
        known = (
            seeds[at]
            if seeds
            else fitted.fit(data, fitted.roles(data, seed), seed, run, reached=start, width=step * 0.6)
        )
        run.tell(start + step * 0.6, f"seed {seed}: classifiers")
        found.append(_seed(data, deal, known, run, seed))
    return {
        "protocol": rule or None,
        "held_out_families": held,
        "skipped": skipped,
        "headline": GUARDED,
        "tests": _together(found) if found else {},
        "budget": [entry["budget"] for entry in found],
        "cost": found[0]["cost"] if found else {},
        "random_split": {"warning": TRAP, "protocol": protocol.random_split(data, seed=0).rule, "models": _mean(traps)},
    }


def _seed(data: Labelled, deal: Deal, known: Fitted, run: Run, seed: int) -> dict[str, Any]:
    """One seed: classifiers fitted, the budget chosen, every part of the test judged."""
    learn = np.flatnonzero(deal.of(Role.FIT) | deal.of(Role.SELECT))
    learn = learn[classifiers.sample(len(learn), seed)]
    test = np.flatnonzero(deal.of(Role.TEST))
    encoding = Encoding.fit(data.table.take(learn))
    rows, classes = encoding.apply(data.table.take(learn)), data.class_[learn]
    test_rows = encoding.apply(data.table.take(test))
    chances: dict[str, NDArray[np.float64]] = {}
    named: dict[str, NDArray[np.str_]] = {}
    costs: dict[str, Any] = {}
    for make in CLASSIFIERS:
        start = run.clock()
        model = make(seed=seed).fit(rows, classes)
        seconds = run.clock() - start
        chances[make.kind] = classifiers.attack_chance(model, test_rows)
        names, each = model.chances(test_rows)
        if len(names) > 2:
            named[make.kind] = names[each.argmax(axis=1)]
        costs[make.kind] = _cost(model, test_rows, seconds, len(rows), run)
    chances[MEAN] = np.mean([chances[make.kind] for make in CLASSIFIERS], axis=0)
    budget, cut, strange = _budget(data, deal, known, encoding, seed)
    called = {name: values > 0.5 for name, values in chances.items()}
    strangeness = strange[deal.of(Role.TEST)]
    called[GUARDED] = called[MEAN] | (strangeness >= cut)
    called[PORTFOLIO] = strangeness >= cut
    calibrate = np.flatnonzero(deal.of(Role.CALIBRATE) & data.benign)
    chances[GUARDED] = _guarded(chances[MEAN], strangeness, strange[calibrate])
    chances[PORTFOLIO] = strangeness.astype(np.float64)
    told = {
        part: _part(
            data, test, mask, chances=chances, called=called, named=named, known_names=np.unique(data.family[learn])
        )
        for part, mask in parts(data, deal.of(Role.TEST)).items()
    }
    return {"tests": told, "budget": {"alpha": budget.alpha, "tried": budget.tried, "rule": budget.rule}, "cost": costs}


def _budget(
    data: Labelled, deal: Deal, known: Fitted, encoding: Encoding, seed: int
) -> tuple[classifiers.Budget, float, NDArray[np.float32]]:
    """The alpha chosen on training rows, the portfolio's threshold for it, its scores of rows it was not fitted on."""
    strange = np.full(len(data.family), np.nan, dtype=np.float32)
    strange[known.scored] = known.scores[PORTFOLIO]
    calibrate = np.flatnonzero(deal.of(Role.CALIBRATE) & data.benign)
    judged, reference = calibrate[::2], calibrate[1::2]
    learn = np.flatnonzero(deal.of(Role.FIT) | deal.of(Role.SELECT))
    learn = np.sort(np.concatenate([learn[classifiers.sample(len(learn), seed, 20_000)], judged]))
    # A benign row the portfolio was fitted on has no honest score; it only teaches the classifier and is never judged.
    scores = np.nan_to_num(strange[learn], nan=-np.inf)
    chosen = classifiers.budget(
        encoding.apply(data.table.take(learn)),
        data.family[learn],
        scores,
        reference=strange[reference],
        held=np.isin(learn, judged),
        seed=seed,
    )
    return chosen, float(np.quantile(strange[calibrate], 1 - chosen.alpha)), strange


def _guarded(
    chance: NDArray[np.float64], strange: NDArray[np.float32], reference: NDArray[np.float32]
) -> NDArray[np.float64]:
    """One ranking of both: the chance of an attack, plus the share of benign rows less strange than the row."""
    place = np.searchsorted(np.sort(reference), strange) / (len(reference) + 1)
    beyond = strange / max(float(np.abs(strange).max()), 1e-9)
    return chance + place + 1e-3 * beyond


def _part(
    data: Labelled,
    test: NDArray[np.intp],
    mask: NDArray[np.bool_],
    *,
    chances: dict[str, NDArray[np.float64]],
    called: dict[str, NDArray[np.bool_]],
    named: dict[str, NDArray[np.str_]],
    known_names: NDArray[np.str_],
) -> dict[str, Any]:
    inside = mask[test]
    rows = test[inside]
    attack, family, class_ = ~data.benign[rows], data.family[rows], data.class_[rows]
    new = data.never_seen(family, known_names)
    told: dict[str, Any] = {}
    for name, calls in called.items():
        says, scores = calls[inside], chances[name][inside].astype(np.float32)
        told[name] = {
            **classifiers.accuracy(says, attack),
            "roc_auc": evaluate.stump_area(scores, attack, "high"),
            "average_precision": evaluate.average_precision(scores[~attack], scores[attack], float(np.mean(attack))),
            "recall_never_seen": float(np.mean(says[new])) if new.any() else None,
            "recall_by_class": evaluate.recall_by_class(says[attack].astype(np.float32), class_[attack], 0.5),
        }
        if name in named:
            labels = np.unique(data.class_).tolist()
            told[name]["classes"] = {
                "accuracy": float(np.mean(named[name][inside] == class_)),
                "by_class": classifiers.by_class(named[name][inside], class_, labels),
            }
    return {"rows": len(rows), "prevalence": float(np.mean(attack)), "never_seen_rows": int(new.sum()), "models": told}


def _trap(data: Labelled, seed: int) -> dict[str, Any]:
    deal = protocol.random_split(data, seed)
    learn = np.flatnonzero(deal.of(Role.FIT))
    learn = learn[classifiers.sample(len(learn), seed)]
    test = np.flatnonzero(deal.of(Role.TEST))
    encoding = Encoding.fit(data.table.take(learn))
    rows, truth = encoding.apply(data.table.take(learn)), np.where(data.benign[learn], BENIGN, "attack")
    attack = ~data.benign[test]
    told: dict[str, Any] = {}
    for make in (Boosting, Perceptron):
        chance = classifiers.attack_chance(make(seed=seed).fit(rows, truth), encoding.apply(data.table.take(test)))
        told[make.kind] = {
            "accuracy": classifiers.accuracy(chance > 0.5, attack)["accuracy"],
            "roc_auc": evaluate.stump_area(chance.astype(np.float32), attack, "high"),
        }
    return told


def _cost(model: Any, rows: NDArray[np.float32], seconds: float, count: int, run: Run) -> dict[str, Any]:
    return {
        "train_seconds": round(seconds, 3),
        "train_rows": count,
        "model_bytes": cost.size(model),
        "rows_per_second_one_core": round(cost.rows_a_second(model.chances, rows, run.clock), 1),
    }


def _together(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Every seed's figures as mean and t interval, part by part."""
    told: dict[str, Any] = {}
    for part in found[0]["tests"]:
        each = [entry["tests"][part] for entry in found]
        told[part] = {
            "rows": max(entry["rows"] for entry in each),
            "prevalence": float(np.mean([entry["prevalence"] for entry in each])),
            "never_seen_rows": max(entry["never_seen_rows"] for entry in each),
            "models": _mean([entry["models"] for entry in each]),
        }
    return told


def _mean(found: Sequence[Any]) -> Any:
    """The same shape, with `spread.over_seeds` for every number, and `rows` and intervals of the first."""
    first = found[0]
    if isinstance(first, dict):
        told = {}
        for key in first:
            there = [entry[key] for entry in found if key in entry]
            if key == "rows":
                told[key] = max(there)
            elif key != "interval":
                told[key] = _mean(there)
        return told
    numbers = [value for value in found if value is not None]
    return spread.over_seeds(numbers) if numbers else None


__all__ = ["GUARDED", "MEAN", "TEST", "judge"]
