"""A portfolio: several detectors asked at once, and their answers fused as p-values.

Each member's raw score becomes `-log10 p` against rows of its own that no member was fitted on (calibrate.py: a
conformal p-value inside those rows, an exponential tail beyond them, strictly rising throughout). The fused raw score
is the mean of that over the members: Fisher's method without its claim of independence, which the final calibration
makes good, as it is done on rows that neither members nor their p-values have seen.

Why fuse: members fail on different rows. A count of deviations sees many features slightly off, a Mahalanobis distance
a broken correlation, an autoencoder a broken shape, neighbours a place where nothing was. The mean asks for agreement
and lets nobody veto. One member, `groups`, hears a single aspect of a flow, and counts as much as the others together.

Features that say nothing of what a host does may be left unheard: no member sees them, they are 0 for all.

Parts: a member's share of the fused score times its own parts. Expected comes from the member that says most about a
row: what the autoencoder rebuilt, else the mean of the nearest neighbours, else the mean given the other features, else
the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors import levels as level_maps
from trainer.detectors.autoencoder import Autoencoder
from trainer.detectors.base import fitted
from trainer.detectors.groups import Groups
from trainer.detectors.mahalanobis import Mahalanobis
from trainer.detectors.neighbours import CORESET, Neighbours
from trainer.detectors.std_count import StdCount
from trainer.making import calibrate as calibration
from trainer.making.recipe import Members, Network
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trainer.detectors.base import Detector
    from trainer.making.calibrate import Calibration

MEMBERS: Final = Members().names
KNOTS: Final = Members().knots
_TELLS: Final = ("autoencoder", "neighbours", "mahalanobis", "groups", "std_count")
"""Whose expected values are shown, the first that is a member."""
_HELD_BACK: Final = 0.2
_EVEN: Final = 0.05
"""Added to every level before shares are taken: of a row that nobody finds strange all members tell the same part."""


def voices(members: Sequence[str]) -> NDArray[np.float32]:
    """What each of `members` counts when they are fused, 1 in all.

    `groups` listens to one aspect of a flow at a time, the others to all of it at once: it counts as much as they do
    together. Among equals it drowned: slow attacks ranked three to five times worse on captures.
    """
    others = sum(name != "groups" for name in members)
    counts = [float(max(others, 1)) if name == "groups" else 1.0 for name in members]
    return np.array(counts, dtype=np.float32) / np.float32(sum(counts))


class Portfolio:
    """See the module's text and `base.Detector`. `on_epoch(done, of, select_loss)` follows the autoencoder.

    `heard` `[F]` is 1 for features that members see and 0 for the others; without it they see all.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        seed: int = 7,
        members: Sequence[str] = MEMBERS,
        coreset: int = CORESET,
        knots: int = KNOTS,
        on_epoch: Callable[[int, int, float], None] | None = None,
        heard: NDArray[np.float32] | None = None,
    ) -> None:
        self.network = Network() if network is None else network
        self.seed = seed
        self.members = tuple(members)
        self.kind = "portfolio" if len(self.members) > 1 else self.members[0]
        self.coreset = coreset
        self.knots = knots
        self.on_epoch = on_epoch
        self.heard = heard
        self.members_: dict[str, Detector] | None = None
        self.levels_: dict[str, Calibration] | None = None

    def fit(
        self,
        rows: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        *,
        select: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        calibrate: NDArray[np.float32] | None = None,
    ) -> Self:
        """Learn benign rows `[n, F]`, and each member's p-values from the rows `calibrate` `[m, F]`.

        `select` are rows and weights that tell the autoencoder when to stop. Without `calibrate` a seeded fifth of
        `rows` is held back for it, by weight. Raises `NotEnoughRows` with fewer than 20 calibration rows.
        """
        everyone = np.ones(len(rows), dtype=np.float32) if weights is None else weights.astype(np.float32)
        rows = self._hear(rows)
        select = None if select is None else (self._hear(select[0]), select[1])
        calibrate = None if calibrate is None else self._hear(calibrate)
        if calibrate is None:
            rows, everyone, calibrate = self._hold_back(rows, everyone)
        learned: dict[str, Detector] = {}
        for name in self.members:
            member = self._make(name)
            if isinstance(member, Autoencoder):
                learned[name] = member.fit(rows, everyone, select=select)
            elif name == "std_count":
                # Weights pull its mean to rare hosts and widen its deviations: AUC on captures .85 with, .99 without.
                learned[name] = member.fit(rows)
            else:
                learned[name] = member.fit(rows, everyone)
        self.levels_ = {name: calibration.calibrate(learned[name].raw_score(calibrate), ()) for name in self.members}
        self.members_ = learned
        return self

    @property
    def epochs_(self) -> int:
        """Passes the autoencoder took over its rows; 0 without one, or before `fit`."""
        member = (self.members_ or {}).get("autoencoder")
        return member.epochs_ if isinstance(member, Autoencoder) else 0

    def take(self, members: Sequence[str]) -> Portfolio:
        """A portfolio of some of these members as they are fitted, `[n]` scores at no further fit."""
        learned, levels = fitted(self, self.members_), fitted(self, self.levels_)
        part = Portfolio(
            self.network, seed=self.seed, members=members, coreset=self.coreset, knots=self.knots, heard=self.heard
        )
        part.members_ = {name: learned[name] for name in part.members}
        part.levels_ = {name: levels[name] for name in part.members}
        return part

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """One more than the mean of `-log10 p` over the members, by their voices. `[n]`, at least one.

        The one keeps rows that every member finds ordinary away from zero, where the logarithm that calibration takes
        would make rounding errors into scores.
        """
        score: NDArray[np.float32] = self.levels(rows) @ self.voices() + np.float32(1)
        return score

    def voices(self) -> NDArray[np.float32]:
        """What each member counts in the fused score, `[members]`, 1 in all."""
        return voices(self.members)

    def levels(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`-log10 p` `[n, members]` by each member."""
        return self._levels(self._hear(rows))

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions `[n, F]`, which sum to 1 over a row, and expected values `[n, F]` in original units."""
        learned = fitted(self, self.members_)
        rows = self._hear(rows)
        levels = (self._levels(rows) + np.float32(_EVEN)) * self.voices()
        shares = levels / levels.sum(axis=1, keepdims=True)
        told = {name: learned[name].explain(rows) for name in self.members}
        parts = sum(shares[:, [at]] * told[name][0] for at, name in enumerate(self.members))
        return np.asarray(parts, dtype=np.float32), told[self._teller()][1]

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """The same in TensorFlow operations: raw score `[n]`, contributions and expected `[n, F]`."""
        tf = tensorflow()
        learned, levels = fitted(self, self.members_), fitted(self, self.levels_)
        features = features if self.heard is None else features * self.heard
        drawn = {name: learned[name].graph(features) for name in self.members}
        raws = tf.stack([drawn[name][0] for name in self.members], axis=1)
        each = level_maps.graph([levels[name] for name in self.members], raws, tf)
        raw = tf.squeeze(tf.matmul(each, self.voices()[:, None]), axis=1) + np.float32(1)
        each = (each + np.float32(_EVEN)) * self.voices()
        shares = each / tf.reduce_sum(each, axis=1, keepdims=True)
        parts = tf.add_n([shares[:, at : at + 1] * drawn[name][1] for at, name in enumerate(self.members)])
        return raw, parts, drawn[self._teller()][2]

    def _levels(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        learned, levels = fitted(self, self.members_), fitted(self, self.levels_)
        return np.stack([levels[name].score(learned[name].raw_score(heard)) for name in self.members], axis=1)

    def _hear(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows if self.heard is None else rows * self.heard

    def _teller(self) -> str:
        return next(name for name in _TELLS if name in self.members)

    def _make(self, name: str) -> Any:
        if name == "autoencoder":
            return Autoencoder(self.network, seed=self.seed, knots=self.knots, on_epoch=self.on_epoch)
        alike: dict[str, Any] = {
            "clip": self.network.clip,
            "floor": self.network.deviation_floor,
            "knots": self.knots,
            "seed": self.seed,
        }
        if name == "neighbours":
            return Neighbours(size=self.coreset, **alike)
        if name == "groups":
            # Plain logarithms held up on every split of the captures (AUC .996 at least), normal scores did not (.994).
            return Groups(**(alike | {"knots": 1}))
        return {"std_count": StdCount, "mahalanobis": Mahalanobis}[name](**alike)

    def _hold_back(
        self, rows: NDArray[np.float32], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        chance = np.random.default_rng([self.seed, 12])
        held = chance.random(len(rows)) < _HELD_BACK
        calibrate = rows[held & (chance.random(len(rows)) * float(weights.max()) < weights)]
        return rows[~held], weights[~held], calibrate
