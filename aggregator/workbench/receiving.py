"""A stranger's bytes on their way to the disk: counted, bounded and digested while they come; memory stays flat.

What is refused names the limit: bytes of one file, room of one user, room of all, room on the disk, files at a time.
The file has a name of our own in `incoming/`; of the sender's only the ending is used, and a cleaned text is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aggregator.errors import Busy, Invalid, StateError, TooLarge
from aggregator.workbench import places, shelf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aggregator.config import AggregatorConfig
    from aggregator.storage.store import Store

TABLES: Final = ("csv", "tsv", "txt", "json", "jsonl", "ndjson", "xlsx", "xls", "parquet")
CAPTURES: Final = ("pcap", "pcapng")
ENDINGS: Final = (*(f".{one}" for one in TABLES + CAPTURES), *(f".{one}.gz" for one in TABLES[:6] + CAPTURES))
"""Of files that may be uploaded."""

AT_A_TIME: Final = 8
WRITE_BYTES: Final = 1 << 20
LOOK_EVERY: Final = 64 << 20
"""Bytes after which the disk is looked at again."""

SILENT_S: Final = 60.0
"""Seconds without a byte after which an upload is given up."""

LONGEST_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came in."""

    path: str  # relative to the workbench's folder
    shown: str  # what the sender called it, cleaned
    ending: str
    bytes: int
    sha256: str


class Receiving:
    """Files that are coming in at this moment."""

    def __init__(self, store: Store, config: AggregatorConfig) -> None:
        self._store = store
        self._config = config
        self._coming: dict[int, tuple[str, int]] = {}
        self._numbers = 0

    async def receive(
        self, chunks: AsyncIterator[bytes], *, filename: str, by: str, announced: int | None = None
    ) -> Received:
        """Take a file in. Raises `Invalid` for its name, `TooLarge`, `Busy`, `StateError`; nothing is left then."""
        shown, ending = named(filename)
        if len(self._coming) >= AT_A_TIME:
            raise Busy(f"{AT_A_TIME} files are being received already; try again in a minute", 60)
        with self._counted(by) as number:
            self._require_room(number, announced or 0)
            path = self._config.workbench_dir / (kept := places.new_incoming(ending))
            try:
                size, digest = await self._write(chunks, path, number)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            if not size:
                path.unlink(missing_ok=True)
                raise Invalid(f"{shown} is empty; there is nothing to import")
            return Received(kept, shown, ending, size, digest)

    async def _write(self, chunks: AsyncIterator[bytes], path: Path, number: int) -> tuple[int, str]:
        digest, held, looked = hashlib.sha256(), bytearray(), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("xb") as file:

                def write(part: bytes) -> None:
                    digest.update(part)
                    file.write(part)

                async for chunk in _patiently(chunks):
                    held += chunk
                    self._coming[number] = (self._coming[number][0], self._coming[number][1] + len(chunk))
                    taken = self._coming[number][1]
                    if taken > self._config.workbench_upload_mib << 20:
                        raise _too_large(self._config)
                    if taken - looked >= LOOK_EVERY:
                        looked = taken
                        self._require_room(number, 0)
                    if len(held) >= WRITE_BYTES:
                        await asyncio.to_thread(write, bytes(held))
                        held.clear()
                await asyncio.to_thread(write, bytes(held))
            self._require_room(number, 0)
        except OSError as error:
            raise StateError(f"keeping an upload: {error.strerror}; check the disk of the state directory") from error
        return self._coming[number][1], digest.hexdigest()

    def _require_room(self, number: int, more: int) -> None:
        config = self._config
        by, taken = self._coming[number]
        if max(more, taken) > config.workbench_upload_mib << 20:
            raise _too_large(config)
        coming = sum(size for _, size in self._coming.values()) + more
        mine = sum(size for owner, size in self._coming.values() if owner == by) + more
        self._store.read(lambda db: shelf.require_room(db, config, by, coming=coming, mine=mine))
        config.workbench_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(config.workbench_dir).free - more < config.workbench_free_mib << 20:
            raise TooLarge(
                f"the disk would have less than workbench_free_mib = {config.workbench_free_mib} MiB left; free some"
            )

    @contextlib.contextmanager
    def _counted(self, by: str) -> Iterator[int]:
        self._numbers += 1
        number = self._numbers
        self._coming[number] = (by, 0)
        try:
            yield number
        finally:
            del self._coming[number]


async def _patiently(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What the sender sends, as long as it keeps sending."""
    while True:
        try:
            async with asyncio.timeout(SILENT_S):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Invalid(
                f"the sender was silent for {SILENT_S:g} seconds in the middle of the file; send it again"
            ) from None
        yield chunk


def named(filename: str) -> tuple[str, str]:
    """What to show of a sender's file name, and its ending. Raises `Invalid` for an ending nobody can read."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in base).strip()
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if shown.lower().endswith(one)), None)
    if ending is None:
        raise Invalid(
            f"{shown[:LONGEST_SHOWN]!r} has none of the endings that can be read: "
            f"{', '.join(ENDINGS[: len(TABLES) + len(CAPTURES)])} (the text ones, and captures, also with .gz)"
        )
    stem = shown[: -len(ending)].strip(" .")
    return f"{stem[: LONGEST_SHOWN - len(ending)] or 'table'}{ending}", ending


def stem(shown: str) -> str:
    """A file's name without its ending: what a data set is called by default."""
    ending = next(one for one in sorted(ENDINGS, key=len, reverse=True) if shown.lower().endswith(one))
    return shown[: -len(ending)]


def _too_large(config: AggregatorConfig) -> TooLarge:
    return TooLarge(
        f"the file is larger than {config.workbench_upload_mib} MiB (workbench_upload_mib); send fewer rows, or a "
        "compressed file"
    )
