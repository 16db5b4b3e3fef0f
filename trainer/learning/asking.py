"""Fifty verdicts, given as the product lets people give them. Pure: a seed decides.

The alerts of the first model become incidents by the product's own rules, and the review queue asks, ten alerts and
five quiet flows at a time, as it does in the console; what was answered decides what is asked next. Every answer is the
truth. One about an alert is given on its whole incident, the alerts in it and nothing else; one about a quiet flow is
given on that flow. So a network without enough alerts is asked about quiet flows instead.

People also learn of attacks from elsewhere: a mail server's log, another tool, a user who calls. `reported` of the
verdicts are such incidents: all flows of an attack, grouped by the same rules as alerts would be, whatever the model
said of them. Families take turns, so that a scan in a hundred pieces does not fill the list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from aggregator.learning import review
from aggregator.triage import incidents as grouping
from trainer.corpora.rows import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trainer.learning.roles import Part

ALERTS: Final = 10
FLOWS: Final = 5
"""What the queue offers at a time, by default."""
SAMPLED: Final = 600
"""Quiet flows with the highest scores that the queue looks at, and as many others."""
OF_INCIDENT: Final = 12
KNOWN: Final = 400
"""Judged flows that the queue remembers."""


@dataclass(frozen=True, slots=True)
class Said:
    """Verdicts: per capture name, a verdict for every row (`Verdict`, `[n]`), and how they came about."""

    verdicts: dict[str, NDArray[np.int8]]
    malicious: int
    benign: int
    single_flows: int
    reported: int


@dataclass(slots=True)
class _Desk:
    """All rows that may be judged, in a row: features, scores, truth, and what was said so far."""

    parts: Sequence[Part]
    features: NDArray[np.float32]
    score: NDArray[np.float64]
    part: NDArray[np.intp]
    row: NDArray[np.intp]
    attack: NDArray[np.bool_]
    said: NDArray[np.int8]
    order: list[int] = field(default_factory=list)

    def judge(self, members: NDArray[np.intp]) -> bool:
        """Say the truth of `members` as one, and whether it was malicious."""
        malicious = bool(self.attack[members].mean() > 0.5)
        self.said[members] = Verdict.MALICIOUS if malicious else Verdict.BENIGN
        self.order += members[:OF_INCIDENT].tolist()
        return malicious

    def incidents(self, chosen: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], str]]:
        """The incidents that the rows `chosen` `[n]` make, capture by capture: members, and the kind of each."""
        found = []
        for number, part in enumerate(self.parts):
            mine = np.flatnonzero(chosen & (self.part == number))
            points = grouping.of_flows(part.capture.flows[self.row[mine]], self.score[mine])
            for group in grouping.group(points):
                members = mine[[point.id - 1 for point in group.members]]
                found.append((members, grouping.summarise(group.members, group.rule).kind))
        return found


def ask(
    parts: Sequence[Part],
    scores: Callable[[NDArray], NDArray],
    threshold: float,
    most: int,
    seed: int,
    *,
    reported: int = 0,
) -> Said:
    """Up to `most` verdicts on the rows of `parts`, at most `reported` of them on incidents known from elsewhere."""
    desk = _lay_out(parts, scores)
    counts = {True: 0, False: 0}
    told = _reported(desk, reported, seed)
    for members in told:
        counts[desk.judge(members)] += 1
    singles = _queue(desk, threshold, most, counts, seed)
    verdicts = {}
    for number, part in enumerate(parts):
        verdict = np.zeros(len(part.capture.flows), dtype=np.int8)
        verdict[desk.row[desk.part == number]] = desk.said[desk.part == number]
        verdicts[part.capture.name] = verdict
    return Said(verdicts, counts[True], counts[False], singles, len(told))


def _lay_out(parts: Sequence[Part], scores: Callable[[NDArray], NDArray]) -> _Desk:
    features = np.concatenate([part.capture.rows.features[part.rows] for part in parts])
    return _Desk(
        parts,
        features,
        scores(features).astype(np.float64),
        np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.capture.attack[part.rows] for part in parts]),
        np.zeros(len(features), dtype=np.int8),
    )


def _reported(desk: _Desk, most: int, seed: int) -> list[NDArray[np.intp]]:
    if not most:
        return []
    waiting: dict[str, list[NDArray[np.intp]]] = {}
    for members, _ in desk.incidents(desk.attack):
        waiting.setdefault(desk.parts[desk.part[members[0]]].capture.family, []).append(members)
    chance = np.random.default_rng([seed, 80])
    drawn = {name: [mine[at] for at in chance.permutation(len(mine))] for name, mine in sorted(waiting.items())}
    rounds = max(len(mine) for mine in drawn.values()) if drawn else 0
    turns = [mine[turn] for turn in range(rounds) for mine in drawn.values() if turn < len(mine)]
    return turns[:most]


def _queue(desk: _Desk, threshold: float, most: int, counts: dict[bool, int], seed: int) -> int:
    """Answer the review queue until `most` verdicts are given; how many of them were on single quiet flows."""
    raised = desk.score >= threshold
    group, kind = -1 - np.arange(len(desk.score)), np.full(len(desk.score), "", dtype=object)
    cases = desk.incidents(raised)
    for number, (members, name) in enumerate(cases, start=1):
        group[members], kind[members] = number, name
    quiet = np.flatnonzero(~raised)
    highest = quiet[np.argsort(-desk.score[quiet], kind="stable")]
    others = np.random.default_rng([seed, 78]).permutation(highest[SAMPLED:])[:SAMPLED]
    flows = np.concatenate([highest[:SAMPLED], others])
    singles = 0
    while sum(counts.values()) < most:
        alerts = [members[:OF_INCIDENT] for members, _ in cases if not desk.said[members].any()]
        open_rows = np.concatenate([*alerts, flows[desk.said[flows] == Verdict.NONE]]).astype(np.intp)
        known = np.array(desk.order[-KNOWN:], dtype=np.intp)
        picks = review.choose(
            review.Candidates(
                desk.features[open_rows],
                desk.score[open_rows],
                np.full(len(open_rows), threshold),
                raised[open_rows],
                np.zeros(len(open_rows), dtype=np.bool_),
                group[open_rows],
                tuple(kind[open_rows]),
            ),
            review.Judged(desk.features[known], desk.said[known] == Verdict.MALICIOUS),
            alerts=ALERTS,
            flows=FLOWS,
        )
        if not picks:
            break
        for pick in picks[: most - sum(counts.values())]:
            row = int(open_rows[pick.place])
            members = cases[group[row] - 1][0] if group[row] > 0 else np.array([row])
            counts[desk.judge(members)] += 1
            singles += int(group[row] <= 0)
    return singles
