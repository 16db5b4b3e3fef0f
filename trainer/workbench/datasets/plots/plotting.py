"""Pictures of a data set: distributions, boxes, scatter, correlations, counts, and all columns seen in two dimensions.

Distributions, boxes and counts are of every row, by DuckDB; what draws single rows draws a sample, and its note says of
how many. Columns are chosen by name; what a kind of picture cannot show is refused in words that say what it can.
"""

# ruff: noqa: S608 - the path is quoted

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer import appearing
from trainer.errors import DatasetRefused, SettingsUnusable
from trainer.workbench.datasets.exploration import relations, sampling
from trainer.workbench.datasets.exploration.columns import NUMBERS
from trainer.workbench.datasets.exploration.profiling import SAMPLE_ROWS, connect, load_about
from trainer.workbench.datasets.importing import TABLE
from trainer.workbench.datasets.plots import distributions, echarts, embedding
from trainer.workbench.datasets.plots.pictures import Cloud, Grid, Picture, Points, rounded

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.datasets.exploration.sampling import Sample

POINTS: Final = 4_000
"""Most points of a scatter plot."""
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Asked:
    """Which picture: its kind, columns, the column to colour by, and how an embedding is made."""

    kind: str
    x: str | None = None
    y: str | None = None
    by: str | None = None
    method: str = "pca"


def plot(folder: Path, asked: Asked, out: Path | None = None) -> dict[str, Any]:
    """Make the picture; write it to `out` (.json, .svg, .png) if given; return the plot. Raises `TrainerError`."""
    import duckdb

    if out is not None and out.suffix.lower() not in {".json", ".svg", ".png"}:
        raise SettingsUnusable(f"drawing: {out.name} ends with none of .json, .svg and .png; give such a name")
    about = load_about(folder)
    try:
        with connect() as base:
            picture = _picture(base, folder / TABLE, about, asked)
    except duckdb.Error as error:
        text = str(error).splitlines()[0][:200]
        raise DatasetRefused(f"drawing {about['name']}: {text}; import the table again") from error
    told = echarts.plot(picture)
    if out is not None and out.suffix.lower() == ".json":
        _write(out, told)
    elif out is not None:
        from trainer.workbench.datasets.plots import drawing

        drawing.save(picture, out)
    return told


def _picture(base: Any, path: Path, about: dict[str, Any], asked: Asked) -> Picture:
    kinds = {column["name"]: column["type"] for column in about["columns"]}
    rows = int(about["rows"])
    for name in (asked.x, asked.y, asked.by):
        if name is not None and name not in kinds:
            raise SettingsUnusable(f"drawing {about['name']}: there is no column {name!r} in it")
    quoted = str(path).replace("'", "''")
    base.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet('{quoted}')").fetchall()
    if asked.kind == "heatmap":
        return _heatmap(base, path, kinds, rows)
    if asked.kind == "embedding":
        kept = {name: kind for name, kind in kinds.items() if name != asked.by}
        if asked.by is not None:
            kept[asked.by] = kinds[asked.by]
        sample = sampling.draw(base, path, kept, rows, most=embedding.rows(asked.method), seed=_SEED)
        return embedding.picture(
            sample, kinds, groups_of(sample, asked.by), by=asked.by, total=rows, method=asked.method
        )
    x = _column(asked.x, asked.kind, "--x")
    if asked.kind == "scatter":
        _column(asked.y, asked.kind, "--y")
        return _scatter(base, path, kinds, rows, asked)
    if asked.kind == "box":
        _number(x, kinds, asked.kind)
        return distributions.box(base, x, asked.by or asked.y)
    if asked.kind == "histogram" and kinds[x] in {*NUMBERS, "time"}:
        return distributions.histogram(base, x, kinds[x], asked.by)
    return distributions.counts(base, x, asked.by, asked.kind)


