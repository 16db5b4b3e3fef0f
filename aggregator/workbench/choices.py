"""What an experiment may be asked: every setting with its default, what it may be, and a sentence. Pure.

The trainer has the same table as types; a test holds the two together, because this room never imports that one.
Settings are checked here so that a mistake is answered at once and not by a run that fails in the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aggregator.errors import Invalid

FORMAT: Final = "anomaflow-experiment-1"
LONGEST_TEXT: Final = 256
MOST_NAMES: Final = 5_000
MOST_YAML: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting: its default, the words or the range allowed, and what it means."""

    name: str
    default: Any
    means: str
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def check(self, value: Any) -> Any:
        """`value` as the setting has it. Raises `Invalid` with what is allowed."""
        if value is None and self.default is None:
            return None
        if self.words:
            if value not in self.words:
                raise self._wrong(value, f"one of {', '.join(self.words)}")
            return value
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise self._wrong(value, "true or false")
            return value
        if isinstance(self.default, tuple):
            if not isinstance(value, list | tuple) or len(value) > MOST_NAMES:
                raise self._wrong(value, f"a list of at most {MOST_NAMES} names")
            return [str(one)[:LONGEST_TEXT] for one in value]
        if self.low is not None and self.high is not None:
            return self._number(value)
        if not isinstance(value, str | int | float) or not 1 <= len(str(value)) <= LONGEST_TEXT:
            raise self._wrong(value, f"a text of 1 to {LONGEST_TEXT} characters")
        return str(value)

    def _number(self, value: Any) -> Any:
        whole = isinstance(self.default, int)
        wrong = isinstance(value, bool) or not isinstance(value, int | float) or (whole and value != int(value))
        if wrong or not self.low <= value <= self.high:
            raise self._wrong(value, f"a {'whole ' if whole else ''}number from {self.low:g} to {self.high:g}")
        return int(value) if whole else float(value)

    def _wrong(self, value: Any, allowed: str) -> Invalid:
        return Invalid(f"setting {self.name} is {str(value)[:80]!r}; give {allowed}")


SETTINGS: Final = (
    Choice("name", "experiment", "What people call the run."),
    Choice("kind", "ml", "ml: models that learn in one go. dl: neural networks, epoch by epoch.", ("ml", "dl")),
    Choice("label", None, "Column to predict; none to look for rows unlike the others."),
    Choice("benign", (), "Values of the label that mean ordinary; found by itself if empty."),
    Choice(
        "task",
        "auto",
        "What is to be told apart; auto looks at the label.",
        ("auto", "benign-only", "unsupervised", "binary", "multiclass"),
    ),
    Choice("features", (), "Columns to learn from; all but the label and what looks like an identifier if empty."),
    Choice("drop", (), "Columns left out in any case."),
    Choice(
        "missing",
        "auto",
        "What stands in for a missing value.",
        ("auto", "median", "mean", "most-frequent", "zero", "drop-rows"),
    ),
    Choice("encoding", "auto", "How words become numbers.", ("auto", "one-hot", "ordinal")),
    Choice("scaling", "auto", "How numbers are brought to one scale.", ("auto", "standard", "robust", "log", "none")),
    Choice("outliers", "keep", "What happens to values far outside.", ("keep", "clip", "drop-rows")),
    Choice("balance", "auto", "How rare classes are given weight.", ("auto", "none", "weights", "oversample")),
    Choice(
        "split",
        "auto",
        "Which rows are kept aside for the test; file: the test data set.",
        ("auto", "random", "time", "group", "file"),
    ),
    Choice("split_column", None, "Column of the time or the group, for those splits."),
    Choice("test_share", 0.25, "Share of rows kept aside for the test.", low=0.05, high=0.9),
    Choice("models", (), "Models to try; those that suit the task if empty."),
    Choice("search", True, "Look for better settings of the models while time is left."),
    Choice("time_budget_s", 300.0, "Time for the whole run. Seconds.", low=5, high=7 * 86_400),
    Choice(
        "metric",
        "auto",
        "What the leaderboard is sorted by.",
        (
            "auto",
            "accuracy",
            "balanced-accuracy",
            "f1",
            "precision",
            "recall",
            "roc-auc",
            "average-precision",
        ),
    ),
    Choice("seed", 7, "The same seed, data and settings give the same run.", low=0, high=2**32 - 1),
    Choice("max_rows", 200_000, "Most rows learnt from; of more, a sample is taken.", low=100, high=5_000_000),
    Choice("epochs", 30, "Most rounds through the rows, for networks.", low=1, high=10_000),
    Choice("batch_size", 256, "Rows a network sees at a time.", low=1, high=65_536),
    Choice("patience", 6, "Rounds without getting better before a network stops.", low=1, high=10_000),
    Choice("learning_rate", 1e-3, "How big a network's steps are.", low=1e-6, high=1.0),
)
"""In the order of the settings page."""

_KNOWN: Final = {choice.name: choice for choice in SETTINGS}


def complete(given: dict[str, Any]) -> dict[str, Any]:
    """Every setting: as given, else its default. Raises `Invalid` for an unknown name or a value not allowed."""
    if given.get("format", FORMAT) != FORMAT:
        raise Invalid(f"these settings are of format {str(given['format'])[:40]!r}; this version reads {FORMAT!r}")
    strange = sorted(set(map(str, given)) - set(_KNOWN) - {"format"})
    if strange:
        raise Invalid(f"there is no setting {strange[0][:80]!r}; there are {', '.join(_KNOWN)}")
    found = {name: choice.check(given.get(name, choice.default)) for name, choice in _KNOWN.items()}
    return {"format": FORMAT, **found}


def to_yaml(settings: dict[str, Any]) -> str:
    """Settings as a file for people: a sentence above each."""
    import yaml

    lines = [f"# Settings of an Anomaflow experiment. What is left out is as by default.\nformat: {FORMAT}\n"]
    for name, value in complete(settings).items():
        if name != "format":
            # As a list of one, so that any value is one line; without the list's brackets.
            shown = yaml.safe_dump([value], allow_unicode=True, default_flow_style=True, width=float("inf")).strip()
            text = f"{name}: {shown[1:-1]}\n"
            allowed = f" One of {', '.join(_KNOWN[name].words)}." if _KNOWN[name].words else ""
            lines.append(f"# {_KNOWN[name].means}{allowed}\n{text}")
    return "\n".join(lines)


def from_yaml(text: str, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """Settings of a file, complete and checked; what it leaves out is as in `base`, else as by default.

    Raises `Invalid`.
    """
    import yaml

    if len(text) > MOST_YAML:
        raise Invalid(f"the settings have more than {MOST_YAML >> 20} MiB")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise Invalid("the settings use a YAML alias (*name); write the value itself")
        told = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        raise Invalid(f"the settings are no YAML{f' (line {where.line + 1})' if where else ''}") from None
    if not isinstance(told, dict):
        raise Invalid("the settings are no YAML object: write `name: value` lines")
    return complete({**(base or {}), **told})
