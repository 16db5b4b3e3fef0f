"""Give back the code pages that only starting up needed.

Importing numpy, onnxruntime or gRPC touches most of their machine code once; the pages then stay in the process's
resident size, although nothing runs them again. How many they are depends on how the page cache was filled, so the same
agent can differ by 20 MiB between two hosts. Executable mappings of files are never written to, so dropping their pages
loses nothing: what is needed comes back from the page cache at its next use.
"""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import Final

_MADV_DONTNEED: Final = 4
_MAPS: Final = Path("/proc/self/maps")


def trim() -> int:
    """Drop the resident pages of executable file mappings; the bytes advised on, 0 where that is not possible."""
    advised = 0
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for start, end in _code(_MAPS.read_text(encoding="utf-8", errors="replace")):
            if madvise(start, end - start, _MADV_DONTNEED) == 0:
                advised += end - start
    return advised


def _code(maps: str) -> list[tuple[int, int]]:
    """Address ranges of `maps` (the format of /proc/PID/maps) that hold the code of a file."""
    found = []
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[1] == "r-xp" and fields[5].startswith("/"):
            start, _, end = fields[0].partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
