"""The benchmark of learning: what labels of some incidents are worth on attacks that were never labelled.

For every seed:

1. Benign captures are dealt: most are fitted (what a product comes with, or saw), some are live while verdicts are
   given, the others are test rows.
2. Of every attack family, captures are dealt to a *seen* and an *unseen* half; a family of one capture is cut in two
   by time. Some families are never labelled: both halves of theirs are test rows.
3. A first model is fitted on benign rows alone. Up to `incidents` verdicts are given on the live and the seen captures,
   in two ways (asking.py): `queue`, where people answer what the review queue asks and nothing else; and `reported`,
   where up to half of the verdicts are attacks that people learnt of from elsewhere.
4. A second model is made of the same rows and those verdicts. Both are compared on the test rows only: average
   precision of every family against the benign test rows, at the prevalence found and at 1 % and 0.1 %.

Detectors are fitted on rows without a verdict alone, and those are the same before and after: so the detectors of the
first model are the second one's, which is checked, and no fit is paid for twice.

A test row whose features equal a labelled row's is left out and counted. Families of fewer than `FEWEST` test rows are
listed and judge nothing. The gate: the mean of the labelled families rises by `RISE`, and no family falls by more than
`FALL`. A family that the first model ranks almost perfectly cannot rise by as much, so the mean of those with room
(below `ROOM`) is told as well.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract
from trainer.corpora import beside, caps
from trainer.corpora.collecting import Collector
from trainer.corpora.rows import Verdict, words
from trainer.corpora.split import Role, split
from trainer.judging import evaluate
from trainer.learning.asking import Said, ask
from trainer.learning.roles import Part, Plan, deal, read
from trainer.making import assembly
from trainer.making.recipe import Network, Recipe
from trainer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.corpora.split import Split
    from trainer.learning.roles import Capture, Deal

RISE: Final = 0.10
FALL: Final = 0.01
FEWEST: Final = 5
ROOM: Final = 0.9
WAYS: Final = {"queue": 0.0, "reported": 0.5}
"""How verdicts come about: the share of them that are incidents known from elsewhere."""
PREVALENCES: Final = {"ap": None, "ap_1_percent": 0.01, "ap_0.1_percent": 0.001}


def measure(plan: Plan, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Every seed, and what comes of them together. Raises `DataError`, or the agent's `SourceError`."""
    captures = read(plan.manifest, lambda done, name: progress(0.2 * done, name))
    rounds = []
    for number in range(plan.seeds):
        progress(0.2 + 0.8 * number / plan.seeds, f"seed {number + 1} of {plan.seeds}")
        rounds.append(_round(captures, plan, plan.first_seed + number))
    ways = {way: [{**entry, **entry["ways"][way]} for entry in rounds] for way in WAYS}
    return {
        "benchmark": "learning",
        "manifest": plan.manifest.name,
        "feature_digest": contract.DIGEST,
        "asked": {
            "incidents": plan.incidents,
            "seeds": plan.seeds,
            "first_seed": plan.first_seed,
            "fit_share": plan.fit_share,
            "alpha": plan.alpha,
        },
        "summary": {way: summarise(ways[way]) for way in WAYS},
        "rounds": ways,
    }


