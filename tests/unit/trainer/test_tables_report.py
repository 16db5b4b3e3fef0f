"""The report: nothing from a file reaches the page unescaped, the trap is named beside its figure, files come by rename."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from trainer.errors import OutputError
from trainer.tables import page, report
from trainer.tables.benchmark import headline

if TYPE_CHECKING:
    from pathlib import Path

_SPREAD = {"mean": 0.9, "low": 0.8, "high": 1.0, "values": [0.9], "interval": [0.85, 0.95]}
_NASTY = "<script>alert('x')</script>"


def made() -> dict[str, Any]:
    """A report of one detector beside the baseline, with a name that would be code."""
    keys = ("roc_auc", "average_precision", "average_precision_at_1_percent", "average_precision_at_0_1_percent")
    keys += ("tpr_at_fpr_1", "recall", "realised_fpr", "false_alerts_a_day")
    figures: dict[str, Any] = dict.fromkeys(keys, _SPREAD)
    figures |= {
        "tpr_at_fpr_0_1": None,
        "promises": [{"promised": 0.01, "certified": True, "realised": _SPREAD, "interval": [0.0, 0.02]}],
        "recall_by_class": {_NASTY: {"rows": 3, "recall": 0.5, "interval": [0.1, 0.9]}},
        "recall_by_family": {_NASTY: {"rows": 3, "recall": 0.5, "interval": [0.1, 0.9]}},
    }
    curves = {"precision_recall": [[0.0, 1.0, 3.0], [1.0, 0.5, 0.0]], "roc": [[0.0, 0.0], [1.0, 1.0]]}
    model = dict.fromkeys(("accuracy", "balanced_accuracy", "false_positive_rate", "roc_auc"), _SPREAD)
    model["recall_never_seen"] = None
    return {
        "benchmark": _NASTY,
        "version": "1",
        "machine": "a machine",
        "run": {"seeds": [7], "promised_fpr": 0.01},
        "data": {
            "sources": {_NASTY: "ab" * 32},
            "rows": 10,
            "duplicates": {"removed": 1, "ambiguous": 0, "test_rows_repeated": 0, "test_rows_also_in_training": 0},
            "set_aside": 0,
            "used": 9,
            "benign": 5,
            "left_out_columns": {_NASTY: "an address"},
            "notes": [_NASTY],
        },
        "benign_only": {
            "protocol": "by day",
            "roles": {"fit": 1},
            "held_out_families": [_NASTY],
            "features": 3,
            "headline": "portfolio",
            "interval": "95 %",
            "tests": {
                _NASTY: {
                    "rows": 4,
                    "prevalence": 0.5,
                    "detectors": {"portfolio": figures, "std_count": figures},
                    "best_single_feature": {"feature": _NASTY, "side": "high", "roc_auc": 0.7, "chosen_by": "labels"},
                    "curves": {"portfolio": curves, "std_count": curves},
                }
            },
            "cost": {
                "portfolio": {
                    "train_seconds": 1.0,
                    "train_rows": 2,
                    "model_bytes": 3,
                    "rows_per_second_one_core": 4.0,
                }
            },
        },
        "supervised": {
            "protocol": "held out",
            "skipped": None,
            "held_out_families": [["a", _NASTY], ["b"]],
            "headline": "mlp",
            "tests": {_NASTY: {"rows": 4, "prevalence": 0.5, "never_seen_rows": 1, "models": {"mlp": model}}},
            "cost": {},
            "random_split": {"warning": "the trap", "protocol": "at random", "models": {"mlp": model}},
        },
    }


def test_nothing_from_a_file_is_code_on_the_page() -> None:
    """Names of columns, classes, files and families are escaped; nothing is fetched."""
    shown = page.render(made())
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 8
    assert "src=" not in shown
    assert "href=" not in shown


def test_the_trap_is_named_wherever_its_figure_stands() -> None:
    """On the page, in the terminal and in the headline."""
    found = made()
    assert "Random split: the trap" in page.render(found)
    assert "random split (the trap)" in report.as_text(found)
    told = headline(found)
    assert told["random_split_accuracy_which_is_the_trap"] == {"mlp": 0.9}
    assert told[_NASTY]["portfolio"]["roc_auc"] == 0.9
    assert told[_NASTY]["accuracy"] == {"mlp": 0.9}


def test_held_out_families_are_told() -> None:
    """Whoever reads the figure must know what it was measured on."""
    assert "held-out families: " in report.as_text(made())
    assert f"held-out families by seed: a, {_NASTY}; b" in report.as_text(made())
    assert "Held-out families: " in page.render(made())


def test_both_files_are_written(tmp_path: Path) -> None:
    """Into a folder that is made for them; where it cannot be made, the message says so."""
    report.save(made(), tmp_path / "new" / "folder")
    assert json.loads((tmp_path / "new" / "folder" / "report.json").read_text()) == made()
    assert (tmp_path / "new" / "folder" / "report.html").read_text().startswith("<!doctype html>")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        report.save(made(), tmp_path / "file" / "folder")
