"""The loop from verdict to model: what was labelled a false positive stops alerting, and attacks do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protos.exits import ExitCode
from trainer.judging import frozen
from trainer.main import main
from trainer.making import model

pytestmark = pytest.mark.training

ALPHA = 5e-3
LABELLED = 30


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, synthetic: Any) -> Path:
    """A champion that never saw the backup, and a lake with a day's verdicts on it."""
    folder = tmp_path_factory.mktemp("loop")
    synthetic.write_lake(folder / "benign" / "a.parquet", synthetic.benign(2000, 1))
    assert main(_fit(folder, "champion", epochs=25)) == ExitCode.OK
    rows = np.concatenate([synthetic.backup(LABELLED, 5), synthetic.scan(40, 6)])
    synthetic.write_lake(
        folder / "verdicts" / "b.parquet",
        rows,
        verdict=["benign"] * LABELLED + ["malicious"] * 40,
        decision=1,
        dst_port=[synthetic.BACKUP_PORT] * LABELLED + [22] * 40,
        # The backup is not of the host that scans: beside an attack nothing benign is learnt.
        src_ip=["10.0.0.1"] * LABELLED + ["10.0.0.9"] * 40,
        start_ms=1_700_001_000_000,
    )
    return folder


def _fit(folder: Path, name: str, *more: str, epochs: int) -> list[str]:
    out = str(folder / f"{name}.onnx")
    return ["fit", "--benign", str(folder / "benign"), *more, "--out", out, "--epochs", str(epochs)]


def _alerts(path: Path, rows: np.ndarray) -> float:
    opened = model.load(path)
    return float(np.mean(opened.score(rows) >= opened.manifest.threshold_for(ALPHA).score))


def test_a_labelled_kind_stops_alerting_and_attacks_do_not(
    office: Path, synthetic: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The held-out rest of the kind is quiet under the challenger, which passes the gate; every scan still alerts."""
    unseen_backup, unseen_scan, benign = synthetic.backup(300, 50), synthetic.scan(300, 60), synthetic.benign(3000, 70)
    champion = office / "champion.onnx"
    assert _alerts(champion, unseen_backup) > 0.95
    assert _alerts(champion, unseen_scan) > 0.95

    more = ["--labelled", str(office / "verdicts"), "--champion", str(champion), "--progress", "json"]
    code = main(_fit(office, "challenger", *more, epochs=25))
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == ExitCode.OK, result
    challenger = office / "challenger.onnx"
    assert _alerts(challenger, unseen_backup) < 0.1
    assert _alerts(challenger, unseen_scan) > 0.95
    assert _alerts(challenger, benign) < 2 * ALPHA

    checks = {check["name"]: check["passed"] for check in result["gate"]["checks"]}
    assert result["gate"]["passed"] is True
    assert result["gate"]["champion"] == model.load(champion).digest
    assert checks["false_positives_fixed"] is True
    assert checks["held_back_false_positives"] is True
    assert checks["recall"] is True
    labelled = json.loads(Path(result["report"]).read_text())["labelled"]
    assert labelled["false_positives"] == LABELLED
    assert labelled["false_positives_still_alerting"] == 0
    assert labelled["malicious_alerting"] == 40


def test_a_challenger_that_learned_nothing_fails_the_gate_and_is_still_written(
    office: Path, synthetic: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody calls scans harmless: on the frozen attacks that costs recall, and the gate says so."""
    synthetic.write_lake(
        office / "wrong" / "c.parquet",
        synthetic.scan(60, 80),
        verdict="benign",
        decision=1,
        dst_port=22,
        start_ms=1_700_001_000_000,
    )
    replay = office / "replay.parquet"
    frozen.write(frozen.Frozen(synthetic.scan(60, 90), np.full(60, "scan")), frozen.ATTACKS, replay)
    more = ["--labelled", str(office / "wrong"), "--champion", str(office / "champion.onnx"), "--progress", "json"]
    more += ["--attacks", str(replay)]
    assert main(_fit(office, "poisoned", *more, epochs=8)) == ExitCode.GATE
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    failed = [check["name"] for check in result["gate"]["checks"] if check["passed"] is False]
    assert "replay_recall" in failed
    assert (office / "poisoned.onnx").exists()
    assert "failed" in (office / "poisoned.report.html").read_text()


def test_verdicts_that_contradict_each_other_calm_no_attack_and_do_not_pass(
    office: Path, synthetic: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scans that one person calls harmless and another malicious: all still alert, and the gate says what is not met."""
    synthetic.write_lake(
        office / "quarrel" / "d.parquet",
        np.concatenate([synthetic.scan(60, 80), synthetic.scan(60, 90)]),
        verdict=["benign"] * 60 + ["malicious"] * 60,
        decision=1,
        dst_port=22,
        src_ip=["10.0.0.1"] * 60 + ["10.0.0.9"] * 60,
        start_ms=1_700_001_000_000,
    )
    more = ["--labelled", str(office / "quarrel"), "--champion", str(office / "champion.onnx"), "--progress", "json"]
    code = main(_fit(office, "quarrelled", *more, epochs=8))
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    failed = {check["name"]: check["detail"] for check in result["gate"]["checks"] if check["passed"] is False}
    assert code == ExitCode.GATE, failed
    assert "false_positives_fixed" in failed
    assert "recall" not in failed
    assert _alerts(office / "quarrelled.onnx", synthetic.scan(300, 60)) > 0.95
