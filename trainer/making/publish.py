"""Publishing: a model and its report go to the aggregator's registry over its REST interface.

The token is read from a file, never from the command line, where every user of the host could see it. It only travels
over TLS or to this very host: a plain address elsewhere is refused before anything is sent.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from trainer.errors import PublishError
from trainer.making import model

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

PATH: Final = "/api/v1/models"
TIMEOUT_S: Final = 30.0
_ADVICE: Final = {
    401: "the token is not accepted: make a new one with `anomaflow-aggregator token`",
    403: "the token may not publish models: ask for one that may",
    404: "there is no registry at this address: check --to",
    409: "the registry has this model already",
    413: "the file is larger than the aggregator accepts",
}


def publish(
    to: str, model_path: Path, report_path: Path, token_path: Path, transport: httpx.BaseTransport | None = None
) -> dict[str, Any]:
    """Send both files and return the registry's answer. `transport` stands in for the network.

    Raises `ModelError` for a file that is no good, `PublishError` when the aggregator is away or refuses.
    """
    import httpx

    address = _checked(to)
    model.load(model_path)
    token = _text(token_path, "the token").strip()
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise PublishError(f"reading the token from {token_path}: it holds no token; put one line of text in it")
    report = _text(report_path, "the report").encode()
    files = {
        "model": (model_path.name, model_path.read_bytes(), "application/octet-stream"),
        "report": (report_path.name, report, "application/json"),
    }
    try:
        with httpx.Client(transport=transport, timeout=TIMEOUT_S) as client:
            answer = client.post(address + PATH, files=files, headers={"Authorization": f"Bearer {token}"})
    except httpx.TimeoutException as error:
        raise PublishError(
            f"publishing to {to}: no answer within {TIMEOUT_S:.0f} s; is the aggregator busy?"
        ) from error
    except httpx.HTTPError as error:
        raise PublishError(f"publishing to {to}: {error}; is the aggregator running there?") from error
    if answer.is_success:
        return _answer(answer, to)
    advice = _ADVICE.get(answer.status_code, "the aggregator refused the model")
    raise PublishError(f"publishing to {to}: HTTP {answer.status_code}, {advice}{_detail(answer)}")


def _checked(to: str) -> str:
    parts = urlsplit(to)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PublishError(f"publishing to {to!r}: not an address; write for example http://127.0.0.1:8080")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise PublishError(f"publishing to {to}: a token travels over plain HTTP to this host only; use https")
    return to.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PublishError(f"reading {what} from {path}: {error}; check the path and its rights") from error


def _answer(answer: httpx.Response, to: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except json.JSONDecodeError as error:
        raise PublishError(f"publishing to {to}: the answer is not JSON; is this an Anomaflow aggregator?") from error
    return found if isinstance(found, dict) else {"answer": found}


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return ""
    return f" ({detail})"
