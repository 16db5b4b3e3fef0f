"""What a picture shows, before anybody draws it: four shapes, which echarts.py and drawing.py both know how to draw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a picture: a value a category of `Bars`, or a pair a point of `Points`."""

    name: str
    values: list[float]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars upon each other, one stack a category."""

    categories: list[str]
    series: list[Series]
    x_name: str
    y_name: str = "rows"


@dataclass(frozen=True, slots=True)
class Boxes:
    """Low whisker, quartile, median, quartile, high whisker of each category, and points beyond the whiskers."""

    categories: list[str]
    boxes: list[list[float]]
    outliers: list[list[float]]
    """Place of the category, and the value."""
    y_name: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """The points of one colour."""

    name: str
    points: list[list[float]]


@dataclass(frozen=True, slots=True)
class Points:
    """Clouds of points."""

    clouds: list[Cloud]
    x_name: str
    y_name: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A square of values from -1 to 1."""

    names: list[str]
    matrix: list[list[float | None]]


Shape = Bars | Boxes | Points | Grid


@dataclass(frozen=True, slots=True)
class Picture:
    """A shape with its kind, its title, and what a reader must know of how it was made."""

    kind: str
    title: str
    note: str
    shape: Shape


def rounded(value: float, digits: int = 5) -> float:
    """So many digits that count: what the eye cannot see need not travel."""
    number = float(f"{value:.{digits}g}")
    return int(number) if number.is_integer() and abs(number) < 1e15 else number
