"""Network captures: metered into flows by the agent's own meter, with the features an agent would compute.

A row is a flow: its five-tuple and times, then every feature of the contract, so that what is learnt here can be put to
work on agents. A capture that ends inside a packet gives what was whole, and says so.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from trainer.errors import DatasetRefused, SourceMissing
from trainer.workbench.datasets.raw import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.datasets.limits import Limits

TUPLE: tuple[str, ...] = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol", "first_seen", "last_seen")
CAPTURE = "capture"
_SHIFTED = bytes(10) + b"\xff\xff"


def read(path: Path, name: str, limits: Limits) -> Raw:
    """Open one capture. Raises `DatasetRefused`."""
    del limits  # rows are counted where they are staged
    warnings: list[str] = []
    return Raw(_names(), _batches([(path, name)], warnings, several=False), loose=False, warnings=warnings)


def read_folder(folder: Path, limits: Limits) -> tuple[Raw, str]:
    """Open every capture below a folder; a column says which one a flow is from. Raises `SourceMissing`."""
    del limits
    from trainer.corpora import sources

    found = [one for one in sources.find([folder]) if one.path.suffix in sources.CAPTURE_SUFFIXES]
    if not found:
        raise SourceMissing(f"importing {folder}: there is no capture in this folder; for flows of the lake say --lake")
    warnings: list[str] = []
    files = [(one.path, one.name) for one in found]
    raw = Raw((CAPTURE, *_names()), _batches(files, warnings, several=True), loose=False, warnings=warnings)
    return raw, f"{folder.name} ({len(found)} captures)"


def _names() -> tuple[str, ...]:
    from protos import contract

    return (*TUPLE, *contract.FEATURES)


def _batches(files: Sequence[tuple[Path, str]], warnings: list[str], *, several: bool) -> Iterator[list[Any]]:
    import pyarrow as pa

    from agent import errors, meter
    from agent.context import Context
    from agent.features import compute

    rows = 0
    for path, name in files:
        context = Context()
        try:
            for flows in meter.read_capture(path):
                if len(flows):
                    rows += len(flows)
                    columns = _columns(flows, compute(flows, context))
                    yield [pa.array([name] * len(flows)), *columns] if several else columns
        except errors.CaptureTruncated as error:
            warnings.append(f"{name} ends inside a packet; what was whole was read ({error})")
        except errors.AgentError as error:
            raise DatasetRefused(f"importing {name}: {error}") from error
    if rows == 0:
        raise DatasetRefused(
            f"importing {files[0][1]}: there is no flow in it (no IP traffic); give a capture of network traffic"
        )


def _columns(flows: NDArray, features: NDArray) -> list[Any]:
    import numpy as np
    import pyarrow as pa

    def moments(field: str) -> Any:
        return pa.array(flows[field].astype(np.int64)).cast(pa.timestamp("ms", tz="UTC"))

    return [
        pa.array([address(one.tobytes()) for one in flows["src_ip"]]),
        pa.array(flows["src_port"].astype(np.int64)),
        pa.array([address(one.tobytes()) for one in flows["dst_ip"]]),
        pa.array(flows["dst_port"].astype(np.int64)),
        pa.array(flows["protocol"].astype(np.int64)),
        moments("bidirectional_first_seen_ms"),
        moments("bidirectional_last_seen_ms"),
        *(pa.array(features[:, at].astype(np.float64)) for at in range(features.shape[1])),
    ]


@lru_cache(maxsize=65_536)
def address(raw: bytes) -> str:
    """16 bytes as people write an address."""
    return str(ipaddress.IPv4Address(raw[12:]) if raw.startswith(_SHIFTED) else ipaddress.IPv6Address(raw))
