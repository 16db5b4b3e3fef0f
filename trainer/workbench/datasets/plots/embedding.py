"""All columns seen in two dimensions: principal components, or t-SNE on a smaller sample.

Numbers are put on a common scale first: signed logarithm (figures of traffic span many powers of ten), then mean 0 and
deviation 1. Categories of at most twenty values become one column each. Identifiers and text say nothing here and are
left out, as is the column that gives the colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.errors import SettingsUnusable
from trainer.workbench.datasets.exploration.columns import NUMBERS
from trainer.workbench.datasets.plots.pictures import Cloud, Picture, Points, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.datasets.exploration.sampling import Sample

_ROWS: Final = {"pca": 5_000, "tsne": 1_500}
_FEW: Final = 20
_FIRST: Final = 30
"""t-SNE starts from so many principal components: fewer distances of noise, and quicker."""


def rows(method: str) -> int:
    """Most rows a method is made for."""
    return _ROWS[method]


def picture(
    sample: Sample, kinds: dict[str, str], groups: tuple[list[str], Any], *, by: str | None, total: int, method: str
) -> Picture:
    """The sample's rows as points. Raises `SettingsUnusable` if fewer than two columns say something."""
    matrix = encoded(sample, kinds, by)
    if matrix.shape[1] < 2 or len(matrix) < 5:
        raise SettingsUnusable("drawing an embedding: at least five rows and two columns that change are needed")
    if method == "tsne":
        flat, names = _tsne(matrix), ("t-SNE 1", "t-SNE 2")
    else:
        flat, shares = components(matrix, 2)
        names = (f"component 1 ({shares[0]:.0%} of the variation)", f"component 2 ({shares[1]:.0%})")
    labels, members = groups
    clouds = [
        Cloud(name, [[rounded(x, 4), rounded(y, 4)] for x, y in flat[members == at].tolist()])
        for at, name in enumerate(labels)
    ]
    note = f"{sample.rows:,} rows drawn at random, of {total:,}" if sample.rows != total else ""
    if method == "tsne":
        note = "; ".join(part for part in (note, "distances between far groups mean nothing in t-SNE") if part)
    title = ("t-SNE" if method == "tsne" else "Principal components") + (f" by {by}" if by else "")
    return Picture("embedding", title, note, Points(clouds, *names))


def encoded(sample: Sample, kinds: dict[str, str], by: str | None) -> NDArray[np.float64]:
    """Columns on a common scale, `[n, F]`."""
    columns = []
    for name, kind in kinds.items():
        if name == by:
            continue
        if kind in NUMBERS:
            values = sample.numbers[name]
            gaps = np.isnan(values)
            if gaps.all():
                continue
            values = np.where(gaps, np.median(values[~gaps]), values)
            columns.append(_standard(np.sign(values) * np.log1p(np.abs(values))))
        elif kind in {"categorical", "boolean"} and 2 <= len(sample.words[name]) <= _FEW:
            # Together a column's categories weigh like one column of numbers.
            size = np.sqrt(len(sample.words[name]))
            columns += [
                _standard((sample.codes[name] == at).astype(np.float64)) / size for at in range(len(sample.words[name]))
            ]
    kept = [column for column in columns if column.any()]
    return np.column_stack(kept) if kept else np.zeros((sample.rows, 0))


def components(matrix: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first principal components of centred rows, and the share of the variation each one holds."""
    from scipy.linalg import eigh

    products, width = matrix.T @ matrix, matrix.shape[1]
    # Of thousands of columns all components would take a minute; only these are asked for.
    values, vectors = eigh(products, subset_by_index=(width - count, width - 1))
    first = vectors[:, ::-1]
    # A component's sign is chance: the largest weight is made positive, so that the picture is the same everywhere.
    first = first * np.where(first[np.abs(first).argmax(0), np.arange(count)] < 0, -1.0, 1.0)
    return matrix @ first, np.maximum(values[::-1], 0.0) / max(np.trace(products), 1e-12)


def _tsne(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    start, _ = components(matrix, min(_FIRST, matrix.shape[1]))
    nearby = min(30.0, (len(matrix) - 1) / 3)
    return np.asarray(
        TSNE(perplexity=nearby, init="pca", random_state=7, max_iter=400).fit_transform(start), dtype=np.float64
    )


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    return np.zeros_like(values) if spread < 1e-12 else (values - values.mean()) / spread
