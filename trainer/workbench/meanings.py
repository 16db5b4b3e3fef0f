"""What each setting of an experiment means, in a sentence, with its default and what may be given.

The document and whoever shows settings to a person take them from here; a setting without a sentence is an error.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final, get_args

from trainer.workbench import settings as told
from trainer.workbench.settings import Settings

SENTENCES: Final = {
    "name": "What people call the run.",
    "kind": "`ml`: models that learn in one go; `dl`: Keras networks, epoch by epoch.",
    "label": "The column to predict; none looks for strange rows.",
    "benign": "Label values that are ordinary; found by name if empty.",
    "task": "`auto` reads it off the label.",
    "features": "Columns to learn from; empty for all that may be.",
    "drop": "Columns left out in any case.",
    "missing": "What a missing number becomes; `auto` is the median, `drop-rows` takes fit rows with gaps out.",
    "encoding": "How words become numbers; `auto` is one feature a word.",
    "scaling": "How numbers are brought to one size; `auto` is `log`.",
    "outliers": "`clip` holds numbers within what all but a thousandth of the fit rows at either end have; `drop-rows` "
    "takes such fit rows out.",
    "balance": "`weights` lets rare classes count more, `oversample` repeats their rows; `auto` does neither.",
    "split": "Where test rows come from; `auto` is the test table, or random with its warning.",
    "split_column": "The time or group column of those splits.",
    "test_share": "Share of rows to test on, where no test table is given.",
    "models": "Names of models; empty for all that suit the task.",
    "search": "Look for better settings of the best models while time is left.",
    "time_budget_s": "How long the run may take, in seconds.",
    "metric": "What the leaderboard is sorted by; `auto` is average precision where ordinary stands against strange, "
    "and F1 for several classes.",
    "seed": "Of everything random.",
    "max_rows": "Most rows learnt from; a larger table is sampled.",
    "epochs": "Most passes of a network over the rows.",
    "batch_size": "Rows a network learns from at once.",
    "patience": "Epochs without a better validation loss before a network stops.",
    "learning_rate": "How far a network moves at each step.",
}


def meanings() -> list[tuple[str, str, str, str]]:
    """Name, default, what is allowed, and the sentence, of every setting in order."""
    return [
        (field.name, _default(field.default), _allowed(field.name), SENTENCES[field.name]) for field in fields(Settings)
    ]


def _default(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(name: str) -> str:
    if name in told.WORDS:
        return ", ".join(f"`{word}`" for word in get_args(told.WORDS[name]))
    if name in told.NUMBERS:
        _, low, high = told.NUMBERS[name]
        return f"{low:g} to {high:g}"
    if name in told.LISTS:
        return "a list"
    return "`true`, `false`" if name == "search" else "a text"
