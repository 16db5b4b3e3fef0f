"""Groups: each aspect of a flow judged by itself, and the strangest one heard.

A scan moves a dozen context features at once, a tunnel or a beacon three, and among a hundred features three drown. So
features are put into groups by what they speak of (whom a host reaches, rhythm, DNS, ICMP, traffic of hosts, packet
sizes and times, flags, volume, sort). In each group a Mahalanobis distance becomes `-log10 p` against rows it was not
fitted on, and the raw score is the largest of them plus `AGREEMENT` times their mean: the test of the smallest p-value,
in which every group has one vote, however many features it has.

Measured on captures (three splits by capture, prototypes of some features): the share of benign test flows that score
above an attack's best ones, geometric mean over password guessing, slowloris, three tunnels and periodic command and
control, is 1 % for std count, Mahalanobis and neighbours fused by their mean, and .07 % for groups. For lateral
movement and exploits, which are a little strange in everything, groups are worse than the others: they stand beside
them, and do not replace them.

A feature's part is the square of its whitened coordinate, times its group's share of the levels. Expected is its mean
given the other features of its group.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from protos import contract
from trainer.detectors import levels as level_maps
from trainer.detectors.base import CLIP, FLOOR, TINY, fitted
from trainer.detectors.scaled import Scaled, shares
from trainer.making import calibrate as calibration
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.making.calibrate import Calibration

AGREEMENT: Final = 0.3
RIDGE: Final = 1.0
"""Added to the variance of every feature, of 1 when scaled: inside a group a feature that is far off matters more than
a correlation that is broken. Ranks of slow attacks (geometric mean): .09 % at .1, .07 % at .3 or 1, .13 % at 3."""
_HELD_BACK: Final = 0.3
_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    ("dns", r"(^|_)dns_"),
    ("icmp", r"icmp"),
    ("flags", r"_(syn|cwr|ece|urg|ack|psh|rst|fin)_packets$"),
    ("shape", r"_(ps|piat_ms)$"),
    ("rhythm", r"^repeat_|_held_|^(pair|service)_flows_"),
    ("reach", r"(peers|ports|unanswered|refused|flows)_\d+s$"),
    ("traffic", r"_\d+s$"),
    ("flow", r"bytes|packets|duration|per_second"),
    ("sort", r""),
)
"""Groups by the names of features; the first pattern that is found decides."""


def group_names(names: Sequence[str]) -> tuple[str, ...]:
    """The group of each feature."""
    return tuple(next(group for group, pattern in _PATTERNS if re.search(pattern, name)) for name in names)


class Groups(Scaled):
    """See the module's text and `base.Detector`. Rows of another width than the contract's are one group."""

    kind = "groups"

    def __init__(self, *, clip: float = CLIP, floor: float = FLOOR, knots: int = 1, seed: int = 0) -> None:
        super().__init__(clip=clip, floor=floor, knots=knots, seed=seed)
        self.root_: NDArray[np.float32] | None = None
        self.regression_: NDArray[np.float32] | None = None
        self.member_: NDArray[np.float32] | None = None
        self.levels_: tuple[Calibration, ...] | None = None

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Learn benign rows `[n, F]`.

        Raises `NotEnoughRows` when three tenths of the rows are fewer than a calibration needs.
        """
        everyone = shares(rows, weights)
        chance = np.random.default_rng([self.seed, 31])
        held = chance.random(len(rows)) < _HELD_BACK
        learn = ~held
        scaling = self._scale_by(rows[learn], everyone[learn])
        scaled = scaling.apply(rows)
        width = rows.shape[1]
        names = group_names(contract.FEATURES) if width == len(contract.FEATURES) else ("sort",) * width
        present = sorted(set(names))
        member = np.array([[name == group for group in present] for name in names], dtype=np.float32)
        root, regression = (np.zeros((width, width), dtype=np.float32) for _ in range(2))
        for group in member.T > 0:
            inside = np.ix_(group, group)
            root[inside], regression[inside] = _whiten(scaled[learn][:, group], everyone[learn])
        self.member_ = member / member.sum(axis=0)
        self.root_, self.regression_ = root, regression
        # Drawn by weight, with repeats: thinning by the largest weight would leave too few rows for eight scales.
        share = everyone[held].astype(np.float64)
        told = chance.choice(np.flatnonzero(held), size=int(held.sum()), p=share / share.sum())
        distances = self._distances(self._parts(rows[told]))
        self.levels_ = tuple(calibration.calibrate(column, ()) for column in distances.T)
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The largest level over the groups, and a part of their mean. `[n]`, above zero."""
        return _strangest(self._levels(self._distances(self._parts(rows))))

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions `[n, F]`, which sum to 1 over a row, and conditional means `[n, F]` in original units."""
        scaling, member = fitted(self, self.scaling_), fitted(self, self.member_)
        scaled = scaling.apply(rows)
        parts = (scaled @ fitted(self, self.root_)) ** 2
        distances = self._distances(parts)
        # A loud group is heard alone: levels to the fourth power leave little to the others.
        voices = self._levels(distances) ** 4 / (distances + np.float32(TINY))
        shares = parts * (voices @ member.T) + np.float32(TINY)
        expected = scaling.invert(scaled @ fitted(self, self.regression_))
        return shares / shares.sum(axis=1, keepdims=True), expected

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """The same in TensorFlow operations: raw score `[n]`, contributions and expected `[n, F]`."""
        tf = tensorflow()
        scaling, regression = fitted(self, self.scaling_), fitted(self, self.regression_)
        member, levels = fitted(self, self.member_), fitted(self, self.levels_)
        scaled = scaling.graph(features, tf)
        parts = tf.square(tf.matmul(scaled, fitted(self, self.root_)))
        distances = tf.matmul(parts, member) + np.float32(TINY)
        each = level_maps.graph(levels, distances, tf)
        raw = tf.reduce_max(each, axis=1) + np.float32(AGREEMENT) * tf.reduce_mean(each, axis=1) + np.float32(TINY)
        voices = tf.square(tf.square(each)) / (distances + np.float32(TINY))
        shares = parts * tf.matmul(voices, member.T.copy()) + np.float32(TINY)
        shares = shares / tf.reduce_sum(shares, axis=1, keepdims=True)
        likely = tf.matmul(scaled, regression)
        return raw, shares, scaling.invert_graph(likely, tf)

    def _parts(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled = fitted(self, self.scaling_).apply(rows)
        parts: NDArray[np.float32] = (scaled @ fitted(self, self.root_)) ** 2
        return parts

    def _distances(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean squared whitened deviation of each group, `[n, G]`, above zero."""
        distances: NDArray[np.float32] = parts @ fitted(self, self.member_) + np.float32(TINY)
        return distances

    def _levels(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        levels = fitted(self, self.levels_)
        return np.stack([level.score(distances[:, at]) for at, level in enumerate(levels)], axis=1)


def _whiten(
    deviations: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Symmetric root of the inverse covariance `[f, f]`, and the regression of each feature on the others."""
    values = deviations.astype(np.float64)
    spread = (values * weights[:, None]).T @ values / float(weights.sum(dtype=np.float64))
    eigen, vectors = np.linalg.eigh(spread + RIDGE * np.eye(len(spread)))
    inverse = (vectors / eigen) @ vectors.T
    regression = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(regression, 0.0)
    return ((vectors / np.sqrt(eigen)) @ vectors.T).astype(np.float32), regression.astype(np.float32)


def _strangest(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    score: NDArray[np.float32] = levels.max(axis=1) + np.float32(AGREEMENT) * levels.mean(axis=1) + np.float32(TINY)
    return score
