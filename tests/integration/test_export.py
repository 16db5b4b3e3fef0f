"""A fitted model as one ONNX file: real TensorFlow, real conversion, real onnxruntime, and the agent's own scorer."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from agent.onnx_file import require_plain
from agent.scorer import Scorer
from protos import contract, manifest
from trainer.detectors.autoencoder import Autoencoder
from trainer.detectors.classified import Classified
from trainer.detectors.neighbours import Neighbours
from trainer.detectors.places import Space
from trainer.detectors.portfolio import Portfolio
from trainer.errors import ParityError
from trainer.judging import report
from trainer.main import main
from trainer.making import calibrate, export, model, placing, teaching
from trainer.making.recipe import ALPHAS, Network

pytestmark = pytest.mark.training

EPOCH_S = "1700000000"
ROWS = 1500


@pytest.fixture(scope="module")
def detector(synthetic: Any) -> Autoencoder:
    """A small fitted network."""
    return Autoencoder(Network(epochs=6), seed=5).fit(synthetic.benign(900, 2))


@pytest.fixture(scope="module")
def calibration(detector: Autoencoder, synthetic: Any) -> calibrate.Calibration:
    """Its calibration."""
    return calibrate.calibrate(detector.raw_score(synthetic.benign(700, 3)), ALPHAS)


@pytest.fixture(scope="module")
def graph(detector: Autoencoder, calibration: calibrate.Calibration) -> bytes:
    """The exported graph, without a manifest."""
    return export.build(detector, calibration)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, synthetic: Any) -> Path:
    """A lake of benign rows, in part labelled, with some attacks."""
    path = tmp_path_factory.mktemp("export")
    rows = np.concatenate([synthetic.benign(ROWS, 1), synthetic.scan(40, 9)])
    verdict = [None] * ROWS + ["malicious"] * 40
    synthetic.write_lake(
        path / "lake" / "a.parquet",
        rows,
        verdict=verdict,
        decision=[0] * ROWS + [1] * 40,
        src_ip=["10.0.0.1"] * ROWS + ["10.9.9.9"] * 40,
        dst_ip=["10.0.0.2"] * ROWS + ["10.9.9.8"] * 40,
    )
    return path


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    """A model made by the command itself, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", EPOCH_S)
        assert main([*_command(folder, "first"), "--progress", "none"]) == 0
    return folder / "first" / "m.onnx"


def _command(folder: Path, name: str) -> list[str]:
    lake = str(folder / "lake")
    out = str(folder / name / "m.onnx")
    return ["fit", "--benign", lake, "--labelled", lake, "--out", out, "--name", "office", "--epochs", "5"]


def test_the_graph_answers_as_the_network_does(
    detector: Autoencoder, calibration: calibrate.Calibration, graph: bytes, synthetic: Any
) -> None:
    """On benign rows, on attacks and on rows no capture holds, within the stated tolerances."""
    rows = np.concatenate([synthetic.benign(3000, 7), synthetic.scan(200, 8), synthetic.backup(200, 9)])
    found = export.require_parity(detector, calibration, model.Session(graph, "m"), rows)
    assert found["score"] <= export.SCORE_TOLERANCE
    assert found["contributions"] <= export.SHARE_TOLERANCE
    assert found["expected"] <= export.EXPECTED_TOLERANCE


@pytest.fixture(scope="module")
def classified(synthetic: Any) -> Classified:
    """All members, reminded of a kind called benign and of scans, and a head that knows one family of attacks."""
    rows, promise, held = synthetic.benign(900, 2), synthetic.benign(300, 4), synthetic.benign(300, 5)
    whole = Portfolio(Network(epochs=3), seed=5, coreset=64).fit(rows, calibrate=promise)
    attacks, backup = synthetic.scan(40, 6), synthetic.backup(20, 3)
    taught = teaching.lesson(attacks, ["scan"] * 40)
    assert taught is not None
    ground = teaching.Ground(rows, np.ones(900, np.float32), promise, held, {}, whole.knots, 5)
    judged = placing.Judged(backup, np.zeros(20, np.intp), attacks, np.zeros(40, np.intp), ("scan",))
    member = (whole.members_ or {})["neighbours"]
    assert isinstance(member, Neighbours)
    joined, found = teaching.teach(whole, Space.of(member), judged, taught, ground)
    assert isinstance(joined, Classified)
    assert found.raises
    assert found.placed.benign_centres
    return joined


