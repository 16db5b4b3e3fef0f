"""The feature contract and the columnar batch: names, order, digest, and numpy in and out.

Promises:

- `FEATURES` is the order of the fields of `FlowFeatures`. Nobody types the list twice, so training and serving cannot
  disagree about a column.
- `DIGEST` changes when a feature is added, removed, renamed or reordered. Two sides with the same digest mean the same
  columns.
- `unpack_*` read bytes of an untrusted peer: lengths are checked against the row count before numpy sees them, and a
  matrix with a value that is not finite is refused, so no later stage meets NaN.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import numpy as np

from protos.names import DIGEST, FEATURES
from protos.v1 import flow_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "COLUMNS",
    "DIGEST",
    "FEATURES",
    "ContractError",
    "format_address",
    "index",
    "pack_columns",
    "pack_matrix",
    "parse_address",
    "unpack_columns",
    "unpack_matrix",
]

_INDEX = {name: position for position, name in enumerate(FEATURES)}

COLUMNS: Final[dict[str, np.dtype]] = {
    "src_ip": np.dtype(("u1", 16)),
    "dst_ip": np.dtype(("u1", 16)),
    "src_port": np.dtype("<u2"),
    "dst_port": np.dtype("<u2"),
    "protocol": np.dtype("u1"),
    "ip_version": np.dtype("u1"),
    "vlan_id": np.dtype("<u2"),
    "end": np.dtype("u1"),
    "first_seen_ms": np.dtype("<u8"),
    "last_seen_ms": np.dtype("<u8"),
    "packets": np.dtype("<u8"),
    "bytes": np.dtype("<u8"),
    "score": np.dtype("<f4"),
    "decision": np.dtype("u1"),
    "weight": np.dtype("<f4"),
}
"""Columns of `FlowColumns` and the type of one value."""


class ContractError(ValueError):
    """Bytes that do not follow the contract. The message names the column and both sizes."""


def index(feature: str) -> int:
    """Position of `feature` in a row. Raises `ContractError` for a name the contract does not have."""
    try:
        return _INDEX[feature]
    except KeyError:
        raise ContractError(f"no feature named {feature!r} in the contract; see docs/features.md") from None


def pack_matrix(matrix: NDArray[np.float32]) -> bytes:
    """A `[n, F]` matrix as little-endian float32, row by row."""
    if matrix.ndim != 2 or matrix.shape[1] != len(FEATURES):
        raise ContractError(f"a matrix of shape {matrix.shape} does not have the contract's {len(FEATURES)} columns")
    return np.ascontiguousarray(matrix, dtype="<f4").tobytes()


def unpack_matrix(data: bytes, rows: int) -> NDArray[np.float32]:
    """The `[rows, F]` matrix in `data`, read-only. Raises `ContractError` on a wrong size or a value not finite."""
    expected = rows * len(FEATURES) * 4
    if len(data) != expected:
        raise ContractError(f"features: {len(data)} bytes for {rows} rows, expected {expected}")
    matrix = np.frombuffer(data, dtype="<f4").reshape(rows, len(FEATURES))
    if not np.isfinite(matrix).all():
        raise ContractError("features: a value is not finite")
    return matrix


def pack_columns(columns: Mapping[str, NDArray]) -> flow_pb2.FlowColumns:
    """`FlowColumns` of equally long arrays, one for every name in `COLUMNS`."""
    rows = len(columns["first_seen_ms"])
    message = flow_pb2.FlowColumns(rows=rows)
    for name, dtype in COLUMNS.items():
        values = np.ascontiguousarray(columns[name], dtype=dtype.base)
        if len(values) != rows:
            raise ContractError(f"column {name}: {len(values)} values for {rows} rows")
        setattr(message, name, values.tobytes())
    return message


def unpack_columns(message: flow_pb2.FlowColumns) -> dict[str, NDArray]:
    """The columns as read-only arrays. Raises `ContractError` when a column's size does not match the row count."""
    columns: dict[str, NDArray] = {}
    for name, dtype in COLUMNS.items():
        data: bytes = getattr(message, name)
        if len(data) != message.rows * dtype.itemsize:
            raise ContractError(
                f"column {name}: {len(data)} bytes for {message.rows} rows, expected {message.rows * dtype.itemsize}"
            )
        columns[name] = np.frombuffer(data, dtype=dtype.base).reshape(message.rows, *dtype.shape)
    for name in ("score", "weight"):
        if not np.isfinite(columns[name]).all():
            raise ContractError(f"column {name}: a value is not finite")
    return columns


def format_address(packed: bytes) -> str:
    """The text of a 16-byte address; an IPv4-mapped one is written as IPv4."""
    address = ipaddress.IPv6Address(bytes(packed))
    return str(address.ipv4_mapped or address)


def parse_address(text: str) -> bytes:
    """The 16 bytes of an IPv4 or IPv6 address. Raises `ValueError` for anything else."""
    address = ipaddress.ip_address(text)
    return address.packed if address.version == 6 else b"\x00" * 10 + b"\xff\xff" + address.packed
