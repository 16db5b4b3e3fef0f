"""A model file of the workbench, opened: asked with columns, it answers with a prediction, a score and a chance.

Promises:

- Nothing is unpickled and no code of the file is run but its ONNX graph. A file whose digest is not the one its
  description names is refused before onnxruntime sees it.
- Scores rise with strangeness: the strangeness itself of a detector; of classes the chance that the row is none of the
  benign ones. Where no class is known to be benign it is the chance that the predicted class is wrong.
- A row gets the same answer in any batch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from trainer.errors import ModelError
from trainer.workbench.candidates import graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT: Final = "anomaflow-file-1"
GRAPH: Final = "model.onnx"
DESCRIPTION: Final = "model.json"
ORDINARY: Final = "ordinary"
ANOMALY: Final = "anomaly"
BATCH_ROWS: Final = 16_384

Values = Any
"""A column as the graph is fed: float32 `[n]`, NaN where missing; or an object array of texts, empty where missing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column the model was made on. `low` and `high` bound what it saw of a number, `words` what it saw of texts."""

    input: str
    name: str
    type: str
    kind: Literal["number", "word"]
    typical: float | str
    low: float | None = None
    high: float | None = None
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of rows `[n]`.

    `prediction` are places in `names`; `chance` is that of the predicted class, `chances` `[n, K]` those of all, both
    None of a detector.
    """

    names: tuple[str, ...]
    prediction: NDArray[np.int16]
    score: NDArray[np.float32]
    flagged: NDArray[np.bool_]
    chance: NDArray[np.float32] | None = None
    chances: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A model file that passed its checks."""

    told: Mapping[str, Any]
    columns: tuple[Wanted, ...]
    session: Any
    output: str

    @property
    def title(self) -> str:
        """As people call the model."""
        return str(self.told.get("title") or self.told.get("candidate") or "model")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the graph; none of a detector."""
        return tuple(self.told.get("classes") or ()) if self.judges_classes else ()

    @property
    def judges_classes(self) -> bool:
        """Whether it tells classes apart, and does not only say how strange a row is."""
        return self.told["judges"] == "classes"

    @property
    def benign(self) -> tuple[str, ...]:
        """The classes that mean ordinary."""
        return tuple(self.told.get("benign") or ())

    @property
    def threshold(self) -> float | None:
        """The strangeness beyond which a detector calls a row an anomaly."""
        value = self.told.get("threshold")
        return None if value is None else float(value)

    @property
    def label(self) -> str | None:
        """The column the model was taught to predict, where its file says so."""
        value = self.told.get("label")
        return None if value is None else str(value)

    @property
    def meaning(self) -> str:
        """What its score says, in plain words."""
        if not self.judges_classes:
            return "strangeness (higher is stranger)"
        if self._benign_places:
            return f"chance that the row is not {' or '.join(self.benign)}"
        return "chance that the predicted class is wrong"

    @property
    def _benign_places(self) -> list[int]:
        return [place for place, name in enumerate(self.classes) if name in self.benign]

    def raw(self, values: Sequence[Values]) -> NDArray[np.float32]:
        """The graph's own output for columns in the order of `columns`: chances `[n, K]`, or strangeness `[n]`."""
        rows = len(values[0])
        parts = []
        try:
            for start in range(0, max(rows, 1), BATCH_ROWS):
                fed = {
                    wanted.input: column[start : start + BATCH_ROWS].reshape(-1, 1)
                    for wanted, column in zip(self.columns, values, strict=True)
                }
                parts.append(np.asarray(self.session.run([self.output], fed)[0], dtype=np.float32))
        except Exception as error:  # onnxruntime raises a dozen types of its own for what a graph does not like
            raise ModelError(
                f"predicting with {self.title}: onnxruntime says {error}; run the experiment again"
            ) from error
        found = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return found if self.judges_classes else found.reshape(-1)

    def scores(self, values: Sequence[Values]) -> NDArray[np.float32]:
        """How strange each row is, `[n]`."""
        return self.score_of(self.raw(values))

    def score_of(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score in the graph's own output."""
        if not self.judges_classes:
            return raw
        places = self._benign_places
        score: NDArray[np.float32] = (1 - raw[:, places].sum(axis=1)) if places else (1 - raw.max(axis=1))
        return np.clip(score, 0, 1).astype(np.float32)

    def ask(self, values: Sequence[Values]) -> Answer:
        """The answers for columns in the order of `columns`. Raises `ModelError`."""
        raw = self.raw(values)
        score = self.score_of(raw)
        if not self.judges_classes:
            limit = self.threshold
            flagged = np.zeros(len(raw), dtype=np.bool_) if limit is None else raw > limit
            return Answer((ORDINARY, ANOMALY), flagged.astype(np.int16), score, flagged)
        prediction = raw.argmax(axis=1).astype(np.int16)
        places = self._benign_places
        flagged = ~np.isin(prediction, places) if places else np.zeros(len(raw), dtype=np.bool_)
        return Answer(self.classes, prediction, score, flagged, raw.max(axis=1), raw)


def open_model(folder: Path) -> Opened:
    """The model in `folder`. Raises `ModelError`, which says what is wrong with the file."""
    told = describe(folder)
    try:
        data = (folder / GRAPH).read_bytes()
    except OSError as error:
        raise ModelError(f"opening model {folder}: {GRAPH}: {error.strerror}; run the experiment again") from error
    if told.get("sha256") and hashlib.sha256(data).hexdigest() != told["sha256"]:
        raise ModelError(
            f"opening model {folder}: {GRAPH} is not the file its description names; run the experiment again"
        )
    session = _session(data, folder)
    columns = _columns(told, folder)
    inputs = [entry.name for entry in session.get_inputs()]
    if sorted(inputs) != sorted(wanted.input for wanted in columns):
        raise ModelError(
            f"opening model {folder}: the graph and its description name other columns; run the experiment again"
        )
    output = "chances" if told["judges"] == "classes" else "strangeness"
    if output not in [entry.name for entry in session.get_outputs()]:
        raise ModelError(f"opening model {folder}: the graph has no output {output}; run the experiment again")
    return Opened(told, columns, session, output)


def describe(folder: Path) -> dict[str, Any]:
    """The description of the model in `folder`, without opening its graph. Raises `ModelError`."""
    try:
        told = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"opening model {folder}: {DESCRIPTION}: {error.strerror}; give the folder of a model"
        ) from error
    except ValueError as error:
        raise ModelError(
            f"opening model {folder}: {DESCRIPTION} is no JSON ({error}); run the experiment again"
        ) from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else None
        raise ModelError(f"opening model {folder}: its format is {found!r}, this version reads {FORMAT!r}")
    if told.get("judges") not in {"classes", "strangeness"}:
        raise ModelError(f"opening model {folder}: it judges {told.get('judges')!r}, neither classes nor strangeness")
    return told


