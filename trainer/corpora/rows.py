"""Rows as the trainer holds them, and what is said of the files they come from.

A row's origin is what the split keeps together: the capture it came from (by digest), or the agent that saw it. Its
host is a number for the initiator's address, to count and cap by (caps.py), and its peer one for the responder's, to
add up what two hosts did (making/together.py): they are never features. Equal addresses of different origins have equal
numbers and need not be one machine, so grouping goes by origin and host. The family of a malicious
row is what the attack is called: the manifest's `attack` up to its first colon, or the lake's `family`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from protos import contract
from trainer.errors import SourceMissing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

UNNAMED: Final = "attack"
"""Family of an attack that nobody named."""


class Verdict(IntEnum):
    """What a person said of a row."""

    NONE = 0
    BENIGN = 1
    MALICIOUS = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one origin: features `[n, F]`, and per row weight, time, kind of flow, verdict, host and family.

    `family` indexes `families`, whose first name is empty: the family of every row that is not malicious.
    """

    origin: str
    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    time_ms: NDArray[np.int64]
    kind: NDArray[np.int64]
    verdict: NDArray[np.int8]
    host: NDArray[np.int64]
    family: NDArray[np.int32]
    families: tuple[str, ...] = ("",)
    peer: NDArray[np.int64] | None = None
    """A number for the responder, like `host`; None where it is not known."""

    def take(self, chosen: NDArray) -> Rows:
        """The rows at `chosen`, a mask or positions."""
        return Rows(
            self.origin,
            self.features[chosen],
            self.weights[chosen],
            self.time_ms[chosen],
            self.kind[chosen],
            self.verdict[chosen],
            self.host[chosen],
            self.family[chosen],
            self.families,
            None if self.peer is None else self.peer[chosen],
        )


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that was read. `left_out` counts rows that were there and not used, by reason."""

    name: str
    kind: str
    sha256: str
    rows: int
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, and the name it is reported under (relative to the folder it was found in).

    `named` is false for a file that was found in a folder, so that nobody asked for this very one.
    """

    path: Path
    name: str
    named: bool = True


def kind_of(protocol: NDArray, dst_port: NDArray) -> NDArray[np.int64]:
    """One number for protocol and responder port: what an analyst would call the same kind of flow."""
    return protocol.astype(np.int64) << 16 | dst_port.astype(np.int64)


def hosts_of(addresses: NDArray[np.uint8]) -> NDArray[np.int64]:
    """One number an address, `[n]` from `[n, 16]`: the same on every run and machine. Only to group rows by."""
    packed = np.ascontiguousarray(addresses).reshape(-1).view("S16")
    different, places = np.unique(packed, return_inverse=True)
    # numpy strips trailing zero bytes of an S16; the width is fixed, so they are known.
    return host_numbers([contract.format_address(value.ljust(16, b"\0")) for value in different.tolist()])[places]


def host_numbers(addresses: Sequence[str]) -> NDArray[np.int64]:
    """One number for each address in text, `[n]`."""
    digests = (hashlib.sha256(address.encode()).digest()[:8] for address in addresses)
    return np.array([int.from_bytes(digest, "little", signed=True) for digest in digests], dtype=np.int64)


def family_of(attack: str) -> str:
    """What a manifest's `attack` is about: its text up to the first colon."""
    return attack.split(":", 1)[0].strip() or UNNAMED


def file_digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal. Raises `SourceMissing`."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SourceMissing(f"reading {path}: {error.strerror}; check the path and its rights") from error


def words(features: NDArray[np.float32]) -> NDArray:
    """Feature rows `[n, F]` as one comparable value each, `[n]`; minus zero is zero."""
    plain = np.ascontiguousarray(features + np.float32(0), dtype="<f4")
    return plain.view(np.dtype((np.void, plain.shape[1] * 4))).ravel()
