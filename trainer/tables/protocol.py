"""The protocol: who may be learned from, and who is judged. Decided here, for every table alike, and nowhere else.

Every row has exactly one role, so roles cannot overlap:

- *fit*: detectors and classifiers learn from it. Benign-only detectors see its benign rows alone.
- *select*: benign rows that give the portfolio's members their p-values; attack rows that only classifiers see.
- *calibrate*: benign rows that nothing was fitted on; they give the thresholds.
- *test*: judged once. *unused*: set aside, and counted.

Rows with the same features count once before they are dealt (an official test file stays whole, because others' figures
are on the whole file). Where the file has time, benign rows are dealt in its order: later ones calibrate, the last
test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import NotEnoughRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.tables.labelled import Labelled

FEWEST: Final = 250
"""Benign rows to learn from, at least: less say nothing."""


class Role(IntEnum):
    """What a row may be used for."""

    UNUSED = 0
    FIT = 1
    SELECT = 2
    CALIBRATE = 3
    TEST = 4


_SHARES: Final = ((Role.FIT, 0.73), (Role.SELECT, 0.10), (Role.CALIBRATE, 0.17))
"""Shares of benign rows where the test rows are others."""
_SHARES_WITH_TEST: Final = ((Role.FIT, 0.50), (Role.SELECT, 0.08), (Role.CALIBRATE, 0.17), (Role.TEST, 0.25))
"""Shares of benign rows where the test takes its part."""
_ATTACKS: Final = ((Role.FIT, 0.85), (Role.SELECT, 0.15))
_HELD_OUT: Final = 1 / 3
"""Share of the attack families that a classifier never sees where there is no test file."""


@dataclass(frozen=True, slots=True)
class Deal:
    """`roles` `[n]` of `Role`, and in words how they were dealt. `held_out` are families that only the test has."""

    roles: NDArray[np.int8]
    rule: str
    held_out: tuple[str, ...] = ()

    def of(self, role: Role) -> NDArray[np.bool_]:
        """Which rows have the role."""
        return self.roles == role

    def counts(self) -> dict[str, int]:
        """Rows of each role."""
        return {role.name.lower(): int(self.of(role).sum()) for role in Role}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What de-duplication on features found. `ambiguous` are rows whose features also occur with another truth."""

    rows: int
    removed: int
    ambiguous: int
    test_rows_repeated: int
    test_rows_also_in_training: int


def without_duplicates(data: Labelled) -> tuple[Labelled, Duplicates]:
    """Rows with the same features once, the first of them; rows of an official test file all stay."""
    groups = _groups(data)
    test = data.test_file
    order = np.arange(len(groups))
    first = np.full(int(groups.max(initial=-1)) + 1, len(groups))
    np.minimum.at(first, groups[~test], order[~test])
    kept = test | (first[groups] == order)
    benign_seen = np.zeros(len(first), dtype=np.bool_)
    attack_seen = np.zeros(len(first), dtype=np.bool_)
    benign_seen[groups[data.benign]] = True
    attack_seen[groups[~data.benign]] = True
    in_training = first[groups[test]] < len(groups)
    found = Duplicates(
        rows=len(groups),
        removed=int((~kept).sum()),
        ambiguous=int((benign_seen & attack_seen)[groups].sum()),
        test_rows_repeated=int(test.sum() - len(np.unique(groups[test]))),
        test_rows_also_in_training=int(in_training.sum()),
    )
    return (data if kept.all() else data.take(np.flatnonzero(kept))), found


