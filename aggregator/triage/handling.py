"""Who looks after an incident, as a function of what people did about it. Pure.

A person acknowledges an incident (it was looked at), assigns it to somebody or to nobody, comments on it, or takes such
a step back. Steps are records with who, when and a note; none is ever changed or removed.

- An acknowledgement is of what was seen. It lapses when an alert opens a closed incident again, and when the incident
  has become of a kind with a name (a single flow that turned out to be a port scan must be looked at again). Nor does
  that of an incident which was merged into another speak for the whole.
- The newest assignment counts, and so does one from before a merge: whoever looked after a part is told of the whole.
- A step that was taken back counts no more; what counted before it counts again.

None of this is a verdict: it teaches nothing, and hides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aggregator import notes
from aggregator.errors import Conflict, Invalid
from aggregator.triage.kinds import SINGLE_FLOW, UNUSUAL_EXCHANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

ACKNOWLEDGE: Final = "acknowledge"
ASSIGN: Final = "assign"
COMMENT: Final = "comment"
UNDO: Final = "undo"

PLAIN: Final = ("", SINGLE_FLOW, UNUSUAL_EXCHANGE)
"""Kinds that say nothing new: an incident that becomes one of them need not be looked at again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a person did about an incident, or the taking back of one (`undoes` names it)."""

    id: int
    incident_id: int  # at that time; it may have been merged into another since
    deed: str  # acknowledge | assign | comment | undo
    assignee: str | None  # of an assignment: to whom, None for nobody
    kind: str  # of the incident at that time
    note: str
    by: str
    at_ms: int
    undoes: int | None
    undone: bool


@dataclass(frozen=True, slots=True)
class Handling:
    """What follows from the steps: who has acknowledged the incident, whose it is, how much was said."""

    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    assignee: str | None = None
    comments: int = 0


def standing(steps: Sequence[Step], incident_id: int, *, kind: str, reopened_ms: int) -> Handling:
    """What counts of `steps`, those of an incident and of all that was merged into it.

    `kind` is what the incident is called now, `reopened_ms` when an alert last opened it again (0: never).
    """
    counting = sorted((step for step in steps if not step.undone), key=lambda step: step.id, reverse=True)
    seen = next(
        (
            step
            for step in counting
            if step.deed == ACKNOWLEDGE
            and step.incident_id == incident_id
            and step.at_ms >= reopened_ms
            and (kind == step.kind or kind in PLAIN or not step.kind)
        ),
        None,
    )
    return Handling(
        acknowledged_by=seen.by if seen else None,
        acknowledged_ms=seen.at_ms if seen else None,
        assignee=next((step.assignee for step in counting if step.deed == ASSIGN), None),
        comments=sum(step.deed == COMMENT for step in counting),
    )


def require_new(deed: str, now: Handling, *, assignee: str | None, note: str) -> str:
    """The note of a step that says something new, tidied. Raises `Invalid`, and `Conflict` when it is so already."""
    note = notes.require(note)
    if deed == COMMENT and not note:
        raise Invalid("a comment says something: write what you found or did")
    if deed == ACKNOWLEDGE and now.acknowledged_by is not None:
        raise Conflict(f"{now.acknowledged_by} has acknowledged this incident already")
    if deed == ASSIGN and assignee == now.assignee:
        raise Conflict(f"this incident is assigned to {assignee or 'nobody'} already")
    return note


def require_undoable(step: Step) -> None:
    """Raise `Conflict` for a step that cannot be taken back."""
    if step.deed == UNDO:
        raise Conflict(f"step {step.id} is itself a taking back; do what it took back again instead")
    if step.undone:
        raise Conflict(f"step {step.id} was taken back already")
