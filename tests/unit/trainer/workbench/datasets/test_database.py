"""Databases: one SELECT on a real SQLite file, read only, without a password in any message."""

from __future__ import annotations

import sqlite3

import pyarrow.parquet as pq
import pytest

from trainer.errors import DatasetRefused, SettingsUnusable, SourceUnreachable
from trainer.workbench.datasets import database
from trainer.workbench.datasets.importing import Asked, import_table
from trainer.workbench.datasets.limits import Limits


@pytest.fixture
def url(tmp_path):
    with sqlite3.connect(tmp_path / "my data.db") as base:
        base.execute("CREATE TABLE flows (bytes INTEGER, rate REAL, flag TEXT, mixed)")
        base.executemany(
            "INSERT INTO flows VALUES (?, ?, ?, ?)", [(at, at / 2, "SF" if at % 2 else None, at) for at in range(20_000)]
        )
    base.close()
    return f"sqlite:///{tmp_path / 'my data.db'}"


def bring(tmp_path, url, query, **limits):
    asked = Asked("sql:", tmp_path / "set", url=url, query=query, limits=Limits(**limits))
    return import_table(asked, lambda *_: None)


def test_a_query_becomes_a_data_set(tmp_path, url):
    """Rows come in batches with their types, and the source says where from."""
    about = bring(tmp_path, url, "SELECT bytes, rate, flag FROM flows ORDER BY bytes; -- all of it")
    assert about["rows"] == 20_000
    assert [column["type"] for column in about["columns"]] == ["integer", "number", "categorical"]
    assert about["columns"][2]["missing"] == 10_000
    assert about["source"]["kind"] == "sql"
    assert pq.read_table(tmp_path / "set" / "table.parquet")["bytes"].to_pylist() == list(range(20_000))


@pytest.mark.parametrize("query", [
    "DELETE FROM flows",
    "SELECT 1; DROP TABLE flows",
    "WITH x AS (DELETE FROM flows RETURNING *) SELECT * FROM x",
    "SELECT * INTO other FROM flows",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "/* SELECT */ UPDATE flows SET bytes = 0",
    "PRAGMA query_only = OFF",
    "ATTACH 'x' AS y",
    "",
    None,
])
def test_only_one_statement_that_reads(tmp_path, url, query):
    """Anything but one SELECT is refused before the database is asked."""
    with pytest.raises(SettingsUnusable, match="asking a database"):
        bring(tmp_path, url, query)


def test_words_in_quotes_are_no_statements():
    """A value may say whatever it likes."""
    query = "SELECT * FROM t WHERE a = 'x; DROP TABLE t' AND \"into\" = 1"
    assert database.checked(query) == query


def test_the_connection_itself_refuses_to_write(url):
    """Even past the check of words, SQLite is open for reading alone."""
    import sqlalchemy

    engine = database._engine(database._parsed(url))
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.OperationalError, match="readonly"):
        connection.execute(sqlalchemy.text("DELETE FROM flows"))


def test_limits_hold_for_queries(tmp_path, url):
    """Too many rows, columns or bytes in a value are refused by name of the limit, an endless query included."""
    with pytest.raises(DatasetRefused, match="max-rows"):
        bring(tmp_path, url, "SELECT * FROM flows", max_rows=100)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    with pytest.raises(DatasetRefused, match="max-rows"):
        bring(tmp_path, url, endless, max_rows=20_000)
    with pytest.raises(DatasetRefused, match="max-columns"):
        bring(tmp_path, url, "SELECT * FROM flows", max_columns=2)
    with pytest.raises(DatasetRefused, match="max-cell-bytes"):
        bring(tmp_path, url, "SELECT hex(zeroblob(5000)) AS big", max_cell_bytes=1000)
    with pytest.raises(DatasetRefused, match="no row"):
        bring(tmp_path, url, "SELECT * FROM flows WHERE bytes < 0")


def test_what_is_away_is_said_without_the_password(tmp_path):
    """A database that is not there, a driver that is not installed, an address that is none: clear, and no secret in it."""
    with pytest.raises(SourceUnreachable) as away:
        bring(tmp_path, f"sqlite:///{tmp_path / 'no.db'}", "SELECT 1")
    assert "unable to open" in str(away.value)
    assert not (tmp_path / "no.db").exists()
    with pytest.raises(SourceUnreachable) as driver:
        bring(tmp_path, "postgresql+nosuch://me:s3cret@host/db", "SELECT 1")
    assert "driver is not installed" in str(driver.value)
    assert "s3cret" not in str(driver.value)
    for url in (None, "", "not a url", "sqlite://"):
        with pytest.raises(SettingsUnusable, match="address"):
            bring(tmp_path, url, "SELECT 1")
    assert "s3cret" not in database.shown("postgresql://me:s3cret@host/db")
    assert "s3cret" not in repr(Asked("sql:", tmp_path, url="postgresql://me:s3cret@host/db"))
