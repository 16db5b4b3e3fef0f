"""The last fit: the best classifier learns from the rows it was chosen by, too, if that fits into the time.

Its figures on select rows stay those from before, since it has now seen the answers there. If anything goes wrong the
fit before is what counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.candidates.base import Classifier, Told
from trainer.workbench.candidates.blend import NAME as BLEND
from trainer.workbench.candidates.sampling import fewer
from trainer.workbench.contest import blending
from trainer.workbench.contest.fitting import Fitted
from trainer.workbench.contest.turn import keep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.workbench.candidates.base import Prepared
    from trainer.workbench.contest.board import Entry
    from trainer.workbench.contest.course import Course

_MORE_ROUNDS: Final = 1.1
"""Rounds of boosting on more rows, where no select rows are left to say when to stop."""
_MORE_ROWS: Final = 1.2
"""Rows of a last fit, for each that the fit before was given where there was no time for all."""


def last_fit(course: Course) -> None:
    """Fit the best once more on fit and select rows together."""
    name = course.best[0]
    if name is None or course.bench.dealt.task.detects or course.asked.settings.kind == "dl":
        return
    entry = course.entries[name]
    members = entry.params["members"] if name == BLEND else [name]
    if any(one not in course.fitted for one in members):
        return
    if 1.0 + course.again_s(members, [name]) > course.asked.left():
        course.notes.append(f"{entry.title} was not fitted once more on all rows: no time was left.")
        return
    asked = course.asked
    asked.events.stage("last fit", asked.fraction(), f"fitting {entry.title} on all rows but the test")
    prepared = course.bench.dealt.prepared
    data = together(prepared)
    try:
        again = [_fitted(course, one, data) for one in members]
        _replace(course, blending.blended(course, again) if name == BLEND else Fitted(again[0]), entry)
    except Exception as error:  # noqa: BLE001 - the fit before stays what counts
        course.notes.append(f"{entry.title} could not be fitted once more on all rows: {error}")
        return
    course.notes.append(
        f"{entry.title} was fitted once more with the {len(prepared.select):,} rows it was chosen "
        "by; its figures on those rows are from before."
    )


def on_more_rows(params: Mapping[str, Any], rounds: int | None) -> dict[str, Any]:
    """Hyper-parameters of a last fit, of a candidate that took `rounds` of boosting before, if it has them."""
    return {**params} if rounds is None else {**params, "rounds": max(round(rounds * _MORE_ROUNDS), 1)}


def _fitted(course: Course, name: str, data: Prepared) -> Classifier:
    seed = course.asked.settings.seed
    before = course.fitted[name]
    given = on_more_rows(course.entries[name].params, before.rounds)
    if before.learnt is not None:
        data, _ = fewer(data, int(_MORE_ROWS * before.learnt), seed)
    again = course.asked.candidates[name].make(given, seed).fit(data, Told())
    assert isinstance(again, Classifier)  # noqa: S101 - only the best of a run that tells classes apart is fitted again
    return again


def _replace(course: Course, fitted: Fitted, entry: Entry) -> None:
    """Keep `fitted` in place of what `entry` tells of; the entry changes only when all of it went well."""
    again = replace(entry, fitted_again=True)
    keep(course, fitted, again)
    again.select, again.loss = entry.select, entry.loss
    course.save(again)
    course.entries[entry.name] = again


def together(data: Prepared) -> Prepared:
    """Fit and select rows as fit rows; a select row counts what fit rows of its class do."""
    if data.fit_class is None or data.select_class is None:
        return data
    weights = None
    if data.weights is not None:
        by_class = {one: data.weights[data.fit_class == one][0] for one in np.unique(data.fit_class).tolist()}
        more = np.array([by_class.get(one, 1.0) for one in data.select_class.tolist()], dtype=np.float32)
        weights = np.concatenate([data.weights, more])
    return replace(
        data,
        fit=np.concatenate([data.fit, data.select]),
        fit_class=np.concatenate([data.fit_class, data.select_class]),
        weights=weights,
    )
