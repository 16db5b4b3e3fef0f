"""Assembly: from dealt rows to the detector that is exported, with the evidence for every decision on the way.

    learn: portfolio of all members -> choice among them
    finish: what verdicts teach -> calibration -> soundness

Every step sees rows of its own. Members are fitted on the fit role. The select role is cut into stretches dealt in turn
to two sides: on one the members' scores become p-values and the autoencoder learns when to stop, on the other
candidates and heads are compared. The calibrate role is touched once, by the final score.

`learn` sees no row that carries a verdict: the detectors are those that the same traffic would have given had nobody
said anything, so that what a verdict changes is what it is about (teaching.py), and a small attack that nobody labelled
does not move because something else was. When labelled rows were rehearsed in the fit, every family moved by as much
as labels could teach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.features import origin
from protos import contract
from trainer.corpora.split import Role, relative_weights
from trainer.detectors.neighbours import Neighbours
from trainer.detectors.places import Space
from trainer.detectors.portfolio import Portfolio
from trainer.detectors.std_count import StdCount
from trainer.judging.evaluate import stump_area
from trainer.judging.standing import judged_attacks
from trainer.making import calibrate, choice, placing, probes, soundness, teaching, together
from trainer.making.ordinary import ordinary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.corpora.split import Split
    from trainer.detectors.classified import Classified
    from trainer.detectors.reminded import Reminded
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
_EXAMINED: Final = 4000


@dataclass(frozen=True, slots=True)
class Learned:
    """What traffic without a verdict gave: the members, their choice, the baseline, and the rows that were used."""

    whole: Portfolio
    choice: choice.Choice
    baseline: StdCount
    ground: teaching.Ground


@dataclass(frozen=True, slots=True)
class Fitted:
    """The detector and the baseline, each with its calibration, and what was found on the way."""

    detector: Portfolio | Reminded | Classified
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
            "classifier": self.taught.to_json() if self.taught and self.taught.classes else None,
            "verdicts": self.taught.placed.to_json() if self.taught else None,
            "soundness": soundness.to_json(self.findings),
        }


def assemble(rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, *, asked: str = "") -> Fitted:
    """Fit, choose, teach, calibrate and check. Raises `NotEnoughRows`, or `Unsound` for a model not to be used.

    With `asked`, a sentence that says who asked for just these members, all of the recipe's are taken as they are and
    nothing is taught.
    """
    learned = learn(rows, dealt, recipe, progress, asked=asked)
    return finish(learned, rows, dealt, recipe, progress, teach=not asked)


def learn(rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, *, asked: str = "") -> Learned:
    """Fit the members on rows without a verdict and choose among them, or as `asked`. Raises `NotEnoughRows`."""
    from threadpoolctl import threadpool_limits

    # On one thread sums are added up in one order, whatever else the machine does: the same rows give the same weights.
    with threadpool_limits(limits=1, user_api="blas"):
        return _learn(rows, dealt, recipe, progress, asked)


def finish(
    learned: Learned, rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, *, teach: bool = True
) -> Fitted:
    """Teach what people said, calibrate and check. Raises `NotEnoughRows` or `Unsound`."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        return _finish(learned, rows, dealt, recipe, progress, teach=teach)


def _learn(rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, asked: str) -> Learned:
    promise, held = sides(rows, dealt, recipe.seed)
    inside = np.zeros(len(rows), dtype=np.bool_)
    inside[promise] = True
    features, weights = ordinary(rows, dealt, Role.FIT)

    def follow(done: int, of: int, loss: float) -> None:
        progress.stage("fit", done / of, f"epoch {done}, error on select rows {loss:.4f}")

    progress.stage("fit", 0.0, f"fitting {len(features)} rows")
    # Unweighted: a mean that rare hosts pull about makes deviations wide, and the baseline a straw man.
    baseline = StdCount().fit(features)
    whole = Portfolio(
        recipe.network,
        seed=recipe.seed,
        members=recipe.members.names,
        coreset=recipe.members.coreset,
        knots=recipe.members.knots,
        on_epoch=follow,
        heard=HEARD,
    ).fit(
        features,
        weights,
        select=ordinary(rows, dealt, Role.SELECT, within=inside),
        calibrate=rows.features[promise],
    )
    progress.stage("fit", 0.9, f"choosing on {len(held)} benign rows held back")
    strange = probes.make(rows.features[held], rows.kind[held], contract.FEATURES, recipe.seed)
    if asked:
        chosen = choice.Choice(whole.members, asked, choice.RATES[0], len(held))
    else:
        chosen = choice.choose(whole, rows.features[promise], rows.features[held], strange)
    ground = teaching.Ground(
        features,
        weights,
        rows.features[promise],
        rows.features[held],
        strange,
        recipe.members.knots,
        recipe.seed,
    )
    return Learned(whole, chosen, baseline, ground)


