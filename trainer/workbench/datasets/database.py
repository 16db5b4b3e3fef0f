"""SQL databases through SQLAlchemy: one SELECT, read only, row by row.

The address may hold a password, so it comes from a file or the environment, and no message of ours repeats it. The
query must be one that reads; where the database can be told so (SQLite, PostgreSQL, MySQL), it is also told to refuse
anything else. Nothing is ever committed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused, SettingsUnusable, SourceUnreachable
from trainer.workbench.datasets.limits import Limits, check_columns, size
from trainer.workbench.datasets.raw import LOOSE_ROWS, Raw, loose_columns, rows_at_once, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_READS: Final = ("select", "with", "values", "table")
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_WRITES: Final = re.compile(r"\b(insert|update|delete|merge|drop|alter|create|truncate)\b", re.IGNORECASE)
_INTO: Final = re.compile(r"\binto\b", re.IGNORECASE)


def read(url: str | None, query: str | None, limits: Limits) -> Raw:
    """Run the query. Raises `SettingsUnusable`, `SourceUnreachable`, `DatasetRefused`."""
    import sqlalchemy

    parsed = _parsed(url)
    text = checked(query)
    engine = None
    try:
        engine = _engine(parsed)
        connection = engine.connect()
        _read_only(connection, parsed.get_backend_name())
        result = connection.execution_options(stream_results=True, yield_per=LOOSE_ROWS).execute(sqlalchemy.text(text))
        names = tuple(str(name) for name in result.keys())  # noqa: SIM118 - a result, no dictionary
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError) as error:
        if engine is not None:
            engine.dispose()
        raise _unreachable(parsed, error) from error
    check_columns(len(names), "the query", limits)
    return Raw(names, _batches(engine, connection, result, parsed, limits), loose=True)


def shown(url: str | None) -> str:
    """The address without its password."""
    return _parsed(url).render_as_string(hide_password=True)


def checked(query: str | None) -> str:
    """The query, if it is one statement that reads. Raises `SettingsUnusable`."""
    if not query or not query.strip():
        raise SettingsUnusable("asking a database: there is no query; give one SELECT")
    bare = _QUOTED.sub("''", _COMMENT.sub(" ", query)).strip().rstrip(";").strip()
    if ";" in bare:
        raise SettingsUnusable("asking a database: the query holds more than one statement; give one SELECT")
    first = bare.split(None, 1)[0].lower() if bare else ""
    # SELECT ... INTO makes a table or a file; WITH may hide a statement that writes.
    if first not in _READS or _INTO.search(bare) or (first == "with" and _WRITES.search(bare)):
        raise SettingsUnusable(
            f"asking a database: the query begins with {first.upper()!r} or changes something; only one SELECT may be given"
        )
    return query.strip().rstrip(";")


def _parsed(url: str | None) -> Any:
    import sqlalchemy

    if not url:
        raise SettingsUnusable(
            "asking a database: there is no address; put a URL such as postgresql://user:password@host/name into a file "
            "and name it with --url-file"
        )
    try:
        return sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise SettingsUnusable(
            "asking a database: the address is no URL; write it as postgresql://user:password@host/name"
        ) from error


def _engine(parsed: Any) -> Any:
    import sqlalchemy

    if parsed.get_backend_name() == "sqlite":
        import sqlite3

        path = parsed.database
        if not path or path == ":memory:":
            raise SettingsUnusable(
                "asking a database: the address names no SQLite file; write sqlite:////folder/file.db"
            )

        def connect() -> sqlite3.Connection:
            # Read only at the file itself: no journal, no lock, no file that appears because somebody asked.
            from urllib.parse import quote

            return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)

        return sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.pool.NullPool)
    return sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.pool.NullPool)


def _read_only(connection: Any, backend: str) -> None:
    import sqlalchemy

    told = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET TRANSACTION READ ONLY",
        "mysql": "SET SESSION TRANSACTION READ ONLY",
        "mariadb": "SET SESSION TRANSACTION READ ONLY",
        "oracle": "SET TRANSACTION READ ONLY",
    }.get(backend)
    if told is not None:
        connection.execute(sqlalchemy.text(told))


def _batches(engine: Any, connection: Any, result: Any, parsed: Any, limits: Limits) -> Iterator[list[Any]]:
    import sqlalchemy

    width = len(result.keys())
    try:
        for rows in result.partitions(rows_at_once(width, LOOSE_ROWS)):
            spelled = [[text_of(value) for value in row] for row in rows]
            longest = max((len(value) for row in spelled for value in row if value is not None), default=0)
            if longest > limits.max_cell_bytes:
                raise DatasetRefused(
                    f"importing the query: a value is larger than {size(limits.max_cell_bytes)}, and that is the limit "
                    "(max-cell-bytes); leave columns of long texts out of the query"
                )
            yield loose_columns(spelled, width)
    except (sqlalchemy.exc.SQLAlchemyError, OSError, ValueError) as error:
        raise _unreachable(parsed, error) from error
    finally:
        connection.close()
        engine.dispose()


def _unreachable(parsed: Any, error: Exception) -> SourceUnreachable:
    cause = str(getattr(error, "orig", None) or error).splitlines()[0][:200]
    if parsed.password:
        cause = cause.replace(str(parsed.password), "***")
    if isinstance(error, ImportError) or "Can't load plugin" in cause:
        return SourceUnreachable(
            f"asking the {parsed.get_backend_name()} database: its driver is not installed ({cause}); install it beside "
            "Anomaflow, such as psycopg for PostgreSQL"
        )
    return SourceUnreachable(
        f"asking the {parsed.get_backend_name()} database at {parsed.host or parsed.database}: {cause}; check address, "
        "rights and query"
    )
