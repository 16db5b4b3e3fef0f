"""The first minute of an aggregator: its state directory, its first administrator, its first token.

Secrets are never arguments (every user of the machine can read those): a password comes from a file or standard input,
or is made here and shown once; the token is written to a file that only its owner can read.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregator import users
from aggregator.calibration import policies
from aggregator.errors import Conflict, StateError
from aggregator.rows import Role
from aggregator.storage.store import Store
from aggregator.web.access import Access

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig

TOKEN_DAYS = 365


@dataclass(frozen=True, slots=True)
class Founded:
    """What `init` made. `password` is None when it was given."""

    admin: str
    password: str | None
    token_file: Path


def found(
    config: AggregatorConfig, clock: Clock, *, admin: str, password: str | None, token_file: Path | None
) -> Founded:
    """Create the state directory with everything a first `run` needs. Raises `Conflict` when there is one already."""
    users.require_name(admin)
    if config.database.exists():
        raise Conflict(f"there is an aggregator in {config.state_dir} already; `run` it, or choose another state_dir")
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (config.models_dir, config.jobs_dir, config.broken_dir):
            folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(
            f"creating {config.state_dir}: {error.strerror}; choose another state_dir or fix its rights"
        ) from error
    made = secrets.token_urlsafe(15) if password is None else None
    target = token_file or config.state_dir / "admin.token"
    store = Store(config.database).open()
    try:
        access = Access(store, clock, config)
        store.write_now(lambda db: policies.ensure_first(db, config, now_ms=clock.now_ms()))
        text = asyncio.run(_first_admin(access, admin, password or made or ""))
    finally:
        store.close()
    write_secret(target, text)
    return Founded(admin, made, target)


def write_secret(path: Path, text: str) -> None:
    """Write a secret to a file that only its owner can read, from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")


async def _first_admin(access: Access, name: str, password: str) -> str:
    await access.add_user(name=name, role=Role.ADMIN, password=password, by="init")
    _, text = await access.add_token(user=name, name="made by init", scope="write", days=TOKEN_DAYS, by="init")
    return text
