"""Assembly: from dealt rows to the detector that is exported, with the evidence for every decision on the way.

    portfolio of all members -> choice among them -> classifier head, if labels suffice -> calibration -> soundness

Every step sees rows of its own. Members are fitted on the fit role. The select role is cut into stretches dealt in turn
to two sides: on one the members' scores become p-values and the autoencoder learns when to stop, on the other
candidates and heads are compared. Labelled attacks marked `taught` take part in those comparisons and in fitting a
head, in nothing else. The calibrate role is touched once, by the final score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.features import origin
from protos import contract
from trainer.corpora.split import Role, relative_weights
from trainer.detectors.portfolio import Portfolio
from trainer.detectors.std_count import StdCount
from trainer.judging.evaluate import stump_area
from trainer.judging.standing import judged_attacks
from trainer.making import calibrate, choice, probes, soundness, teaching, together
from trainer.making.rehearse import rehearse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.corpora.split import Split
    from trainer.detectors.classified import Classified
    from trainer.making.calibrate import Calibration
    from trainer.making.recipe import Recipe
    from trainer.progress import Progress

STRETCHES: Final = 8
"""Stretches of the select rows, dealt to the two sides in turn: both sides see early and late rows of most sources."""
HEARD: Final = np.array(
    [not name.endswith(("_ece_packets", "_cwr_packets")) for name in contract.FEATURES], dtype=np.float32
)
"""Features that a model hears `[F]`. ECE and CWR say that two systems speak ECN and that a router on the way was busy
(RFC 3168): a setting and the weather, not something a host does. Heard, they were what made phones that negotiate it
strange, whose flows raised most of the false alarms on captures of protocols (docs/detection.md)."""

FEWEST: Final = calibrate.FEWEST
FEWEST_OF_FAMILY: Final = 5
"""Taught rows of a family below which it says nothing about a candidate."""
_EXAMINED: Final = 4000


@dataclass(frozen=True, slots=True)
class Fitted:
    """The detector and the baseline, each with its calibration, and what was found on the way."""

    detector: Portfolio | Classified
    calibration: Calibration
    baseline: StdCount
    baseline_calibration: Calibration
    choice: choice.Choice
    taught: teaching.Taught | None
    findings: tuple[soundness.Finding, ...]
    epochs: int

    @property
    def kind(self) -> str:
        """What the exported score is: `portfolio`, or the name of the one member that was chosen."""
        return self.detector.kind

    @property
    def classes(self) -> tuple[str, ...]:
        """Families the head knows; none without a head."""
        return self.taught.classes if self.taught else ()

    def to_json(self) -> dict[str, Any]:
        """What the report shows of the decisions."""
        return {
            "choice": self.choice.to_json(),
            "classifier": self.taught.to_json() if self.taught else None,
            "soundness": soundness.to_json(self.findings),
        }


def assemble(rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, *, asked: str = "") -> Fitted:
    """Fit, choose, teach, calibrate and check. Raises `NotEnoughRows`, or `Unsound` for a model not to be used.

    With `asked`, a sentence that says who asked for just these members, all of the recipe's are taken as they are and
    nothing is taught.
    """
    from threadpoolctl import threadpool_limits

    # On one thread sums are added up in one order, whatever else the machine does: the same rows give the same weights.
    with threadpool_limits(limits=1, user_api="blas"):
        return _assemble(rows, dealt, recipe, progress, asked)


def _assemble(rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, asked: str) -> Fitted:
    promise, held = sides(rows, dealt, recipe.seed)
    inside = np.zeros(len(rows), dtype=np.bool_)
    inside[promise] = True
    features, weights, bulk = rehearse(rows, dealt, Role.FIT, recipe.shares, recipe.seed)
    stop_rows, stop_weights, _ = rehearse(rows, dealt, Role.SELECT, recipe.shares, recipe.seed, within=inside)

    def follow(done: int, of: int, loss: float) -> None:
        progress.stage("fit", done / of, f"epoch {done}, error on select rows {loss:.4f}")

    progress.stage("fit", 0.0, f"fitting {int(bulk.sum())} rows")
    # Unweighted: a mean that rare hosts pull about makes deviations wide, and the baseline a straw man.
    baseline = StdCount().fit(features[bulk])
    whole = Portfolio(
        recipe.network,
        seed=recipe.seed,
        members=recipe.members.names,
        coreset=recipe.members.coreset,
        knots=recipe.members.knots,
        on_epoch=follow,
        heard=HEARD,
    ).fit(features, weights, select=(stop_rows, stop_weights), calibrate=rows.features[promise], scale_on=bulk)
    progress.stage("fit", 0.9, f"choosing on {len(held)} benign rows held back")
    strange = probes.make(rows.features[held], rows.kind[held], contract.FEATURES, recipe.seed)
    if asked:
        chosen = choice.Choice(whole.members, asked, choice.RATES[0], len(held))
    else:
        chosen = choice.choose(whole, rows.features[promise], rows.features[held], strange, _families(rows, dealt))
    detector: Portfolio | Classified = whole.take(chosen.taken)
    taught = None
    lesson = None if asked else teaching.lesson(*_taught(rows, dealt))
    if lesson is not None:
        progress.stage("fit", 0.95, f"teaching {len(lesson.classes)} families of attacks")
        ground = teaching.Ground(
            features,
            weights,
            bulk,
            rows.features[promise],
            rows.features[held],
            strange,
            recipe.members.knots,
            recipe.seed,
        )
        detector, taught = teaching.teach(whole.take(chosen.taken), lesson, ground)
    quiet = rows.features[dealt.calibration]
    progress.stage("calibrate", 0.0, f"calibrating on {len(quiet)} later benign rows")
    raw = detector.raw_score(quiet)
    findings = soundness.examine(_subject(rows, dealt, detector, features[bulk], raw))
    soundness.require(findings)
    return Fitted(
        detector,
        _calibrated(rows, dealt, recipe, detector, raw),
        baseline,
        calibrate.calibrate(baseline.raw_score(quiet), recipe.alphas),
        chosen,
        taught,
        findings,
        whole.epochs_,
    )


def _calibrated(
    rows: Corpus, dealt: Split, recipe: Recipe, detector: Portfolio | Classified, raw: NDArray[np.float32]
) -> Calibration:
    """The final calibration on raw scores of the calibration rows: of a flow alone, and of two hosts together."""
    windows = _host_windows(rows, dealt)
    alone = calibrate.calibrate(raw, recipe.alphas, windows)
    benign = ~dealt.malicious
    found = together.among(rows, dealt.calibration, benign, lambda part: alone.score(detector.raw_score(part)))
    if found is None:
        return alone
    return calibrate.with_together(alone, alone.score(raw), found, recipe.alpha, windows)


def _host_windows(rows: Corpus, dealt: Split) -> NDArray[np.int64]:
    """Numbers of the host-windows of the calibration rows."""
    held = dealt.calibration
    return calibrate.host_windows(rows.origin[held], rows.host[held], rows.time_ms[held])


def sides(rows: Corpus, dealt: Split, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the select rows that p-values come from, and of those that candidates are compared on.

    Rows stay by their weight, as calibration rows do. Where the select role is too small for two sides, both are all of
    it, and where it is too small for p-values at all, the last fitted rows stand in.
    """
    select = dealt.rows(Role.SELECT)
    chance = np.random.default_rng([seed, 13]).random(len(rows))
    thinned = select[chance[select] < relative_weights(rows)[select]]
    if len(thinned) < 2 * FEWEST:
        thinned = select
    if len(thinned) < 2 * FEWEST:
        lacking = max(FEWEST - len(thinned), 0)
        both = np.concatenate([dealt.rows(Role.FIT)[len(dealt.rows(Role.FIT)) - lacking :], thinned])
        return both, both
    stretch = np.arange(len(thinned)) * STRETCHES // len(thinned)
    return thinned[stretch % 2 == 0], thinned[stretch % 2 == 1]


