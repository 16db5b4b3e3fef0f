"""Tables from elsewhere: SQL databases, remote files, the product's own flows.

What is secret of an address goes into a file that nobody else may read, is handed to the trainer as that file, and is
removed when the import is over. Rows, logs, arguments and the audit log hold the address without it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Final

from aggregator.errors import Invalid, NotEnoughData
from aggregator.rows import Role
from aggregator.work import endings
from aggregator.workbench import addresses, places, shelf, uploads

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Dataset

LONGEST_QUERY: Final = 20_000
OPTIONS: Final = frozenset(
    {"key", "secret", "token", "endpoint_url", "region", "anon", "account_name", "account_key", "sas_token", "username",
     "password", "project"}
)  # fmt: skip
"""What fsspec is told about a storage: credentials and where it is."""

LONGEST_OPTION: Final = 4_096


async def connect_sql(
    services: Services,
    actor: Principal,
    *,
    url: str,
    query: str,
    name: str | None = None,
    dataset_id: int | None = None,
) -> Dataset:
    """Import the answer to `query` of the database at `url` (SQLAlchemy). Operators and up.

    The URL, which may hold a password, is kept in no row, log or argument. Raises `Invalid`, `Forbidden`, `Conflict`.
    """
    actor.require(Role.OPERATOR)
    if not 1 <= len(query.strip()) <= LONGEST_QUERY or "\0" in query:
        raise Invalid(f"a query has 1 to {LONGEST_QUERY} characters")
    parts = addresses.require_database(url, services.config.workbench_databases)
    await _require_reachable(services, parts.hostname or "")
    secret = places.new_incoming(".url")
    await asyncio.to_thread(places.write_secret, services.config.workbench_dir / secret, url)
    return await _bring_in(
        services,
        actor,
        secret,
        source="sql:",
        described=("sql", addresses.shown(parts), "sql"),
        name=name,
        wish=parts.path.strip("/").replace("/", " ") or "query",
        dataset_id=dataset_id,
        options={"query": query, "url-file": secret, **_reach(services)},
    )


async def connect_remote(
    services: Services,
    actor: Principal,
    *,
    url: str,
    options: dict[str, str] | None = None,
    name: str | None = None,
    dataset_id: int | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: str | None = None,
) -> Dataset:
    """Import a file from `url` (fsspec: s3, https, ...; the setting says which). Operators and up.

    `options` are credentials and addresses for the storage, kept like a password. Raises `Invalid`, `Forbidden`,
    `Conflict`.
    """
    actor.require(Role.OPERATOR)
    parts = addresses.require_remote(url, services.config.workbench_schemes)
    given = options or {}
    for option, value in given.items():
        if option not in OPTIONS or not 1 <= len(value) <= LONGEST_OPTION or not value.isprintable():
            raise Invalid(f"there is no storage option {option[:40]!r}; there are {', '.join(sorted(OPTIONS))}")
    if "endpoint_url" in given:
        endpoint = addresses.require_remote(given["endpoint_url"], ("https", "http"))
        await _require_reachable(services, endpoint.hostname or "")
    if parts.scheme not in addresses.STORAGE:
        await _require_reachable(services, parts.hostname or "")
    secret = places.new_incoming(".env")
    kept = {f"FSSPEC_{parts.scheme.upper()}_{option.upper()}": value for option, value in given.items()}
    await asyncio.to_thread(places.write_secret, services.config.workbench_dir / secret, json.dumps(kept))
    file = parts.path.rpartition("/")[2]
    return await _bring_in(
        services,
        actor,
        secret,
        source=url,
        described=("remote", addresses.shown(parts), ""),
        name=name,
        wish=file.partition(".")[0] or parts.hostname or "remote",
        dataset_id=dataset_id,
        options={
            "schemes": ",".join(services.config.workbench_schemes),
            "sheet": sheet,
            "delimiter": delimiter,
            "encoding": encoding,
            "header": header,
            **_reach(services),
        },
        environment=secret,
    )


async def import_lake(
    services: Services,
    actor: Principal,
    *,
    name: str | None = None,
    days: int | None = None,
    dataset_id: int | None = None,
) -> Dataset:
    """Import the flows of the last `days` (all without it) of the lake, with the verdicts given. Analysts and up.

    Raises `NotEnoughData` when the lake has none, `Invalid`, `Conflict`.
    """
    actor.require(Role.ANALYST)
    if days is not None and not 1 <= days <= 3650:
        raise Invalid(f"days = {days} must be between 1 and 3650")
    chosen = await asyncio.to_thread(_lake_files, services, days)
    if not chosen:
        raise NotEnoughData(
            "there are no flows of these days in the lake; they enter it after quarantine_hours, or with a training run"
        )
    folder = places.new_incoming("")
    await asyncio.to_thread(places.link_all, services.config.workbench_dir / folder, chosen)
    when = "all days" if days is None else f"the last {days} days"
    return await _bring_in(
        services,
        actor,
        folder,
        source=folder,
        described=("lake", f"flows of {when}", "parquet"),
        name=name,
        wish="flows",
        dataset_id=dataset_id,
        options={"lake": True},
    )


async def _bring_in(services: Services, actor: Principal, kept: str, **how: object) -> Dataset:
    """Queue the import; what was kept for it goes with it, or now when it cannot be queued."""
    try:
        if how["name"] is not None:
            how["name"] = shelf.require_name(str(how["name"]))
        return await uploads.bring_in(services, actor, **how, secrets=(kept,), detail={})  # type: ignore[arg-type]
    except BaseException:
        await asyncio.to_thread(endings.discard, services.config.workbench_dir / kept)
        raise


def _lake_files(services: Services, days: int | None) -> list[Path]:
    """Files of the permanent lake received within the last `days`."""
    now = dt.datetime.fromtimestamp(services.clock.now_ms() / 1000, tz=dt.UTC)
    first = "" if days is None else (now - dt.timedelta(days=days)).date().isoformat()
    return [
        file.path
        for file in services.lake.files()
        if file.path.is_relative_to(services.lake.lake_dir) and file.day >= first
    ]


async def _require_reachable(services: Services, host: str) -> None:
    await asyncio.to_thread(addresses.require_reachable, host, services.config.workbench_hosts, addresses.look_up)


def _reach(services: Services) -> dict[str, bool | None]:
    """The trainer refuses loopback by itself; hosts named in the settings are meant."""
    return {"allow-loopback": True if services.config.workbench_hosts else None}
