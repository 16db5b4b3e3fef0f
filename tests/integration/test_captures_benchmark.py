"""As an operator I fit on some of my captures and learn what the model does on the others, incidents included."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trainer.captures import cli, study
from trainer.main import main
from trainer.progress import Progress
from trainer.traffic.scenario import build

pytestmark = pytest.mark.training

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
DETECTORS = {"model", "flow_by_flow", "std_count", "mahalanobis", "nearest_neighbours", "isolation_forest"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two offices with three quiet captures each, a scan of one of them, and a flood in the middle of a quiet hour."""
    folder = tmp_path_factory.mktemp("captures")
    lines = ["file,label,attack,attack_rule,network"]
    for number in range(6):
        name, office = f"quiet-{number}.pcap", 1 + number % 2
        start = START + timedelta(minutes=10 * number)
        build("office", folder / name, number + 1, 4.0, network=office, start=start)
        lines.append(f"{name},benign,,,office-{office}")
    build("attacks", folder / "scan.pcap", 9, 2.0, network=1, attacks=["vertical_scan"], start=START)
    build("attacks", folder / "flood.pcap", 8, 2.0, network=2, attacks=["syn_flood"], start=START)
    lines += ["scan.pcap,attack,scan:vertical,,office-1", "flood.pcap,attack,ddos:syn,,elsewhere"]
    path = folder / "MANIFEST.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def done(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run of the benchmark, two captures kept from the fit."""
    import io

    work = tmp_path_factory.mktemp("work")
    plan = study.Plan(manifest, alpha=0.01, seeds=1, fit_share=0.67, epochs=5, work=work)
    found = study.run(plan, Progress("none", out=io.StringIO(), terminal=io.StringIO()), lambda: 0)
    assert (work / "seed-1.onnx").exists()
    return found


def test_what_was_fitted_on_counts_in_no_figure(done: dict[str, Any]) -> None:
    """Four captures are fitted, two quiet ones and the attacks are judged."""
    [run] = done["runs"]
    assert run["fitted_captures"] == run["not_counted"]["fitted_on"] == 4
    rates = run["false_positives"]["model_threshold"]
    assert 0 < rates["rows"] < 5_000
    assert set(run["metrics"]) == DETECTORS
    assert all(entry["attack_rows"] > 100 for entry in run["metrics"].values())


def test_attacks_become_incidents_of_the_right_kind(done: dict[str, Any]) -> None:
    """By the product's own grouping: a scan is a scan, and a flood a flood."""
    by_attack = {line["attack"]: line for line in done["attacks"]}
    assert by_attack["scan:vertical"]["seen"] == 1
    assert by_attack["scan:vertical"]["right"] == 1
    assert by_attack["ddos:syn"]["right"] == 1
    assert by_attack["ddos:syn"]["threshold_of"] == "model"
    assert by_attack["scan:vertical"]["median_after_ms"] >= 0
    assert {gate["id"] for gate in done["gates"]} == {"G5", "G6"}


def test_a_model_is_evaluated_with_the_classical_baselines_beside_it(
    manifest: Path, done: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same figures through the command, as text, JSON and a page; captures given as benign count no more."""
    model = str(tmp_path / "m.onnx")
    fitted = [str(manifest.parent / f"quiet-{number}.pcap") for number in range(4)]
    assert main(["fit", "--benign", *fitted, "--out", model, "--epochs", "3", "--progress", "none"]) == 0
    capsys.readouterr()
    command = ["evaluate", "--model", model, "--manifest", str(manifest), "--benign", *fitted, "--progress", "none"]
    assert main([*command, "--report", str(tmp_path / "report"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["metrics"]) == DETECTORS == set(done["summary"]["metrics"])
    assert found["not_counted"]["fitted_on"] == 4
    assert found["best_single_feature"]["roc_auc"] > 0.9
    assert "isolation forest" in (tmp_path / "report" / "evaluation.html").read_text()
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "office-1" in text
    assert "G5" in text


def test_the_benchmark_has_a_page_and_a_text(done: dict[str, Any], tmp_path: Path) -> None:
    """Both are made of what the JSON holds."""
    from trainer.captures import page, summary

    page.save_study(done, tmp_path)
    html = (tmp_path / "benchmark.html").read_text()
    assert "scan:vertical" in html
    assert json.loads((tmp_path / "benchmark.json").read_text()) == json.loads(json.dumps(done))
    assert "ddos:syn" in summary.as_text(done)


def test_options_of_the_benchmark_become_a_plan(manifest: Path) -> None:
    """Every option has its default, and is understood."""
    import argparse

    parser = cli.add_captures(argparse.ArgumentParser().add_subparsers())
    options = parser.parse_args(["--manifest", str(manifest), "--hold-out", "networks", "--no-recalibrate"])
    assert options.seeds == 3
    assert options.alpha == 0.005
    assert options.hold_out == "networks"
    assert not options.recalibrate
