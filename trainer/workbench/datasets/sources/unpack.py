"""From the file as it came to one plain file: gzip and zip opened once, with a cap on what may come out.

An archive inside an archive is refused, and so is a zip with more than one table in it. Excel files, which are zips
themselves, pass through. Nothing is trusted that an archive says of its own size: bytes are counted as they come.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Final

from trainer.errors import DatasetRefused, SourceMissing
from trainer.workbench.datasets.limits import MIB, Limits, check_bytes, check_expanded
from trainer.workbench.datasets.sources import kinds

if TYPE_CHECKING:
    from trainer.workbench.datasets.sources.kinds import Format

_BLOCK: Final = MIB


@dataclass(frozen=True, slots=True)
class Plain:
    """A file ready to be read. `bytes` and `sha256` are of the file as it came."""

    path: Path
    name: str
    format: Format
    bytes: int
    sha256: str


def unpack(path: Path, folder: Path, limits: Limits, *, name: str | None = None) -> Plain:
    """Open `path` as far as needed; what comes out of an archive goes into `folder`.

    `name` is what the file is called by its owner, if the path says otherwise. Raises `SourceMissing` or
    `DatasetRefused`.
    """
    name = name or path.name
    if not path.is_file():
        raise SourceMissing(f"importing {name}: there is no such file; check the path")
    count = path.stat().st_size
    check_bytes(count, name, limits)
    if count == 0:
        raise DatasetRefused(f"importing {name}: the file is empty; give a table with a header and rows")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    inner, inner_name = path, name
    head = _head(path)
    if head.startswith(kinds.GZIP):
        inner, inner_name = _gunzip(path, folder / "unpacked", name, limits), _without_gz(name)
        head = _nothing_packed(_head(inner), inner, inner_name)
    elif head.startswith(kinds.ZIP) and _excel(path, name) is False:
        inner, inner_name = _unzip(path, folder / "unpacked", name, limits)
        head = _nothing_packed(_head(inner), inner, inner_name)
    excel = head.startswith(kinds.ZIP)
    found = kinds.agreed("xlsx", inner_name) if excel else kinds.recognise(head, inner_name)
    return Plain(inner, inner_name, found, count, sha256)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(kinds.HEAD_BYTES)


def _without_gz(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name


def _nothing_packed(head: bytes, path: Path, name: str) -> bytes:
    if not head:
        raise DatasetRefused(f"importing {name}: the archive holds an empty file; give a table with a header and rows")
    if head.startswith(kinds.GZIP) or (head.startswith(kinds.ZIP) and _excel(path, name) is False):
        raise DatasetRefused(
            f"importing {name}: an archive lies inside an archive, and only one is opened; unpack it once yourself"
        )
    return head


def _gunzip(path: Path, target: Path, name: str, limits: Limits) -> Path:
    claimed = kinds.by_name(name)
    if claimed is not None:
        raise DatasetRefused(
            f"importing {name}: its content is packed with gzip, and its name does not say so; call it {name}.gz"
        )
    try:
        with gzip.open(path, "rb") as source:
            _copy(source, target, path.stat().st_size, name, limits)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetRefused(
            f"importing {name}: the gzip archive is damaged or cut off ({error}); pack or load it again"
        ) from error
    return target


def _unzip(path: Path, target: Path, name: str, limits: Limits) -> tuple[Path, str]:
    if kinds.by_name(name) is not None:
        raise DatasetRefused(
            f"importing {name}: its content is a zip archive, and its name says otherwise; look whether it is the "
            "right file"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _counts(member)]
            if len(members) != 1:
                raise DatasetRefused(
                    f"importing {name}: the zip archive holds {len(members)} files, and exactly one table is "
                    "expected in it; give each table on its own"
                )
            if members[0].flag_bits & 1:
                raise DatasetRefused(f"importing {name}: the zip archive is locked by a password; give it without one")
            with archive.open(members[0]) as source:
                _copy(source, target, path.stat().st_size, name, limits)
            return target, PurePath(members[0].filename).name or name
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, ValueError) as error:
        raise DatasetRefused(
            f"importing {name}: the zip archive is damaged or of an unusual kind ({error}); pack it again"
        ) from error


def _counts(member: zipfile.ZipInfo) -> bool:
    return not member.is_dir() and not member.filename.startswith("__MACOSX/")


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path, packed: int, name: str, limits: Limits) -> None:
    count = 0
    with target.open("wb") as out:
        while block := source.read(_BLOCK):
            count += len(block)
            check_expanded(count, packed, name, limits)
            out.write(block)


def _excel(path: Path, name: str) -> bool:
    """Whether a zip is an Excel file. Raises `DatasetRefused` for what is neither that nor an archive of a table."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DatasetRefused(
            f"importing {name}: it begins like a zip or Excel file but is damaged or cut off ({error}); save it again"
        ) from error
    if "xl/workbook.xml" in names:
        return True
    what = _strange(names)
    if what is not None:
        raise DatasetRefused(f"importing {name}: its content is {what}; {kinds.GIVE}")
    return False


def _strange(names: set[str]) -> str | None:
    if "xl/workbook.bin" in names:
        return "a binary Excel file (xlsb); save it as xlsx"
    if any(name.endswith(".h5") for name in names) or any(name.endswith("data.pkl") for name in names):
        return "a saved model (Keras or PyTorch), which may run code when it is loaded and is never opened"
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive"
    if "word/document.xml" in names or "ppt/presentation.xml" in names:
        return "a text document or presentation"
    if "content.xml" in names and "mimetype" in names:
        return "an OpenDocument file; save it as xlsx"
    return None
