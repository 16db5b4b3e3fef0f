"""Encoding: a table's columns to float32 features, by rules fitted on fit rows alone, the same in Python and in ONNX.

A missing number becomes the column's fill, an infinite one the largest or least fitted value; where the fit rows had
gaps the gap itself is a feature. Scaling `log` is the signed logarithm in units of the column's own small values, then
mean 0 and deviation 1; scaled values are held within `CLIP` deviations. Words become one feature each (`one-hot`) or
their place by frequency (`ordinal`); a word the fit rows did not have is `another`, as rare ones are.

All arithmetic is float64 until the last step, here and in the graph, so that both give the same float32 and a row's
features do not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.rows.table import Numbers, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.workbench.rows.table import Rows
    from trainer.workbench.settings import Settings

CLIP: Final = 12.0
MOST_WORDS: Final = 100
"""Words of a column with features of their own; the most frequent ones."""
FLOOR: Final = 0.05
"""Least deviation of a scaled column, so that one that hardly varied still signals, within bounds."""
_TAIL: Final = 0.001
_BLOCK: Final = 16_384


@dataclass(frozen=True, slots=True)
class Number:
    """How a column of numbers is encoded. `unit` 0 means no logarithm."""

    name: str
    fill: float
    low: float
    median: float
    high: float
    clip: bool
    unit: float
    centre: float
    spread: float
    gaps: bool


@dataclass(frozen=True, slots=True)
class Word:
    """How a column of words is encoded. A word's place is its feature; `fill` stands for a missing one."""

    name: str
    words: tuple[str, ...]
    fill: str
    one_hot: bool


