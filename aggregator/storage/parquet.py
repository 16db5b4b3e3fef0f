"""Flows as Parquet files: their columns, their names, and how one appears on disk.

A file is named by the day its flows were received and by the range of inbox ids it holds:

    staging/2026-01-31.000000000101-000000000180.parquet
    lake/day=2026-01-31/part-000000000001-000000000180.parquet

It appears whole or not at all (aggregator/appearing.py). Inbox ids are never used twice, so
a range says exactly which records a file holds, and from that follows the one rule that makes every crash harmless: *a
staging file whose range is covered by another file's is spent*. Its rows live in the other one; readers skip it and the
next clean-up removes it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aggregator.appearing import appearing
from protos import contract
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

DIGEST_KEY: Final = b"anomaflow.feature_digest"
RECEIVED_KEY: Final = b"anomaflow.received_ms"
"""Time the newest row was received: what quarantine looks at without opening the columns."""

_IDENTITY: Final = (
    pa.field("flow_id", pa.string()),
    pa.field("agent_id", pa.string()),
    pa.field("epoch", pa.string()),
    pa.field("sequence", pa.int64()),
    pa.field("row", pa.int32()),
    pa.field("src_ip", pa.string()),
    pa.field("dst_ip", pa.string()),
    pa.field("src_port", pa.int32()),
    pa.field("dst_port", pa.int32()),
    pa.field("protocol", pa.int16()),
    pa.field("ip_version", pa.int8()),
    pa.field("vlan_id", pa.int32()),
    pa.field("end", pa.int8()),
    pa.field("first_seen_ms", pa.int64()),
    pa.field("last_seen_ms", pa.int64()),
    pa.field("packets", pa.int64()),
    pa.field("bytes", pa.int64()),
    pa.field("score", pa.float32()),
    pa.field("decision", pa.int8()),
    pa.field("weight", pa.float32()),
    pa.field("model_digest", pa.string()),
    pa.field("received_ms", pa.int64()),
)
STAGING_SCHEMA: Final = pa.schema([*_IDENTITY, *(pa.field(name, pa.float32()) for name in contract.FEATURES)])
VERDICT_FIELDS: Final = (
    pa.field("verdict", pa.string()),
    pa.field("verdict_by", pa.string()),
    pa.field("verdict_ms", pa.int64()),
    pa.field("family", pa.string()),
)
"""What was said of a flow. Training may believe `verdict`: a disputed one is `unsure`. `family` is an attack's."""
LAKE_SCHEMA: Final = pa.schema([*STAGING_SCHEMA, *VERDICT_FIELDS])

_NAME = re.compile(r"(?:(?P<day>\d{4}-\d\d-\d\d)\.|part-)(?P<low>\d{12})-(?P<high>\d{12})\.parquet")
_TEXTS = [field.name for field in LAKE_SCHEMA if field.type == pa.string() and field.name != "flow_id"]


@dataclass(frozen=True, slots=True, order=True)
class FlowFile:
    """A file of flows: inbox ids `low` to `high`, received on `day`."""

    low: int
    high: int
    day: str
    path: Path

    @property
    def rows(self) -> int:
        """Rows, from the file's footer."""
        return int(pq.read_metadata(self.path).num_rows)

    @property
    def received_ms(self) -> int:
        """When the newest row was received, from the file's footer."""
        return int(pq.read_metadata(self.path).metadata[RECEIVED_KEY])

    @property
    def digest(self) -> str:
        """The feature contract of its rows, from the file's footer: an upgrade leaves files of the one before."""
        return str(pq.read_metadata(self.path).metadata[DIGEST_KEY].decode("ascii", "replace"))


def staging_file(folder: Path, day: str, low: int, high: int) -> FlowFile:
    """The staging file of a range."""
    return FlowFile(low, high, day, folder / f"{day}.{low:012d}-{high:012d}.parquet")


def lake_file(folder: Path, day: str, low: int, high: int) -> FlowFile:
    """The lake file of a range."""
    return FlowFile(low, high, day, folder / f"day={day}" / f"part-{low:012d}-{high:012d}.parquet")


def staged_files(folder: Path) -> list[FlowFile]:
    """Files of `staging/`, by range."""
    found = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("*.parquet"))
    return sorted(FlowFile(int(match["low"]), int(match["high"]), match["day"], path) for path, match in found if match)


def lake_files(folder: Path) -> list[FlowFile]:
    """Files of `lake/`, by range."""
    found = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("day=*/part-*.parquet"))
    return sorted(
        FlowFile(int(match["low"]), int(match["high"]), path.parent.name.removeprefix("day="), path)
        for path, match in found
        if match
    )


