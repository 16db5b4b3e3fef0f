"""Which columns of a new table are the model's, and what is said of the rest. Pure; nothing is guessed away.

A column is the model's when it has the very name, or when a person said which one it is (`renames`). A name that
differs only in case, spaces, dashes and the like is *suggested*, not taken: `src-bytes` is probably `src_bytes`, but
whoever brought the table knows. What is missing is filled with what was typical when the model was made, as long as it
is not too much; more than that is refused, with the suggestions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trainer.errors import ColumnsMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trainer.workbench.prediction.opened import Wanted

MOST_MISSING: Final = 1 / 3
"""Part of the model's columns that may be missing and filled; beyond it a prediction would be about nobody's row."""
_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`found` in the table is probably the model's `wanted`."""

    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Matched:
    """`taken` names the table's column for each of the model's, None where it is missing."""

    taken: tuple[str | None, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]


def plain(name: str) -> str:
    """A name without what people write differently: case, spaces, dashes, dots, underscores."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def match(
    wanted: Sequence[Wanted],
    found: Sequence[str],
    *,
    renames: Mapping[str, str] | None = None,
    label: str | None = None,
    fill: bool = False,
) -> Matched:
    """Find the model's columns among `found`. `renames` says of a table's column which of the model's it is.

    `fill` takes a table however much of it is missing. Raises `ColumnsMissing`.
    """
    renames = dict(renames or {})
    _check_renames(renames, wanted, found)
    named = {mine: theirs for theirs, mine in renames.items()}
    there = set(found)
    taken = tuple(
        named.get(column.name) or (column.name if column.name in there and column.name not in renames else None)
        for column in wanted
    )
    missing = tuple(column.name for column, name in zip(wanted, taken, strict=True) if name is None)
    used = {name for name in taken if name is not None}
    extra = tuple(name for name in found if name not in used and name != label)
    suggestions = _suggest(missing, extra)
    if len(missing) > MOST_MISSING * len(wanted) and not (fill and len(missing) < len(wanted)):
        raise ColumnsMissing(_refusal(missing, len(wanted), found, suggestions))
    return Matched(taken, missing, extra, suggestions, _notes(wanted, missing, extra, suggestions, renames))


def _check_renames(renames: Mapping[str, str], wanted: Sequence[Wanted], found: Sequence[str]) -> None:
    known = {column.name for column in wanted}
    for theirs, mine in renames.items():
        if theirs not in found:
            raise ColumnsMissing(f"renaming {theirs!r}: the table has no such column; it has {listed(found)}")
        if mine not in known:
            raise ColumnsMissing(
                f"renaming {theirs!r} to {mine!r}: the model has no such column; it has {listed(sorted(known))}"
            )
    if len(set(renames.values())) < len(renames):
        raise ColumnsMissing("renaming: two columns of the table are to be the same column of the model; choose one")


def _suggest(missing: Sequence[str], extra: Sequence[str]) -> tuple[Suggestion, ...]:
    alike: dict[str, list[str]] = {}
    for name in extra:
        alike.setdefault(plain(name), []).append(name)
    pairs = [(name, alike.get(plain(name), [])) for name in missing]
    # Two that look alike suggest nothing: only a person knows which.
    return tuple(Suggestion(names[0], name) for name, names in pairs if len(names) == 1)


def _refusal(missing: Sequence[str], of: int, found: Sequence[str], suggestions: Sequence[Suggestion]) -> str:
    text = (
        f"matching columns: the table lacks {len(missing)} of the {of} columns the model was made on "
        f"({listed(missing)}); it has {listed(found)}. "
    )
    if suggestions:
        pairs = listed([f"{entry.found} as {entry.wanted}" for entry in suggestions])
        return text + f"Some look like renamed ones: take {pairs} (--rename, or --rename-alike for all of them)"
    return text + "Give a table with the columns of the data set, or fill them with typical values (--fill-missing)"


def _notes(
    wanted: Sequence[Wanted],
    missing: Sequence[str],
    extra: Sequence[str],
    suggestions: Sequence[Suggestion],
    renames: Mapping[str, str],
) -> tuple[str, ...]:
    notes = []
    if renames:
        pairs = listed([f"{theirs} as {mine}" for theirs, mine in renames.items()])
        notes.append(f"Renamed as told: {pairs}.")
    if missing:
        lacking = set(missing)
        filled = [f"{column.name} ({_shown(column.typical)})" for column in wanted if column.name in lacking]
        notes.append(
            f"{_columns(len(missing))} missing and taken as typical in every row: {listed(filled)}. "
            "Predictions know nothing of what is missing; give it if you can."
        )
    if suggestions:
        pairs = listed([f"{entry.found} looks like {entry.wanted}" for entry in suggestions])
        notes.append(f"{pairs}: if so, say it, and predict again.")
    if extra:
        notes.append(f"{_columns(len(extra))} of no use to the model and left aside: {listed(extra)}.")
    return tuple(notes)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first dozen of them."""
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _columns(count: int) -> str:
    return "1 column is" if count == 1 else f"{count} columns are"


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
