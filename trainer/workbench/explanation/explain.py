"""An explanation: a model, a table and a method in, one JSON object with a chart out.

Promises: it ends in about the time it is given, saying how many rows that was enough for; the same seed gives the same
explanation as long as time did not end it; nothing in the JSON is NaN; the file appears by rename.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from trainer.errors import SettingsUnusable
from trainer.workbench.contest.folder import write
from trainer.workbench.explanation import charts, sampling
from trainer.workbench.explanation import importance as importances
from trainer.workbench.explanation import lime as locals_
from trainer.workbench.explanation.partial import partial
from trainer.workbench.explanation.shapley import share
from trainer.workbench.explanation.sheet import Sheet
from trainer.workbench.explanation.subject import Subject, subject
from trainer.workbench.prediction.summary import tidy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.prediction.incoming import Incoming
    from trainer.workbench.prediction.opened import Opened
    from trainer.workbench.telling import Tell

FORMAT: Final = "anomaflow-explanation-1"
Method = Literal["shap", "shap-row", "lime", "importance", "partial"]
BACKGROUND_ROWS: Final = 50
ROWS: Final[dict[str, int]] = {"shap": 200, "importance": 2_000, "partial": 500}
"""Rows a method looks at, at most, unless told otherwise."""
_ORDERS: Final = {"shap": 1, "shap-row": 10}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained, and how."""

    method: Method
    row: int | None = None
    feature: str | None = None
    wanted: str | None = None
    """The class whose chance is explained; None for how strange a row is."""
    rows: int | None = None
    label: str | None = None
    seed: int = 7


def explain(
    opened: Opened,
    incoming: Incoming,
    background: Incoming,
    asked: Asked,
    *,
    seconds_left: Callable[[], float],
    tell: Tell,
) -> dict[str, Any]:
    """The explanation as JSON. Raises `TrainerError`."""
    if asked.method in {"shap-row", "lime"}:
        return _of_row(opened, incoming, background, asked, seconds_left=seconds_left, tell=tell)
    drawn = sampling.draw(opened, incoming, asked.rows or ROWS[asked.method], asked.seed, label=asked.label)
    sheet = Sheet.of(opened.columns, drawn.values)
    rows = sheet.encode(drawn.values)
    asks = subject(opened, sheet, asked.wanted, None)
    shown = f"{len(rows):,} of {drawn.of:,} rows" if len(rows) < drawn.of else f"all {drawn.of:,} rows"
    if asked.method == "partial":
        return _partial(asks, rows, asked, shown)
    if asked.method == "importance":
        found = importances.importance(
            asks, rows, drawn.labels, seed=asked.seed, seconds_left=seconds_left, tell=lambda done: _told(tell, done)
        )
        return _importance(asks, found, shown)
    others = sampling.draw(opened, background, BACKGROUND_ROWS, asked.seed + 1)
    sheet = Sheet.of(opened.columns, drawn.values, others.values)
    asks = Subject(opened, sheet, asks.place)
    shares = share(
        asks,
        np.random.default_rng([asked.seed, 94]).permutation(sheet.encode(drawn.values)),
        sheet.encode(others.values),
        orders=_ORDERS["shap"],
        seed=asked.seed,
        seconds_left=seconds_left,
        tell=lambda done: _told(tell, done),
    )
    size, direction = np.abs(shares.shares).mean(axis=0), shares.shares.mean(axis=0)
    order = np.argsort(-size, kind="stable")
    names = [asks.names[at] for at in order]
    items = [
        {"feature": asks.names[at], "value": tidy(direction[at]), "effect": tidy(size[at])} for at in order.tolist()
    ]
    note = (
        f"How much each column moves the {asks.meaning}, on average over {len(shares.answers):,} rows drawn from "
        f"{shown}, compared with {len(others):,} background rows. The value is the mean with its sign."
    )
    if len(shares.answers) < len(rows):
        note += f" Time ended it before all {len(rows):,} rows were done."
    option = charts.bars(names, [float(size[at]) for at in order], "mean share of the score", signed=False)
    more = {"items": items, "base": tidy(shares.base), "rows": len(shares.answers)}
    return _told_as(asked.method, "What moves the score (SHAP)", note, option, more)


def save(told: dict[str, Any], out: Path) -> None:
    """Write the explanation by rename. Raises `OutputError`."""
    write(out, told)


