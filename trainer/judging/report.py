"""The report of a fit: `report.json` for programs, and a page for people.

Its evidence (data, recipe, metrics, curves, calibration, labelled rows) has a digest of its own, which goes into the
model's manifest; so a model names the very evidence it was accepted on, while the report names the model.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from trainer.appearing import write
from trainer.judging import page

if TYPE_CHECKING:
    from pathlib import Path

EVIDENCE: Final = ("name", "kind", "feature_digest", "data", "recipe", "metrics", "curves", "calibration", "labelled")
DECISIONS: Final = ("choice", "classifier", "soundness")
"""Evidence that reports made before there was a choice do not have."""


def evidence_digest(report: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of the report's evidence."""
    evidence = {key: report[key] for key in EVIDENCE} | {key: report[key] for key in DECISIONS if key in report}
    return hashlib.sha256(json.dumps(evidence, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def save(report: dict[str, Any], as_json: Path, as_page: Path) -> None:
    """Write both forms, each by rename. Raises `OutputError`."""
    write(as_json, (json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
    write(as_page, page.render(report).encode())