def test_a_portfolio_with_a_head_is_one_plain_graph_that_answers_alike(classified: Classified, synthetic: Any) -> None:
    """Members, p-values, fusion, places and classes: every output within its tolerance, and no step is taken twice."""
    calibration = calibrate.calibrate(classified.raw_score(synthetic.benign(700, 3)), ALPHAS)
    data = export.build(classified, calibration)
    require_plain(data)
    assert data == export.build(classified, calibration)
    proto = onnx.ModelProto.FromString(data)
    assert tuple(entry.name for entry in proto.graph.output) == (*manifest.OUTPUTS, manifest.CLASS_SCORES)
    assert {node.domain for node in proto.graph.node} <= {"", "ai.onnx"}
    assert not _twice(proto.graph)  # members, places and head share what they have alike
    rows = np.concatenate([synthetic.benign(1500, 7), synthetic.scan(200, 8), synthetic.backup(200, 9)])
    found = export.require_parity(classified, calibration, model.Session(data, "m"), rows)
    assert found[manifest.CLASS_SCORES] <= export.SHARE_TOLERANCE
    [shares] = model.Session(data, "m").run(synthetic.scan(50, 10), (manifest.CLASS_SCORES,))
    assert shares.shape == (50, 1)
    assert np.median(shares) > 0.9


def _twice(graph: onnx.GraphProto) -> list[str]:
    """Operators that do what one before them did: the same to the same, constants by their value."""
    known: dict[str, object] = {
        entry.name: (tuple(entry.dims), onnx.numpy_helper.to_array(entry).tobytes()) for entry in graph.initializer
    }
    seen: dict[object, tuple[object, ...]] = {}
    found = []
    for node in graph.node:
        given = tuple(known.get(name, name) for name in node.input)
        key = (node.op_type, given, tuple(entry.SerializeToString() for entry in node.attribute))
        if key in seen:
            found.append(node.name)
        known.update(zip(node.output, seen.setdefault(key, tuple(node.output)), strict=True))
    return found


def test_a_graph_that_answers_otherwise_is_refused(
    detector: Autoencoder, calibration: calibrate.Calibration, graph: bytes, synthetic: Any
) -> None:
    """A conversion that is quietly wrong never becomes a model."""
    bent = dataclasses.replace(calibration, levels=calibration.levels * 1.01)
    with pytest.raises(ParityError, match="the graph's score"):
        export.require_parity(detector, bent, model.Session(graph, "m"), synthetic.benign(100, 7))


def test_signed_features_take_the_other_path_and_still_agree(synthetic: Any) -> None:
    """Where a fitted value was below zero, the sign is part of the scaling."""
    rows = synthetic.benign(400, 2)
    rows[:, 5] *= np.where(np.arange(400) % 2, -1, 1)
    detector = Autoencoder(Network(epochs=2), seed=5).fit(rows)
    calibration = calibrate.calibrate(detector.raw_score(rows), ALPHAS)
    session = model.Session(export.build(detector, calibration), "m")
    assert detector.scaling_ is not None
    assert detector.scaling_.signed
    export.require_parity(detector, calibration, session, -rows)


def test_outputs_mean_what_they_are_called(graph: bytes, synthetic: Any) -> None:
    """Scores rise with strangeness, contributions are shares that name the feature, expectations are benign values."""
    session = model.Session(graph, "m")
    benign, strange = synthetic.benign(500, 11), synthetic.benign(500, 11)
    column = contract.index("dst_ports_10s")
    strange[:, column] += 50_000
    quiet, _, _ = session.run(benign, manifest.OUTPUTS)
    loud, contributions, expected = session.run(strange, manifest.OUTPUTS)
    assert (loud > quiet).all()
    assert (contributions >= 0).all()
    assert contributions.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert np.mean(np.argmax(contributions, axis=1) == column) > 0.8
    assert (expected >= 0).all()
    assert np.median(expected[:, column]) < 50_000 / 10


def test_a_row_scores_the_same_in_any_batch(graph: bytes, synthetic: Any) -> None:
    """Batch equals one by one."""
    session = model.Session(graph, "m")
    rows = synthetic.benign(40, 12)
    alone = np.concatenate([session.run(rows[number : number + 1], ("score",))[0] for number in range(40)])
    assert session.run(rows, ("score",))[0] == pytest.approx(alone, abs=1e-4)
    assert session.run(rows[:0], ("score",))[0].shape == (0,)