def spent(staged: Iterable[FlowFile], merged: Iterable[FlowFile]) -> list[FlowFile]:
    """Staging files whose rows live in another file."""
    gone = []
    reach: dict[str, int] = {}
    # The wider of two files that begin together comes first, and of two equal ones the lake's.
    ordered = sorted(
        [(file.low, -file.high, 1, file) for file in staged] + [(file.low, -file.high, 0, file) for file in merged]
    )
    for _, _, is_staged, file in ordered:
        if is_staged and reach.get(file.day, 0) >= file.high:
            gone.append(file)
        reach[file.day] = max(reach.get(file.day, 0), file.high)
    return gone


def runs(files: Sequence[FlowFile], sizes: Sequence[int], *, rows: int) -> list[list[FlowFile]]:
    """Neighbours of the same day and contract, put together while they have at most `rows` rows, by range."""
    together: list[list[FlowFile]] = []
    held = 0
    digests = [file.digest for file in files]
    before = ""
    for file, size, digest in zip(files, sizes, digests, strict=True):
        alike = together and together[-1][-1].day == file.day and digest == before
        before = digest
        if alike and held + size <= rows:
            together[-1].append(file)
            held += size
        else:
            together.append([file])
            held = size
    return together


def read(files: Sequence[FlowFile]) -> pa.Table:
    """The rows of files of one contract, as staging holds them: without what was said of them."""
    said = [field.name for field in VERDICT_FIELDS]
    tables = [pq.ParquetFile(file.path).read() for file in files]
    return pa.concat_tables(
        [table.drop_columns([name for name in said if name in table.schema.names]) for table in tables]
    )


def write(table: pa.Table, path: Path, *, received_ms: int, digest: str = contract.DIGEST) -> None:
    """Make `table` appear at `path`, whole and on disk. An existing file is replaced at once."""
    described = table.replace_schema_metadata({DIGEST_KEY: digest.encode(), RECEIVED_KEY: str(received_ms).encode()})
    with appearing(path) as beside, beside.open("wb") as file:
        pq.write_table(described, file, compression="zstd", use_dictionary=_TEXTS, row_group_size=50_000)


def remove(files: Iterable[FlowFile]) -> None:
    """Remove files; one that is gone already is fine."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            file.path.unlink()


def table_of(records: Sequence[sqlite3.Row]) -> pa.Table:
    """The rows of inbox records (`agent_id`, `epoch`, `sequence`, `received_ms`, `batch`) in the staging schema."""
    return pa.concat_tables([_batch_table(record) for record in records])


def _batch_table(record: sqlite3.Row) -> pa.Table:
    batch = batch_pb2.Batch.FromString(record["batch"])
    rows = batch.flows.rows
    columns = contract.unpack_columns(batch.flows)
    matrix = contract.unpack_matrix(batch.features, rows)
    identity = f"{record['agent_id']}.{record['epoch']}.{record['sequence']}."
    constants = {
        "agent_id": record["agent_id"],
        "epoch": record["epoch"],
        "sequence": record["sequence"],
        "model_digest": batch.model_digest,
        "received_ms": record["received_ms"],
    }
    arrays: list[pa.Array] = []
    for position, field in enumerate(STAGING_SCHEMA):
        if position >= len(_IDENTITY):
            # A column of the row-major matrix is strided; Arrow wants it in one piece.
            arrays.append(pa.array(np.ascontiguousarray(matrix[:, position - len(_IDENTITY)])))
        elif field.name == "flow_id":
            arrays.append(pa.array([identity + str(row) for row in range(rows)], field.type))
        elif field.name == "row":
            arrays.append(pa.array(np.arange(rows, dtype=np.int32)))
        elif field.name in constants:
            arrays.append(pa.repeat(pa.scalar(constants[field.name], field.type), rows))
        elif field.name in {"src_ip", "dst_ip"}:
            arrays.append(_addresses(columns[field.name]))
        else:
            arrays.append(pa.array(columns[field.name].astype(field.type.to_pandas_dtype())))
    return pa.Table.from_arrays(arrays, schema=STAGING_SCHEMA)


def _addresses(column: NDArray[np.uint8]) -> pa.Array:
    """Addresses `[n, 16]` as text, each different one formatted once."""
    packed = np.ascontiguousarray(column).reshape(-1).view("S16")
    different, places = np.unique(packed, return_inverse=True)
    # numpy strips trailing zero bytes of an S16; the width is fixed, so they are known.
    texts = pa.array([contract.format_address(value.ljust(16, b"\0")) for value in different.tolist()], pa.string())
    return texts.take(pa.array(places))
