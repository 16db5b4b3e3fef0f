"""The agent's commands, as a script would use them: what they print, and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.main import main
from protos import contract
from protos.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

IDENTITY = ["src_ip", "src_port", "dst_ip", "dst_port", "protocol", "first_seen_ms", "last_seen_ms", "packets", "bytes"]


@pytest.fixture
def capture(tmp_path: Path, tiny_pcap: ModuleType) -> Path:
    return tiny_pcap.write_scan(tmp_path / "scan.pcap", ports=60, connections=10)


@pytest.fixture
def model(tmp_path: Path, onnx_models: ModuleType) -> Path:
    onnx_models.write_model(tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_score_prints_a_flow_a_line(
    capture: Path, model: Path, capsys: pytest.CaptureFixture[str], onnx_models: ModuleType
) -> None:
    """JSON Lines with exactly the promised keys; the scan is raised with reasons, ordinary flows are not."""
    assert main(["score", str(capture), "--model", str(model)]) == ExitCode.OK
    rows = lines(capsys.readouterr().out)
    assert len(rows) == 70
    assert list(rows[0]) == [*IDENTITY, "score", "decision", "reasons", "model"]
    raised = [row for row in rows if row["decision"] == "raise"]
    assert len(raised) > 30
    assert {row["src_ip"] for row in raised} == {"10.0.0.66"}
    assert {row["model"] for row in rows} == {onnx_models.file_digest(model)}
    for row in raised:
        assert row["reasons"][0].keys() == {"feature", "observed", "expected", "share", "text"}
    assert all(not row["reasons"] for row in rows if row["decision"] == "ignore")


def test_score_with_another_threshold(capture: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator's threshold overrules the model's."""
    assert main(["score", str(capture), "--model", str(model), "--threshold", "999"]) == ExitCode.OK
    assert {row["decision"] for row in lines(capsys.readouterr().out)} == {"ignore"}


