"""Probes: anomalies made only from benign rows, to compare detectors where no attack is labelled.

Each kind breaks one thing that a detector may be good or bad at, in sizes from hardly visible to plain (drawn evenly on
a logarithmic scale), so that detectors differ:

- `swapped`: between a third and two thirds of the features come from a row of another kind. Every value occurs; only
  what goes with what is wrong.
- `shifted`: one feature that varies is moved by 1 to 8 of its deviations.
- `blurred`: every feature is moved a little, by up to one and a half deviations.
- `scan`, `sweep`, `flood`, `guessing`, `beacon`, `tunnel`, `moved`: context or volume features raised together, as
  what a host does would raise them: many ports, many peers, many flows, many alike, at even times, much DNS or ICMP,
  much sent. Which features these are is read off the contract's names; a kind whose features the rows do not have is
  left out.

They are not attacks, and a share of them caught is not a recall. They say which detector notices more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.detectors.scaling import to_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPES: Final = ("swapped", "shifted", "blurred")
"""Kinds that break a flow's own shape; all others are of what hosts do."""
ROWS: Final = 400
"""Rows of each kind."""
_RAISED: Final = {
    "scan": (r"^(src|pair|dst).*_(ports|unanswered|refused)_", 1.0, 1e3),
    "sweep": (r"^(src|dst).*_(peers|unanswered)_", 1.0, 1e3),
    "flood": (r"^(dst|service|pair).*_(flows|unanswered)_|^packets_per_second", 1.0, 1e4),
    "guessing": (r"^(pair|service)_flows_|_(exchanges|alike|held)_", 1.0, 1e2),
    "beacon": (r"_(paced|routine|exchanges)_", 1.0, 50.0),
    "tunnel": (r"^(dns|icmp)_", 1.0, 1e3),
    "moved": (r"^(src2dst|bidirectional)_(bytes|packets)$|bytes_per_second|src2dst_bytes_per_packet", 3.0, 1e4),
}
"""Names of the features that are raised together, and by how much: added on the scale of a count, or times."""


def make(rows: NDArray[np.float32], kind: NDArray[np.int64], names: Sequence[str], seed: int) -> dict[str, NDArray]:
    """Probes `[m, F]` by kind from benign rows `[n, F]` of the flow kinds `[n]`; `names` `[F]` are the features'."""
    chance = np.random.default_rng([seed, 21])
    if len(rows) == 0:
        return {}
    deviation = to_log(rows, signed=True).std(axis=0)
    varied = np.flatnonzero(deviation > 1e-6)
    if len(varied) == 0:
        return {}
    made = {
        "swapped": _swapped(rows, kind, chance),
        "shifted": _shifted(rows, deviation, varied, chance),
        "blurred": _blurred(rows, deviation, chance),
    }
    for name, (pattern, least, most) in _RAISED.items():
        chosen = np.array([at for at, feature in enumerate(names) if re.search(pattern, feature)], dtype=np.intp)
        if len(chosen):
            made[name] = _raised(rows, chosen, least, most, chance, times=name == "moved")
    return made


def _draw(rows: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.intp]:
    return chance.integers(0, len(rows), size=ROWS)


def _swapped(rows: NDArray[np.float32], kind: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.float32]:
    first, second = _draw(rows, chance), _draw(rows, chance)
    for _ in range(8):  # a few draws find a row of another kind, unless there is but one
        alike = kind[first] == kind[second]
        second[alike] = chance.integers(0, len(rows), size=int(alike.sum()))
    part = chance.uniform(1 / 3, 2 / 3, size=(ROWS, 1))
    mixed: NDArray[np.float32] = np.where(chance.random((ROWS, rows.shape[1])) < part, rows[second], rows[first])
    return mixed


def _shifted(
    rows: NDArray[np.float32],
    deviation: NDArray[np.float32],
    varied: NDArray[np.intp],
    chance: np.random.Generator,
) -> NDArray[np.float32]:
    logs = to_log(rows[_draw(rows, chance)], signed=True)
    at = chance.choice(varied, size=ROWS)
    size = np.exp(chance.uniform(0, np.log(8), size=ROWS)) * chance.choice([-1, 1], size=ROWS)
    logs[np.arange(ROWS), at] += (size * deviation[at]).astype(np.float32)
    return _within(logs, rows)


def _blurred(
    rows: NDArray[np.float32], deviation: NDArray[np.float32], chance: np.random.Generator
) -> NDArray[np.float32]:
    logs = to_log(rows[_draw(rows, chance)], signed=True)
    size = np.exp(chance.uniform(np.log(0.1), np.log(1.5), size=(ROWS, 1)))
    return _within(logs + (size * chance.normal(size=logs.shape) * deviation).astype(np.float32), rows)


def _raised(
    rows: NDArray[np.float32],
    chosen: NDArray[np.intp],
    least: float,
    most: float,
    chance: np.random.Generator,
    *,
    times: bool,
) -> NDArray[np.float32]:
    made = rows[_draw(rows, chance)].copy()
    size = np.exp(chance.uniform(np.log(least), np.log(most), size=(ROWS, 1)))
    size = (size * chance.uniform(0.5, 1.5, size=(ROWS, len(chosen)))).astype(np.float32)
    made[:, chosen] = made[:, chosen] * size if times else made[:, chosen] + size
    return made


def _within(logs: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Back to original units; a feature that was never below zero stays so."""
    made = (np.sign(logs) * np.expm1(np.abs(logs))).astype(np.float32)
    least = np.where(rows.min(axis=0) >= 0, np.float32(0), -np.float32(np.inf))
    bounded: NDArray[np.float32] = np.maximum(made, least)
    return bounded