def _of_row(
    opened: Opened,
    incoming: Incoming,
    background: Incoming,
    asked: Asked,
    *,
    seconds_left: Callable[[], float],
    tell: Tell,
) -> dict[str, Any]:
    if asked.row is None:
        raise SettingsUnusable(f"explaining by {asked.method}: say which row, such as --row 0 for the first")
    mine = sampling.single(opened, incoming, asked.row)
    others = sampling.draw(opened, background, BACKGROUND_ROWS * (20 if asked.method == "lime" else 1), asked.seed)
    sheet = Sheet.of(opened.columns, mine.values, others.values)
    row = sheet.encode(mine.values)[0]
    asks = subject(opened, sheet, asked.wanted, row)
    behind = sheet.encode(others.values)
    more: dict[str, Any]
    if asked.method == "lime":
        near = locals_.local(asks, row, behind, seed=asked.seed)
        effect, answer = near.weights, near.answer
        more = {"base": tidy(near.base), "score": tidy(answer), "fidelity": tidy(near.fidelity)}
        title = f"Row {asked.row} in its neighbourhood (LIME)"
        note = (
            f"A plain model that follows the {asks.meaning} near this row: what keeping the row's value of a column "
            f"adds, compared with values of {len(others):,} background rows. It tells {max(near.fidelity, 0):.0%} of "
            "how the model's answers vary there; below about half, trust SHAP more."
        )
    else:
        shares = share(
            asks, row[None, :], behind, orders=_ORDERS["shap-row"], seed=asked.seed, seconds_left=seconds_left
        )
        effect, answer = shares.shares[0], float(shares.answers[0])
        more = {"base": tidy(shares.base), "score": tidy(answer)}
        title = f"Row {asked.row}, column by column (SHAP)"
        note = (
            f"The {asks.meaning} is {answer:.4g} here and {shares.base:.4g} on average over {len(others):,} background "
            "rows; the columns' effects add up to the difference."
        )
    tell("explain", 1.0, "done")
    order = np.argsort(-np.abs(effect), kind="stable").tolist()
    items = [
        {"feature": asks.names[at], "value": _cell(sheet.value(at, row[at])), "effect": tidy(effect[at])}
        for at in order
    ]
    names = [f"{item['feature']} = {_shown(item['value'])}" for item in items]
    option = charts.bars(names, [float(effect[at]) for at in order], f"effect on the {asks.meaning}", signed=True)
    return _told_as(asked.method, title, note, option, {"items": items, "row": asked.row, **more})


def _importance(asks: Subject, found: importances.Importance, shown: str) -> dict[str, Any]:
    order = [at for at in np.argsort(-found.mean, kind="stable").tolist() if found.repeats[at]]
    items = [
        {"feature": asks.names[at], "value": tidy(found.deviation[at]), "effect": tidy(found.mean[at])} for at in order
    ]
    lost = (
        "How far the score moves"
        if found.whole is None
        else f"How much of the {found.measure} ({found.whole:.4g}) is lost"
    )
    note = (
        f"{lost} when the values of one column are shuffled, on {shown}, mean of {int(found.repeats.max())} times; the "
        "value is the deviation between them. Columns that say the same stand in for each "
        "other, and then both look unimportant."
    )
    if len(order) < len(asks.names):
        note += f" Time ended it after {len(order)} of {len(asks.names)} columns."
    option = charts.bars(
        [asks.names[at] for at in order], [float(found.mean[at]) for at in order], found.measure, signed=False
    )
    more = {"items": items, "measure": found.measure, "whole": None if found.whole is None else tidy(found.whole)}
    return _told_as("importance", "What the model needs (permutation importance)", note, option, more)


def _partial(asks: Subject, rows: NDArray[np.float64], asked: Asked, shown: str) -> dict[str, Any]:
    if asked.feature not in asks.names:
        raise SettingsUnusable(
            f"explaining by partial dependence: {asked.feature!r} is no column of the model; name one of "
            f"{', '.join(asks.names[:20])}"
        )
    found = partial(asks, rows, asks.names.index(asked.feature))
    mean = [float(value) for value in found.mean]
    places = [_cell(place) for place in found.places]
    curve = {
        "x": places,
        "y": [tidy(value) for value in mean],
        "lines": [[tidy(y) for y in line] for line in found.lines],
    }
    note = (
        f"The {asks.meaning} on average over {shown} as {asked.feature} takes each value and all else stays; thin "
        "lines are single rows. Where columns go together some of these rows cannot occur."
    )
    items = [{"feature": asked.feature, "value": x, "effect": y} for x, y in zip(places, curve["y"], strict=True)]
    option = charts.curve(places, mean, found.lines.tolist(), asked.feature or "", asks.meaning)
    return _told_as(
        "partial", f"What {asked.feature} does (partial dependence)", note, option, {"items": items, "curve": curve}
    )


def _told_as(method: Method, title: str, note: str, option: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "method": method, "title": title, "note": note, **more, "option": option}


def _told(tell: Tell, done: float) -> None:
    tell("explain", done, f"{done:.0%} done")


def _cell(value: Any) -> Any:
    return tidy(value, 9) if isinstance(value, float) else value


def _shown(value: Any) -> str:
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)[:40]
