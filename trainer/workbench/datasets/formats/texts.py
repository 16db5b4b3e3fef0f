"""What encoding a text file has, settled for the whole file before anything is parsed.

Every byte is looked at once: a file that is UTF-8 in its first megabyte and something else in its last must not fail
half-way, or come out with broken letters. Zero bytes in what claims to be text are refused: they are binary content.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trainer.errors import DatasetRefused, SettingsUnusable
from trainer.workbench.datasets.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK: Final = 4 * MIB
_SAMPLE: Final = MIB
_BOMS: Final = (
    # UTF-32 before UTF-16: the one begins like the other.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A text file: its encoding, its beginning decoded (at most a megabyte), and what there is to say."""

    encoding: str
    sample: str
    whole: bool
    """Whether the sample is all of it."""
    warnings: tuple[str, ...]


def survey(path: Path, name: str, encoding: str | None) -> Text:
    """Find or check the encoding of the whole file. Raises `DatasetRefused`, `SettingsUnusable`."""
    if encoding is not None:
        return _text(path, _known(encoding), name, ())
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    for bom, found in _BOMS:
        if head.startswith(bom):
            return _text(path, found, name, ())
    if guessed := _wide(head):
        return _text(path, guessed, name, (f"{name} was read as {guessed.upper()}, though it does not say so itself",))
    if _utf8(path, name):
        return _text(path, "utf-8", name, (), checked=True)
    try:
        warning = (
            f"{name} is not UTF-8; it was read as Windows-1252 (Western European); "
            "name the encoding if letters look wrong"
        )
        return _text(path, "cp1252", name, (warning,))
    except DatasetRefused as error:
        raise DatasetRefused(
            f"importing {name}: its letters are neither UTF-8 nor Windows-1252; save it as UTF-8, or name its encoding"
        ) from error


def blocks(path: Path, encoding: str, name: str) -> Iterator[str]:
    """The file decoded, piece by piece. Raises `DatasetRefused` at the first byte that does not fit."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    place = 0
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                yield decoder.decode(block)
                place += len(block)
            yield decoder.decode(b"", final=True)
        except UnicodeError as error:
            at = place + getattr(error, "start", 0)
            raise DatasetRefused(
                f"importing {name}: near byte {at:,} it is not {encoding.upper()} text; "
                "save it as UTF-8, or name its encoding"
            ) from error


def _text(path: Path, encoding: str, name: str, warnings: tuple[str, ...], *, checked: bool = False) -> Text:
    with path.open("rb") as file:
        data = file.read(_SAMPLE)
        whole = not file.read(1)
    if not checked:
        for block in blocks(path, encoding, name):
            if "\0" in block:
                raise _zero(name)
    decoder = codecs.getincrementaldecoder(encoding)(errors="ignore")
    return Text(encoding, decoder.decode(data), whole, warnings)


def _utf8(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="strict")
    fits = True
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if b"\0" in block:
                raise _zero(name)
            if fits:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    fits = False
    if fits:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            fits = False
    return fits


def _wide(head: bytes) -> str | None:
    """UTF-16 without its mark: every second byte of ordinary text is zero."""
    part = head[:4096]
    even, odd = part[0::2].count(0), part[1::2].count(0)
    half = max(len(part) // 2, 1)
    if odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.7 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _known(encoding: str) -> str:
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError) as error:
        raise SettingsUnusable(
            f"reading the encoding: {encoding!r} is none; give one such as utf-8, latin-1, cp1252 or utf-16"
        ) from error
    if not getattr(found, "_is_text_encoding", True):
        raise SettingsUnusable(f"reading the encoding: {encoding!r} is no encoding of text; give one such as utf-8")
    return found.name


def _zero(name: str) -> DatasetRefused:
    return DatasetRefused(
        f"importing {name}: it holds zero bytes, which text never does; it is a binary file with the wrong name, or "
        "was damaged on its way"
    )
