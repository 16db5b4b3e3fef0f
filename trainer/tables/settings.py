"""What a benchmark run depends on besides its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trainer.tables.portfolio import NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.making.recipe import Network

FIRST_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Run:
    """`tell(fraction, message)` follows the run, `clock` gives seconds. `flows_a_day` turns a rate into alerts."""

    tell: Callable[[float, str], None]
    clock: Callable[[], float]
    seeds: int = 3
    alpha: float = 0.01
    flows_a_day: float = 1_000_000.0
    most_rows: int = 60_000
    modes: tuple[str, ...] = ("benign-only", "supervised")
    network: Network = field(default_factory=lambda: NETWORK)

    def each_seed(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(range(FIRST_SEED, FIRST_SEED + self.seeds))

    def to_json(self) -> dict[str, Any]:
        """What the report says of it."""
        return {
            "seeds": list(self.each_seed()),
            "promised_fpr": self.alpha,
            "flows_a_day": self.flows_a_day,
            "most_rows": self.most_rows,
            "modes": list(self.modes),
        }
