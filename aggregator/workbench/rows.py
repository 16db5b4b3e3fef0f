"""What the workbench's store knows, as frozen rows; REST answers and console pages show exactly these fields.

Times are UTC milliseconds, sizes bytes. What the trainer wrote (a profile, a plot, a leaderboard) stays a plain
dictionary in the format that it names itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aggregator.work.rows import Work as Work  # noqa: PLC0414, TC001 - a row like the others; shapes read it
from aggregator.work.rows import WorkState as WorkState  # noqa: PLC0414, TC001 - likewise


@dataclass(frozen=True, slots=True)
class Dataset:
    """One version of a data set: the newest one, in a list."""

    id: int
    version: int
    versions: int  # how many there are
    name: str
    state: str  # importing | ready | failed
    source_kind: str  # file | sql | remote | lake | captures
    source_what: str  # the file's name, or the address without its secrets
    source_format: str
    rows: int | None  # None until it is ready
    columns: int | None
    bytes: int  # of all its files
    digest: str
    warnings: tuple[str, ...]
    label: str | None  # the column guessed to be the label, once it is profiled
    profiled: bool
    busy: bool  # an import or a profile is under way
    stage: str  # of the import or profile under way
    fraction: float
    message: str
    error: str
    work_id: int | None  # the import or profile under way, or the last one
    created_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a data set."""

    name: str
    type: str  # integer | number | categorical | text | boolean | time
    missing: int
    was: str | None  # its name in the source, if it was changed


@dataclass(frozen=True, slots=True)
class DatasetDetail:
    """A data set's version with its columns, and the other versions newest first."""

    dataset: Dataset
    columns: tuple[Column, ...]
    other_versions: tuple[Dataset, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What may be uploaded, and how much room is taken."""

    upload_bytes: int
    rows: int
    columns: int
    quota_bytes: int
    used_bytes: int
    user_quota_bytes: int
    user_used_bytes: int
    schemes: tuple[str, ...]  # of remote files
    databases: tuple[str, ...]  # kinds of SQL database
    formats: tuple[str, ...]  # endings of uploads


@dataclass(frozen=True, slots=True)
class Preview:
    """Some rows of a table. Cells are text, numbers, booleans or None; a time is ISO 8601 in UTC."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    offset: int
    total: int


@dataclass(frozen=True, slots=True)
class SavedPlot:
    """A plot somebody kept; `plots.get_plot` gives the plot itself."""

    id: int
    dataset_id: int
    version: int
    title: str
    kind: str
    request: dict[str, Any]  # kind, x, y, by
    created_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class LabelGuess:
    """A column that could be what is to be predicted."""

    name: str
    reason: str
    values: tuple[dict[str, Any], ...]  # {"value", "rows"}, most frequent first
    likely: bool  # taken without asking; otherwise only proposed


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an experiment on a data set begins with, before anybody touches anything."""

    settings: dict[str, Any]  # every setting of the trainer's, complete
    labels: tuple[LabelGuess, ...]  # best first; empty when nothing looks like one
    task: str  # what the run will find: benign-only | unsupervised | binary | multiclass
    why_task: str
    columns: tuple[Column, ...]
    models: tuple[dict[str, Any], ...]  # {"name", "title", "kind", "judges", "note"} that suit the task and kind
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """A run: models fitted to a data set and compared."""

    id: int
    name: str
    kind: str  # ml | dl
    dataset_id: int
    dataset_version: int
    dataset_name: str
    test_dataset_id: int | None
    test_dataset_version: int | None
    label: str | None
    task: str  # "" until the run has found it
    state: WorkState
    asked: str  # "" | stop | cancel
    stage: str
    fraction: float
    message: str
    error: str
    models_done: int
    metric: str  # what the leaderboard is sorted by; "" until known
    best: str  # the candidate's name; "" until known
    best_title: str
    value: float | None  # of `metric`, of the best, on the rows it was chosen by
    test_value: float | None  # of `metric`, of the best, on the test rows
    attempts: int
    bytes: int
    settings: dict[str, Any]
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    by: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """What a run said since a place in its story."""

    items: tuple[dict[str, Any], ...]
    next: int  # give it back as `since`
    state: WorkState


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side."""

    experiments: tuple[Experiment, ...]
    same_data: bool
    note: str  # what makes the figures (in)comparable, in one sentence
    settings: tuple[dict[str, Any], ...]  # {"name", "values": [one a run]} of the settings that differ
    rows: tuple[dict[str, Any], ...]  # {"name", "title", "entries": [a leaderboard entry or None, one a run]}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model applied to rows."""

    id: int
    experiment_id: int
    experiment_name: str
    model: str
    source: str  # the data set's name and version, the file's name, "pasted rows" or "one row"
    state: WorkState
    stage: str
    fraction: float
    message: str
    error: str
    rows: int | None
    anomalies: int | None
    bytes: int
    created_ms: int
    ended_ms: int | None
    by: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """A run's model on its way into the registry of what agents run."""

    work: Work
    experiment_id: int
    model: str
    digest: str  # in the registry; "" until it is admitted
    gate_passed: bool | None
