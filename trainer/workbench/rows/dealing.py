"""Dealing: from a table and settings to encoded rows in their roles, with everything a result says about them.

Whatever is learnt about columns is learnt from fit rows. Test rows are encoded and handed over for judging alone. Of a
detector the fit and calibrate rows are ordinary ones; where few strange rows could choose, all that are known do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import NotEnoughRows, TableUnreadable
from trainer.workbench.candidates.base import Prepared
from trainer.workbench.rows import encoding, features, split, table, task
from trainer.workbench.rows.table import MISSING, Numbers

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.rows.encoding import Encoder
    from trainer.workbench.rows.features import Chosen
    from trainer.workbench.rows.split import Roles
    from trainer.workbench.rows.table import Rows
    from trainer.workbench.rows.task import Task
    from trainer.workbench.settings import Settings

_TAIL: Final = 0.001
_KEPT_RAW: Final = 4096
_FEW_STRANGE: Final = 50
"""Fewer strange select rows than this are joined by all others the label knows."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows that candidates are judged on, encoded. `truth` is a class number, or 1 for strange, -1 for unknown."""

    rows: NDArray[np.float32]
    truth: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Dealt:
    """All of it. `raw` are some test rows as the table has them, for files to be tried on."""

    task: Task
    chosen: Chosen
    roles: Roles
    encoder: Encoder
    prepared: Prepared
    select: Judged
    test: Judged
    calibrate: NDArray[np.float32]
    raw: Rows
    of: int
    used: int
    notes: tuple[str, ...]

    @property
    def prevalence(self) -> float | None:
        """Share of test rows that are not ordinary."""
        if self.test.truth is None or len(self.test) == 0:
            return None
        if self.task.detects:
            return float((self.test.truth == 1).mean())
        return float((self.test.truth >= len(self.task.benign)).mean())


def deal(settings: Settings, path: Path, test_path: Path | None) -> Dealt:
    """Read, choose, split and encode. Raises errors of `DataError`."""
    notes: list[str] = []
    rows = table.read(path, max_rows=settings.max_rows, seed=settings.seed)
    if len(rows) < rows.of:
        notes.append(f"The table has {rows.of:,} rows; {len(rows):,} of them, drawn by the seed, are used (max_rows).")
    rows = _labelled(rows, settings.label, notes, "the table")
    found = task.find(rows, settings)
    chosen = features.choose(rows, found, settings)
    classes = _classes(rows, found)
    held = rows.only(chosen.features)
    roles = split.split(rows, classes, settings, test_given=test_path is not None, detects=found.detects, features=held)
    if test_path is not None and roles.test is None:
        others = _given_test(test_path, rows, chosen, found, settings, notes=notes)
        test_classes = _classes(others, found)
    else:
        taken = np.arange(0) if roles.test is None else roles.test
        others, test_classes = rows.take(taken), classes[taken]
    if len(others) == 0:
        raise NotEnoughRows("splitting the table: no row is left to test; raise test_share or give a test table")
    fit_at = _ordinary(roles.fit, classes, found) if found.detects else roles.fit
    fit_at = _complete(held, fit_at, settings, notes)
    if len(fit_at) < split.LEAST:
        raise NotEnoughRows(
            f"dealing rows: only {len(fit_at)} are left to fit; at least {split.LEAST} are needed: "
            "take out fewer rows, or check which label values are ordinary"
        )
    present = np.unique(classes[fit_at]) if not found.detects else np.arange(len(found.classes))
    if len(present) < len(found.classes):
        found, classes, test_classes = _without_absent(found, present, classes, test_classes, notes)
    if not found.detects:
        unknown = int((test_classes < 0).sum())
        if unknown:
            notes.append(f"{unknown:,} test rows have a label that no learnt row has; they count as wrong.")
        if len(found.classes) < 2:
            raise NotEnoughRows("dealing rows: the rows to fit have one label value only; give more rows")
    encoder = encoding.fit(held.take(fit_at), chosen.features, settings)
    names = encoder.features()
    fit_at = _balanced(fit_at, classes, found, settings, notes)
    select_at = _choosing(roles, classes, found)
    select = Judged(encoder.apply(held.take(select_at)), _truth(classes[select_at], found))
    prepared = Prepared(
        names=tuple(name for name, _ in names),
        sources=tuple(source for _, source in names),
        fit=encoder.apply(held.take(fit_at)),
        select=encoder.apply(held.take(_ordinary(roles.select, classes, found))) if found.detects else select.rows,
    )
    if not found.detects:
        prepared = replace(
            prepared,
            fit_class=classes[fit_at],
            select_class=classes[select_at],
            classes=found.classes,
            weights=_weights(classes[fit_at], found, settings),
        )
    judged = Judged(encoder.apply(others.only(chosen.features)), _truth(test_classes, found))
    calibrate = encoder.apply(held.take(_ordinary(roles.calibrate, classes, found)))
    raw = others.only(chosen.features).take(np.arange(min(len(others), _KEPT_RAW)))
    return Dealt(
        found, chosen, roles, encoder, prepared, select, judged, calibrate, raw, rows.of, len(rows), tuple(notes)
    )