def summarise(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The seeds together: means, spreads, and whether the gate holds. Pure."""
    told: dict[str, Any] = {}
    for figure in PREVALENCES:
        changes: dict[bool, list[float]] = {True: [], False: []}
        worst = (0.0, "")
        by_seed = []
        with_room = []
        for entry in rounds:
            risen = []
            for family, found in entry["families"].items():
                if not found["judges"]:
                    continue
                change = found["after"][figure] - found["before"][figure]
                changes[found["labelled"]].append(change)
                worst = min(worst, (change, family))
                if found["labelled"]:
                    risen.append(change)
                    if found["before"][figure] < ROOM:
                        with_room.append(change)
            by_seed.append(statistics.fmean(risen) if risen else None)
        labelled = [change for change in by_seed if change is not None]
        rise = statistics.fmean(labelled) if labelled else None
        told[figure] = {
            "labelled_rise": rise,
            "labelled_rise_by_seed": by_seed,
            "labelled_rise_sd": statistics.stdev(labelled) if len(labelled) > 1 else None,
            "labelled_with_room_rise": statistics.fmean(with_room) if with_room else None,
            "never_labelled_rise": statistics.fmean(changes[False]) if changes[False] else None,
            "worst_change": worst[0],
            "worst_family": worst[1],
            "passed": rise is not None and rise >= RISE and worst[0] >= -FALL,
        }
    return told


def _round(captures: Sequence[Capture], plan: Plan, seed: int) -> dict[str, Any]:
    dealt = deal(captures, plan, seed)
    taught = (*dealt.seen, *dealt.live)
    rows = _corpus(dealt.fitted, {}, seed)
    recipe = Recipe(sources=(), seed=seed, alpha=plan.alpha, alphas=(plan.alpha,), network=Network(epochs=plan.epochs))
    silent = Progress("none", out=sys.stdout, terminal=sys.stderr)
    roles = split(rows, recipe.shares, seed)
    learned = assembly.learn(rows, roles, recipe, silent)
    first = assembly.finish(learned, rows, roles, recipe, silent)
    threshold = first.calibration.threshold_for(plan.alpha).score

    def score(rows: NDArray) -> NDArray:
        return _scored(first, rows)

    ways = {}
    for way, share in WAYS.items():
        said = ask(taught, score, threshold, plan.incidents, seed, reported=round(share * plan.incidents))
        more = _corpus((*dealt.fitted, *taught), said.verdicts, seed)
        anew = split(more, recipe.shares, seed)
        same = learned if _alike(rows, roles, more, anew) else assembly.learn(more, anew, recipe, silent)
        second = assembly.finish(same, more, anew, recipe, silent)
        ways[way] = {"refitted": same is not learned, **_compare(dealt, said, first, second, plan)}
    return {"seed": seed, "never_labelled": sorted(dealt.never), "ways": ways}


def _alike(rows: Corpus, roles: Split, more: Corpus, anew: Split) -> bool:
    """Whether detectors fitted on one corpus are those fitted on the other: the same rows, without those judged."""
    return all(
        np.array_equal(
            rows.features[roles.rows(role, ~roles.exception)], more.features[anew.rows(role, ~anew.exception)]
        )
        for role in (Role.FIT, Role.SELECT)
    )


def _compare(dealt: Deal, said: Said, first: assembly.Fitted, second: assembly.Fitted, plan: Plan) -> dict[str, Any]:
    taught = (*dealt.seen, *dealt.live)
    labelled = {
        part.capture.family for part in dealt.seen if (said.verdicts[part.capture.name] == Verdict.MALICIOUS).any()
    }
    known = _known(taught, said)
    quiet, _ = _rows(dealt.benign_test, known, attack=False)
    families = {}
    left_out = 0
    for family in sorted({part.capture.family for part in dealt.attack_test}):
        parts = [part for part in dealt.attack_test if part.capture.family == family]
        rows, equal = _rows(parts, known, attack=True)
        left_out += equal
        if not len(rows):
            continue
        families[family] = {
            "labelled": family in labelled,
            "rows": len(rows),
            "judges": len(rows) >= FEWEST,
            "before": _figures(first, quiet, rows),
            "after": _figures(second, quiet, rows),
        }
    promised = [float((_scored(entry, quiet) >= entry.calibration.threshold_for(plan.alpha).score).mean())
                for entry in (first, second)]  # fmt: skip
    return {
        "verdicts": {
            "malicious": said.malicious,
            "benign": said.benign,
            "single_flows": said.single_flows,
            "reported": said.reported,
            "rows": int(sum((verdict != 0).sum() for verdict in said.verdicts.values())),
        },
        "taught": "nothing" if second.taught is None else second.taught.why,
        "placed": None if second.taught is None else second.taught.placed.to_json(),
        "benign_test_rows": len(quiet),
        "equal_rows_left_out": left_out,
        "realised_fpr": {"before": promised[0], "after": promised[1]},
        "families": families,
    }


def _corpus(parts: Sequence[Part], verdicts: dict[str, NDArray[np.int8]], seed: int) -> Corpus:
    """Captures whole where nobody was asked; of the others what carries a verdict, as the lake would give it."""
    collector = Collector(max_rows=10_000_000, seed=seed)
    plain = [part.capture.rows.take(part.rows) for part in parts if part.capture.name not in verdicts]
    for rows in plain:
        collector.add(rows)
    fitted = words(np.concatenate([rows.features for rows in plain]))
    for part in parts:
        if part.capture.name not in verdicts:
            continue
        said = verdicts[part.capture.name][part.rows]
        rows = part.capture.rows.take(part.rows)
        malicious = said == Verdict.MALICIOUS
        rows = replace(rows, verdict=said, family=malicious.astype(np.int32) if len(rows.families) > 1 else rows.family)
        # What equals a fitted row says nothing new, and taking it from among them would deal all others anew.
        known = np.isin(words(rows.features), fitted)
        collector.add(rows.take((said != Verdict.NONE) & ~known))
    return beside.spare(caps.apply(collector.corpus(), seed))


def _rows(parts: Sequence[Part], known: NDArray, *, attack: bool) -> tuple[NDArray[np.float32], int]:
    rows = np.concatenate(
        [
            np.empty((0, len(contract.FEATURES)), np.float32),
            *(part.capture.rows.features[part.rows[part.capture.attack[part.rows] == attack]] for part in parts),
        ]
    )
    equal = np.isin(words(rows), known)
    return rows[~equal], int(equal.sum())


def _known(parts: Sequence[Part], said: Said) -> NDArray:
    labelled = [part.capture.rows.features[said.verdicts[part.capture.name] != 0] for part in parts]
    return words(np.concatenate([np.empty((0, len(contract.FEATURES)), np.float32), *labelled]))


def _scored(fitted: assembly.Fitted, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return fitted.calibration.score(fitted.detector.raw_score(rows))


def _figures(fitted: assembly.Fitted, quiet: NDArray[np.float32], attack: NDArray[np.float32]) -> dict[str, float]:
    # Ranks need no calibration, and rounding must not make ties.
    scores = [fitted.detector.raw_score(rows) for rows in (quiet, attack)]
    found = len(attack) / (len(attack) + len(quiet))
    return {
        name: round(evaluate.average_precision(scores[0], scores[1], prevalence or found), 5)
        for name, prevalence in PREVALENCES.items()
    }
