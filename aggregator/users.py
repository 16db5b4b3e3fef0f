"""Accounts, passwords, sessions and tokens: who may do what. No HTTP here; web/access.py is the skin.

Passwords are kept as argon2id; of session cookies and tokens only a SHA-256 is kept (they are 256 random bits, which
needs no slow hash). A session ends when it is unused for a while, when it grows old, and when its account changes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from aggregator import audit
from aggregator.errors import Conflict, Forbidden, Invalid, NotFound
from aggregator.rows import Page, Role, Token, User

if TYPE_CHECKING:
    import sqlite3

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 1024
TOKEN_PREFIX: Final = "anoma_"  # noqa: S105 - marks tokens so that leaked ones are recognised
LONGEST_TOKEN_DAYS: Final = 3650
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is acting. `scope` is `read` for tokens that may only read."""

    name: str
    role: Role
    scope: Literal["read", "write"] = "write"
    via: Literal["session", "token", "command"] = "session"

    def may(self, role: Role, *, write: bool = True) -> bool:
        """True when this principal's role covers `role` and, for a write, its scope too."""
        return self.role.covers(role) and (self.scope == "write" or not write)

    def require(self, role: Role, *, write: bool = True) -> None:
        """Raise `Forbidden` unless `may`. Only a read says `write=False`: a token for reading must change nothing."""
        if not self.role.covers(role):
            raise Forbidden(f"{self.name} is {self.role}; this needs {role} or more")
        if write and self.scope != "write":
            raise Forbidden("this token may only read; create one with scope write")


def fingerprint(secret: str) -> str:
    """What is kept of a session cookie or token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def require_name(name: str) -> str:
    """`name` if it can be an account's; raises `Invalid`."""
    if not NAME.fullmatch(name):
        raise Invalid(f"user name {name[:40]!r}: use 1 to 32 of a-z, 0-9, dot, dash and underscore")
    return name


def require_role(role: str) -> Role:
    """The role of that name; raises `Invalid`."""
    try:
        return Role(role)
    except ValueError:
        raise Invalid(f"no role named {role[:40]!r}; roles are {', '.join(Role)}") from None


def require_password(password: str) -> str:
    """`password` if its length will do; raises `Invalid`."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(f"a password needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return password


def add(db: sqlite3.Connection, *, name: str, role: Role, password_hash: str, by: str, now_ms: int) -> User:
    """Create an account. Raises `Conflict` when the name is taken."""
    if db.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
        raise Conflict(f"there is a user named {name!r} already")
    db.execute(
        "INSERT INTO users (name, role, password_hash, created_ms) VALUES (?, ?, ?, ?)",
        (name, role, password_hash, now_ms),
    )
    audit.record(db, at_ms=now_ms, actor=by, action="user.add", about=name, detail={"role": role})
    return get(db, name)


def change(
    db: sqlite3.Connection,
    name: str,
    *,
    role: Role | None,
    disabled: bool | None,
    password_hash: str | None,
    by: str,
    now_ms: int,
) -> User:
    """Change what is not None, and end the account's sessions. Raises `NotFound`, `Conflict` for the last admin."""
    user = get(db, name)
    loses_admin = user.role is Role.ADMIN and ((role or user.role) is not Role.ADMIN or disabled)
    if (
        loses_admin
        and not db.execute(
            "SELECT 1 FROM users WHERE role = 'admin' AND NOT disabled AND name <> ?", (name,)
        ).fetchone()
    ):
        raise Conflict(f"{name} is the last administrator; make another one first")
    db.execute(
        "UPDATE users SET role = coalesce(?, role), disabled = coalesce(?, disabled), "
        "password_hash = coalesce(?, password_hash) WHERE name = ?",
        (role, disabled, password_hash, name),
    )
    db.execute("DELETE FROM sessions WHERE user = ?", (name,))
    detail = {"role": role, "disabled": disabled, "password": password_hash is not None}
    audit.record(db, at_ms=now_ms, actor=by, action="user.change", about=name, detail=detail)
    return get(db, name)


def get(db: sqlite3.Connection, name: str) -> User:
    """An account. Raises `NotFound`."""
    row = db.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"there is no user named {name[:40]!r}")
    return _user(row)


def find(db: sqlite3.Connection) -> Page[User]:
    """Accounts by name."""
    return Page(tuple(_user(row) for row in db.execute("SELECT * FROM users ORDER BY name")), None)


def password_hash(db: sqlite3.Connection, name: str) -> str | None:
    """The stored hash of an account that may log in, None otherwise."""
    row = db.execute("SELECT password_hash FROM users WHERE name = ? AND NOT disabled", (name,)).fetchone()
    return None if row is None else str(row["password_hash"])


