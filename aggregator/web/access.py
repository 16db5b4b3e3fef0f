"""Who is asking: sessions by cookie, tokens by header, for REST routes and console pages alike.

- `current_user(request)` looks the asker up in the store every time: a disabled account, an ended session or a revoked
  token is refused at the next request, without a restart.
- A session cookie is HttpOnly, SameSite=Lax, and Secure behind HTTPS. A token travels as `Authorization: Bearer`.
- Passwords are checked with argon2id, two at a time because each takes 64 MiB, at the same cost for a name that does
  not exist. After too many failures a name, and an address, must wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import argon2

from aggregator import users
from aggregator.errors import Invalid, TooMany, Unauthenticated

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.rows import Token, User
    from aggregator.storage.store import Store
    from aggregator.users import Principal

COOKIE: Final = "anomaflow_session"
TOUCH_MS: Final = 60_000
"""A session's or token's last use is noted at most this often."""

UNKNOWN: Final = "wrong name or password"
NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$VuNnJGPO0P2cTNGDd1Ouvw$DhaxwdqsIYxq6fd/YN1NwIQ/CIT1KJ1rM+hrrcYQ2Kk"
"""A hash at the present cost that is verified when there is no such name, so that both answers take as long."""


class Access:
    """Logins, sessions and tokens over the store."""

    def __init__(self, store: Store, clock: Clock, config: AggregatorConfig) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._hasher = argon2.PasswordHasher()
        self._hashing = asyncio.Semaphore(2)
        self._failures = Failures(config.login_attempts, config.login_wait_seconds)

    def current_user(self, request: HTTPConnection) -> Principal | None:
        """Who sent `request` (or opened that websocket), None when nobody known did. Ask again before each write."""
        now_ms = self._clock.now_ms()
        if token := bearer(request):
            known = self._store.read(lambda db: users.of_token(db, token, now_ms=now_ms))
            if known is None:
                return None
            principal, token_id, used_ms = known
            if now_ms - used_ms > TOUCH_MS:
                self._store.submit(lambda db: users.touch_token(db, token_id, now_ms=now_ms))
            return principal
        if secret := request.cookies.get(COOKIE):
            idle = self._config.session_idle_minutes
            session = self._store.read(lambda db: users.of_session(db, secret, now_ms=now_ms, idle_minutes=idle))
            if session is None:
                return None
            if now_ms - session[1] > TOUCH_MS:
                self._store.submit(lambda db: users.touch_session(db, secret, now_ms=now_ms))
            return session[0]
        return None

    async def login(self, name: str, password: str, *, address: str) -> str:
        """Start a session and return its cookie's value. Raises `Unauthenticated`, `TooMany`.

        `address` is the browser's, for counting failures.
        """
        now_s = self._clock.monotonic_s()
        self._failures.require_patience(name, address, now_s)
        if len(password) > users.LONGEST_PASSWORD:
            raise Unauthenticated(UNKNOWN)
        kept = self._store.read(lambda db: users.password_hash(db, name))
        if not await self._verify(kept or NOBODY, password) or kept is None:
            self._failures.add(name, address, now_s)
            raise Unauthenticated(UNKNOWN)
        self._failures.forget(name)
        now_ms = self._clock.now_ms()
        return await self._store.write(
            lambda db: users.open_session(db, user=name, now_ms=now_ms, hours=self._config.session_hours)
        )

    async def logout(self, request: HTTPConnection) -> None:
        """End the session that `request` carries, if any."""
        if secret := request.cookies.get(COOKIE):
            await self._store.write(lambda db: users.close_session(db, secret))

    def set_cookie(self, response: Response, secret: str) -> None:
        """Give the browser its session."""
        response.set_cookie(
            COOKIE,
            secret,
            max_age=self._config.session_hours * 3600,
            httponly=True,
            samesite="lax",
            secure=self._config.https,
            path="/",
        )

    def clear_cookie(self, response: Response) -> None:
        """Take the session from the browser."""
        response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self._config.https, path="/")

    async def add_user(self, *, name: str, role: str, password: str, by: str) -> User:
        """Create an account. Raises `Invalid`, `Conflict`."""
        users.require_name(name)
        wanted = users.require_role(role)
        kept = await self.hash(password)
        now_ms = self._clock.now_ms()
        return await self._store.write(
            lambda db: users.add(db, name=name, role=wanted, password_hash=kept, by=by, now_ms=now_ms)
        )

    async def change_user(
        self, name: str, *, role: str | None, disabled: bool | None, password: str | None, by: str
    ) -> User:
        """Change what is not None; the account's sessions end. Raises `NotFound`, `Invalid`, `Conflict`."""
        if role is None and disabled is None and password is None:
            raise Invalid("nothing to change: give role, disabled or password")
        wanted = None if role is None else users.require_role(role)
        kept = None if password is None else await self.hash(password)
        now_ms = self._clock.now_ms()
        return await self._store.write(
            lambda db: users.change(db, name, role=wanted, disabled=disabled, password_hash=kept, by=by, now_ms=now_ms)
        )

    async def add_token(self, *, user: str, name: str, scope: str, days: int, by: str) -> tuple[Token, str]:
        """Create a token with the rights of `user`; its text is returned only now."""
        now_ms = self._clock.now_ms()
        return await self._store.write(
            lambda db: users.add_token(db, user=user, name=name, scope=scope, days=days, by=by, now_ms=now_ms)
        )

    async def revoke_token(self, token_id: int, *, owner: str | None, by: str) -> Token:
        """Make a token useless; with `owner`, only one of that user."""
        now_ms = self._clock.now_ms()
        return await self._store.write(lambda db: users.revoke_token(db, token_id, owner=owner, by=by, now_ms=now_ms))

    async def hash(self, password: str) -> str:
        """The argon2id hash to keep. Raises `Invalid` for a password too short or too long."""
        users.require_password(password)
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, kept: str, password: str) -> bool:
        async with self._hashing:
            try:
                return await asyncio.to_thread(self._hasher.verify, kept, password)
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False


class Failures:
    """Failed logins within a window, by name and by address. Bounded: the oldest names are forgotten first."""

    BOUND: Final = 10_000

    def __init__(self, attempts: int, window_s: float) -> None:
        self._limits = {"name": attempts, "address": attempts * 4}
        self._window_s = window_s
        self._times: dict[tuple[str, str], deque[float]] = {}

    def require_patience(self, name: str, address: str, now_s: float) -> None:
        """Raise `TooMany` while the name or the address has failed too often."""
        for kind, value in (("name", name), ("address", address)):
            times = self._times.get((kind, value))
            if times is None:
                continue
            while times and times[0] <= now_s - self._window_s:
                times.popleft()
            if not times:
                del self._times[kind, value]
            elif len(times) >= self._limits[kind]:
                wait = max(1, round(times[0] + self._window_s - now_s))
                raise TooMany(f"too many failed logins; try again in {wait} s", wait)

    def add(self, name: str, address: str, now_s: float) -> None:
        """Count a failure."""
        for key in (("name", name[:64]), ("address", address)):
            self._times.setdefault(key, deque(maxlen=self._limits[key[0]])).append(now_s)
        while len(self._times) > self.BOUND:
            del self._times[next(iter(self._times))]

    def forget(self, name: str) -> None:
        """The name logged in."""
        self._times.pop(("name", name), None)


def bearer(request: HTTPConnection) -> str | None:
    """The token of the Authorization header, if it carries one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
