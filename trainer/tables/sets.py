"""The other data sets: any table with a label column, UNSW-NB15 and CICIDS2017 by day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import TableUnreadable
from trainer.tables import meaning, reading
from trainer.tables.labelled import ATTACK, BENIGN, Labelled, check
from trainer.tables.table import Table, as_words, together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_NO_LABELS: Final = "the label of the test rows: without it nothing can be measured"


def table(
    train: Path,
    test: Path | None,
    *,
    label: str,
    benign: str,
    family: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    name: str = "",
) -> Labelled:
    """Any table: `label` says what a row is, `benign` which value means benign; `family` may name attacks more finely.

    With `time` benign rows are dealt in its order. Raises `TableUnreadable` and `SourceMissing`.
    """
    return _labelled(
        reading.read(train),
        None if test is None else reading.read(test),
        label=label,
        benign=benign,
        family=family,
        time=time,
        drop=drop,
        keep=keep,
        name=name,
    )


def _labelled(
    first: Table,
    second: Table | None,
    *,
    label: str,
    benign: str,
    family: str | None,
    time: str | None,
    drop: Sequence[str],
    keep: Sequence[str],
    name: str,
) -> Labelled:
    sources = [first]
    truth = _truth(first, label, benign, family, "the label")
    joined, official = first, None
    if second is not None:
        sources.append(second)
        truth = np.concatenate([truth, _truth(second, label, benign, family, _NO_LABELS)])
        official = np.repeat([False, True], [first.rows, second.rows])
        both = [column for column in first.columns if column not in {label, family}]
        joined = together(first.only(both), second)
    choice = meaning.choose(first, [label, *([family] if family else [])], drop=drop, keep=keep)
    left_out = dict(choice.left_out)
    if time is not None:
        left_out[time] = "the time"
    features = [column for column in choice.features if column != time]
    moment = None if time is None else _moment(joined.column(time, "the time, as --time says"))
    return check(
        Labelled(
            name=name or first.name,
            table=joined.only(features),
            family=truth,
            class_=truth,
            left_out=left_out,
            moment=moment,
            official_test=official,
            sources={source.name: source.sha256 for source in sources},
        )
    )


def unsw_nb15(data: Path, test: Path | None, *, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> Labelled:
    """UNSW-NB15 with its columns `label` and `attack_cat`.

    TTLs are left out: they tell its testbed's networks apart.
    """
    return table(data, test, label="label", benign="0", family="attack_cat", drop=drop, keep=keep, name="UNSW-NB15")


def cicids2017(data: Path, *, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> Labelled:
    """CICIDS2017 by day: benign rows of the first day are learned from, every row of the later days tests."""
    rows = reading.read(data)
    leaks = [name for name in ("Attempted Category",) if name in rows.columns]
    whole = _labelled(
        rows,
        None,
        label="Label",
        benign="BENIGN",
        family=None,
        time="Timestamp",
        drop=[*drop, *leaks],
        keep=keep,
        name="CICIDS2017",
    )
    day = np.array([word[:10] for word in rows.words("Timestamp", "the time").tolist()], dtype=np.str_)
    days = np.unique(day).tolist()
    if len(days) < 2:
        raise TableUnreadable(
            f"{data.name}: all rows are of one day ({days[0]}), but the first day's benign rows are learned from and "
            "later days are tested on; give a file of several days, or use the command for any table"
        )
    notes = (f"benign rows of {days[0]} are learned from; every row of {', '.join(days[1:])} tests",)
    return check(replace(whole, day=day, official_test=day != days[0], notes=notes))


def _truth(of: Table, label: str, benign: str, family: str | None, meaning_of_label: str) -> NDArray[np.str_]:
    told = of.words(label, meaning_of_label)
    wanted = benign.strip()
    is_benign = np.char.lower(told) == wanted.lower()
    if not is_benign.any():
        found = ", ".join(np.unique(told).tolist()[:8])
        raise TableUnreadable(
            f"{of.name}: no row of {label!r} is {benign!r}; its values are {found}; name the benign one"
        )
    if (told == "").any() or (told == "nan").any():
        raise TableUnreadable(f"{of.name}: some rows have no {label!r}; label them or take them out")
    names = told if family is None else as_words(of.column(family, "the attack's name"))
    blank = (names == "") | (names == "nan")
    names = np.where(blank, ATTACK, names)
    return np.where(is_benign, BENIGN, np.where(names == BENIGN, f"{BENIGN} (labelled an attack)", names)).astype(
        np.str_
    )


def _moment(column: NDArray) -> NDArray[np.float64]:
    """Places in time: numbers as they are, words in their order, which for ISO 8601 is that of time."""
    if column.dtype.kind == "f":
        if np.isnan(column).any():
            raise TableUnreadable("the time column has gaps; fill them or leave --time out")
        return column.astype(np.float64)
    _, places = np.unique(column, return_inverse=True)
    return places.astype(np.float64)
