"""Placing: which labelled rows become places, and how far each reaches (detectors/places.py).

Benign rows, kind by kind (source, protocol, responder port): at most `KIND_CENTRES` centres. The reach of a kind is
what its own rows say: `SPREAD` times the distance within which nine in ten of them find another one, or the next
centre. It is no less than what lies between an ordinary row and the nearest ordinary centre in the middle, which is all
that one verdict alone may claim, and no more than nine in ten such distances, or half the way to what is ordinary. A
reach also ends well before the nearest labelled attack: what fades out at `FADE` times the reach has then gone half the
way. A kind whose reach would be smaller than `LEAST_REACH` cannot be told from an attack and calms nothing.

Attacks, family by family: at most `FAMILY_CENTRES` centres. A centre counts up to `SHARE` of the distance to what is
ordinary, and less where benign rows come close to it, fitted ones or others: none of them may be counted alike. A
centre that would need a share below `LEAST_SHARE` looks like ordinary traffic and raises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.clusters import kmeans
from trainer.detectors.places import FADE, Places, Space, distances

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from trainer.making.teaching import Ground

KIND_CENTRES: Final = 16
FAMILY_CENTRES: Final = 24
MOST_CENTRES: Final = 256
"""Of either sort. What is beyond is clustered once more: an agent scores all of them for every flow."""
SPREAD: Final = 1.5
FEWEST_OF_KIND: Final = 6
"""Rows of a kind from which its spread is known."""
LEAST_REACH: Final = 0.15
SHARE: Final = 0.85
CLEAR: Final = 0.9
LEAST_SHARE: Final = 0.2
_USUAL: Final = (0.5, 0.9)
_MOST_ROWS: Final = 2000


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled rows to learn from: `benign` `[b, F]` of kinds `[b]`, and `attacks` `[a, F]` in order of time.

    `family` `[a]` indexes `families`.
    """

    benign: NDArray[np.float32]
    kind: NDArray[np.intp]
    attacks: NDArray[np.float32]
    family: NDArray[np.intp]
    families: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.benign) + len(self.attacks)

    @property
    def names(self) -> list[str]:
        """The family of each attack `[a]` by its name."""
        return [self.families[at] for at in self.family.tolist()]


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of it, as the report shows it. Reaches are in whitened deviations per feature."""

    kinds: int
    benign_centres: int
    reach: tuple[float, ...]
    too_near_to_attacks: int
    attack_centres: int
    too_near_to_ordinary: int

    def to_json(self) -> dict[str, Any]:
        """As the report shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Kinds:
    centres: NDArray[np.float32]
    reach: NDArray[np.float32]
    dropped: int = field(default=0)


def place(space: Space, judged: Judged, ground: Ground, raising: Collection[str]) -> tuple[Places, Placed]:
    """The places of `judged` rows on a ground of benign ones. Pure.

    Families that are not `raising` only bound what is calmed.
    """
    attacks = space.place(judged.attacks)
    quiet = np.concatenate([ground.promise, ground.held])
    away = distances(space.place(quiet), space.ordinary).min(axis=1)
    calming = _kinds(space, judged, attacks, away, ground.seed)
    able = np.isin(judged.family, [at for at, name in enumerate(judged.families) if name in raising])
    centres = _families(attacks[able], judged.family[able], ground.seed)
    ordinary = np.concatenate([space.ordinary, calming.centres])
    limit = _limits(space, centres, ordinary, np.concatenate([ground.rows, quiet]))
    struck = limit < LEAST_SHARE
    centres, limit = centres[~struck], limit[~struck]
    places = Places(space, calming.centres, calming.reach, centres, limit)
    reach = np.quantile(calming.reach, (0.0, 0.5, 1.0)) if len(calming.reach) else np.zeros(0)
    told = Placed(
        len(np.unique(judged.kind)),
        len(calming.centres),
        tuple(round(float(value), 4) for value in reach),
        calming.dropped,
        len(centres),
        int(struck.sum()),
    )
    return places, told


def _kinds(space: Space, judged: Judged, attacks: NDArray[np.float32], away: NDArray[np.float32], seed: int) -> _Kinds:
    """Centres `[b, F]` of what was called benign and the reach of each `[b]`; `away` is usual for ordinary rows."""
    placed = space.place(judged.benign)
    least, most = np.quantile(away, _USUAL)
    centres, reach = [np.empty((0, placed.shape[1]), np.float32)], [np.empty(0, np.float32)]
    for number in np.unique(judged.kind).tolist():
        mine = placed[judged.kind == number][:_MOST_ROWS]
        found = kmeans(mine, np.ones(len(mine), np.float32), KIND_CENTRES, seed)
        far = max(float(most), float(np.median(distances(found, space.ordinary).min(axis=1))) / 2)
        wide = np.clip(SPREAD * spread(mine, found), least, far) if len(mine) >= FEWEST_OF_KIND else least
        centres.append(found)
        reach.append(np.full(len(found), wide, np.float32))
    every, wanted = np.concatenate(centres), np.concatenate(reach)
    if len(every) > MOST_CENTRES:  # the widest kinds: they are what verdicts agree on
        kept = np.sort(np.argsort(-wanted, kind="stable")[:MOST_CENTRES])
        every, wanted = every[kept], wanted[kept]
    if len(attacks) and len(every):
        nearest = np.concatenate(
            [distances(every[at : at + 64], attacks).min(axis=1) for at in range(0, len(every), 64)]
        )
        wanted = np.minimum(wanted, nearest / (2 * FADE)).astype(np.float32)
    stays = wanted >= LEAST_REACH
    return _Kinds(every[stays], wanted[stays], int((~stays).sum()))


def spread(mine: NDArray[np.float32], centres: NDArray[np.float32]) -> float:
    """Within what distance nine in ten rows of a kind `[n, F]` find another one, and a centre `[k, F]`."""
    between = distances(mine, mine)
    np.fill_diagonal(between, np.inf)
    beside = between.min(axis=1)
    if len(centres) < len(mine):
        beside = np.maximum(beside, distances(mine, centres).min(axis=1))
    return float(np.quantile(beside, 0.9))


def _families(attacks: NDArray[np.float32], family: NDArray[np.intp], seed: int) -> NDArray[np.float32]:
    """Centres `[a, F]` of placed attacks `[n, F]` of `family` `[n]`."""
    found = [np.empty((0, attacks.shape[1]), np.float32)]
    for number in np.unique(family).tolist():
        mine = attacks[family == number]
        found.append(kmeans(mine, np.ones(len(mine), np.float32), FAMILY_CENTRES, seed))
    centres = np.concatenate(found)
    if len(centres) > MOST_CENTRES:
        return kmeans(centres, np.ones(len(centres), np.float32), MOST_CENTRES, seed)
    return centres


def _limits(
    space: Space, centres: NDArray[np.float32], ordinary: NDArray[np.float32], quiet: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The share of each of `centres` `[a]` that counts none of the benign rows `quiet` as like it."""
    shares = np.full(len(centres), np.inf)
    for start in range(0, len(quiet) if len(centres) else 0, _MOST_ROWS):
        part = space.place(quiet[start : start + _MOST_ROWS])
        from_ordinary = distances(part, ordinary).min(axis=1, keepdims=True)
        shares = np.minimum(shares, (distances(part, centres) / from_ordinary).min(axis=0))
    limit: NDArray[np.float32] = np.minimum(SHARE, CLEAR * shares).astype(np.float32)
    return limit
