"""Questions about flows, answered by DuckDB over the Parquet files as they are.

Files come and go while a question runs (staging is merged, the lake is relabelled); one that vanished is no error: the
question is asked again on the new list. A question has a memory limit and a time limit, and no way to reach anything
but the files it was given.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from aggregator import paging
from aggregator.errors import Invalid, NotFound, StateError
from aggregator.learning.judged import Place
from aggregator.rows import VERDICTS, Flow, FlowCount, Page
from aggregator.triage.alerts import END_NAMES
from protos import contract

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from aggregator.storage.parquet import FlowFile
    from aggregator.storage.store import Store

MINUTE_MS: Final = 60_000
TRIES: Final = 4

_COLUMNS: Final = (
    "flow_id", "agent_id", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "ip_version", "vlan_id", "end",
    "first_seen_ms", "last_seen_ms", "received_ms", "packets", "bytes", "score", "decision", "weight", "model_digest",
)  # fmt: skip


SAMPLED: Final = (
    "flow_id", "agent_id", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "last_seen_ms", "packets", "bytes",
    "score", "model_digest",
)  # fmt: skip
"""What is known of a sampled flow, before its features."""

_SHOWN: Final = ", ".join(f'"{name}"' for name in _COLUMNS)


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Which flows. None means any. Times bound the flow's last packet."""

    agent: str | None = None
    host: str | None = None  # either end
    src: str | None = None
    dst: str | None = None
    port: int | None = None  # either end
    protocol: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None  # exclusive
    min_score: float | None = None
    raised: bool | None = None
    verdict: str | None = None  # none | benign | malicious | unsure
    flow_id: str | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """SQL conditions and their values."""
        wanted: list[tuple[str, Any]] = [
            ("agent_id = ?", self.agent),
            ("? IN (src_ip, dst_ip)", self.host),
            ("src_ip = ?", self.src),
            ("dst_ip = ?", self.dst),
            ("? IN (src_port, dst_port)", self.port),
            ("protocol = ?", self.protocol),
            ("last_seen_ms >= ?", self.since_ms),
            ("last_seen_ms < ?", self.until_ms),
            ("score >= ?", self.min_score),
            ("decision = ?", None if self.raised is None else int(self.raised)),
            ("flow_id = ?", self.flow_id),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        return [text for text, _ in given], [value for _, value in given]


class Questions:
    """Answers over the files that `files` lists. Safe to use from several threads."""

    def __init__(self, files: Callable[[], list[FlowFile]], store: Store, *, memory_mib: int, seconds: float) -> None:
        self._files = files
        self._store = store
        self._seconds = seconds
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._settings = {
            "threads": "2",
            "memory_limit": f"{memory_mib}MB",
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }

    def find(self, where: FlowFilter | None, *, limit: int, cursor: str | None) -> Page[Flow]:
        """Flows, latest first. The verdict is today's, whatever the file says."""
        asked = where or FlowFilter()
        conditions, values = asked.conditions()
        if asked.verdict is not None:
            conditions, values = self._by_verdict(asked.verdict, conditions, values)
        time_ms, key = paging.timed_cursor(cursor)
        conditions.append("(last_seen_ms, flow_id) < (?, ?)")
        rows = self._ask(
            f"SELECT {_SHOWN} FROM read_parquet(?, union_by_name = true) "  # noqa: S608 - our own names
            f"WHERE {' AND '.join(conditions)} ORDER BY last_seen_ms DESC, flow_id DESC LIMIT ?",
            [*values, time_ms, key, paging.size(limit) + 1],
        )
        return paging.page(self._flows(rows), limit, lambda flow: f"{flow.last_seen_ms}~{flow.flow_id}")

    def place(self, flow_id: str) -> Place:
        """Where a flow lies. Raises `NotFound` for one that is in no file (yet)."""
        rows = self._ask(
            "SELECT agent_id, filename FROM read_parquet(?, union_by_name = true, filename = true) "
            "WHERE flow_id = ? LIMIT 1",
            [flow_id],
        )
        file = next((file for file in self._files() if rows and str(file.path) == rows[0][1]), None)
        if file is None:
            raise NotFound(
                f"there is no flow {flow_id[:80]!r} in staging or the lake; flows are written every few seconds, see "
                "`anomaflow flows list`"
            )
        return Place(flow_id, rows[0][0], file.low)

    def sample(self, *, since_ms: int, rows: int) -> list[tuple[Any, ...]]:
        """The quiet flows to choose questions from: received since then, of this contract, highest scores first.

        Half of them are the highest scores, half a sample of the others. Columns: `SAMPLED`, then the features.
        """
        files = [file for file in self._files() if _may_hold_since(file, since_ms) and file.digest == contract.DIGEST]
        if not files:
            return []
        recent = "FROM read_parquet(?, union_by_name = true, filename = true) WHERE received_ms >= ? AND decision = 0"
        half = max(1, rows // 2)
        # Names first: a hundred columns of features are read only where the chosen ones lie. A hash of the name is a
        # sample that stays the same while the flows do.
        chosen = {
            flow_id: name
            for order in ("score DESC, flow_id", "hash(flow_id)")
            for flow_id, name in self._ask(
                f"SELECT flow_id, filename {recent} ORDER BY {order} LIMIT ?",
                [since_ms, half],
                only=files,
            )
        }
        columns = ", ".join(f'"{name}"' for name in (*SAMPLED, *contract.FEATURES))
        holding = set(chosen.values())
        return self._ask(
            f"SELECT {columns} FROM read_parquet(?, union_by_name = true) "  # noqa: S608 - our own names
            "WHERE flow_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY score DESC, flow_id",
            [list(chosen)],
            only=[file for file in files if str(file.path) in holding],
        )

    def counts_per_minute(self, *, now_ms: int, minutes: int) -> tuple[FlowCount, ...]:
        """Flows received per minute over the last `minutes`, oldest first, empty minutes included."""
        if not 1 <= minutes <= 7 * 24 * 60:
            raise Invalid(f"minutes = {minutes} must be between 1 and {7 * 24 * 60}")
        last = now_ms // MINUTE_MS * MINUTE_MS
        first = last - (minutes - 1) * MINUTE_MS
        recent = [file for file in self._files() if _may_hold_since(file, first)]
        rows = self._ask(
            f"SELECT received_ms // {MINUTE_MS} * {MINUTE_MS} AS minute_ms, "  # noqa: S608 - a number
            "count(*), sum(weight), "
            "sum(CAST(decision = 1 AS INTEGER)), sum(bytes) FROM read_parquet(?, union_by_name = true) "
            "WHERE received_ms >= ? GROUP BY 1",
            [first],
            only=recent,
        )
        found = {row[0]: FlowCount(row[0], row[1], float(row[2]), int(row[3]), int(row[4])) for row in rows}
        return tuple(found.get(minute, FlowCount(minute, 0, 0.0, 0, 0)) for minute in range(first, last + 1, MINUTE_MS))

    def labelled_rows(self, files: Sequence[FlowFile]) -> int:
        """Rows of lake files that carry a verdict."""
        rows = self._ask(
            "SELECT count(*) FROM read_parquet(?, union_by_name = true) WHERE verdict IS NOT NULL", [], only=files
        )
        return int(rows[0][0]) if rows else 0

    def _by_verdict(self, verdict: str, conditions: list[str], values: list[Any]) -> tuple[list[str], list[Any]]:
        if verdict not in {"none", *VERDICTS}:
            raise Invalid(f"no verdict named {verdict!r}; use none, {', '.join(VERDICTS)}")
        named = self._store.read(lambda db: _judged(db, None if verdict == "none" else verdict))
        inside = "NOT IN" if verdict == "none" else "IN"
        return [*conditions, f"flow_id {inside} (SELECT unnest(?::VARCHAR[]))"], [*values, named]

    def _flows(self, rows: list[tuple[Any, ...]]) -> list[Flow]:
        ids = [row[0] for row in rows]
        verdicts = self._store.read(lambda db: _verdicts_of(db, ids))
        found = []
        for row in rows:
            values = dict(zip(_COLUMNS, row, strict=True))
            raised = values.pop("decision") == 1
            end = END_NAMES.get(values.pop("end"), "")
            found.append(Flow(**values, end=end, raised=raised, verdict=verdicts.get(row[0])))
        return found

    def _ask(self, query: str, values: list[Any], *, only: Sequence[FlowFile] | None = None) -> list[tuple[Any, ...]]:
        for attempt in range(TRIES):
            files = [str(file.path) for file in (self._files() if only is None or attempt else only)]
            if not files:
                return []
            connection = self._connection()
            timer = threading.Timer(self._seconds, connection.interrupt)
            timer.start()
            try:
                return connection.execute(query, [files, *values]).fetchall()
            except duckdb.InterruptException:
                raise Invalid(
                    f"the question took longer than query_seconds = {self._seconds:g}; narrow it by time or host"
                ) from None
            except duckdb.IOException:  # a file was merged away: ask again
                continue
            except duckdb.Error as error:
                raise StateError(f"reading flows: {error}; run `anomaflow-aggregator check`") from error
            finally:
                timer.cancel()
                connection.close()
        raise StateError("reading flows: files kept vanishing; run `anomaflow-aggregator check`")

    def _connection(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._database is None:
                self._database = duckdb.connect(":memory:", config=self._settings)
            return self._database.cursor()


def _may_hold_since(file: FlowFile, since_ms: int) -> bool:
    return file.day >= dt.datetime.fromtimestamp(since_ms / 1000, tz=dt.UTC).date().isoformat()


_SAID: Final = (
    "(SELECT flow_id, verdict FROM alerts WHERE verdict IS NOT NULL "
    "UNION ALL SELECT flow_id, verdict FROM judged_flows WHERE verdict IS NOT NULL)"
)


def _judged(db: sqlite3.Connection, verdict: str | None) -> list[str]:
    condition = "true" if verdict is None else "verdict = ?"
    values = () if verdict is None else (verdict,)
    rows = db.execute(f"SELECT flow_id FROM {_SAID} WHERE {condition}", values)  # noqa: S608 - fixed texts
    return [row["flow_id"] for row in rows]


def _verdicts_of(db: sqlite3.Connection, flow_ids: list[str]) -> dict[str, str]:
    rows = db.execute(
        f"SELECT flow_id, verdict FROM {_SAID} WHERE flow_id IN (SELECT value FROM json_each(?))",  # noqa: S608
        (json.dumps(flow_ids),),
    )
    return {row["flow_id"]: row["verdict"] for row in rows}