def thin(data: Labelled, most: int, seed: int) -> tuple[Labelled, int]:
    """At most about `most` rows outside the official test file, and how many were set aside.

    Benign rows keep at least half of the places; families share the rest alike, so that rare ones stay whole.
    """
    given = np.flatnonzero(~data.test_file)
    if len(given) <= most:
        return data, 0
    chance = np.random.default_rng([seed, 31])
    benign = given[data.benign[given]]
    attacks = given[~data.benign[given]]
    room = max(most - len(attacks), most // 2)
    kept = [np.flatnonzero(data.test_file), _some(benign, room, chance)]
    families = sorted(
        np.unique(data.family[attacks]).tolist(), key=lambda name: int((data.family[attacks] == name).sum())
    )
    left = most - min(len(benign), room)
    for at, name in enumerate(families):
        share = left // (len(families) - at)
        picked = _some(attacks[data.family[attacks] == name], share, chance)
        kept.append(picked)
        left -= len(picked)
    rows = np.sort(np.concatenate(kept))
    return data.take(rows), len(data.family) - len(rows)


def benign_only(data: Labelled, seed: int) -> Deal:
    """Roles where only benign rows are learned from. Raises `NotEnoughRows`."""
    roles = np.zeros(len(data.family), dtype=np.int8)
    if data.official_test is not None:
        roles[data.official_test] = Role.TEST
        _deal(roles, _benign_order(data, seed), _SHARES)
        return Deal(
            roles, f"test: the rows given for it; benign training rows {_in_order(data)}; training attacks unused"
        )
    _deal(roles, _benign_order(data, seed), _SHARES_WITH_TEST)
    roles[~data.benign] = Role.TEST
    return Deal(
        roles,
        f"no test file: benign rows {_in_order(data)}; every attack row tests, so every family is a held-out family",
        tuple(sorted(np.unique(data.family[~data.benign]).tolist())),
    )


def supervised(data: Labelled, seed: int) -> Deal:
    """Roles where attacks may be learned from: the official test, or families held out. Raises `NotEnoughRows`."""
    deal = benign_only(data, seed)
    roles = deal.roles.copy()
    chance = np.random.default_rng([seed, 33])
    attacks = np.flatnonzero(~data.benign & ~data.test_file)
    if data.official_test is not None:
        _deal(roles, chance.permutation(attacks), _ATTACKS)
        known = np.unique(data.family[~data.official_test])
        unseen = np.unique(data.family[data.official_test & data.never_seen(data.family, known)]).tolist()
        rule = "test: the rows given for it; training rows fit, select and calibrate"
        return Deal(roles, rule, tuple(unseen))
    held = hold_out(data, attacks, seed)
    kept = attacks[~np.isin(data.family[attacks], held)]
    _deal(roles, chance.permutation(kept), ((Role.FIT, 0.6), (Role.SELECT, 0.1), (Role.TEST, 0.3)))
    rule = f"no test file: held-out families are in the test alone; benign rows {_in_order(data)}"
    return Deal(roles, rule, held)


def random_split(data: Labelled, seed: int) -> Deal:
    """The trap: rows of one file dealt at random, so that the test holds near copies of what was learned."""
    roles = np.zeros(len(data.family), dtype=np.int8)
    rows = np.random.default_rng([seed, 34]).permutation(np.flatnonzero(~data.test_file))
    _deal(roles, rows, ((Role.FIT, 0.65), (Role.SELECT, 0.1), (Role.TEST, 0.25)))
    return Deal(
        roles, "the trap: a random split inside the training file, which tests on near copies of what was learned"
    )


def hold_out(data: Labelled, attacks: NDArray[np.intp], seed: int) -> tuple[str, ...]:
    """A third of the attack families, never all of them: by day, the families of the last day where days differ."""
    families = sorted(np.unique(data.family[attacks]).tolist())
    if len(families) < 2:
        raise NotEnoughRows(
            f"{data.name}: holding families out needs at least two attack families, "
            f"found {', '.join(families) or 'none'}; give a test file"
        )
    if data.day is not None:
        last = max(data.day[attacks].tolist())
        late = {name for name in families if (data.day[attacks[data.family[attacks] == name]] == last).all()}
        if late and late != {*families}:
            return tuple(sorted(late))
    count = min(max(round(len(families) * _HELD_OUT), 1), len(families) - 1)
    chosen = np.random.default_rng([seed, 32]).choice(len(families), count, replace=False)
    return tuple(families[at] for at in sorted(chosen.tolist()))


def _benign_order(data: Labelled, seed: int) -> NDArray[np.intp]:
    """Benign rows that may be learned from: in order of time, or shuffled where there is none."""
    rows = np.flatnonzero(data.benign & ~data.test_file)
    if len(rows) < FEWEST:
        raise NotEnoughRows(
            f"{data.name}: {len(rows)} benign rows to learn from, at least {FEWEST} are needed; give a larger table"
        )
    if data.moment is not None:
        return rows[np.argsort(data.moment[rows], kind="stable")]
    return np.random.default_rng([seed, 30]).permutation(rows)


def _in_order(data: Labelled) -> str:
    return "in order of time: earlier ones fit, later ones calibrate" if data.moment is not None else "shuffled by seed"


def _deal(roles: NDArray[np.int8], rows: NDArray[np.intp], shares: tuple[tuple[Role, float], ...]) -> None:
    """Give `rows`, in this order, their roles by share; the last role takes what is left."""
    start, reached = 0, 0.0
    for role, share in shares:
        reached += share
        end = len(rows) if role is shares[-1][0] else round(len(rows) * reached)
        roles[rows[start:end]] = role
        start = end


def _some(rows: NDArray[np.intp], most: int, chance: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= most else chance.choice(rows, most, replace=False)


def _groups(data: Labelled) -> NDArray[np.intp]:
    """A number `[n]` that rows share exactly if their features are the same."""
    groups = np.zeros(len(data.family), dtype=np.int64)
    for column in data.table.columns.values():
        _, codes = np.unique(column, return_inverse=True)
        _, groups = np.unique(groups * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return groups.astype(np.intp)