def test_features_prints_the_vectors(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Identity and every feature of the contract, in its order."""
    assert main(["features", str(capture)]) == ExitCode.OK
    rows = lines(capsys.readouterr().out)
    assert len(rows) == 70
    assert list(rows[0]) == [*IDENTITY, *contract.FEATURES]


def test_features_as_parquet(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same in a Parquet file that names the contract it follows."""
    import pyarrow.parquet as pq

    assert main(["features", str(capture), "--parquet", str(tmp_path / "f.parquet")]) == ExitCode.OK
    table = pq.read_table(tmp_path / "f.parquet")
    assert table.column_names == [*IDENTITY, *contract.FEATURES]
    assert table.schema.metadata[b"anomaflow.feature_digest"].decode() == contract.DIGEST
    main(["features", str(capture)])
    assert table.to_pylist() == [pytest.approx(row) for row in lines(capsys.readouterr().out)]


def test_features_without_pyarrow(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    """An agent host without pyarrow says so and what else there is."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["features", str(capture), "--parquet", str(tmp_path / "f.parquet")]) == ExitCode.CONFIG
    assert "JSON Lines" in capsys.readouterr().err


def test_show_prints_what_would_be_sent(
    capture: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every field of the wire, decoded from the bytes, and nothing that is not on the wire."""
    words = ["show", str(capture), "--model", str(model), "--keep-fraction", "1", "--state-dir", str(tmp_path / "s")]
    assert main([*words, "--json"]) == ExitCode.OK
    batches = lines(capsys.readouterr().out)
    assert sum(len(batch["flows"]) for batch in batches) == 70
    flow = batches[0]["flows"][0]
    assert flow.keys() == {*contract.COLUMNS, "features"}
    assert list(flow["features"]) == list(contract.FEATURES)
    assert main(words) == ExitCode.OK
    text = capsys.readouterr().out
    assert "10.0.0.66" in text
    assert "distinct ports" in text
    assert "52:54" not in text


def test_no_payload_byte_is_shown(tmp_path: Path, tiny_pcap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A canary planted in payload and MAC address is in nothing that would be sent."""
    canary = b"CANARY-8dcf3a"
    frame = tiny_pcap.packet("10.0.0.1", "10.0.0.2", (1234, 80), tiny_pcap.ACK, canary * 20)
    capture = tiny_pcap.write(tmp_path / "c.pcap", [(0, canary[:6] + frame[6:])])
    assert main(["show", str(capture), "--json", "--keep-fraction", "1", "--state-dir", str(tmp_path)]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert len(lines(shown)[0]["flows"]) == 1
    assert "CANARY" not in shown
    assert canary[:6].hex() not in shown


def test_show_with_nothing_to_send(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty answer is explained."""
    words = ["show", str(capture), "--keep-fraction", "0", "--state-dir", str(tmp_path / "s")]
    assert main(words) == ExitCode.OK
    output = capsys.readouterr()
    assert output.out == ""
    assert "--keep-fraction 1" in output.err


def test_doctor_has_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can act on the gravest finding."""
    code = main(["doctor", "--iface", "nosuch0", "--state-dir", str(tmp_path), "--json"])
    assert code == ExitCode.SOURCE
    assert {row["level"] for row in lines(capsys.readouterr().out)} <= {"ok", "warn", "fail"}


def test_bench_measures(capture: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rates of every stage and the memory, as JSON and as text."""
    assert main(["bench", str(capture), "--model", str(model), "--json", "--rounds", "1"]) == ExitCode.OK
    [figures] = lines(capsys.readouterr().out)
    assert figures["flows"] == 70
    assert all(figures[name] > 0 for name in figures if name.endswith("_per_s"))
    assert main(["bench", str(capture), "--rounds", "1", "--state-dir", str(capture.parent / "s")]) == ExitCode.OK
    assert "not measured, give --model" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["score", "no.pcap", "--model", "{model}"], ExitCode.SOURCE, "no.pcap"),
        (["score", "{text}", "--model", "{model}"], ExitCode.SOURCE, "pcap"),
        (["score", "{capture}", "--model", "{text}"], ExitCode.MODEL, "not ONNX"),
        (["score", "{capture}", "--model", "{model}", "--bpf", "nonsense ("], ExitCode.SOURCE, "filter"),
        (["score", "{capture}", "--state-dir", "{tmp}"], ExitCode.CONFIG, "--model"),
        (["score", "{capture}", "--model", "{model}", "--config", "{toml}"], ExitCode.CONFIG, "ifcae"),
        (["run", "--state-dir", "{tmp}"], ExitCode.CONFIG, "iface"),
        (["run", "--iface", "lo", "--aggregator", "10.1.2.3:50551"], ExitCode.CONFIG, "not a loopback address"),
        (["run", "--replay", "{capture}", "--state-dir", "{tmp}", "--model", "{text}"], ExitCode.MODEL, "not ONNX"),
        (["run", "--replay", "{capture}", "--state-dir", "{text}"], ExitCode.STATE, "--state-dir"),
        (["show", "--state-dir", "{tmp}"], ExitCode.CONFIG, "iface"),
        (["features", "{capture}", "--idle-timeout-ms", "soon"], ExitCode.CONFIG, "idle_timeout_ms"),
    ],
)
def test_bad_input_ends_with_a_remedy_and_its_code(
    words: list[str],
    code: ExitCode,
    said: str,
    capture: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A clear message on stderr, nothing else, and an exit code of the documented table."""
    (tmp_path / "x.txt").write_text("this is neither\n" * 50)
    (tmp_path / "x.toml").write_text("ifcae = 'eth0'\n")
    places = {"model": model, "capture": capture, "text": tmp_path / "x.txt", "toml": tmp_path / "x.toml"}
    assert main([word.format(tmp=tmp_path / "state", **places) for word in words]) == code
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.startswith("anomaflow-agent: ")
    assert "Traceback" not in output.err


def test_a_truncated_capture_is_scored_as_far_as_it_goes(
    capture: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flows are printed, the message and the exit code say that some may be missing."""
    capture.write_bytes(capture.read_bytes()[:-9])
    assert main(["score", str(capture), "--model", str(model)]) == ExitCode.SOURCE
    output = capsys.readouterr()
    assert len(lines(output.out)) == 70
    assert "damaged" in output.err


def test_help_is_instant_and_light() -> None:
    """`--help` of every command imports nothing heavy."""
    code = (
        "import sys\nfrom agent.main import build_parser\nbuild_parser().format_help()\n"
        "assert not {'numpy', 'grpc', 'onnxruntime', '_lib_engine', 'sqlite3'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-Ic", code], check=True)


def test_a_closed_pipe_is_no_error(capture: Path) -> None:
    """`anomaflow-agent features … | head` ends quietly."""
    command = f"{sys.executable} -Im agent.main features {capture} {capture} {capture} | head -c 10"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ('{"src_ip":', "")
