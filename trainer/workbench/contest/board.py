"""The leaderboard: one entry a candidate, sorted by the metric on select rows, and the best of them with a reason.

Entries whose metric differs by less than chance explains (two standard errors) are parted by their log loss, which says
more: how sure they were of what was true. Test rows are shown and choose nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.contest.metrics import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER_CHOSEN: Final = frozenset({"most-frequent", "stump"})
FALLBACK: Final = "portfolio"


@dataclass(slots=True)
class Entry:
    """A row of the leaderboard. `loss` is the log loss on select rows, `searched` how many settings were tried."""

    name: str
    title: str
    state: str = "done"
    why: str = ""
    train: dict[str, float | None] = field(default_factory=lambda: dict(NONE))
    test: dict[str, float | None] = field(default_factory=lambda: dict(NONE))
    select: dict[str, float | None] = field(default_factory=lambda: dict(NONE))
    loss: float | None = None
    fit_s: float | None = None
    rows_per_s: float | None = None
    bytes: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    searched: int = 0
    unfinished: bool = False
    """Its training was cut off; run again, it goes on from its checkpoint."""
    fitted_again: bool = False
    """Fitted once more, with the rows it was chosen by."""
    threshold: float | None = None
    promised_fpr: float | None = None
    realised_fpr: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the result tells it."""
        return asdict(self)


def ordered(entries: Sequence[Entry], metric: str) -> list[Entry]:
    """Done ones by the metric on select rows, then those that failed or were skipped."""

    def place(entry: Entry) -> tuple[int, float, float]:
        value = entry.select.get(metric)
        done = 0 if entry.state == "done" else 1
        return done, -(value if value is not None else -1.0), entry.loss if entry.loss is not None else float("inf")

    return sorted(entries, key=place)


def choose(entries: Sequence[Entry], metric: str, rows: int, *, judged: bool) -> tuple[str | None, str]:
    """Name and reason of the best of `entries`, judged on `rows` select rows; None if none is done.

    `judged` is False where select rows know nothing strange, so that nothing can be compared.
    """
    done = [entry for entry in entries if entry.state == "done"]
    able = [entry for entry in done if entry.name not in NEVER_CHOSEN] or done
    if not able:
        return None, "No model could be fitted."
    known = [entry for entry in able if entry.select.get(metric) is not None]
    if not judged or not known:
        best = next((entry for entry in able if entry.name == FALLBACK), able[0])
        return best.name, (
            f"No strange row is known before the test, so nothing could be compared; {best.title} stands, "
            "because over many tables it is the most even."
        )
    top = max(entry.select[metric] or 0.0 for entry in known)
    # Two standard errors of a count of mistakes, and one mistake more: near 1 a few rows decide, and they are chance.
    apart = 2 * sqrt(max(1 - top, 0.0) * rows + 1) / max(rows, 1)
    near = [entry for entry in known if (entry.select[metric] or 0.0) >= top - apart]
    losses = [entry for entry in near if entry.loss is not None]
    best = (
        min(losses, key=lambda entry: entry.loss or 0.0)
        if losses
        else max(near, key=lambda entry: entry.select[metric] or 0.0)
    )
    said = {"f1": "F1 score", "roc_auc": "ROC AUC"}.get(metric, metric.replace("_", " "))
    why = f"{best.title}: {said} {best.select[metric]:.4f} on the {rows:,} rows set aside to choose by"
    if len(near) > 1 and losses:
        why += f"; {len(near)} models are as good within chance, and of these it was the surest of what was true."
    else:
        why += ", the best there."
    return best.name, why + " The test rows had no say."
