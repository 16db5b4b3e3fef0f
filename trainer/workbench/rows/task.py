"""The task: what is to be found out, read off the label column alone, and said in a sentence.

Without a label it is *unsupervised*. A label with ordinary values only, or a wish, makes it *benign-only*: what is
ordinary is learnt, and whatever differs is strange. Two values make it *binary*, more *multiclass*. Which values are
ordinary is recognised by their names; if none is, the most frequent one is taken, and the sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

import numpy as np

from trainer.errors import SettingsUnusable, TableUnreadable
from trainer.workbench.datasets.exploration.labels import MOST_CLASSES
from trainer.workbench.rows.table import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.rows.table import Rows
    from trainer.workbench.settings import Settings

Kind = Literal["benign-only", "unsupervised", "binary", "multiclass"]
ORDINARY: Final = frozenset(
    ("normal", "benign", "0", "false", "ordinary", "legitimate", "legit", "background", "good", "ok", "clean")
)
"""Names of ordinary values, without case, spaces around or a full stop behind."""


@dataclass(frozen=True, slots=True)
class Task:
    """`classes` are ordinary values first, then the others by name; `benign` are those of them that are ordinary."""

    kind: Kind
    label: str | None
    classes: tuple[str, ...]
    benign: tuple[str, ...]
    why: str

    @property
    def detects(self) -> bool:
        """True if strangeness is asked for, not classes."""
        return self.kind in {"benign-only", "unsupervised"}

    def places(self, words: NDArray[np.object_]) -> NDArray[np.int64]:
        """The class number of each label; -1 for a value that is none of the classes."""
        known = {name: at for at, name in enumerate(self.classes)}
        distinct, inverse = np.unique(words.astype(str), return_inverse=True)
        return np.array([known.get(str(one), -1) for one in distinct], dtype=np.int64)[inverse]

    def strange(self, words: NDArray[np.object_]) -> NDArray[np.bool_]:
        """Which labels are not ordinary."""
        return ~np.isin(words.astype(str), list(self.benign))


def ordinary(value: str) -> bool:
    """True for a name that ordinary rows are given."""
    return value.strip().rstrip(".").casefold() in ORDINARY


def find(rows: Rows, settings: Settings) -> Task:
    """The task of `rows`, labelled as `settings` say. Raises `SettingsUnusable` or `TableUnreadable`."""
    if settings.label is None:
        if settings.task not in {"auto", "unsupervised", "benign-only"}:
            raise SettingsUnusable(f"finding the task: {settings.task} needs a label; name the column to predict")
        if settings.task == "benign-only":
            return Task("benign-only", None, (), (), "All rows are taken for ordinary, as was asked.")
        return Task("unsupervised", None, (), (), "There is no label, so what differs from most rows is looked for.")
    if settings.label not in rows.columns:
        there = ", ".join(list(rows.columns)[:12])
        raise SettingsUnusable(f"finding the task: there is no column {settings.label!r}; there are {there}")
    words = rows.columns[settings.label].as_words()
    values, counts = np.unique(words[words != MISSING].astype(str), return_counts=True)
    if len(values) == 0:
        raise TableUnreadable(f"finding the task: the column {settings.label!r} is empty; name another label")
    benign, how = _benign(values.tolist(), counts, settings)
    classes = (*benign, *(value for value in values.tolist() if value not in benign))
    said = f"The column {settings.label!r} has {len(values)} values; {how}"
    if settings.task == "unsupervised":
        return Task("unsupervised", settings.label, classes, benign, f"{said} It only judges, as was asked.")
    strange = [value for value in classes if value not in benign]
    if settings.task == "benign-only" or not strange:
        why = "as was asked" if settings.task == "benign-only" else "since no other value is there"
        return Task("benign-only", settings.label, classes, benign, f"{said} Only ordinary rows are learnt, {why}.")
    if len(values) > MOST_CLASSES:
        raise TableUnreadable(
            f"finding the task: the column {settings.label!r} has {len(values)} values; a label has at most "
            f"{MOST_CLASSES}: name another column, or group its values"
        )
    kind = settings.task if settings.task != "auto" else ("binary" if len(values) == 2 else "multiclass")
    if kind == "binary" and len(values) != 2:
        raise SettingsUnusable(
            f"finding the task: binary needs two label values, {settings.label!r} has {len(values)}; ask for multiclass"
        )
    return Task(cast("Kind", kind), settings.label, classes, benign, f"{said} So rows are told apart by it ({kind}).")


def _benign(values: list[str], counts: NDArray[np.int64], settings: Settings) -> tuple[tuple[str, ...], str]:
    if settings.benign:
        known = tuple(value for value in values if value in settings.benign)
        if not known:
            raise SettingsUnusable(
                f"finding the task: no row has {settings.benign[0]!r} in {settings.label!r}; its values are "
                f"{', '.join(values[:8])}"
            )
        return known, f"ordinary is {', '.join(known)}, as was asked."
    found = tuple(value for value in values if ordinary(value))
    if found:
        return found, f"ordinary is {', '.join(found)}, by its name."
    most = values[int(np.argmax(counts))]
    return (most,), f"none has a name for ordinary, so the most frequent one, {most}, is taken for it."