def open_session(db: sqlite3.Connection, *, user: str, now_ms: int, hours: int) -> str:
    """Start a session; the returned secret is its cookie. Old sessions are swept out on the way."""
    secret = secrets.token_urlsafe(32)
    db.execute("DELETE FROM sessions WHERE expires_ms <= ?", (now_ms,))
    db.execute(
        "INSERT INTO sessions (hash, user, created_ms, last_used_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
        (fingerprint(secret), user, now_ms, now_ms, now_ms + hours * 60 * MINUTE_MS),
    )
    audit.record(db, at_ms=now_ms, actor=user, action="session.open", about=user)
    return secret


def close_session(db: sqlite3.Connection, secret: str) -> None:
    """End a session. One that is unknown is ended already."""
    db.execute("DELETE FROM sessions WHERE hash = ?", (fingerprint(secret),))


def of_session(db: sqlite3.Connection, secret: str, *, now_ms: int, idle_minutes: int) -> tuple[Principal, int] | None:
    """Whose session it is and when it was last used, None when it has ended."""
    row = db.execute(
        "SELECT users.name, users.role, sessions.last_used_ms FROM sessions JOIN users ON users.name = sessions.user "
        "WHERE hash = ? AND NOT disabled AND expires_ms > ? AND last_used_ms > ?",
        (fingerprint(secret), now_ms, now_ms - idle_minutes * MINUTE_MS),
    ).fetchone()
    return None if row is None else (Principal(row["name"], Role(row["role"]), via="session"), row["last_used_ms"])


def touch_session(db: sqlite3.Connection, secret: str, *, now_ms: int) -> None:
    """Note that a session is in use."""
    db.execute("UPDATE sessions SET last_used_ms = ? WHERE hash = ?", (now_ms, fingerprint(secret)))


def add_token(
    db: sqlite3.Connection, *, user: str, name: str, scope: str, days: int, by: str, now_ms: int
) -> tuple[Token, str]:
    """Create a token with the rights of `user`; the text is returned once and only its hash is kept."""
    get(db, user)
    if scope not in {"read", "write"}:
        raise Invalid(f"no token scope named {scope[:40]!r}; scopes are read, write")
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Invalid(f"a token lives 1 to {LONGEST_TOKEN_DAYS} days, not {days}")
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise Invalid("a token needs a name of 1 to 64 characters, so that it can be told from others")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    created = db.execute(
        "INSERT INTO tokens (name, hash, user, scope, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (name, fingerprint(secret), user, scope, now_ms, now_ms + days * DAY_MS),
    )
    audit.record(db, at_ms=now_ms, actor=by, action="token.add", about=user, detail={"name": name, "scope": scope})
    row = db.execute("SELECT * FROM tokens WHERE id = ?", (created.lastrowid,)).fetchone()
    return _token(row), secret


def revoke_token(db: sqlite3.Connection, token_id: int, *, owner: str | None, by: str, now_ms: int) -> Token:
    """Make a token useless; with `owner`, only one of that user. Raises `NotFound`."""
    row = db.execute("SELECT * FROM tokens WHERE id = ?", (token_id,)).fetchone()
    if row is None or (owner is not None and row["user"] != owner):
        raise NotFound(f"there is no token {token_id} of yours")
    db.execute("UPDATE tokens SET revoked = 1 WHERE id = ?", (token_id,))
    audit.record(db, at_ms=now_ms, actor=by, action="token.revoke", about=row["user"], detail={"name": row["name"]})
    return _token(db.execute("SELECT * FROM tokens WHERE id = ?", (token_id,)).fetchone())


def tokens(db: sqlite3.Connection, *, owner: str | None) -> Page[Token]:
    """Tokens, newest first; with `owner`, only that user's."""
    rows = db.execute("SELECT * FROM tokens WHERE ? IS NULL OR user = ? ORDER BY id DESC", (owner, owner))
    return Page(tuple(_token(row) for row in rows), None)


def of_token(db: sqlite3.Connection, secret: str, *, now_ms: int) -> tuple[Principal, int, int] | None:
    """Whose token it is, its id, and when it was last used; None when it is unknown, expired, revoked or disabled."""
    row = db.execute(
        "SELECT users.name, users.role, tokens.id, tokens.scope, tokens.last_used_ms FROM tokens "
        "JOIN users ON users.name = tokens.user WHERE hash = ? AND NOT revoked AND NOT disabled AND expires_ms > ?",
        (fingerprint(secret), now_ms),
    ).fetchone()
    if row is None:
        return None
    return Principal(row["name"], Role(row["role"]), row["scope"], "token"), row["id"], row["last_used_ms"] or 0


def touch_token(db: sqlite3.Connection, token_id: int, *, now_ms: int) -> None:
    """Note that a token is in use."""
    db.execute("UPDATE tokens SET last_used_ms = ? WHERE id = ?", (now_ms, token_id))


def _user(row: sqlite3.Row) -> User:
    return User(row["name"], Role(row["role"]), row["created_ms"], bool(row["disabled"]))


def _token(row: sqlite3.Row) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        user=row["user"],
        scope=row["scope"],
        created_ms=row["created_ms"],
        expires_ms=row["expires_ms"],
        last_used_ms=row["last_used_ms"],
        revoked=bool(row["revoked"]),
    )
