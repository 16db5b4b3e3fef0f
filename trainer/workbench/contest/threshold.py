"""The threshold of a detector: what calibrate rows, ordinary and seen by nobody before, prove about false alerts.

With enough rows (299 for one in a hundred) it is the certified rank of protos/certificates.py, which keeps the promise
with 95 % confidence; with fewer it is the plain quantile, and the sentence calls it an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from protos.certificates import certified_rank, rows_needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROMISED: Final = 0.01
"""One ordinary row in a hundred may be called strange."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Rows above `value` are called strange. `certified` says whether the promise is proven."""

    value: float
    certified: bool
    note: str


def threshold(scores: NDArray[np.float32]) -> Threshold:
    """From the strangeness [n] of calibrate rows."""
    ordered = np.sort(scores.astype(np.float64))[::-1]
    rank = certified_rank(len(ordered), PROMISED) if len(ordered) else 0
    if rank > 0:
        return Threshold(float(ordered[rank - 1]), True, "")
    value = float(np.quantile(ordered, 1 - PROMISED)) if len(ordered) else 0.0
    note = (
        f"The threshold is an estimate: {len(ordered)} ordinary rows are left to set it, "
        f"{rows_needed(PROMISED)} would prove its rate of false alerts."
    )
    return Threshold(value, False, note)