def _session(data: bytes, folder: Path) -> Any:
    try:
        return graph.session(data)
    except Exception as error:  # as many for a file that it does not like
        raise ModelError(
            f"opening model {folder}: onnxruntime refuses it ({error}); run the experiment again"
        ) from error


def _columns(told: Mapping[str, Any], folder: Path) -> tuple[Wanted, ...]:
    try:
        return tuple(_wanted(entry) for entry in told["columns"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"opening model {folder}: its columns: ({type(error).__name__}: {error}); run the experiment again"
        ) from error


def _wanted(entry: Mapping[str, Any]) -> Wanted:
    kind: Literal["number", "word"] = "word" if entry["kind"] == "word" else "number"
    fill = entry.get("fill")
    if kind == "word":
        words = tuple(str(word) for word in entry.get("words") or ())
        typical: float | str = str(fill) if fill else next(filter(None, words), "")
        return Wanted(
            str(entry["input"]), str(entry["name"]), str(entry["type"]), kind, typical, words=frozenset(words)
        )
    middle = entry.get("median") if entry.get("median") is not None else fill
    low, high = entry.get("low"), entry.get("high")
    return Wanted(
        str(entry["input"]),
        str(entry["name"]),
        str(entry["type"]),
        kind,
        0.0 if middle is None else float(middle),
        None if low is None else float(low),
        None if high is None else float(high),
    )


def label_of(folder: Path) -> str | None:
    """The label column of the run that the model in `folder` comes from; None where nothing says so."""
    for path in (folder / DESCRIPTION, folder.parent.parent / "result.json", folder.parent.parent / "settings.json"):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(told, dict) and told.get("label"):
            return str(told["label"])
    return None


def table_of(folder: Path) -> Path | None:
    """The table of the run that the model in `folder` comes from, where it still lies; None elsewhere."""
    try:
        told = json.loads((folder.parent.parent / "data.json").read_text(encoding="utf-8"))
        table = folder.parent.parent / told["table"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return table if table.is_file() else None