def _heatmap(base: Any, path: Path, kinds: dict[str, str], rows: int) -> Picture:
    numbers = {name: kind for name, kind in kinds.items() if kind in NUMBERS}
    if len(numbers) < 2:
        raise SettingsUnusable("drawing correlations: there are fewer than two columns of numbers")
    sample = sampling.draw(base, path, numbers, rows, most=SAMPLE_ROWS, seed=_SEED)
    related = relations.relate(sample, numbers)
    if len(related.names) < 2:
        raise SettingsUnusable("drawing correlations: fewer than two columns of numbers ever change")
    note = _of(sample, rows)
    if related.left_out:
        note = (
            f"the first {len(related.names)} columns that change; {note}"
            if note
            else f"the first {len(related.names)} columns"
        )
    matrix = [[None if value is None else round(value, 2) for value in row] for row in related.pearson]
    return Picture("heatmap", "Correlations (Pearson)", note, Grid(related.names, matrix))


def _scatter(base: Any, path: Path, kinds: dict[str, str], rows: int, asked: Asked) -> Picture:
    x, y, by = str(asked.x), str(asked.y), asked.by
    for name in (x, y):
        _number(name, kinds, "scatter")
    wanted = {name: kinds[name] for name in dict.fromkeys((x, y, *([by] if by else [])))}
    sample = sampling.draw(base, path, wanted, rows, most=POINTS, seed=_SEED)
    names, members = groups_of(sample, by)
    (across, x_name), (upward, y_name) = _scale(sample, x), _scale(sample, y)
    there = np.isfinite(across) & np.isfinite(upward)
    clouds = []
    for at, name in enumerate(names):
        here = there & (members == at)
        pairs = zip(across[here].tolist(), upward[here].tolist(), strict=True)
        clouds.append(Cloud(name, [[rounded(a), rounded(b)] for a, b in pairs]))
    title = f"{y} against {x}" + (f" by {by}" if by else "")
    return Picture("scatter", title, _of(sample, rows), Points(clouds, x_name, y_name))


def _scale(sample: Sample, name: str) -> tuple[NDArray[np.float64], str]:
    """Values to draw and what to call them: the logarithm where they span many powers of ten."""
    values = sample.numbers[name]
    there = values[np.isfinite(values)]
    if len(there) and distributions.grows(there.min(), float(np.quantile(there, 0.75)), there.max()):
        return np.log10(1 + values), f"log10(1 + {name})"
    return values, name


def groups_of(sample: Sample, by: str | None) -> tuple[list[str], Any]:
    """Names of the groups of a sample's rows, the largest first, and which one each row is in."""
    if by is None:
        return ["rows"], np.zeros(sample.rows, dtype=np.int64)
    if by in sample.codes:
        texts = np.array([*sample.words[by], "(missing)"], dtype=object)[sample.codes[by]]
    else:
        values = sample.numbers[by].tolist()
        texts = np.array(["(missing)" if math.isnan(value) else f"{value:g}" for value in values], dtype=object)
    different, counts = np.unique(texts.astype(str), return_counts=True)
    order = [str(different[at]) for at in np.argsort(-counts, kind="stable")]
    names = order if len(order) <= distributions.GROUPS else [*order[: distributions.GROUPS - 1], distributions.OTHER]
    place = {name: at for at, name in enumerate(names)}
    return names, np.array([place.get(str(text), len(names) - 1) for text in texts], dtype=np.int64)


def _column(name: str | None, kind: str, option: str) -> str:
    if name is None:
        raise SettingsUnusable(f"drawing a {kind}: name a column with {option}")
    return name


def _number(name: str, kinds: dict[str, str], kind: str) -> None:
    if kinds[name] not in NUMBERS:
        raise SettingsUnusable(
            f"drawing a {kind}: column {name!r} is {kinds[name]}, and numbers are needed; "
            "choose another column, or draw counts"
        )


def _of(sample: Sample, rows: int) -> str:
    return "" if sample.rows == rows else f"{sample.rows:,} rows drawn at random, of {rows:,}"


def _write(out: Path, told: dict[str, Any]) -> None:
    appearing.write(out, json.dumps(told, ensure_ascii=False, allow_nan=False).encode())
