"""Evidence: what a report and a manifest say of a fit, gathered from its parts. Nothing here changes a weight."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from protos import contract, manifest
from trainer.corpora.split import Role
from trainer.judging import evaluate, report
from trainer.judging.standing import judged_attacks
from trainer.making import export

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.corpora.corpus import Corpus
    from trainer.corpora.split import Split
    from trainer.making.assembly import Fitted
    from trainer.making.model import Session
    from trainer.making.recipe import Recipe

SHORT_DIGEST: Final = 16
"""Digits by which a manifest names the files it was fitted on."""


@dataclass(frozen=True, slots=True)
class Run:
    """One fit, up to its exported graph. Figures of the model come from `session`, the bytes that agents will run."""

    name: str
    recipe: Recipe
    rows: Corpus
    dealt: Split
    fitted: Fitted
    session: Session

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """`-log10 p` `[n]` by the exported graph."""
        return self.session.run(matrix, ("score",))[0]

    def baseline_score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """`-log10 p` `[n]` by the baseline."""
        return self.fitted.baseline_calibration.score(self.fitted.baseline.raw_score(matrix))


def evidence(run: Run) -> dict[str, Any]:
    """The part of the report that its digest covers."""
    benign = run.rows.features[run.dealt.benign_test]
    attack = run.rows.features[judged_attacks(run.rows, run.dealt)]
    judged = {
        "model": (run.score(benign), run.score(attack), run.fitted.calibration),
        "std_count": (run.baseline_score(benign), run.baseline_score(attack), run.fitted.baseline_calibration),
    }
    return {
        "name": run.name,
        "kind": run.fitted.kind,
        "feature_digest": contract.DIGEST,
        "data": _data(run.rows, run.dealt),
        "recipe": run.recipe.to_json(),
        "metrics": {
            name: evaluate.metrics(quiet, strange, calibration.thresholds, run.recipe.alpha)
            for name, (quiet, strange, calibration) in judged.items()
        },
        "curves": {name: evaluate.curves(quiet, strange) for name, (quiet, strange, _) in judged.items()},
        "calibration": run.fitted.calibration.to_json(),
        **run.fitted.to_json(),
        "labelled": _labelled(run),
    }


def describe(run: Run, body: dict[str, Any], replay: dict[str, Any]) -> manifest.Manifest:
    """The manifest of the model whose report is `body`; `replay` is its high-water mark on the attack-replay set."""
    held = run.rows.features[run.dealt.calibration]
    tests = export.self_test_rows(held, run.score(held))
    recipe, fitted = run.recipe, run.fitted
    made_of = {key: value for key, value in recipe.to_json().items() if key not in {"sources", "labelled", "profile"}}
    return manifest.Manifest(
        name=run.name,
        kind=fitted.kind,
        features=contract.FEATURES,
        feature_digest=contract.DIGEST,
        created_ms=body["created_ms"],
        profile=recipe.profile,
        calibration_rows=fitted.calibration.rows,
        thresholds=fitted.calibration.thresholds,
        together=fitted.calibration.together,
        classes=fitted.classes,
        provenance={
            "recipe": made_of,
            "sources": [digest[:SHORT_DIGEST] for digest in recipe.sources],
            "labelled": [digest[:SHORT_DIGEST] for digest in recipe.labelled],
            "rows": len(run.rows),
            "replay": replay,
            "baseline": {**fitted.baseline.to_json(), "calibration": fitted.baseline_calibration.to_json()},
        },
        report_digest=report.evidence_digest(body),
        self_test_features=manifest.encode_rows(tests),
        self_test_scores=tuple(float(score) for score in run.score(tests)),
    )


def _data(rows: Corpus, dealt: Split) -> dict[str, Any]:
    uses = [("benign", entry) for entry in rows.files] + [("labelled", entry) for entry in rows.labelled_files]
    return {
        **asdict(rows.counts),
        "rows": len(rows),
        "origins": len(rows.origins),
        "first_ms": int(rows.time_ms.min()),
        "last_ms": int(rows.time_ms.max()),
        "benign_rows_by_role": {role.name.lower(): len(dealt.rows(role, ~dealt.malicious)) for role in Role},
        "thinned_by_weight": int((~dealt.thinned).sum()),
        "sources": [{**asdict(entry), "use": use} for use, entry in uses],
    }


def _labelled(run: Run) -> dict[str, Any]:
    exception, malicious = run.dealt.exception, run.dealt.malicious
    threshold = run.fitted.calibration.threshold_for(run.recipe.alpha).score
    alerting = run.score(run.rows.features[exception]) >= threshold
    held = (run.dealt.role != Role.FIT)[exception]
    return {
        "rows": int(exception.sum() + malicious.sum()),
        "malicious": int(malicious.sum()),
        "malicious_alerting": int((run.score(run.rows.features[malicious]) >= threshold).sum()),
        "false_positives": int(exception.sum()),
        "false_positives_still_alerting": int(alerting.sum()),
        "held_back": int(held.sum()),
        "held_back_still_alerting": int(alerting[held].sum()),
    }
