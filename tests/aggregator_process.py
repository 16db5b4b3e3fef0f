"""A real aggregator process for tests: founded, started, killed and started again; the commands, run as anyone would."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from aggregator.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSWORD = "correct horse battery"


class Hall:
    """One state directory and the process that serves it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self.token_file = self.state / "admin.token"
        self.config = folder / "aggregator.toml"
        chosen = {"state_dir": str(self.state), "grpc_port": 0, "web_port": 0, "stage_seconds": 0.2, **settings}
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items()))
        self.addresses: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run `anomaflow-aggregator`."""
        argv = [sys.executable, "-Im", "aggregator.main", arguments[0], "--config", str(self.config), *arguments[1:]]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, **how)

    def found(self) -> None:
        """`init`, with the password from standard input."""
        done = self.command("init", "--password-file", "-", input=PASSWORD + "\n")
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """`run`, until it listens."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        argv = [
            sys.executable,
            "-Im",
            "aggregator.main",
            "run",
            "--config",
            str(self.config),
            "--ready-file",
            str(ready),
        ]
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while not ready.exists():
            assert self._process.poll() is None, (self.folder / "log.txt").read_text()
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.05)
        self.addresses = json.loads(ready.read_text())

    def kill(self) -> None:
        """Kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=30)

    def web(self) -> httpx.Client:
        """REST with the administrator's token."""
        headers = {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
        return httpx.Client(base_url=self.addresses["web"] + "/api/v1", headers=headers, timeout=30)

    def client(self, *arguments: str, token: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `anomaflow` against it, in this process: hundreds of interpreters would only test patience."""
        return client(arguments, url=self.addresses["web"], token=token or self.token_file)


def client(arguments: Sequence[str], *, url: str, token: Path | None) -> subprocess.CompletedProcess[str]:
    """Run `anomaflow` in this process, with its streams and exit code as a process would have them."""
    given = ["--url", url, *([] if token is None else ["--token-file", str(token)]), *arguments]
    out, problems = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(problems):
        try:
            code = main(given)
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
    return subprocess.CompletedProcess(given, code, out.getvalue(), problems.getvalue())
