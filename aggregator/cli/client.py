"""The REST API from outside: one class, and errors that say what to do. Knows nothing of the server's code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from protos.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_URL: Final = "http://127.0.0.1:8080"
PREFIX: Final = "/api/v1"
TIMEOUT_S: Final = 60.0
LONG_S: Final = 600.0
"""For what is worked out before it is answered: plots, explanations."""

BYTES: Final = "application/octet-stream"

_EXITS: Final = {401: ExitCode.PERMISSION, 403: ExitCode.PERMISSION, 422: ExitCode.USAGE}


class ClientError(Exception):
    """The request was not done. `exit_code` is what the command ends with."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Client:
    """Requests to one aggregator. Use it as a context manager."""

    def __init__(self, url: str, *, token_file: Path | None) -> None:
        headers = {} if token_file is None else {"Authorization": f"Bearer {_token(token_file)}"}
        self._url = url.rstrip("/")
        try:
            self._http = httpx.Client(base_url=self._url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        except httpx.InvalidURL as error:
            raise ClientError(f"{url!r} is not an address: {error}", ExitCode.USAGE) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The answer to a GET; parameters that are None are left out."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def work_out(self, path: str, **query: Any) -> Any:
        """As `get`, for what takes a while to work out."""
        params = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=params, timeout=LONG_S)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to a POST of JSON."""
        return self._ask("POST", path, json=body or {})

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a PUT of JSON."""
        return self._ask("PUT", path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a PATCH of JSON."""
        return self._ask("PATCH", path, json=body)

    def upload(self, path: str, *, fields: dict[str, str] | None = None, **files: Path | None) -> Any:
        """The answer to a POST of files, with further form fields."""
        try:
            sent = {name: (file.name, file.read_bytes()) for name, file in files.items() if file is not None}
        except OSError as error:
            raise ClientError(f"reading {error.filename}: {error.strerror}", ExitCode.USAGE) from error
        return self._ask("POST", path, files=sent, data=fields or {})

    def delete(self, path: str, **query: Any) -> None:
        """A DELETE."""
        self._ask("DELETE", path, params={name: value for name, value in query.items() if value is not None})

    def send(self, path: str, file: Path, **query: Any) -> Any:
        """The answer to a POST whose body is a file as it is, read while it is sent."""
        params = {name: value for name, value in query.items() if value is not None}
        try:
            with file.open("rb") as body:
                return self._ask("POST", path, content=body, params=params, headers={"Content-Type": BYTES})
        except OSError as error:
            raise ClientError(f"reading {file}: {error.strerror}", ExitCode.USAGE) from error

    def fetch(self, path: str, target: Path, **query: Any) -> int:
        """Write what a GET answers into `target`, by rename; the bytes written."""
        params = {name: value for name, value in query.items() if value is not None}
        beside = target.with_name(target.name + ".part")
        written = 0
        try:
            with self._http.stream("GET", PREFIX + path, params=params, timeout=LONG_S) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ClientError(_explain(answer), _exit_code(answer))
                with beside.open("wb") as file:
                    for chunk in answer.iter_bytes():
                        written += file.write(chunk)
            beside.replace(target)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        except OSError as error:
            raise ClientError(f"writing {target}: {error.strerror}", ExitCode.USAGE) from error
        finally:
            beside.unlink(missing_ok=True)
        return written

    def pages(self, path: str, *, limit: int, **query: Any) -> Iterator[Any]:
        """Rows of a list over its pages, `limit` at most."""
        cursor: str | None = None
        while limit > 0:
            answer = self.get(path, limit=min(limit, 500), cursor=cursor, **query)
            yield from answer["items"]
            limit -= len(answer["items"])
            cursor = answer["next"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self._http.request(method, PREFIX + path, **how)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if answer.is_success:
            if answer.headers.get("content-type", "").startswith("text/"):
                return answer.text
            return answer.json() if answer.content else None
        raise ClientError(_explain(answer), _exit_code(answer))

    def _away(self, error: httpx.HTTPError) -> ClientError:
        return ClientError(
            f"the aggregator at {self._url} does not answer ({error}); is it running, is --url right?",
            ExitCode.AGGREGATOR,
        )


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ClientError(f"reading the token in {path}: {error.strerror}", ExitCode.CONFIG) from error


def _explain(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = f"the aggregator answered {answer.status_code} {answer.reason_phrase}"
    hint = "; give --token-file FILE or set ANOMAFLOW_TOKEN_FILE" if answer.status_code == 401 else ""
    return text + hint


def _exit_code(answer: httpx.Response) -> ExitCode:
    try:
        named = answer.json()["exit_code"]
        return next(code for code in ExitCode if code == named)
    except (ValueError, KeyError, TypeError, StopIteration):
        return _EXITS.get(answer.status_code, ExitCode.AGGREGATOR)
