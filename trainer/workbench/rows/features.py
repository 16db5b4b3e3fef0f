"""What is learnt from: columns that name a row, a host or a moment, that never vary, or that repeat the label are out.

Each column left out is named with its reason, and whoever knows better lists it among the features. Ports and TTLs stay
but are warned of, because they tell a laboratory's machines apart as well as its attacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import SettingsUnusable, TableUnreadable
from trainer.tables.meaning import suspect
from trainer.workbench.rows.table import Numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.rows.table import Column, Rows
    from trainer.workbench.rows.task import Task
    from trainer.workbench.settings import Settings

_KEPT: Final = ("a TTL", "a port number")
_LOOKED_AT: Final = 20_000
_PURE: Final = 0.9995
"""Share of rows whose label a column must give away to count as a copy of it."""
_FEW: Final = 30
"""A column of more distinct values than this is no copy of a label; nor one with fewer than `_EACH` rows a value."""
_EACH: Final = 10
_VARIES: Final = 0.98
_UNIQUE: Final = 0.98
_MANY: Final = 100


@dataclass(frozen=True, slots=True)
class Chosen:
    """`features` in the table's order, every other column with its reason, and what a person should know."""

    features: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def choose(rows: Rows, task: Task, settings: Settings) -> Chosen:
    """The features of `rows`.

    Raises `SettingsUnusable` for a name that is no column, `TableUnreadable` if none is left.
    """
    for name in (*settings.features, *settings.drop):
        if name not in rows.columns:
            raise SettingsUnusable(
                f"choosing features: there is no column {name!r}; there are {', '.join(list(rows.columns)[:12])}"
            )
    label = None if task.label is None else rows.columns[task.label].as_words()
    left_out: dict[str, str] = {}
    warnings: list[str] = []
    for name, column in rows.columns.items():
        reason = _named(name, task, settings)
        if reason is None and name not in settings.features:
            reason = _suspect(name, column, task, warnings)
            if reason is None and label is not None and _repeats(column, label):
                reason = f"it gives the label {task.label!r} away: it is known only when the label is"
        elif reason is None and isinstance(column, Numbers) and column.time:
            reason = "a time; a model is given numbers and words"
        if reason is not None:
            left_out[name] = reason
    features = tuple(name for name in rows.columns if name not in left_out)
    if not features:
        raise TableUnreadable("choosing features: no column is left to learn from; name some as features")
    return Chosen(features, tuple(left_out.items()), tuple(warnings))


def _named(name: str, task: Task, settings: Settings) -> str | None:
    if name == task.label:
        return "the label"
    if name in settings.drop:
        return "asked for"
    if settings.features and name not in settings.features:
        return "not among the features asked for"
    if name == settings.split_column and name not in settings.features:
        return "the rows are split by it"
    return None


def _suspect(name: str, column: Column, task: Task, warnings: list[str]) -> str | None:
    if isinstance(column, Numbers):
        if column.time:
            return "a time"
        reason = suspect(name, np.zeros(0, dtype=np.float64))
        known = column.values[~np.isnan(column.values)]
        if reason is None and _counts_rows(known):
            reason = "an identifier, by its values: whole numbers, and hardly one twice"
    else:
        # Words are judged by what is in the table, spread over it.
        step = max(len(column.codes) // _LOOKED_AT, 1)
        shown = column.take(np.arange(0, len(column.codes), step)).as_words().astype(np.str_)
        reason = suspect(name, shown)
        known = column.codes
    if reason is not None and reason.startswith(_KEPT):
        warnings.append(
            f"{name} is {reason.partition(',')[0]}: it may tell machines apart and not attacks; drop it if so"
        )
        reason = None
    if reason is None and len(known) == 0:
        return "it is empty"
    # What never varied on ordinary rows is a sign when it does later; telling classes apart it is of no use.
    if (
        reason is None
        and not task.detects
        and bool((known == known[0]).all())
        and len(known) == len(column_values(column))
    ):
        return "it never varies"
    return reason


def column_values(column: Column) -> NDArray[np.generic]:
    """What stands for each row's value."""
    return column.values if isinstance(column, Numbers) else column.codes


def _counts_rows(known: NDArray[np.float32]) -> bool:
    if len(known) < _MANY or not np.isfinite(known).all() or (known != np.rint(known)).any():
        return False
    steps = np.diff(known)
    monotonic = bool((steps > 0).all() or (steps < 0).all())
    return monotonic and len(np.unique(known)) > _UNIQUE * len(known)


def _repeats(column: Column, label: NDArray[np.object_]) -> bool:
    """True if the column says the label, or the label the column, though neither is nearly constant."""
    distinct, codes = np.unique(column_values(column), return_inverse=True)
    values, classes = np.unique(label.astype(str), return_inverse=True)
    if not 1 < len(distinct) <= min(_FEW, len(label) // _EACH) or len(values) < 2:
        return False
    counts = np.zeros((len(distinct), len(values)), dtype=np.int64)
    np.add.at(counts, (codes, classes), 1)
    rows = counts.sum()
    told = counts.max(axis=1).sum() / rows >= _PURE and counts.sum(axis=0).max() / rows < _VARIES
    tells = counts.max(axis=0).sum() / rows >= _PURE and counts.sum(axis=1).max() / rows < _VARIES
    return bool(told or tells)
