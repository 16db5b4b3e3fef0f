"""Two models before the gate: both are shown the same rows, and the frozen sets, each at its own threshold.

**Screening.** A row of the lake is benign because it raised no alert, and that is what its agent said. A compromised
agent says what it likes, so before anything is fitted the champion scores the unlabelled rows itself: those it would
alert on at the threshold in force leave the corpus (counted as `screened`) until a person judges them.

**High-water mark.** Each challenger is compared with the champion of its day, so a model could lose a little recall a
hundred times. The best recall that a family of the attack-replay set ever had under a champion travels in the manifest
from model to model, as long as the set's digest stays, and the gate measures against it (`replay_drift`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.corpora.caps import take
from trainer.corpora.rows import Verdict, words
from trainer.judging import frozen, gate
from trainer.making.model import find_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from protos.manifest import CaptureProfile
    from trainer.corpora.corpus import Corpus
    from trainer.corpora.held import Held
    from trainer.corpora.split import Split
    from trainer.judging.frozen import Frozen
    from trainer.making.model import Model

RECENT_MS: Final = 3 * 86_400_000
"""How far back the last days reach from the newest row of an agent."""


class Sets:
    """The frozen sets of a run, read once. Raises `DataError`, or the agent's `SourceError`."""

    def __init__(self, attacks: Sequence[str], golden: Sequence[str], profile: CaptureProfile) -> None:
        self.attacks: Frozen = frozen.read(attacks, frozen.ATTACKS, profile)
        self.golden: Frozen = frozen.read(golden, frozen.GOLDEN, profile)

    def spare(self, rows: Corpus) -> Corpus:
        """The corpus without rows that are in a frozen set: what judges a model must not have made it."""
        known = np.concatenate([words(self.attacks.features), words(self.golden.features)])
        frozen_rows = np.isin(words(rows.features), known)
        if not frozen_rows.any():
            return rows
        spared = take(rows, ~frozen_rows)
        return replace(spared, counts=replace(spared.counts, frozen=int(frozen_rows.sum())))

    def best(self, champion: Model | None, recall: dict[str, float]) -> dict[str, Any]:
        """The high-water mark a model carries: its own `recall` by family or the champion's mark, what is higher."""
        mark = self.mark(champion)
        return {
            "digest": self.attacks.digest,
            "recall": {name: max(value, mark.get(name, 0.0)) for name, value in sorted(recall.items())},
        }

    def mark(self, champion: Model | None) -> dict[str, float]:
        """The champion's high-water mark by family; empty when it knew another set, or none."""
        told = {} if champion is None else champion.manifest.provenance.get("replay") or {}
        return dict(told["recall"]) if told.get("digest") == self.attacks.digest else {}

    def recall(self, caught: NDArray[np.bool_]) -> dict[str, float]:
        """Recall of every family of the attack-replay set, from who is caught `[r]`."""
        names = np.unique(self.attacks.family).tolist()
        return {name: round(float(caught[self.attacks.family == name].mean()), 6) for name in names}

    def to_json(self, model: Model, alpha: float) -> dict[str, Any]:
        """What a report says of them: what they are, and what the new model does on them, champion or none."""
        caught, raised = (_alerts(model, part.features, alpha) for part in (self.attacks, self.golden))
        families = {
            name: {
                "rows": int((self.attacks.family == name).sum()),
                "recall": float(caught[self.attacks.family == name].mean()),
            }
            for name in np.unique(self.attacks.family).tolist()
        }
        return {
            "attacks": {**self.attacks.to_json(), "recall": families},
            "golden": {**self.golden.to_json(), "alerts": int(raised.sum())},
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that both models are shown, and the false-positive rate they are held to."""

    rows: Corpus
    dealt: Split
    sets: Sets
    alpha: float


def compare(champion: Model, challenger: Model, shown: Shown, *, faults: tuple[str, str]) -> gate.Verdict:
    """What the gate says. `faults` are what `model.find_fault` says of champion and challenger."""
    rows, dealt, sets = shown.rows, shown.dealt, shown.sets
    standings = [_standing(entry, fault, shown) for entry, fault in zip((champion, challenger), faults, strict=True)]
    grounds = gate.Grounds(
        held_back=dealt.held_back,
        promised=shown.alpha,
        malicious_family=np.array(rows.families)[rows.family[judged_attacks(rows, dealt)]],
        replay_family=sets.attacks.family,
        faults=(*sets.attacks.faults, *sets.golden.faults),
        replay_best=sets.mark(champion),
    )
    return gate.judge(standings[0], standings[1], grounds)


def screen(rows: Corpus, champion: Model | None, held: Held | None, alpha: float) -> Corpus:
    """The corpus without unlabelled lake rows that the champion alerts on, whatever their agent said of them.

    The threshold is the lowest at which the agent alerted under the champion, or, of an agent that never did, the
    highest of all agents', and without any the champion's own for `alpha`. Without a champion of this contract nothing
    is screened.
    """
    if champion is None or find_fault(champion):
        return rows
    quiet = np.flatnonzero(
        (rows.verdict == Verdict.NONE) & np.array([name.startswith("agent:") for name in rows.origins])[rows.origin]
    )
    if not len(quiet):
        return rows
    known = {} if held is None else held.thresholds
    mine = {agent: value for (agent, digest), value in known.items() if digest == champion.digest}
    otherwise = max(mine.values(), default=champion.manifest.threshold_for(alpha).score)
    limits = np.array([mine.get(name.removeprefix("agent:"), otherwise) for name in rows.origins])
    alerting = champion.score(rows.features[quiet]) >= limits[rows.origin[quiet]]
    stays = np.ones(len(rows), dtype=np.bool_)
    stays[quiet[alerting]] = False
    kept = take(rows, stays)
    return replace(kept, counts=replace(kept.counts, screened=int(alerting.sum())))


def judged_attacks(rows: Corpus, dealt: Split) -> NDArray[np.intp]:
    """Malicious rows to judge recall by: those nothing was fitted on, and all of a family that has no other."""
    held = np.unique(rows.family[dealt.attack_test])
    return np.flatnonzero(dealt.malicious & (~dealt.taught | ~np.isin(rows.family, held)))


def recent_rows(rows: Corpus, dealt: Split) -> NDArray[np.intp]:
    """Benign test rows that an agent saw in the last days."""
    seen = np.array([name.startswith("agent:") for name in rows.origins], dtype=np.bool_)[rows.origin]
    if not seen.any():
        return np.zeros(0, dtype=np.intp)
    test = dealt.benign_test
    recent: NDArray[np.intp] = test[seen[test] & (rows.time_ms[test] > rows.time_ms[seen].max() - RECENT_MS)]
    return recent


def _standing(entry: Model, fault: str, shown: Shown) -> gate.Standing:
    if fault:
        nothing = np.zeros(0, dtype=np.bool_)
        return gate.Standing(entry.digest, entry.manifest.feature_digest, nothing, nothing, nothing, fault)
    rows, dealt = shown.rows, shown.dealt

    def alerts(chosen: NDArray) -> NDArray[np.bool_]:
        return _alerts(entry, rows.features[chosen], shown.alpha)

    return gate.Standing(
        entry.digest,
        entry.manifest.feature_digest,
        labelled=alerts(dealt.exception),
        malicious=alerts(judged_attacks(rows, dealt)),
        benign=alerts(dealt.benign_test),
        recent=alerts(recent_rows(rows, dealt)),
        replay=_alerts(entry, shown.sets.attacks.features, shown.alpha),
        golden=_alerts(entry, shown.sets.golden.features, shown.alpha),
    )


def _alerts(entry: Model, rows: NDArray[np.float32], alpha: float) -> NDArray[np.bool_]:
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    return entry.score(rows) >= entry.manifest.threshold_for(alpha).score
