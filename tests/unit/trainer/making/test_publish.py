"""Publishing: what is sent, to whom it is not sent, and what every refusal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from protos.exits import ExitCode
from trainer.errors import ModelError, PublishError
from trainer.making.publish import publish

if TYPE_CHECKING:
    from pathlib import Path

HERE = "http://127.0.0.1:8080"


@pytest.fixture
def files(tmp_path: Path, onnx_models: Any) -> tuple[Path, Path, Path]:
    """A sound model, a report and a token."""
    model, report, token = tmp_path / "m.onnx", tmp_path / "m.report.json", tmp_path / "token"
    onnx_models.write_model(model)
    report.write_text('{"name": "m"}')
    token.write_text("secret-token\n")
    return model, report, token


def test_model_and_report_are_posted_with_the_token(files: tuple[Path, Path, Path]) -> None:
    """Multipart fields `model` and `report`, a bearer token, and the registry's answer comes back."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        return httpx.Response(201, json={"digest": "abc"})

    assert publish(HERE + "/", *files, httpx.MockTransport(answer)) == {"digest": "abc"}
    [request] = seen
    assert str(request.url) == HERE + "/api/v1/models"
    assert request.headers["authorization"] == "Bearer secret-token"
    assert b'name="model"; filename="m.onnx"' in request.content
    assert b'name="report"; filename="m.report.json"' in request.content
    assert files[0].read_bytes() in request.content


@pytest.mark.parametrize(
    ("status", "body", "match"),
    [
        (401, {}, "token is not accepted"),
        (403, {}, "may not publish"),
        (404, {}, "check --to"),
        (409, {"detail": "known since yesterday"}, "already.*known since yesterday"),
        (413, {}, "larger"),
        (422, {"detail": "no manifest"}, "refused the model.*no manifest"),
        (500, "oops", "HTTP 500"),
    ],
)
def test_every_refusal_says_what_to_do(files: tuple[Path, Path, Path], status: int, body: Any, match: str) -> None:
    """The aggregator's own words are passed on."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=body))
    with pytest.raises(PublishError, match=match) as caught:
        publish(HERE, *files, transport)
    assert caught.value.exit_code is ExitCode.AGGREGATOR
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_an_aggregator_that_is_away_is_named(files: tuple[Path, Path, Path], failure: Exception) -> None:
    """No stack trace, an address."""

    def answer(_request: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(PublishError, match=r"127\.0\.0\.1:8080"):
        publish(HERE, *files, httpx.MockTransport(answer))


@pytest.mark.parametrize("to", ["http://example.org", "ftp://127.0.0.1", "127.0.0.1:8080", "http://10.0.0.1:8080"])
def test_a_token_never_travels_in_the_clear_to_another_host(files: tuple[Path, Path, Path], to: str) -> None:
    """Refused before anything is sent."""
    transport = httpx.MockTransport(lambda _request: pytest.fail("something was sent"))
    with pytest.raises(PublishError, match=r"https|not an address"):
        publish(to, *files, transport)


def test_what_is_not_a_model_is_not_sent(files: tuple[Path, Path, Path], onnx_models: Any) -> None:
    """Checked here first, where the message is nearest to the mistake."""
    onnx_models.write_failing_self_test(files[0])
    with pytest.raises(ModelError, match="self-test"):
        publish(HERE, *files, httpx.MockTransport(lambda _request: pytest.fail("something was sent")))


@pytest.mark.parametrize("content", ["", "  \n", "two words"])
def test_a_token_file_holds_one_token(files: tuple[Path, Path, Path], content: str) -> None:
    """An empty file is not a token, and its text is not repeated in the message."""
    files[2].write_text(content)
    with pytest.raises(PublishError, match="holds no token"):
        publish(HERE, *files)
    files[2].unlink()
    with pytest.raises(PublishError, match="check the path"):
        publish(HERE, *files)
