"""The portfolio for tables: four detectors in two views, fused as p-values.

A count of deviations and a Mahalanobis distance look at magnitudes, the nearest row at magnitudes and at ranks
(views.py), the five nearest rows and an autoencoder at ranks. A member's raw score becomes `-log10 p` against benign
rows that no member was fitted on, and the fused score is the mean.

`MEMBERS` is the same for every table and nothing about it is decided by a table's own rows, so there is nothing to
choose with hindsight; every member stands beside the portfolio in every result. It was settled on KDD Cup 99's training
file: fitted on benign rows of one time or table, judged on its attack families, each family alike (docs/benchmarks.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.autoencoder import Autoencoder
from trainer.detectors.base import TINY
from trainer.detectors.mahalanobis import Mahalanobis
from trainer.detectors.std_count import StdCount
from trainer.making import calibrate as calibration
from trainer.making.recipe import Network
from trainer.tables.nearest import Nearest
from trainer.tables.views import VIEWS, View, learned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.making.calibrate import Calibration

MEMBERS: Final = (
    ("std_count", "magnitudes"),
    ("mahalanobis", "magnitudes"),
    ("nearest", "magnitudes"),
    ("nearest", "ranks"),
    ("five_nearest", "ranks"),
    ("autoencoder", "ranks"),
)
"""Kind and view of each member."""
PORTFOLIO: Final = "portfolio"
NETWORK: Final = Network(layers=(64, 16), residual_floor=10.0, epochs=40, most_steps=60)
"""A floor above every typical error makes the errors of all features count alike, in deviations."""


@dataclass(frozen=True, slots=True)
class Single:
    """A fitted member behind its view."""

    view: View
    member: Any

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw score `[n]` of rows `[n, F]` as the encoding gives them."""
        score: NDArray[np.float32] = self.member.raw_score(self.view.apply(rows))
        return score


class TablePortfolio:
    """All members and their fusion. `tell(done, of, name)` is called after each member."""

    kind = PORTFOLIO

    def __init__(
        self, *, seed: int, network: Network = NETWORK, tell: Callable[[int, int, str], None] | None = None
    ) -> None:
        self.seed = seed
        self.network = network
        self.tell = tell
        self.views_: dict[str, View] | None = None
        self.members_: dict[str, tuple[str, Any]] | None = None
        self.levels_: dict[str, Calibration] | None = None
        self.seconds_: dict[str, float] = {}

    def fit(self, rows: NDArray[np.float32], select: NDArray[np.float32], clock: Callable[[], float]) -> Self:
        """Learn benign rows `[n, F]`; `select` `[m, F]` give each member its p-values.

        `clock` gives seconds, for the time each member took. Raises `NotEnoughRows` for less than 20 select rows.
        """
        self.views_ = {name: view().fit(rows) for name, view in VIEWS.items()}
        members: dict[str, tuple[str, Any]] = {}
        levels: dict[str, Calibration] = {}
        shuffled = np.random.default_rng([self.seed, 38]).permutation(len(rows))
        seen = {name: (view.apply(rows), view.apply(select)) for name, view in self.views_.items()}
        for kind, view in MEMBERS:
            name, start = f"{kind} on {view}", clock()
            learn, unseen = seen[view]
            member = self._make(kind, self.views_[view].floor)
            # Shuffled, because an autoencoder holds its last tenth back to know when to stop: rows of one late hour
            # would stop it by how traffic drifts, not by how well it has learned.
            member.fit(learn[shuffled] if isinstance(member, Autoencoder) else learn)
            members[name] = view, member
            levels[name] = calibration.calibrate(member.raw_score(unseen), ())
            self.seconds_[name] = clock() - start
            if self.tell is not None:
                self.tell(len(members), len(MEMBERS), name)
        self.members_, self.levels_ = members, levels
        return self

    def member_scores(self, rows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Raw score `[n]` of every member."""
        views, members = learned(self.views_, self.kind), learned(self.members_, self.kind)
        seen = {name: view.apply(rows) for name, view in views.items()}
        return {name: member.raw_score(seen[view]) for name, (view, member) in members.items()}

    def fuse(self, scores: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The mean of `-log10 p` over the members' raw scores. `[n]`, above zero."""
        levels = learned(self.levels_, self.kind)
        each = np.stack([levels[name].score(scores[name]) for name in levels], axis=1)
        fused: NDArray[np.float32] = each.mean(axis=1, dtype=np.float32) + np.float32(TINY)
        return fused

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`fuse` of `member_scores`."""
        return self.fuse(self.member_scores(rows))

    def singles(self) -> dict[str, Single]:
        """Every member with its view, as a detector of its own."""
        views, members = learned(self.views_, self.kind), learned(self.members_, self.kind)
        return {name: Single(views[view], member) for name, (view, member) in members.items()}

    def _make(self, kind: str, floor: float) -> Any:
        if kind == "autoencoder":
            return Autoencoder(replace(self.network, deviation_floor=floor), seed=self.seed)
        if kind in {"nearest", "five_nearest"}:
            return Nearest(5 if kind == "five_nearest" else 1, floor=floor, seed=self.seed)
        return {"std_count": StdCount, "mahalanobis": Mahalanobis}[kind](floor=floor)
