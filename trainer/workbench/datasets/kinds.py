"""What a file is: by its first bytes, held against what its name says. Content decides, and a contradiction is refused.

Programs in disguise (pickles and the model files built on them) are named and refused before anything opens them.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final, Literal

from trainer.errors import DatasetRefused

Format = Literal["csv", "xlsx", "xls", "json", "jsonl", "parquet", "captures"]
GIVE: Final = "give CSV, Excel (xls, xlsx), JSON, Parquet or a network capture, plain or in gzip or zip"
HEAD_BYTES: Final = 4096

GZIP: Final = b"\x1f\x8b"
ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"

_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".psv": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xls",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".pcap": "captures",
    ".pcapng": "captures",
    ".cap": "captures",
}
_MAGIC: Final[tuple[tuple[bytes, Format], ...]] = (
    (b"PAR1", "parquet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
    (b"\xd4\xc3\xb2\xa1", "captures"),
    (b"\xa1\xb2\xc3\xd4", "captures"),
    (b"\x4d\x3c\xb2\xa1", "captures"),
    (b"\xa1\xb2\x3c\x4d", "captures"),
    (b"\x0a\x0d\x0d\x0a", "captures"),
)
_PROGRAM: Final = (
    "loading one runs whatever its maker put into it, so it is never opened; export the table as CSV or Parquet"
)
_REFUSED: Final[tuple[tuple[bytes, str, str], ...]] = (
    *((bytes((0x80, version)), "a Python pickle (or joblib) file", _PROGRAM) for version in range(2, 6)),
    *(
        (lead, "a compressed joblib or pickle file", _PROGRAM)
        for lead in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
    ),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 or Keras file (.h5)", _PROGRAM),
    (b"\x93NUMPY", "a NumPy file", "save the table as CSV or Parquet"),
    (b"SQLite format 3\0", "an SQLite database", "connect to it as a database and name a query"),
    (b"ARROW1", "an Arrow (Feather) file", "save the table as Parquet"),
    (b"ORC", "an ORC file", "save the table as Parquet"),
    (b"Obj\x01", "an Avro file", "save the table as Parquet"),
    (b"BZh", "packed with bzip2", "pack it with gzip instead"),
    (b"\xfd7zXZ\0", "packed with xz", "pack it with gzip instead"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "pack it with gzip instead"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "pack it with gzip instead"),
    (b"Rar!", "a RAR archive", "pack it with gzip instead"),
    (_EMPTY_ZIP, "an empty zip archive", "put one table into it"),
    (b"%PDF", "a PDF document", GIVE),
    (b"\x89PNG", "a picture", GIVE),
    (b"\xff\xd8\xff", "a picture", GIVE),
    (b"GIF8", "a picture", GIVE),
    (b"\x7fELF", "a program", GIVE),
    (b"MZ", "a program", GIVE),
    (b"{\\rtf", "a text document (RTF)", GIVE),
)
_SAYS: Final[dict[Format, str]] = {
    "csv": "a table of delimited text",
    "xlsx": "an Excel file (xlsx)",
    "xls": "an Excel file (xls)",
    "json": "JSON",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "captures": "a network capture",
}


def by_name(name: str) -> Format | None:
    """What the name claims; None where it claims nothing."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


def by_content(head: bytes, name: str) -> Format:
    """What the first bytes are, archives apart. Raises `DatasetRefused` for what is no table."""
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    for magic, what, do in _REFUSED:
        # Letters may also begin a text; a program's or archive's other bytes never do.
        if head.startswith(magic) and not _is_text(head, magic):
            raise DatasetRefused(f"importing {name}: its content is {what}; {do}")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        return "jsonl" if by_name(name) == "jsonl" else "json"
    if text[:14].lower().startswith((b"<!doctype html", b"<html", b"<?xml", b"<!doctype")):
        raise DatasetRefused(f"importing {name}: its content is a web page or XML document; {GIVE}")
    return "csv"


def recognise(head: bytes, name: str) -> Format:
    """The format to read the file as. Raises `DatasetRefused` if content and name contradict each other."""
    return agreed(by_content(head, name), name)


def agreed(found: Format, name: str) -> Format:
    """`found`, unless the name claims something else. Raises `DatasetRefused`."""
    claimed = by_name(name)
    if claimed is None or claimed == found or {claimed, found} <= {"json", "jsonl"}:
        return found
    if claimed in {"json", "jsonl"} and found == "csv":
        raise DatasetRefused(
            f"importing {name}: its name says JSON, but its content begins with neither [ nor {{; {GIVE}"
        )
    if claimed == "csv" and found == "json":
        # A delimited text may begin with a bracket; only its reader can tell, and says so.
        return "csv"
    raise DatasetRefused(
        f"importing {name}: its name says {_SAYS[claimed]}, but its content is {_SAYS[found]}; "
        "give it the name of what it is, or look whether it is the right file"
    )


def _is_text(head: bytes, magic: bytes) -> bool:
    return magic.isascii() and magic.isalnum() and not any(byte < 9 for byte in head[:256])
