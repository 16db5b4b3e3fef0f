"""One seed of the benign-only protocol: roles dealt, the portfolio and the forest fitted, rows scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.tables import protocol
from trainer.tables.encoding import Encoding
from trainer.tables.forest import Forest
from trainer.tables.portfolio import PORTFOLIO, TablePortfolio
from trainer.tables.protocol import Deal, Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.tables.labelled import Labelled
    from trainer.tables.settings import Run

PLAIN: Final = " on magnitudes"


@dataclass(frozen=True, slots=True)
class Fitted:
    """`scores` hold every detector's raw score of `scored`, rows that nothing was fitted on, and of attacks."""

    deal: Deal
    seed: int
    encoding: Encoding
    matrix: NDArray[np.float32]
    scored: NDArray[np.intp]
    scores: dict[str, NDArray[np.float32]]
    seconds: dict[str, float]
    models: dict[str, Any]

    def of(self, name: str, rows: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The detector's raw scores of the scored rows among `rows` `[n]`, in their order."""
        return self.scores[name][rows[self.scored]]


def fit(data: Labelled, deal: Deal, seed: int, run: Run, *, reached: float, width: float) -> Fitted:
    """Fit on benign fit rows, score everything else. Progress goes from `reached` on by `width`."""
    learn = deal.of(Role.FIT) & data.benign
    select = deal.of(Role.SELECT) & data.benign
    encoding = Encoding.fit(data.table.take(learn))
    matrix = encoding.apply(data.table)

    def tell(done: int, of: int, name: str) -> None:
        run.tell(reached + width * 0.8 * done / of, f"seed {seed}: {name}")

    portfolio = TablePortfolio(seed=seed, network=run.network, tell=tell)
    portfolio.fit(matrix[learn], matrix[select], run.clock)
    start = run.clock()
    forest = Forest(seed=seed).fit(matrix[learn])
    forest_seconds = run.clock() - start
    scored = np.flatnonzero(~learn)
    run.tell(reached + width * 0.85, f"seed {seed}: scoring {len(scored)} rows")
    members = portfolio.member_scores(matrix[scored])
    scores = {PORTFOLIO: portfolio.fuse(members), **members, Forest.kind: forest.raw_score(matrix[scored])}
    models = {PORTFOLIO: portfolio, Forest.kind: forest, **portfolio.singles()}
    seconds = {PORTFOLIO: sum(portfolio.seconds_.values()), Forest.kind: forest_seconds, **portfolio.seconds_}
    return Fitted(
        deal=deal,
        seed=seed,
        encoding=encoding,
        matrix=matrix,
        scored=scored,
        scores={name.removesuffix(PLAIN): values for name, values in scores.items()},
        seconds={name.removesuffix(PLAIN): value for name, value in seconds.items()},
        models={name.removesuffix(PLAIN): model for name, model in models.items()},
    )


def roles(data: Labelled, seed: int) -> Deal:
    """The roles of the benign-only protocol."""
    return protocol.benign_only(data, seed)
