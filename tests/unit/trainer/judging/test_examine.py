"""Examination on captures: figures by capture, and none from captures the model was fitted on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import onnx
import pytest

from protos import manifest as manifests
from trainer.corpora.sources import file_digest
from trainer.judging import examine
from trainer.main import main
from trainer.making import model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def ground(tmp_path: Path, write_pcap: Callable[..., Path], onnx_models: Any) -> tuple[Path, Path]:
    """A model that finds UDP flows to responders with many initiator flows strange, and captures of known truth."""
    onnx_models.write_model(tmp_path / "m.onnx", bias=-2.0, weights={"src_flows_10s": 2.0})
    write_pcap("good.pcap", 1)
    write_pcap("bad.pcap", 40, host=3)
    write_pcap("quiet.pcap", 1, host=4)
    write_pcap("both.pcap", 30, host=5)
    (tmp_path / "broken.pcap").write_bytes(b"no capture whatsoever, really not")
    (tmp_path / "m.csv").write_text(
        "file,label,attack,attack_rule\ngood.pcap,benign,,\nbad.pcap,attack,flood,\nquiet.pcap,attack,whisper,\n"
        "both.pcap,mixed,flood,(src_port >= 40010)\nbroken.pcap,benign,,\nmissing.pcap,attack,x,\n"
    )
    return tmp_path / "m.onnx", tmp_path / "m.csv"


def _examined(ground: tuple[Path, Path]) -> dict[str, Any]:
    return examine.examine(model.load(ground[0]), ground[1], 0.01, lambda _fraction, _message: None)


def test_captures_are_judged_flow_by_flow_and_as_wholes(ground: tuple[Path, Path]) -> None:
    """Recall by kind of attack, attacks seen at all, and how long the first alert took."""
    found = _examined(ground)
    by_name = {entry["file"]: entry for entry in found["captures"]}
    assert by_name["bad.pcap"]["flows"] == by_name["bad.pcap"]["attack_flows"] == 40
    assert by_name["bad.pcap"]["attack_alerts"] > 20
    assert by_name["bad.pcap"]["first_alert_after_ms"] > 0
    assert by_name["both.pcap"]["attack_flows"] == 20
    assert by_name["both.pcap"]["benign_alerts"] > 0
    assert by_name["quiet.pcap"]["attack_alerts"] == 0
    assert found["incidents"]["attack_captures"] == 3
    assert found["incidents"]["seen"] == 2
    assert found["incidents"]["recall"] == pytest.approx(2 / 3)
    assert found["recall_by_attack"]["whisper"]["recall"] == 0
    assert found["metrics"]["model"]["attack_rows"] == 61
    assert found["recall_by_family"]["flood"]["captures"] == 2
    assert found["alpha"] == 0.01
    assert found["threshold"] == 2.0


def test_an_attack_capture_tells_its_incidents(ground: tuple[Path, Path]) -> None:
    """What was raised, whose threshold it was, and how soon in the time of the traffic."""
    by_name = {entry["file"]: entry for entry in _examined(ground)["captures"]}
    bad = by_name["bad.pcap"]["incidents"]
    assert bad["threshold_of"] == "model"
    assert bad["product"] == bad["model"]
    assert bad["product"]["seen"]
    assert bad["product"]["incidents"] >= 1
    assert bad["product"]["right"] is (bad["product"]["kind"] == "flood")
    assert bad["product"]["after_ms"] == by_name["bad.pcap"]["first_alert_after_ms"]
    assert by_name["quiet.pcap"]["incidents"]["product"]["kind"] is None
    assert by_name["good.pcap"]["incidents"] is None


def test_benign_flows_beside_an_attack_are_reported_apart(ground: tuple[Path, Path]) -> None:
    """They are no quiet traffic: their hosts carry the attack in their context."""
    rates = _examined(ground)["false_positives"]
    assert rates["beside_attacks"]["rows"] == 10
    assert rates["model_threshold"]["rows"] == 1
    assert [row["network"] for row in rates["networks"]] == [""]


def test_a_report_is_written_as_json_and_as_a_page(
    ground: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page holds what the JSON holds, and escapes names."""
    command = ["evaluate", "--model", str(ground[0]), "--manifest", str(ground[1]), "--fpr", "0.01"]
    assert main([*command, "--no-recalibrate", "--report", str(tmp_path / "report"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "report" / "evaluation.json").read_text()) == printed
    text = (tmp_path / "report" / "evaluation.html").read_text()
    assert "<script" not in text
    assert "whisper" in text


def test_what_cannot_be_read_is_listed_and_not_counted(ground: tuple[Path, Path]) -> None:
    """One bad file does not spoil an examination of five hundred."""
    found = _examined(ground)
    errors = {entry["file"]: entry["error"] for entry in found["captures"] if entry["error"]}
    assert set(errors) == {"broken.pcap", "missing.pcap"}
    assert found["not_counted"] == {"fitted_on": 0, "unreadable": 2}


def test_a_capture_fitted_on_counts_in_no_headline(ground: tuple[Path, Path]) -> None:
    """Known by its digest, whatever it is called now."""
    path, captures = ground
    proto = onnx.load(path)
    [entry] = [prop for prop in proto.metadata_props if prop.key == manifests.METADATA_KEY]
    described = json.loads(entry.value)
    described["provenance"] = {"sources": [file_digest(captures.parent / "both.pcap")[:16]]}
    entry.value = json.dumps(described)
    onnx.save(proto, path)
    found = _examined(ground)
    assert [entry["file"] for entry in found["captures"] if entry["fitted_on"]] == ["both.pcap"]
    assert found["metrics"]["model"]["attack_rows"] == 41
    assert found["incidents"]["attack_captures"] == 2


def test_the_command_prints_text_or_one_json_object(
    ground: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """For a person and for a program."""
    command = ["evaluate", "--model", str(ground[0]), "--manifest", str(ground[1]), "--alpha", "0.01"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "attacks seen   2 of 3 captures" in text
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["incidents"]["seen"] == 2
