"""The report: evidence with a digest, and a page that stands alone."""

from __future__ import annotations

import html.parser
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from protos.manifest import Threshold
from trainer.judging import evaluate, page, report
from trainer.judging.gate import Check, Verdict
from trainer.making.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

THRESHOLDS = (Threshold(0.01, 2.0, certified=True), Threshold(0.001, 3.0, certified=False))


def _report(*, attacks: int = 50, gate: bool = True, name: str = "office") -> dict[str, Any]:
    chance = np.random.default_rng(1)
    benign = chance.exponential(0.4, 500).astype(np.float32)
    attack = chance.normal(3, 1, attacks).astype(np.float32)
    metrics = evaluate.metrics(benign, attack, THRESHOLDS, 0.01)
    checks = (Check("recall", None, "not applicable: <none>"), Check("self_test", passed=True, detail="ok"))
    return {
        "name": name,
        "kind": "autoencoder",
        "model_digest": "ab" * 32,
        "feature_digest": "cd" * 32,
        "created_ms": 1_700_000_000_000,
        "data": {
            "rows": 550,
            "benign_rows_by_role": {"fit": 300},
            "sources": [
                {"name": "<script>x</script>.pcap", "use": "benign", "kind": "capture", "sha256": "0" * 64,
                 "rows": 5, "left_out": {"truncated": 1}}
            ],
        },
        "recipe": Recipe(sources=("a",)).to_json(),
        "metrics": {"model": metrics, "std_count": metrics},
        "curves": {key: evaluate.curves(benign, attack) for key in ("model", "std_count")},
        "calibration": {"rows": 500},
        "labelled": {"rows": 2, "false_positives": 2},
        "run": {"epochs": 3},
        "gate": Verdict("ef" * 32, checks).to_json() if gate else None,
    }  # fmt: skip


class _Page(html.parser.HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = frozenset({"meta", "!doctype", "rect", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.references += [value or "" for key, value in attrs if key in {"src", "href", "xlink:href", "style"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("attacks", [0, 50])
@pytest.mark.parametrize("gate", [True, False])
def test_the_page_stands_alone_and_is_well_formed(attacks: int, gate: bool) -> None:
    """No script, nothing fetched, every tag closed; the curves are there when there is something to draw."""
    text = page.render(_report(attacks=attacks, gate=gate))
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    assert "script" not in parsed.seen
    assert "link" not in parsed.seen
    assert parsed.references == []
    assert "http" not in text
    assert "url(" not in text
    assert parsed.seen.count("svg") == (4 if attacks else 1)
    assert ("Gate" in text) is gate
    assert "viewport" in text
    assert "prefers-color-scheme" in text


def test_whatever_came_from_outside_is_escaped() -> None:
    """A file or a model may be named anything."""
    text = page.render(_report(name='<img src=x onerror="alert(1)">'))
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;x&lt;/script&gt;.pcap" in text
    assert "not applicable: &lt;none&gt;" in text


def test_missing_figures_are_explained_on_the_page() -> None:
    """A reader sees why there is no average precision."""
    text = page.render(_report(attacks=0))
    assert "not known" in text
    assert evaluate.NO_ATTACKS in text


def test_the_evidence_digest_covers_the_evidence_and_not_the_run() -> None:
    """What was measured changes it; when and how fast does not."""
    first = _report()
    digest = report.evidence_digest(first)
    assert report.evidence_digest(first | {"created_ms": 1, "run": {}, "model_digest": "", "gate": None}) == digest
    for key in report.EVIDENCE:
        assert report.evidence_digest(first | {key: "other"}) != digest


def test_both_forms_are_written(tmp_path: Path) -> None:
    """The JSON reads back as it was."""
    body = _report()
    report.save(body, tmp_path / "new" / "report.json", tmp_path / "new" / "report.html")
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == json.loads(json.dumps(body))
    assert (tmp_path / "new" / "report.html").read_text().startswith("<!doctype html>")