@dataclass(frozen=True, slots=True)
class Encoder:
    """The columns in the order of a model's inputs `c0..cN`. Features: all numbers, their gaps, then the words."""

    columns: tuple[Number | Word, ...]

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Columns of numbers."""
        return tuple(column for column in self.columns if isinstance(column, Number))

    @property
    def words(self) -> tuple[Word, ...]:
        """Columns of words."""
        return tuple(column for column in self.columns if isinstance(column, Word))

    def features(self) -> tuple[tuple[str, str], ...]:
        """Name and source column of each of the `F` features."""
        told = [(column.name, column.name) for column in self.numbers]
        told += [(f"{column.name} is missing", column.name) for column in self.numbers if column.gaps]
        for column in self.words:
            if column.one_hot:
                told += [(f"{column.name}={word or 'missing'}", column.name) for word in column.words]
                told.append((f"{column.name} is another", column.name))
            else:
                told.append((column.name, column.name))
        return tuple(told)

    def apply(self, rows: Rows) -> NDArray[np.float32]:
        """Rows as `[n, F]`, finite."""
        count, width = len(rows), len(self.features())
        matrix = np.zeros((count, width), dtype=np.float32)
        numbers = self.numbers
        at = len(numbers)
        if numbers:
            held = [rows.columns[column.name] for column in numbers]
            gaps = [place for place, column in enumerate(numbers) if column.gaps]
            by = constants(numbers)
            for start in range(0, count, _BLOCK):
                part = np.stack(
                    [one.values[start : start + _BLOCK].astype(np.float32) for one in held if isinstance(one, Numbers)],
                    axis=1,
                ).astype(np.float64)
                matrix[start : start + _BLOCK, : len(numbers)] = _scaled(part, by)
                matrix[start : start + _BLOCK, at : at + len(gaps)] = np.isnan(part[:, gaps])
            at += len(gaps)
        for column in self.words:
            given = rows.columns[column.name]
            if not isinstance(given, Words):
                raise TypeError(f"{column.name} holds numbers where words were fitted")
            places = self._places(column, given.words)[given.codes]
            if column.one_hot:
                matrix[np.arange(count), at + places] = 1.0
                at += len(column.words) + 1
            else:
                matrix[:, at] = (places / np.float64(max(len(column.words), 1))).astype(np.float32)
                at += 1
        return matrix

    @staticmethod
    def _places(column: Word, words: Sequence[str]) -> NDArray[np.intp]:
        known = {word: at for at, word in enumerate(column.words)}
        return np.array([known.get(word or column.fill, len(known)) for word in words] or [0], dtype=np.intp)


def constants(numbers: Sequence[Number]) -> dict[str, NDArray[np.float64]]:
    """One `[C]` row each, as Python and the graph use them."""
    biggest = float(np.finfo(np.float32).max)
    return {
        "fill": np.array([one.fill for one in numbers]),
        "low": np.array([one.low for one in numbers]),
        "high": np.array([one.high for one in numbers]),
        "least": np.array([one.low if one.clip else -biggest for one in numbers]),
        "most": np.array([one.high if one.clip else biggest for one in numbers]),
        "unit": np.array([one.unit or 1.0 for one in numbers]),
        "log": np.array([1.0 if one.unit else 0.0 for one in numbers]),
        "centre": np.array([one.centre for one in numbers]),
        "spread": np.array([one.spread for one in numbers]),
        "bound": np.array([CLIP if one.spread != 1.0 or one.centre != 0.0 else biggest for one in numbers]),
    }


def _scaled(part: NDArray[np.float64], by: dict[str, NDArray[np.float64]]) -> NDArray[np.float32]:
    part = np.where(np.isnan(part), by["fill"], part)
    part = np.where(part == np.inf, by["high"], np.where(part == -np.inf, by["low"], part))
    part = np.minimum(np.maximum(part, by["least"]), by["most"])
    bent = np.sign(part) * np.log(np.abs(part) / by["unit"] + 1.0)
    part = (np.where(by["log"] > 0, bent, part) - by["centre"]) / by["spread"]
    return np.minimum(np.maximum(part, -by["bound"]), by["bound"]).astype(np.float32)


def fit(rows: Rows, features: Sequence[str], settings: Settings) -> Encoder:
    """Learn the encoding of `features` from the fit rows `rows`."""
    made: list[Number | Word] = []
    for name in features:
        column = rows.columns[name]
        if isinstance(column, Numbers):
            made.append(_number(name, column.values, settings))
        else:
            made.append(_word(name, column, settings))
    return Encoder(tuple(made))


def _number(name: str, values: NDArray[np.float32], settings: Settings) -> Number:
    gaps = bool(np.isnan(values).any())
    finite = values[np.isfinite(values)].astype(np.float64)
    if len(finite) == 0:
        return Number(name, 0.0, 0.0, 0.0, 0.0, False, 0.0, 0.0, 1.0, gaps)
    low, median, high = float(finite.min()), float(np.median(finite)), float(finite.max())
    clip = settings.outliers == "clip"
    if clip:
        low, high = (float(one) for one in np.quantile(finite, [_TAIL, 1 - _TAIL]))
        finite = np.clip(finite, low, high)
    fill = median
    if settings.missing == "mean":
        fill = float(finite.mean())
    elif settings.missing == "zero":
        fill = 0.0
    elif settings.missing == "most-frequent":
        found, counts = np.unique(finite, return_counts=True)
        fill = float(found[int(np.argmax(counts))])
    unit, bent = 0.0, finite
    if settings.scaling in {"auto", "log"}:
        size = np.abs(finite[finite != 0])
        unit = float(np.quantile(size, 0.05)) if len(size) else 1.0
        bent = np.sign(finite) * np.log(np.abs(finite) / unit + 1.0)
    if settings.scaling == "none":
        centre, spread = 0.0, 1.0
    elif settings.scaling == "robust":
        low_q, centre, high_q = (float(one) for one in np.quantile(bent, [0.25, 0.5, 0.75]))
        spread = (high_q - low_q) / 1.349 or float(bent.std())
    else:
        centre, spread = float(bent.mean()), float(bent.std())
    if settings.scaling != "none":
        spread = max(spread, FLOOR if unit else 0.0) or 1.0
    return Number(name, fill, low, median, high, clip, unit, centre, spread, gaps)


def _word(name: str, column: Words, settings: Settings) -> Word:
    counts = np.bincount(column.codes, minlength=len(column.words))
    present = [at for at in np.lexsort((np.array(column.words), -counts)).tolist() if counts[at] > 0]
    fill = ""
    if settings.missing == "most-frequent":
        fill = next((column.words[at] for at in present if column.words[at]), "")
    words = tuple(column.words[at] for at in present[:MOST_WORDS])
    one_hot = settings.encoding != "ordinal"
    return Word(name, words, fill, one_hot)


def told(encoder: Encoder) -> list[dict[str, Any]]:
    """The columns as a model's description tells them."""
    made: list[dict[str, Any]] = []
    for at, column in enumerate(encoder.columns):
        each: dict[str, Any] = {"input": f"c{at}", "name": column.name}
        if isinstance(column, Number):
            each |= {"type": "number", "kind": "number", "fill": column.fill, "words": []}
            each |= {"low": column.low, "median": column.median, "high": column.high}
        else:
            each |= {"type": "categorical", "kind": "word", "fill": column.fill, "words": list(column.words)}
            each |= {"low": None, "median": None, "high": None}
        made.append(each)
    return made
