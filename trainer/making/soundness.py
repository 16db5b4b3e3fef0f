"""Soundness: what a model must not be, whatever its figures say. Pure checks; the worst ones refuse the model.

Refused (`Unsound`), with what to do:

- *not finite*: a score is not a number.
- *constant*: the scores of benign rows hardly differ, so no threshold separates anything.
- *saturated*: more than `SATURATED` of benign rows tie at the top; no threshold can promise less than their share.
- *overlap*: more than `OVERLAP` of the calibration rows are also fitted rows, so the promise is made on rows known by
  heart.
- *foreign*: more than `FOREIGN` of the features were constant where the model was fitted and vary where it is
  calibrated: two kinds of data were mixed up.
- *one feature*: the score ranks benign rows as a single feature does (rank correlation beyond `ALONE`).
- *leak*: one feature of the flow itself separates every labelled family from benign rows all but perfectly, over at
  least `LEAK_FAMILIES` families. Attacks differ; what they all share is how they were recorded. Counts of what a host
  did are exempt: a scan, a flood and a sweep all raise them, and that is what they are for.

Weaker signs are warnings: a single feature as good as the model, or one that holds most of the contributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.errors import Unsound
from trainer.judging.evaluate import best_stump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST_SPREAD: Final = 1e-5
SATURATED: Final = 0.05
OVERLAP: Final = 0.01
FOREIGN: Final = 0.25
ALONE: Final = 0.98
LEAK_AREA: Final = 0.999
LEAK_FAMILIES: Final = 3
LEAK_ROWS: Final = 100
DOMINATES: Final = 0.9
BETTER: Final = 0.005
"""A single feature's area under the ROC curve beyond the model's from which a reader should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `refuses`: the model must not be used; else `detail` is a warning or nothing."""

    name: str
    detail: str = ""
    refuses: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: fitted and calibration rows, raw scores and contributions of the latter, and attacks.

    `fit` `[n, F]`, `held` `[m, F]`, `raw` `[m]`, `contributions` `[m, F]`, `attacks` `[a, F]` with `family` `[a]`, and
    `area`, the model's own area under the ROC curve on them (None without attacks). `counted` marks the features `[F]`
    that count what hosts did; without it none does.
    """

    names: Sequence[str]
    fit: NDArray[np.float32]
    held: NDArray[np.float32]
    raw: NDArray[np.float32]
    contributions: NDArray[np.float32]
    attacks: NDArray[np.float32]
    family: Sequence[str]
    area: float | None = None
    counted: NDArray[np.bool_] | None = None


def examine(subject: Subject) -> tuple[Finding, ...]:
    """Everything that was found, in the order of the module's text."""
    if not (np.isfinite(subject.raw).all() and np.isfinite(subject.contributions).all()):
        detail = "scores or contributions of calibration rows are not numbers; look for absurd values in the data"
        return (Finding("finite", detail, refuses=True),)
    spread = _spread(subject.raw)
    if spread.refuses:
        return Finding("finite"), spread
    return (
        Finding("finite"),
        spread,
        _saturation(subject.raw),
        _overlap(subject.fit, subject.held),
        _foreign(subject),
        _alone(subject),
        _share(subject),
        _leak(subject),
    )


def require(findings: Sequence[Finding]) -> None:
    """Raise `Unsound` with every reason, if one of them refuses the model."""
    reasons = [f"{finding.name}: {finding.detail}" for finding in findings if finding.refuses]
    if reasons:
        raise Unsound(f"fitting: the model is not sound. {'. '.join(reasons)}")


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """As the report shows it: what was looked at, and the warnings."""
    return {
        "checked": [finding.name for finding in findings],
        "warnings": [f"{finding.name}: {finding.detail}" for finding in findings if finding.detail],
    }


def _spread(raw: NDArray[np.float32]) -> Finding:
    low, high = np.quantile(raw.astype(np.float64), [0.05, 0.99])
    if high - low > LEAST_SPREAD * max(abs(float(high)), LEAST_SPREAD):
        return Finding("constant")
    detail = f"benign rows score {low:.6g} to {high:.6g}, all alike; give traffic that varies, or more of it"
    return Finding("constant", detail, refuses=True)