def test_the_file_is_plain(graph: bytes) -> None:
    """Opset 17, the default domain, no subgraph, nothing outside; the same weights give the same bytes."""
    proto = onnx.ModelProto.FromString(graph)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 17)]
    assert {node.op_type for node in proto.graph.node}.isdisjoint({"Loop", "If", "Scan"})
    assert [entry.name for entry in proto.graph.input] == [manifest.INPUT]
    assert tuple(entry.name for entry in proto.graph.output) == manifest.OUTPUTS


def test_the_same_weights_give_the_same_bytes(
    detector: Autoencoder, calibration: calibrate.Calibration, graph: bytes
) -> None:
    """The converter counts names up over the life of a process; none of that is in the file."""
    assert export.build(detector, calibration) == graph


def test_the_same_recipe_and_data_give_the_same_digest_in_another_process(folder: Path, made: Path) -> None:
    """The whole file, byte by byte, once the clock is fixed; without that only `created_ms` differs."""
    done = subprocess.run(
        [sys.executable, "-Im", "trainer.main", *_command(folder, "second"), "--progress", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={"SOURCE_DATE_EPOCH": EPOCH_S, "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "result"
    assert events[-1]["gate"] is None
    assert events[-1]["digest"] == hashlib.sha256(made.read_bytes()).hexdigest()
    assert (folder / "second" / "m.onnx").read_bytes() == made.read_bytes()
    assert {event["stage"] for event in events[:-1]} >= {"corpus", "fit", "calibrate", "evaluate", "export"}


def test_the_agent_accepts_the_model_and_scores_as_the_trainer_did(made: Path, synthetic: Any) -> None:
    """Its own checks, its own self-test, its own session."""
    scorer = Scorer(made)
    rows = synthetic.benign(300, 21)
    assert scorer.digest == hashlib.sha256(made.read_bytes()).hexdigest()
    assert scorer.score(rows) == pytest.approx(model.load(made).score(rows), abs=1e-4)
    assert scorer.manifest.name == "office"
    assert [threshold.alpha for threshold in scorer.manifest.thresholds] == sorted(ALPHAS, reverse=True)
    contributions, expected, _ = scorer.tell(rows)
    assert contributions.shape == expected.shape == rows.shape


def test_the_report_says_what_was_promised_and_found(made: Path, folder: Path) -> None:
    """Everything that readers of report.json rely on."""
    body = json.loads((folder / "first" / "m.report.json").read_text())
    opened = model.load(made)
    assert body["model_digest"] == opened.digest
    assert report.evidence_digest(body) == opened.manifest.report_digest
    assert body["feature_digest"] == contract.DIGEST
    assert body["created_ms"] == opened.manifest.created_ms == int(EPOCH_S) * 1000
    assert body["data"]["rows"] == ROWS + 40
    assert sum(body["data"]["benign_rows_by_role"].values()) == ROWS
    assert body["labelled"]["malicious"] == 40
    assert body["gate"] is None
    assert set(body["choice"]["taken"]) <= set(opened.manifest.provenance["recipe"]["members"]["names"])
    assert body["kind"] == ("portfolio" if len(body["choice"]["taken"]) > 1 else body["choice"]["taken"][0])
    assert len(body["choice"]["candidates"]) == 31
    assert body["classifier"]["classes"] == list(opened.manifest.classes) == ["attack"]
    assert body["soundness"]["checked"]
    for name in ("model", "std_count"):
        figures = body["metrics"][name]
        assert figures["promised_fpr"] == 0.005
        assert 0 <= figures["realised_fpr"] <= 0.05
        assert figures["average_precision"] > (0.5 if name == "model" else 0.3)  # a count knows little of 13 scans
        assert figures["roc_auc"] > 0.9
        assert figures["prevalence"] == pytest.approx(13 / (13 + figures["benign_rows"]))  # not taught
        assert body["curves"][name]["precision_recall"]
        assert body["curves"][name]["roc"]
    assert (folder / "first" / "m.report.html").read_text().startswith("<!doctype html>")
    assert opened.manifest.provenance["recipe"]["digest"] == body["recipe"]["digest"]