def _taught(rows: Corpus, dealt: Split) -> tuple[NDArray[np.float32], list[str]]:
    taught = np.flatnonzero(dealt.malicious & dealt.taught)
    taught = taught[np.argsort(rows.time_ms[taught], kind="stable")]
    return rows.features[taught], [rows.families[at] for at in rows.family[taught]]


def _families(rows: Corpus, dealt: Split) -> dict[str, NDArray[np.float32]]:
    features, names = _taught(rows, dealt)
    named = np.array(names, dtype=object)
    found = {name: features[named == name] for name in sorted(set(names))}
    return {name: mine for name, mine in found.items() if len(mine) >= FEWEST_OF_FAMILY}


def _subject(
    rows: Corpus,
    dealt: Split,
    detector: Portfolio | Classified,
    fitted: NDArray[np.float32],
    raw: NDArray[np.float32],
) -> soundness.Subject:
    attacks = judged_attacks(rows, dealt)
    features = rows.features[attacks]
    area = None
    if len(attacks):
        scores = np.concatenate([raw, detector.raw_score(features)])
        area = stump_area(scores, np.arange(len(scores)) >= len(raw), "high")
    examined = slice(0, _EXAMINED)
    held = rows.features[dealt.calibration]
    return soundness.Subject(
        contract.FEATURES,
        fitted,
        held[examined],
        raw[examined],
        detector.explain(held[examined])[0],
        features,
        [rows.families[at] for at in rows.family[attacks]],
        area,
        np.array([origin(name) == "context" for name in contract.FEATURES]),
    )
