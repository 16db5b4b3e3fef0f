"""How good a prediction is, where the table says what its rows really are: the metrics of a run, on these rows.

A row without a label is not judged. A label that the model has no class for counts as wrong, and is named. A detector
is judged by every label that does not mean ordinary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.workbench.contest import metrics as judge
from trainer.workbench.rows.task import ordinary

if TYPE_CHECKING:
    from trainer.workbench.prediction.opened import Opened
    from trainer.workbench.prediction.summary import Whole


def metrics(whole: Whole, opened: Opened) -> dict[str, Any]:
    """The metrics, with the number of `rows` they rest on and a `note` where something is left out."""
    labels = whole.labels
    if labels is None:
        return {"rows": 0, "note": "The table has no label column."}
    if opened.judges_classes and whole.chances is not None:
        labels = labels[: len(whole.chances)]
        known = labels >= 0
        place = {name: at for at, name in enumerate(opened.classes)}
        numbers = np.array([place.get(word, -1) for word in whole.words] or [-1], dtype=np.int64)
        benign = sum(name in opened.benign for name in opened.classes)
        found = dict(judge.of_classes(whole.chances[known], numbers[labels[known]], benign))
        notes = []
        strangers = sorted(word for word in whole.words if word not in place)
        if strangers:
            notes.append(f"Labels the model was never taught count as wrong: {', '.join(strangers[:8])}.")
        if len(labels) < len(whole.score):
            notes.append(f"Judged on the first {len(labels):,} rows.")
        return {"rows": int(known.sum()), **_tidy(found), "note": " ".join(notes)}
    known = labels >= 0
    benign_words = [place for place, word in enumerate(whole.words) if word in opened.benign]
    if not opened.benign:
        benign_words = [place for place, word in enumerate(whole.words) if ordinary(word)]
    if not benign_words:
        return {"rows": int(known.sum()), "note": "Which labels mean ordinary is not known; name them in the settings."}
    strange = (~np.isin(labels[known], benign_words)).astype(np.int64)
    found = dict(judge.of_strangeness(whole.score[known], strange, opened.threshold))
    return {"rows": int(known.sum()), **_tidy(found), "note": ""}


def _tidy(found: dict[str, float | None]) -> dict[str, float | None]:
    return {key: None if value is None else round(value, 6) for key, value in found.items()}
