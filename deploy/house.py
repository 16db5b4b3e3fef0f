"""An aggregator and its agents on this host, in one folder, driven as anyone could: by commands and by REST.

The demo, the bench and the tests of the whole loop stand on this. Nothing here reaches into a process.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BIN: Final = Path(sys.executable).parent


class HouseError(RuntimeError):
    """A part did not start, stopped, or said no. The message ends with what its log said last."""


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(path: Path, lines: int = 12) -> str:
    """The end of a log."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


class House:
    """One aggregator with its state under `home`, and the processes started beside it.

    `prefix` is put before every command, for instance to run all of it inside a network namespace; REST then answers
    in there only.
    """

    def __init__(
        self,
        home: Path,
        *,
        web_port: int = 0,
        settings: Mapping[str, object] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.home = home
        self._prefix = list(prefix)
        self.web_port = web_port or free_port()
        self.grpc_port = free_port()
        self.state = home / "aggregator"
        self.url = f"http://127.0.0.1:{self.web_port}"
        chosen = {
            "state_dir": self.state,
            "web_port": self.web_port,
            "grpc_port": self.grpc_port,
            **(settings or {}),
        }
        self.environment = os.environ | {
            f"ANOMAFLOW_AGGREGATOR_{name.upper()}": str(value) for name, value in chosen.items()
        }
        self.token_file = self.state / "admin.token"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client: httpx.Client | None = None
        home.mkdir(parents=True, exist_ok=True)

    # --- processes ---------------------------------------------------------------------------------------------

    def command(self, name: str, *arguments: str, **extra: Any) -> subprocess.CompletedProcess[str]:
        """Run one of the four commands to its end. Raises `HouseError` with what it said when it fails."""
        result = subprocess.run(
            [*self._prefix, str(BIN / name), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **extra,
        )
        if result.returncode:
            said = (result.stderr or result.stdout).strip()[-1500:]
            raise HouseError(f"{name} {' '.join(arguments[:2])} ended with {result.returncode}: {said}")
        return result

    def start(self, name: str, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        """Start a command in the background, its output in `home/log`."""
        with (self.home / log).open("ab") as output:
            process = subprocess.Popen(
                [*self._prefix, str(BIN / name), *arguments],
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def open(self, password: str) -> None:
        """Create the aggregator's state with an administrator, start it, and wait until it answers."""
        secret = self.home / "password"
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
        self.command("anomaflow-aggregator", "init", "--password-file", str(secret))
        ready = self.home / "ready.json"
        process = self.start("anomaflow-aggregator", "run", "--ready-file", str(ready), log="aggregator.log")
        headers = {"Authorization": f"Bearer {self.token_file.read_text(encoding='utf-8').strip()}"}
        self._client = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30)
        self.wait("the aggregator to listen", ready.exists, seconds=60, process=process, log="aggregator.log")

    def agent(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start an agent with a state directory of its own."""
        return self.start(
            "anomaflow-agent", "run", "--agent-id", name, "--state-dir", str(self.home / name),
            "--aggregator", f"127.0.0.1:{self.grpc_port}", *arguments, log=f"{name}.log",
        )  # fmt: skip

    def wait(
        self,
        what: str,
        done: Callable[[], Any],
        *,
        seconds: float,
        process: subprocess.Popen[bytes] | None = None,
        log: str = "aggregator.log",
    ) -> Any:
        """The first true answer of `done`. Raises `HouseError` after `seconds`, or when `process` is gone."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            answer = done()
            if answer:
                return answer
            if process is not None and process.poll() is not None:
                raise HouseError(
                    f"waiting for {what}: the process ended with {process.returncode}:\n{tail(self.home / log)}"
                )
            time.sleep(0.2)
        raise HouseError(f"waiting for {what}: nothing after {seconds:g} s; the log ends:\n{tail(self.home / log)}")

    def end(self, process: subprocess.Popen[bytes], seconds: float = 20) -> int:
        """Ask a process to stop, and insist after `seconds`. Its exit code."""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.wait()

    def close(self) -> None:
        """Stop everything that was started here, last first."""
        for process in reversed(self._processes):
            self.end(process)
        if self._client is not None:
            self._client.close()

    # --- REST --------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The JSON answer of a REST call. Raises `HouseError` with the aggregator's words when it says no."""
        if self._client is None:
            raise HouseError(f"{method} {path}: the aggregator is not running")
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise HouseError(
                f"{method} {path}: {error}; the log ends:\n{tail(self.home / 'aggregator.log')}"
            ) from error
        if response.is_error:
            raise HouseError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response.json() if response.content else None

    def get(self, path: str, **params: Any) -> Any:
        """GET with query parameters."""
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST a JSON object."""
        return self.call("POST", path, json=dict(body or {}))

    def every(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, limit=200, **params, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]
            if not cursor:
                return

    def publish(self, model: Path) -> dict[str, Any]:
        """Send a model and its report to the registry; its row."""
        answer = self.command(
            "anomaflow-trainer",
            "publish",
            "--model",
            str(model),
            "--to",
            self.url,
            "--token-file",
            str(self.token_file),
        )
        row: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        return row
