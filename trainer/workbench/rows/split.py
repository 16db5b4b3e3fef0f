"""Roles of rows that never overlap: fit, select, test, and calibrate where a detector needs a threshold.

A test table is the test as it stands. Else the last rows by time, whole groups, or a random quarter: of these the
random one is the kindest, since its test rows are brothers of the fitted ones, and its warning says so. Before a random
split rows that equal an earlier one in every feature are taken out, so that none stands in two roles; beside a test
table copies stay together in the role that chooses or calibrates, and are taken out of what is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import NotEnoughRows, SettingsUnusable
from trainer.workbench.rows.table import Numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.rows.table import Rows
    from trainer.workbench.settings import Settings

RANDOM_WARNING: Final = (
    "The test rows were drawn at random from the same table: such figures flatter, because near copies of a test row "
    "were learnt from. What comes later, or from elsewhere, will be judged worse; give a test table to see how much."
)
SELECT_SHARE: Final = 0.2
CALIBRATE_SHARE: Final = 0.2
LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Roles:
    """Row numbers of each role; `test` is None where a test table is given. `duplicates` were taken out."""

    how: str
    fit: NDArray[np.intp]
    select: NDArray[np.intp]
    calibrate: NDArray[np.intp]
    test: NDArray[np.intp] | None
    duplicates: int
    warning: str


def alike(rows: Rows) -> NDArray[np.uint64]:
    """A number for each row, the same for rows that agree in every column (64 bits, mixed as splitmix64 does)."""
    key = np.full(len(rows), np.uint64(0x9E3779B97F4A7C15), dtype=np.uint64)
    for column in rows.columns.values():
        if isinstance(column, Numbers):
            values = np.where(column.values == 0, 0, column.values).astype(np.float64)
            part = np.where(np.isnan(values), np.float64(-1.5e300), values).view(np.uint64)
        else:
            part = np.array([_of(word) for word in column.words] or [0], dtype=np.uint64)[column.codes]
        key = _mixed(key ^ part)
    return key


def _of(word: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        key = key + np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return key ^ (key >> np.uint64(31))


def split(
    rows: Rows, classes: NDArray[np.int64], settings: Settings, *, test_given: bool, detects: bool, features: Rows
) -> Roles:
    """Roles of `rows`, whose class numbers are `classes` [n]. Raises `NotEnoughRows` or `SettingsUnusable`."""
    how = settings.split if settings.split != "auto" else ("file" if test_given else "random")
    if how == "file" and not test_given:
        raise SettingsUnusable("splitting: split is 'file' but there is no test table; give one, or split otherwise")
    chance = np.random.default_rng([settings.seed, 82])
    everyone = np.arange(len(rows))
    warning, duplicates, test = "", 0, None
    copies: NDArray[np.intp] = everyone
    if how in {"time", "group"}:
        if settings.split_column is None or settings.split_column not in rows.columns:
            raise SettingsUnusable(f"splitting by {how}: name the column in split_column")
        column = rows.columns[settings.split_column]
        if how == "time":
            if not isinstance(column, Numbers):
                raise SettingsUnusable(
                    f"splitting by time: {settings.split_column!r} holds words; name a column of times or numbers"
                )
            order = np.argsort(column.values, kind="stable")
            cut = len(order) - round(settings.test_share * len(order))
            learn, test = order[:cut], np.sort(order[cut:])
        else:
            learn, test = _groups(column.as_words().astype(str), settings.test_share, chance)
    elif how == "random":
        _, first = np.unique(alike(features), return_index=True)
        everyone = np.sort(first)
        duplicates = len(rows) - len(everyone)
        learn, test = _stratified(everyone, classes[everyone], settings.test_share, chance)
        warning = RANDOM_WARNING
    else:
        _, first, copies = np.unique(alike(features), return_index=True, return_inverse=True)
        learn = np.sort(first)
    calibrate = np.zeros(0, dtype=np.intp)
    if how == "time":
        cut = len(learn) - round(SELECT_SHARE * len(learn))
        fit, select = learn[:cut], learn[cut:]
        if detects:
            cut = len(fit) - round(CALIBRATE_SHARE * len(fit))
            fit, calibrate = fit[:cut], fit[cut:]
    else:
        fit, select = _stratified(learn, classes[learn], SELECT_SHARE, chance)
        if detects:
            fit, calibrate = _stratified(fit, classes[fit], CALIBRATE_SHARE, chance)
    if how == "file":
        # The test table is judged with its copies, so what chooses and calibrates has its own; what is learnt has not.
        select, calibrate = (np.flatnonzero(np.isin(copies, copies[held])) for held in (select, calibrate))
        duplicates = len(rows) - len(fit) - len(select) - len(calibrate)
    for role, held in (("learn from", fit), ("choose by", select)):
        if len(held) < LEAST:
            raise NotEnoughRows(
                f"splitting the table: {len(held)} different rows are left to {role}, at least {LEAST} are needed; "
                "give more rows, or a label whose values occur more often"
            )
    return Roles(how, fit, select, calibrate, test, duplicates, warning)


def _stratified(
    rows: NDArray[np.intp], classes: NDArray[np.int64], share: float, chance: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rest and a share of `rows`, of each class alike; a class of one row is never taken from the rest."""
    taken = np.zeros(len(rows), dtype=np.bool_)
    for one in np.unique(classes):
        here = chance.permutation(np.flatnonzero(classes == one))
        count = min(max(round(share * len(here)), 1), len(here) - 1)
        taken[here[:count]] = True
    return rows[~taken], rows[taken]


def _groups(
    groups: NDArray[np.str_], share: float, chance: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise SettingsUnusable("splitting by group: there is only one group; name another column in split_column")
    order = chance.permutation(len(names))
    before = np.concatenate([[0], np.cumsum(counts[order])[:-1]])
    held = order[before < share * len(groups)]
    held = held[: len(names) - 1]
    taken = np.isin(inverse, held)
    return np.flatnonzero(~taken), np.flatnonzero(taken)
