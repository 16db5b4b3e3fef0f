"""The command line: what it promises before any model is fitted."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from protos.exits import ExitCode
from trainer.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HEAVY = (
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "sklearn",
    "scipy",
    "pyarrow",
    "_lib_engine",
    "httpx",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["publish", "--help"], ["benchmark", "nsl-kdd", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Help answers at once, and shows the exit codes."""
    code = (
        "import sys\nfrom trainer.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"print('loaded:', *[name for name in {_HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
    if arguments == ["--help"]:
        assert all(code.meaning in done.stdout for code in ExitCode)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fit"],
        ["fit", "--benign", "x", "--out", "m.onnx", "--alpha", "2"],
        ["fit", "--benign", "x", "--out", "m.onnx", "--epochs", "0"],
        ["evaluate", "--model", "m.onnx"],
        ["train"],
    ],
)
def test_a_wrong_command_line_is_usage(arguments: list[str]) -> None:
    """Argparse's own exit code is the table's."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    "case",
    [
        (["fit", "--benign", "{tmp}/none", "--out", "{tmp}/m.onnx"], ExitCode.DATA, "does not exist"),
        (["fit", "--benign", "{tmp}/bad.pcap", "--out", "{tmp}/m.onnx"], ExitCode.SOURCE, "bad.pcap"),
        (["fit", "--benign", "{tmp}/few.pcap", "--out", "{tmp}/m.onnx"], ExitCode.DATA, "more benign traffic"),
        (
            ["fit", "--benign", "{tmp}/few.pcap", "--champion", "{tmp}/none.onnx", "--out", "{tmp}/m.onnx"],
            ExitCode.MODEL,
            "none.onnx",
        ),
        (["evaluate", "--model", "{tmp}/bad.pcap", "--manifest", "{tmp}/m.csv"], ExitCode.MODEL, "onnxruntime refuses"),
        (["evaluate", "--model", "{tmp}/good.onnx", "--manifest", "{tmp}/none.csv"], ExitCode.DATA, "none.csv"),
        (
            ["publish", "--model", "{tmp}/good.onnx", "--to", "http://127.0.0.1:9", "--token-file", "{tmp}/none"],
            ExitCode.AGGREGATOR,
            "the token",
        ),
    ],
)
def test_errors_end_in_a_message_and_the_code_of_the_table(
    tmp_path: Path,
    write_pcap: Callable[..., Path],
    onnx_models: Any,
    capsys: pytest.CaptureFixture[str],
    case: tuple[list[str], ExitCode, str],
) -> None:
    """One line on standard error, no stack trace, and no model where there was none."""
    arguments, code, match = case
    (tmp_path / "bad.pcap").write_bytes(b"this is not a capture and not a model")
    write_pcap("few.pcap", 12)
    onnx_models.write_model(tmp_path / "good.onnx")
    filled = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    assert main(filled) == code
    shown = capsys.readouterr().err
    assert "anomaflow-trainer: " in shown
    assert match in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "m.onnx").exists()


def test_with_json_progress_an_error_is_an_event_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that follows the lines sees the end it came to."""
    code = main(["fit", "--benign", str(tmp_path / "none"), "--out", str(tmp_path / "m"), "--progress", "json"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "error"
    assert last["exit_code"] == code == ExitCode.DATA
    assert "does not exist" in last["message"]
