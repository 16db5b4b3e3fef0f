"""How good a prediction is, where the table says what its rows really are.

The figures are those of a run: precision, recall and F1 are weighted means over the classes when there are more than
two, else of the class that is not benign. A detector is judged by which rows it ranks high; every label that is not
benign counts as an anomaly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.prediction.summary import tidy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.prediction.opened import Opened
    from trainer.workbench.prediction.summary import Whole

BENIGN_WORDS: Final = frozenset({"normal", "benign", "0", "false", "no", "ok", "legitimate"})
"""Labels taken for ordinary where neither the model nor its run says which ones are."""


def metrics(whole: Whole, opened: Opened) -> dict[str, Any]:
    """The figures, with `rows` they rest on and a `note` where something is left out."""
    labels = whole.labels
    if labels is None:
        return {"rows": 0, "note": "the table has no label column"}
    known = labels >= 0
    if opened.judges_classes:
        return _classes(whole, opened, labels, known)
    benign = [place for place, word in enumerate(whole.words) if word in opened.benign]
    if not benign:
        benign = [place for place, word in enumerate(whole.words) if word.strip().casefold() in BENIGN_WORDS]
    if not benign:
        return {
            "rows": int(known.sum()),
            "note": "which labels mean ordinary is not known; name them in the experiment",
        }
    strange = ~np.isin(labels, benign)
    return {"rows": int(known.sum()), **_ranking(strange[known], whole.score[known], whole.flagged[known])}


def _classes(whole: Whole, opened: Opened, labels: NDArray[np.int32], known: NDArray[np.bool_]) -> dict[str, Any]:
    from sklearn import metrics as judge

    place = {name: at for at, name in enumerate(whole.names)}
    # A label the model has no class for is a class of its own that it always gets wrong.
    strangers = [word for word in whole.words if word not in place]
    numbers = np.array([place.get(word, len(place)) for word in whole.words] or [0], dtype=np.int64)
    truth, said = numbers[labels[known]], whole.prediction[known].astype(np.int64)
    found: dict[str, Any] = {"rows": int(known.sum())}
    if len(truth) == 0:
        return found | {"note": "no row has a label"}
    benign = [place[name] for name in opened.benign if name in place]
    strange = len(whole.names) == 2 and len(benign) == 1
    kind: dict[str, Any] = (
        {"average": "binary", "pos_label": 1 - benign[0]} if strange and not strangers else {"average": "weighted"}
    )
    precision, recall, f1, _ = judge.precision_recall_fscore_support(truth, said, zero_division=0, **kind)
    found |= {
        "accuracy": tidy(judge.accuracy_score(truth, said)),
        "precision": tidy(precision),
        "recall": tidy(recall),
        "f1": tidy(f1),
        "macro_f1": tidy(judge.f1_score(truth, said, average="macro", zero_division=0)),
        "balanced_accuracy": tidy(np.mean([np.mean(said[truth == one] == one) for one in np.unique(truth)])),
        "roc_auc": None,
        "average_precision": None,
    }
    if benign:
        ranked = _ranking(~np.isin(truth, benign), whole.score[known], whole.flagged[known])
        found |= {key: ranked[key] for key in ("roc_auc", "average_precision")}
        found["tpr_at_1_percent_fpr"] = ranked["tpr_at_1_percent_fpr"]
    if strangers:
        found["note"] = f"labels the model does not know count as wrong: {', '.join(sorted(strangers)[:8])}"
    return found


def _ranking(strange: NDArray[np.bool_], score: NDArray[np.float32], flagged: NDArray[np.bool_]) -> dict[str, Any]:
    from sklearn import metrics as judge

    hits = int((strange & flagged).sum())
    alerts, attacks = int(flagged.sum()), int(strange.sum())
    precision, recall = hits / alerts if alerts else 0.0, hits / attacks if attacks else 0.0
    found: dict[str, Any] = {
        "accuracy": tidy(np.mean(strange == flagged)) if len(strange) else None,
        "precision": tidy(precision),
        "recall": tidy(recall),
        "f1": tidy(2 * precision * recall / (precision + recall) if hits else 0.0),
        "roc_auc": None,
        "average_precision": None,
        "tpr_at_1_percent_fpr": None,
    }
    if 0 < attacks < len(strange):
        rate, caught, _ = judge.roc_curve(strange, score)
        found["roc_auc"] = tidy(judge.roc_auc_score(strange, score))
        found["average_precision"] = tidy(judge.average_precision_score(strange, score))
        found["tpr_at_1_percent_fpr"] = tidy(caught[rate <= 0.01].max())
        found["realised_fpr"] = tidy(np.mean(flagged[~strange]))
    return found
