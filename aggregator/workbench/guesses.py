"""What a profile says of the label: the columns proposed, and the one that is taken without asking. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.workbench.rows import LabelGuess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def of_profile(profile: Mapping[str, Any] | None) -> tuple[LabelGuess, ...]:
    """The columns that may be the label, best first; none without a profile."""
    return tuple(
        LabelGuess(
            str(one["name"]), str(one.get("reason", "")), tuple(one.get("values") or ()), bool(one.get("likely", True))
        )
        for one in (profile or {}).get("labels") or ()
    )


def taken(found: Sequence[LabelGuess]) -> str | None:
    """The column to begin with: the first likely one. What only stands where a label may stand is for people to say."""
    return next((guess.name for guess in found if guess.likely), None)
