"""What every HTTP request passes before any route or page sees it.

- The Host header must be one of ours: a page of a stranger whose name was pointed at this machine is turned away.
- A write that carries a session cookie must come from our own pages (Origin check). Tokens need none: a browser never
  adds them by itself.
- Pages need a login; without one a page leads to `/login`. REST answers for itself, with 401. The pages' websocket is
  open, because the login page has one too: it says nothing to who does not know the random id of a page it was served.
- A body has a size limit, counted while it comes in and not taken from what the header claims.
- Every answer carries security headers. Console pages are built by NiceGUI, whose client compiles templates in the
  browser and sets styles inline; their policy allows that and nothing from any other origin. REST allows nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.websockets import WebSocketClose

from aggregator.models.admission import MAX_REPORT
from aggregator.web.access import COOKIE, bearer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aggregator.config import AggregatorConfig
    from aggregator.web.access import Access

PUBLIC: Final = ("/login", "/healthz", "/metrics", "/favicon.ico", "/api/", "/_nicegui", "/static/")
"""Paths that need no login here: static files, what answers for itself, and the login page."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

PAGE_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
API_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

LARGEST_BODY: Final = 1 << 20
"""Bytes of any request's body but an upload."""

UPLOAD_PATH: Final = "/api/v1/models"

TABLE_UPLOADS: Final = re.compile(r"/api/v1/(datasets|datasets/\d{1,18}|experiments/\d{1,18}/predict)/upload")
"""Where tables come in as they are, streamed to a file that is counted again (workbench/receiving.py)."""

HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, access: Access, config: AggregatorConfig) -> None:
        self._app = app
        self._access = access
        self._https = config.https
        self._largest_upload = (config.max_model_mib << 20) + MAX_REPORT + LARGEST_BODY
        self._largest_table = (config.workbench_upload_mib << 20) + LARGEST_BODY
        self._hosts = {"localhost", "127.0.0.1", "[::1]", config.web_host, *config.web_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge the request, then pass it on or answer it here."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        refusal = self._judge(request)
        if refusal is None:
            await self._app(scope, self._counted(scope, receive), self._with_headers(scope, send))
        elif scope["type"] == "websocket":
            await WebSocketClose(code=1008)(scope, receive, send)
        else:
            await refusal(scope, receive, self._with_headers(scope, send))

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, which refuses a body that grows too large."""
        limit = self._limit(scope["path"])
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(413, f"the request's body is larger than {limit >> 20} MiB")
            return message

        return counted

    def _limit(self, path: str) -> int:
        if path == UPLOAD_PATH:
            return self._largest_upload
        return self._largest_table if TABLE_UPLOADS.fullmatch(path) else LARGEST_BODY

    def _judge(self, request: HTTPConnection) -> Response | None:
        path = request.url.path
        if not self._host_known(request.headers.get("host", "")):
            return _problem(421, "this host name is not served here; add it to web_hosts to allow it")
        writes = request.scope["type"] == "websocket" or request.scope["method"] not in SAFE_METHODS
        if writes and not bearer(request) and not self._same_origin(request):
            return _problem(403, "refused: this request did not come from the console's own pages")
        if path.startswith(PUBLIC) or self._access.current_user(request) is not None:
            return None
        return RedirectResponse(f"/login?next={quote(path)}", status_code=303)

    def _host_known(self, host: str) -> bool:
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        return name.lower() in self._hosts

    def _same_origin(self, request: HTTPConnection) -> bool:
        """True without a cookie to misuse, or when the browser says that our own page sent this."""
        origin = request.headers.get("origin")
        if origin is None:
            return COOKIE not in request.cookies
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        policy = API_POLICY if scope["path"].startswith(("/api/", "/healthz", "/metrics")) else PAGE_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", policy)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("cache-control", "no-store")
                if self._https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        return send_with_headers


def safe_next(path: str | None) -> str:
    """Where to go after a login: a path of this site, `/` for anything else."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(c) < 32 for c in path):
        return "/"
    return path


def _problem(status: int, text: str) -> Response:
    return Response(json.dumps({"error": text}), status_code=status, media_type="application/json")
