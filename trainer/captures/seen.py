"""A capture as the product sees it: metered as an agent would, scored, with the truth beside every flow.

Of a flow are kept its identity, the few counters that incidents are grouped by, and its scores. Its features are needed
for one figure only (the best single feature), so of each capture an even sample of at most `SAMPLED` rows is kept, each
with the number of flows it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregator.triage.incidents import TRAITS
from protos import contract
from trainer.corpora.sources import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from protos.manifest import CaptureProfile
    from trainer.corpora import truth

    Score = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SAMPLED: Final = 2_000
_IDENTITY: Final = (
    "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "ended_ms",
    "bidirectional_first_seen_ms", "bidirectional_last_seen_ms", "bidirectional_packets", "bidirectional_bytes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """One capture. `flows` `[n]` have the fields that grouping reads; `scores` are by detector, `[n]` each.

    `sample` are positions of flows whose feature `rows` are kept. A capture that could not be read has an `error`; one
    that ended inside a packet has one as well, and the flows that were whole.
    """

    entry: truth.Entry
    flows: NDArray
    attack: NDArray[np.bool_]
    scores: Mapping[str, NDArray[np.float32]]
    sample: NDArray[np.intp]
    rows: NDArray[np.float32]
    fitted_on: bool
    error: str

    @property
    def counts(self) -> bool:
        """Whether its figures may count: it was read, and nothing was fitted on it."""
        return not self.fitted_on and len(self.flows) > 0

    @property
    def begun_ms(self) -> int:
        """When its first packet came."""
        return int(self.flows["bidirectional_first_seen_ms"].min()) if len(self.flows) else 0


@dataclass(slots=True)
class _Parts:
    flows: list[NDArray] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    attack: list[NDArray[np.bool_]] = field(default_factory=list)


def see(
    entry: truth.Entry,
    profile: CaptureProfile,
    detectors: Mapping[str, Score],
    fitted_on: Callable[[str], bool],
    together: float | None = None,
) -> Seen:
    """Meter the capture of `entry` and ask every one of `detectors`. `fitted_on` knows files by their SHA-256.

    With a handicap for flows `together`, the scores of "model" are what an agent decides by (agent/conversations.py).
    """
    from agent import meter
    from agent.context import Context
    from agent.conversations import Conversations, judge
    from agent.errors import SourceError
    from agent.features import compute

    if not entry.path.exists():
        return _nothing(entry, detectors, "no such file")
    parts, context, error = _Parts(), Context(), ""
    try:
        for flows in meter.read_capture(entry.path, profile):
            if len(flows):
                parts.flows.append(_slim(flows))
                parts.rows.append(compute(flows, context))
                parts.attack.append(entry.is_attack(flows))
    except SourceError as problem:
        error = str(problem)
    if not parts.flows:
        return _nothing(entry, detectors, error)
    rows, flows = np.concatenate(parts.rows), np.concatenate(parts.flows)
    told = {score: score(rows) for score in dict.fromkeys(detectors.values())}  # one may stand there by two names
    scores = {name: told[score] for name, score in detectors.items()}
    if together is not None:
        scores["model"] = judge(scores["model"], Conversations().together(flows, scores["model"]), together)
    sample = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED)).astype(np.intp))
    return Seen(
        entry=entry,
        flows=flows,
        attack=np.concatenate(parts.attack),
        scores=scores,
        sample=sample,
        rows=rows[sample],
        fitted_on=fitted_on(file_digest(entry.path)),
        error=error,
    )


def _slim(flows: NDArray) -> NDArray:
    fields = [name for name in flows.dtype.names or () if name in _IDENTITY or name in TRAITS]
    kept = np.empty(len(flows), dtype=[(name, flows.dtype[name]) for name in fields])
    for name in fields:
        kept[name] = flows[name]
    return kept


def _nothing(entry: truth.Entry, detectors: Mapping[str, Score], error: str) -> Seen:
    from agent.flow import FLOW

    none = np.zeros(0, dtype=np.float32)
    return Seen(
        entry=entry,
        flows=_slim(np.zeros(0, dtype=FLOW)),
        attack=np.zeros(0, dtype=np.bool_),
        scores=dict.fromkeys(detectors, none),
        sample=np.zeros(0, dtype=np.intp),
        rows=np.zeros((0, len(contract.FEATURES)), dtype=np.float32),
        fitted_on=False,
        error=error,
    )