def _finish(learned: Learned, rows: Corpus, dealt: Split, recipe: Recipe, progress: Progress, *, teach: bool) -> Fitted:
    chosen = learned.whole.take(learned.choice.taken)
    detector: Portfolio | Reminded | Classified = chosen
    taught = None
    judged = _judged(rows, dealt)
    if len(judged) and teach:
        progress.stage("fit", 0.95, f"teaching {len(judged)} labelled rows")
        lesson = teaching.lesson(judged.attacks, judged.names)
        detector, taught = teaching.teach(chosen, _space(learned, recipe), judged, lesson, learned.ground)
    quiet = rows.features[dealt.calibration]
    progress.stage("calibrate", 0.0, f"calibrating on {len(quiet)} later benign rows")
    raw = detector.raw_score(quiet)
    findings = soundness.examine(_subject(rows, dealt, detector, learned.ground.rows, raw))
    soundness.require(findings)
    return Fitted(
        detector,
        _calibrated(rows, dealt, recipe, detector, raw),
        learned.baseline,
        calibrate.calibrate(learned.baseline.raw_score(quiet), recipe.alphas),
        learned.choice,
        taught,
        findings,
        learned.whole.epochs_,
    )


def _space(learned: Learned, recipe: Recipe) -> Space:
    """The space of the neighbours, which are fitted anew where the recipe does not name them."""
    member = (learned.whole.members_ or {}).get("neighbours")
    if not isinstance(member, Neighbours):
        ground = learned.ground
        member = Neighbours(size=recipe.members.coreset, knots=ground.knots, seed=ground.seed)
        member.fit(ground.rows * HEARD, ground.weights)
    return Space.of(member, HEARD)


def _judged(rows: Corpus, dealt: Split) -> placing.Judged:
    """The labelled rows that may be learnt from: false positives of the fit role, and taught attacks by time."""
    benign = dealt.rows(Role.FIT, dealt.exception)
    keys = np.stack([rows.origin[benign].astype(np.int64), rows.kind[benign]], axis=1)
    kind = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    attacks = np.flatnonzero(dealt.malicious & dealt.taught)
    attacks = attacks[np.argsort(rows.time_ms[attacks], kind="stable")]
    families, family = np.unique(np.array(rows.families)[rows.family[attacks]], return_inverse=True)
    return placing.Judged(
        rows.features[benign],
        kind.astype(np.intp),
        rows.features[attacks],
        family.reshape(-1).astype(np.intp),
        tuple(families.tolist()),
    )


def _calibrated(
    rows: Corpus, dealt: Split, recipe: Recipe, detector: Portfolio | Reminded | Classified, raw: NDArray[np.float32]
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

    None of them carries a verdict. Rows stay by their weight, as calibration rows do. Where the select role is too
    small for two sides, both are all of it, and where it is too small for p-values at all, the last fitted rows stand
    in.
    """
    select = dealt.rows(Role.SELECT, ~dealt.exception)
    chance = np.random.default_rng([seed, 13]).random(len(rows))
    thinned = select[chance[select] < relative_weights(rows)[select]]
    if len(thinned) < 2 * FEWEST:
        thinned = select
    if len(thinned) < 2 * FEWEST:
        lacking = max(FEWEST - len(thinned), 0)
        fitted = dealt.rows(Role.FIT, ~dealt.exception)
        both = np.concatenate([fitted[len(fitted) - lacking :], thinned])
        return both, both
    stretch = np.arange(len(thinned)) * STRETCHES // len(thinned)
    return thinned[stretch % 2 == 0], thinned[stretch % 2 == 1]


def _subject(
    rows: Corpus,
    dealt: Split,
    detector: Portfolio | Reminded | Classified,
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
