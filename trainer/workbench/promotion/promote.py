"""Promotion: a detector of a run on flows becomes a model file that agents accept.

A run's own file takes the columns of its table; an agent's takes the features of the contract and answers with a
calibrated score, its parts and what was expected. So the detector is fitted once more on the run's table, by the
road every other model goes (making/fitting.py): split by time, the same detector, calibrated on later ordinary flows,
checked for soundness, drawn with plain operators, compared with a champion if one is given. The
file says which run it comes from. It is published like any model, and passes the registry's gate like any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trainer.errors import NotPromotable
from trainer.making import fitting
from trainer.making.recipe import Members
from trainer.workbench.promotion import flows

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.progress import Progress
    from trainer.workbench.promotion.recorded import Recorded

MEMBERS: Final[dict[str, tuple[str, ...]]] = {
    "std-count": ("std_count",),
    "mahalanobis": ("mahalanobis",),
    "knn-distance": ("neighbours",),
    "autoencoder": ("autoencoder",),
    "portfolio": Members().names,
}
"""Candidates that agents can run, and the detectors of trainer/detectors that each of them is."""


def members(candidate: str) -> tuple[str, ...]:
    """The detectors that `candidate` is. Raises `NotPromotable`, saying which candidates can be promoted."""
    if candidate not in MEMBERS:
        raise NotPromotable(
            f"promoting {candidate}: agents run plain operations only, which {candidate} is not made of, and want a "
            f"score with its parts; promote one of {', '.join(MEMBERS)} of a run without classes (task benign-only)"
        )
    return MEMBERS[candidate]


def promote(
    recorded: Recorded, candidate: str, request: fitting.Request, progress: Progress, clock: Callable[[], int]
) -> fitting.Result:
    """Fit, calibrate, check and write the model that `request` describes. Raises `TrainerError`."""
    started = clock()
    taken = members(candidate)
    recorded.entry(candidate)
    benign = tuple(recorded.result.get("benign") or recorded.settings.benign)
    progress.stage("corpus", 0.0, "reading the flows of the run")
    rows = flows.corpus(
        recorded.table,
        label=recorded.result.get("label") or recorded.settings.label,
        benign=benign,
        max_rows=request.max_rows,
        seed=request.seed,
    )
    asked = fitting.Asked(
        taken,
        f"{candidate} was promoted from the workbench's run {recorded.settings.name!r}: nothing else was compared here",
        {
            "run": recorded.settings.name,
            "candidate": candidate,
            "data_digest": recorded.data_digest,
            "settings_digest": str(recorded.result.get("settings_digest") or recorded.settings.digest),
        },
    )
    return fitting.fit_rows(request, rows, progress, clock, started=started, asked=asked)
