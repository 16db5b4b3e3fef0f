"""Settings of an experiment: everything it depends on but the data, frozen, complete and hashable.

Every setting has a default under which the run finds out by itself what fits the table; the same settings, data and
seed give the same run. They travel as one flat JSON object, and as YAML for people. An unknown name, or a value that is
none of those allowed, is refused in words that say which ones are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from trainer.errors import SettingsUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "anomaflow-experiment-1"

Kind = Literal["ml", "dl"]
Task = Literal["auto", "benign-only", "unsupervised", "binary", "multiclass"]
Missing = Literal["auto", "median", "mean", "most-frequent", "zero", "drop-rows"]
Encoding = Literal["auto", "one-hot", "ordinal"]
Scaling = Literal["auto", "standard", "robust", "log", "none"]
Outliers = Literal["keep", "clip", "drop-rows"]
Balance = Literal["auto", "none", "weights", "oversample"]
Split = Literal["auto", "random", "time", "group", "file"]
Metric = Literal["auto", "accuracy", "balanced-accuracy", "f1", "precision", "recall", "roc-auc", "average-precision"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What one experiment is asked to do."""

    name: str = "experiment"
    kind: Kind = "ml"
    """`ml`: models that learn in one go. `dl`: Keras networks, epoch by epoch."""
    label: str | None = None
    """The column to predict; None without one."""
    benign: tuple[str, ...] = ()
    """Label values that mean ordinary; found by itself if empty (`normal`, `benign`, 0, the most frequent...)."""
    task: Task = "auto"
    features: tuple[str, ...] = ()
    """Columns to learn from; empty for all that are neither the label nor recognised as identifiers."""
    drop: tuple[str, ...] = ()
    """Columns left out in any case."""
    missing: Missing = "auto"
    encoding: Encoding = "auto"
    scaling: Scaling = "auto"
    outliers: Outliers = "keep"
    balance: Balance = "auto"
    split: Split = "auto"
    """`file`: the given test table, the default where there is one; else `random`, with its warning."""
    split_column: str | None = None
    """The time or group column of those splits."""
    test_share: float = 0.25
    models: tuple[str, ...] = ()
    """Names of candidates; empty for those that suit the task."""
    search: bool = True
    """Look for better hyper-parameters while time is left."""
    time_budget_s: float = 300.0
    metric: Metric = "auto"
    """What the leaderboard is sorted by; `auto`: F1 for classes, average precision for anomalies."""
    seed: int = 7
    max_rows: int = 200_000
    """Most rows learnt from; a larger table is sampled by seed and the result says so."""
    epochs: int = 30
    batch_size: int = 256
    patience: int = 6
    """Epochs without a better validation loss before a network stops."""
    learning_rate: float = 1e-3

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the name."""
        told = {key: value for key, value in self.to_json().items() if key != "name"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """One flat object, `format` first."""
        told = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {"format": FORMAT, **told}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Settings:
        """The settings in `told`; what is not named keeps its default. Raises `SettingsUnusable`."""
        known = {field.name: field for field in fields(cls)}
        given = {key: value for key, value in told.items() if key != "format"}
        if told.get("format", FORMAT) != FORMAT:
            raise SettingsUnusable(f"reading settings: format is {told['format']!r}; this version reads {FORMAT!r}")
        strange = sorted(set(given) - set(known))
        if strange:
            raise SettingsUnusable(
                f"reading settings: there is no setting {strange[0]!r}; there are {', '.join(sorted(known))}"
            )
        return cls(**{key: _checked(key, value) for key, value in given.items()})


WORDS: Final[dict[str, Any]] = {
    "kind": Kind,
    "task": Task,
    "missing": Missing,
    "encoding": Encoding,
    "scaling": Scaling,
    "outliers": Outliers,
    "balance": Balance,
    "split": Split,
    "metric": Metric,
}
LISTS: Final = frozenset({"benign", "features", "drop", "models"})
NUMBERS: Final[dict[str, tuple[type, float, float]]] = {
    "test_share": (float, 0.05, 0.9),
    "time_budget_s": (float, 5, 7 * 86_400),
    "seed": (int, 0, 2**32 - 1),
    "max_rows": (int, 100, 5_000_000),
    "epochs": (int, 1, 10_000),
    "batch_size": (int, 1, 65_536),
    "patience": (int, 1, 10_000),
    "learning_rate": (float, 1e-6, 1.0),
}
_LONGEST: Final = 256


def _checked(key: str, value: Any) -> Any:
    if key in WORDS:
        allowed = get_args(WORDS[key])
        if value not in allowed:
            raise SettingsUnusable(f"reading settings: {key} is {value!r}; give one of {', '.join(allowed)}")
        return value
    if key in LISTS:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise SettingsUnusable(f"reading settings: {key} is {value!r}; give a list of names")
        return tuple(str(one)[:_LONGEST] for one in value)
    if key in NUMBERS:
        kind, low, high = NUMBERS[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise SettingsUnusable(f"reading settings: {key} is {value!r}; give a number from {low:g} to {high:g}")
        return kind(value)
    if key == "search":
        if not isinstance(value, bool):
            raise SettingsUnusable(f"reading settings: search is {value!r}; give true or false")
        return value
    if value is None and key in {"label", "split_column"}:
        return None
    if not isinstance(value, (str, int, float)) or not 1 <= len(str(value)) <= _LONGEST:
        raise SettingsUnusable(f"reading settings: {key} is {value!r}; give a text of 1 to {_LONGEST} characters")
    return str(value)