def _saturation(raw: NDArray[np.float32]) -> Finding:
    top = float(np.mean(raw >= raw.max()))
    if top <= SATURATED or len(raw) * SATURATED < 2:
        return Finding("saturated")
    detail = (
        f"{top:.1%} of benign rows tie at the highest score, so nothing below that rate can be promised; look for many "
        "equal strange rows among the benign ones, and leave them out or label them"
    )
    return Finding("saturated", detail, refuses=True)


def _overlap(fit: NDArray[np.float32], held: NDArray[np.float32]) -> Finding:
    shared = float(np.mean(np.isin(_whole(held), _whole(fit))))
    if shared <= OVERLAP:
        return Finding("overlap")
    detail = (
        f"{shared:.1%} of calibration rows are fitted rows as well; remove repeated rows before splitting, and give no "
        "file twice"
    )
    return Finding("overlap", detail, refuses=True)


def _whole(rows: NDArray[np.float32]) -> NDArray:
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def _foreign(subject: Subject) -> Finding:
    fixed = np.ptp(subject.fit, axis=0) == 0
    changed = np.flatnonzero(fixed & (np.ptp(subject.held, axis=0) > 0))
    if len(changed) == 0:
        return Finding("foreign")
    named = ", ".join(subject.names[at] for at in changed[:5])
    detail = f"{len(changed)} features never varied where the model was fitted and do where it is calibrated ({named})"
    if len(changed) > FOREIGN * len(fixed):
        remedy = "; fit on traffic of the same network and the same kinds as the model is calibrated on"
        return Finding("foreign", detail + remedy, refuses=True)
    return Finding("foreign", detail)


def _alone(subject: Subject) -> Finding:
    from scipy.stats import rankdata

    ranked = rankdata(subject.raw)
    best, name = 0.0, ""
    for at in np.flatnonzero(np.ptp(subject.held, axis=0) > 0).tolist():
        found = abs(float(np.corrcoef(ranked, rankdata(subject.held[:, at]))[0, 1]))
        if found > best:
            best, name = found, subject.names[at]
    if best <= ALONE or len(subject.names) == 1:
        return Finding("one feature")
    detail = (
        f"the score ranks benign rows as {name} alone does (rank correlation {best:.3f}); is it a row number, a time "
        "or a label? Leave it out, or give more and other rows"
    )
    return Finding("one feature", detail, refuses=True)


def _share(subject: Subject) -> Finding:
    strangest = np.argsort(-subject.raw)[: max(len(subject.raw) // 10, 1)]
    parts = subject.contributions[strangest].mean(axis=0)
    at = int(np.argmax(parts))
    if float(parts[at]) <= DOMINATES:
        return Finding("contributions")
    return Finding(
        "contributions", f"{subject.names[at]} holds {parts[at]:.0%} of what makes the strangest benign rows strange"
    )


def _leak(subject: Subject) -> Finding:
    if len(subject.attacks) == 0 or subject.area is None:
        return Finding("leak")
    both = np.concatenate([subject.held, subject.attacks])
    attack = np.arange(len(both)) >= len(subject.held)
    families = len(set(subject.family))
    own = [at for at in range(len(subject.names)) if subject.counted is None or not subject.counted[at]]
    if own and families >= LEAK_FAMILIES and len(subject.attacks) >= LEAK_ROWS:
        name, side, _, area = best_stump(both[:, own], attack, [subject.names[at] for at in own])
        if area >= LEAK_AREA:
            detail = (
                f"{name} alone, being {side}, tells all {families} families of attacks from benign rows (area "
                f"{area:.4f}); it says how rows were recorded, not what they are: record both sides the same way, or "
                "leave it out"
            )
            return Finding("leak", detail, refuses=True)
    name, _, _, area = best_stump(both, attack, subject.names)
    if area > subject.area + BETTER:
        return Finding(
            "leak",
            f"{name} alone ranks the labelled attacks better (area {area:.3f}) than the model ({subject.area:.3f})",
        )
    return Finding("leak")