def _given_test(path: Path, rows: Rows, chosen: Chosen, found: Task, settings: Settings, *, notes: list[str]) -> Rows:
    """The test table in the columns that are learnt from `rows`, and the label; what it shares with them is noted."""
    others = table.read(path, max_rows=settings.max_rows, seed=settings.seed)
    if found.label is not None and found.label not in others.columns:
        raise TableUnreadable(
            f"reading the test table: it has no column {found.label!r}, so nothing can be measured on it; "
            "give a test table with labels, or none, and predict the unlabelled one afterwards"
        )
    wanted = chosen.features if found.label is None else (*chosen.features, found.label)
    others = table.aligned(_labelled(others, found.label, notes, "the test table"), rows.only(wanted), path.name)
    learnt = split.alike(rows.only(chosen.features))
    again = int(np.isin(split.alike(others.only(chosen.features)), learnt).sum())
    if again:
        notes.append(f"{again:,} of {len(others):,} test rows stand in the learnt table, too, alike in every feature.")
    return others


def _choosing(roles: Roles, classes: NDArray[np.int64], found: Task) -> NDArray[np.intp]:
    """Places of the rows that candidates are compared by."""
    if not found.detects:
        # A class may be rare enough to be missing among the fit rows; such rows cannot be judged.
        return roles.select[classes[roles.select] >= 0]
    if len(roles.select) - len(_ordinary(roles.select, classes, found)) >= _FEW_STRANGE:
        return roles.select
    # Strange rows are not learnt, so all that are known may choose; with many, their natural share counts more.
    others = np.concatenate([roles.fit, roles.calibrate])
    return np.union1d(roles.select, np.setdiff1d(others, _ordinary(others, classes, found)))


def _labelled(rows: Rows, label: str | None, notes: list[str], where: str) -> Rows:
    """Rows whose label is known; all of them where there is no such column."""
    if label is None or label not in rows.columns:
        return rows
    known = rows.columns[label].as_words() != MISSING
    if not known.all():
        notes.append(f"{int((~known).sum()):,} rows of {where} have no label and are left out.")
        return rows.take(known)
    return rows


def _classes(rows: Rows, found: Task) -> NDArray[np.int64]:
    if found.label is None:
        return np.zeros(len(rows), dtype=np.int64)
    return found.places(rows.columns[found.label].as_words())


def _ordinary(at: NDArray[np.intp], classes: NDArray[np.int64], found: Task) -> NDArray[np.intp]:
    if found.kind == "benign-only" and found.label is not None:
        return at[(classes[at] >= 0) & (classes[at] < len(found.benign))]
    return at


def _truth(classes: NDArray[np.int64], found: Task) -> NDArray[np.int64] | None:
    if not found.detects:
        return classes
    if found.label is None:
        return None
    return ((classes < 0) | (classes >= len(found.benign))).astype(np.int64)


def _without_absent(
    found: Task,
    present: NDArray[np.int64],
    classes: NDArray[np.int64],
    test_classes: NDArray[np.int64],
    notes: list[str],
) -> tuple[Task, NDArray[np.int64], NDArray[np.int64]]:
    absent = [name for at, name in enumerate(found.classes) if at not in present]
    notes.append(f"No row to fit has the label {', '.join(absent[:5])}; such rows cannot be told.")
    place = np.full(len(found.classes) + 1, -1, dtype=np.int64)
    place[present] = np.arange(len(present))
    kept = tuple(found.classes[at] for at in present)
    found = replace(found, classes=kept, benign=tuple(name for name in found.benign if name in kept))
    return found, place[classes], place[test_classes]


def _complete(rows: Rows, at: NDArray[np.intp], settings: Settings, notes: list[str]) -> NDArray[np.intp]:
    """Rows to fit that have no gap and no extreme value, where settings ask for it."""
    keep = np.ones(len(at), dtype=np.bool_)
    for column in rows.columns.values():
        part = column.take(at)
        if isinstance(part, Numbers):
            if settings.missing == "drop-rows":
                keep &= ~np.isnan(part.values)
            finite = part.values[np.isfinite(part.values)]
            if settings.outliers == "drop-rows" and len(finite):
                low, high = np.quantile(finite, [_TAIL, 1 - _TAIL])
                keep &= np.isnan(part.values) | ((part.values >= low) & (part.values <= high))
        elif settings.missing == "drop-rows" and MISSING in part.words:
            keep &= part.codes != part.words.index(MISSING)
    if not keep.all():
        notes.append(f"{int((~keep).sum()):,} rows to fit were taken out for gaps or extreme values, as was asked.")
    return at[keep]


def _balanced(
    at: NDArray[np.intp], classes: NDArray[np.int64], found: Task, settings: Settings, notes: list[str]
) -> NDArray[np.intp]:
    if settings.balance != "oversample" or found.detects:
        return at
    chance = np.random.default_rng([settings.seed, 83])
    counts = np.bincount(classes[at], minlength=len(found.classes))
    parts = [at]
    for one, count in enumerate(counts.tolist()):
        here = at[classes[at] == one]
        parts.append(chance.choice(here, int(counts.max()) - count, replace=True))
    notes.append("Rows of rarer classes were repeated until all classes are as frequent, as was asked.")
    return chance.permutation(np.concatenate(parts))


def _weights(classes: NDArray[np.int64], found: Task, settings: Settings) -> NDArray[np.float32] | None:
    if settings.balance != "weights":
        return None
    counts = np.bincount(classes, minlength=len(found.classes))
    weights: NDArray[np.float32] = (len(classes) / (len(counts) * np.maximum(counts, 1)))[classes].astype(np.float32)
    return weights
