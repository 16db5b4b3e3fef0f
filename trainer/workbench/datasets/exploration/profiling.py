"""A first look at a data set: `profile.json` from `table.parquet`.

Counts, quantiles and duplicates are of every row, by DuckDB over the Parquet file in bounded memory; only what needs
pairs of columns or a model (correlations, suspects) looks at a sample of a large table, and the profile says so. The
same table and label give the same profile.
"""

# ruff: noqa: S608 - the path is quoted by `_quoted`

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from trainer import appearing
from trainer.errors import DatasetRefused, SettingsUnusable, SourceMissing
from trainer.workbench.datasets.exploration import columns, labels, leakage, relations, sampling
from trainer.workbench.datasets.importing import ABOUT, TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workbench.telling import Tell

FORMAT: Final = "anomaflow-profile-1"
PROFILE: Final = "profile.json"
SAMPLE_ROWS: Final = 50_000
"""Rows that correlations and suspects look at."""
EXACT_ROWS: Final = 200_000
"""Above so many rows, different values are counted approximately (HyperLogLog, some percent off)."""
_MEMORY: Final = "1GB"
_SEED: Final = 7


def load_about(folder: Path) -> dict[str, Any]:
    """What `import` said of the data set. Raises `SourceMissing`, `DatasetRefused`."""
    path = folder / ABOUT
    if not path.is_file() or not (folder / TABLE).is_file():
        raise SourceMissing(f"looking at {folder}: there is no {ABOUT} with its {TABLE}; import a table into it first")
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetRefused(f"looking at {folder}: {ABOUT} is damaged ({error}); import the table again") from error
    return about


def connect() -> Any:
    """A DuckDB of bounded memory that reaches nothing but files it is pointed to."""
    import duckdb

    base = duckdb.connect()
    base.execute(f"SET memory_limit = '{_MEMORY}'")
    base.execute("SET threads = 2")
    base.execute("SET enable_progress_bar = false")
    base.execute("SET TimeZone = 'UTC'")
    return base


def profile(folder: Path, label: str | None, tell: Tell) -> dict[str, Any]:
    """Look at the data set in `folder`, write `profile.json`, and return it. Raises `DataError`, `OutputError`."""
    import duckdb

    about = load_about(folder)
    kinds = {column["name"]: column["type"] for column in about["columns"]}
    if label is not None and label not in kinds:
        raise SettingsUnusable(f"looking at {about['name']}: there is no column {label!r} to be the label")
    tell("count", 0.02, "counting values")
    try:
        with connect() as base:
            base.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet({_quoted(str(folder / TABLE))})")
            return _profile(base, folder, about=about, kinds=kinds, label=label, tell=tell)
    except duckdb.Error as error:
        text = str(error).splitlines()[0][:200]
        raise DatasetRefused(f"looking at {about['name']}: {text}; import the table again") from error


def _profile(
    base: Any, folder: Path, *, about: dict[str, Any], kinds: dict[str, str], label: str | None, tell: Tell
) -> dict[str, Any]:
    rows = int(about["rows"])
    exact = rows <= EXACT_ROWS
    counted = columns.count(
        base, kinds, rows, exact=exact, tell=lambda done: tell("count", 0.02 + 0.48 * done, "counting values")
    )
    tell("duplicates", 0.5, "looking for repeated rows")
    repeated = columns.duplicates(base, list(kinds), rows)
    tell("sample", 0.62, "taking a sample")
    sample = sampling.draw(base, folder / TABLE, kinds, rows, most=SAMPLE_ROWS, seed=_SEED)
    tell("relations", 0.68, "comparing columns with each other")
    related = relations.relate(sample, kinds)
    tell("suspects", 0.85, "looking for what gives the label away")
    suspects, warnings = leakage.suspects(sample, counted, kinds, rows, label)
    profile = {
        "format": FORMAT,
        "rows": rows,
        "columns": len(kinds),
        "sampled_rows": None if sample.rows == rows else sample.rows,
        "label": label,
        "properties": counted.properties,
        "numeric": counted.numeric,
        "categorical": counted.categorical,
        "moments": counted.moments,
        "correlations": related.to_json(),
        "duplicates": {"rows": repeated, "share": _round(repeated / rows)},
        "constants": counted.constants,
        "leakage": suspects,
        "labels": labels.candidates(base, counted, kinds),
        "warnings": [*_warnings(counted, repeated, rows, sample.rows, related, exact=exact), *warnings],
    }
    appearing.write(folder / PROFILE, json.dumps(profile, indent=1, ensure_ascii=False, allow_nan=False).encode())
    tell("done", 1.0, f"{rows:,} rows and {len(kinds):,} columns looked at")
    return profile


def _warnings(
    counted: columns.Counted, repeated: int, rows: int, sampled: int, related: relations.Related, *, exact: bool
) -> list[str]:
    warnings = []
    if not exact:
        warnings.append(
            "different values of a column are counted approximately, a few percent off, since there are many rows"
        )
    if sampled != rows:
        warnings.append(f"correlations and suspects are found on {sampled:,} rows drawn at random, of {rows:,}")
    if repeated:
        warnings.append(
            f"{repeated:,} rows ({repeated / rows:.1%}) repeat an earlier one exactly; a random split would put copies "
            "on both sides and flatter every model"
        )
    if counted.constants:
        warnings.append(f"columns that never change say nothing: {_listed(counted.constants)}")
    sparse = [one["name"] for one in counted.properties if one["missing_share"] > 0.5]
    if sparse:
        warnings.append(f"more than half of the values are missing in {_listed(sparse)}")
    if related.high:
        pairs = [f"{one['a']} and {one['b']}" for one in related.high]
        warnings.append(f"columns that say nearly the same: {_listed(pairs)}")
    if related.left_out:
        shown = len(related.names)
        warnings.append(
            f"correlations are shown for the first {shown} of {shown + related.left_out} columns of numbers"
        )
    return warnings


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
