"""Tables as files of every kind, made byte by byte where a library would refuse to make what a test needs."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
</Types>"""
_ROOT = """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>
</Relationships>"""
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def csv_bytes(rows: Iterable[Sequence[Any]], mark: str = ",", encoding: str = "utf-8") -> bytes:
    """Rows as delimited text, as they are."""
    return "".join(mark.join(str(cell) for cell in row) + "\n" for row in rows).encode(encoding)


def parquet_bytes(columns: dict[str, Any]) -> bytes:
    """Columns as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    """Members as a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def gzip_bytes(data: bytes) -> bytes:
    """Data in gzip."""
    return gzip.compress(data, mtime=0)


def sheet_xml(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as the XML of a sheet; None leaves a cell out, a text that begins with = is a formula with a saved value."""
    lines = []
    for at, row in enumerate(rows, start=1):
        cells = []
        for place, value in enumerate(row):
            ref = f'r="{letters(place)}{at}"'
            if value is None:
                continue
            if isinstance(value, (int, float)):
                cells.append(f"<c {ref}><v>{value}</v></c>")
            elif value.startswith("="):
                cells.append(f'<c {ref} t="str"><f>{escape(value[1:])}</f><v>saved</v></c>')
            else:
                cells.append(f'<c {ref} t="inlineStr"><is><t>{escape(value)}</t></is></c>')
        lines.append(f'<row r="{at}">{"".join(cells)}</row>')
    return f'<?xml version="1.0"?><worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def letters(place: int) -> str:
    """0 as A, 26 as AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(65 + rest) + text
    return text


def xlsx_bytes(sheets: dict[str, str], extra: dict[str, bytes] | None = None) -> bytes:
    """An Excel file of sheets, each given as its XML."""
    listed = "".join(f'<sheet name="{name}" sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(sheets, start=1))
    related = "".join(
        f'<Relationship Id="rId{at}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    members = {
        "[Content_Types].xml": _TYPES.encode(),
        "_rels/.rels": _ROOT.encode(),
        "xl/workbook.xml": f'<?xml version="1.0"?><workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>'.encode(),
        "xl/_rels/workbook.xml.rels": f'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{related}</Relationships>'.encode(),
    }
    for at, xml in enumerate(sheets.values(), start=1):
        members[f"xl/worksheets/sheet{at}.xml"] = xml.encode()
    return zip_bytes(members | (extra or {}))


def xls_bytes(cells: Iterable[tuple[int, int, Any]]) -> bytes:
    """An old Excel file (BIFF8 in a compound file) with one sheet of cells: row, column and value."""

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def begin(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))

    sheet = begin(0x0010)
    for row, column, value in cells:
        place = struct.pack("<HHH", row, column, 0)
        if isinstance(value, str):
            sheet += record(0x0204, place + struct.pack("<HB", len(value), 0) + value.encode("latin-1"))
        else:
            sheet += record(0x0203, place + struct.pack("<d", value))
    sheet += record(0x000A, b"")
    name = b"Sheet1"
    ends = record(0x000A, b"")
    bound_length = 4 + 8 + len(name)
    start = len(begin(0x0005)) + bound_length + len(ends)
    book = begin(0x0005) + record(0x0085, struct.pack("<IBBBB", start, 0, 0, len(name), 0) + name) + ends + sheet
    book += bytes(-len(book) % 512)
    book += bytes(max(4096 - len(book), 0))
    return _compound("Workbook", book)


def _compound(name: str, stream: bytes) -> bytes:
    """A compound file (OLE2) with one stream of whole sectors, at least 4096 bytes."""
    count = len(stream) // 512
    tables = (count + 2 + 127) // 128 + 1
    free, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    first = tables + 1
    chain = [table] * tables + [end] + [first + at + 1 for at in range(count - 1)] + [end]
    chain += [free] * (tables * 128 - len(chain))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, tables, tables, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109I", *range(tables), *([free] * (109 - tables)))

    def entry(title: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = title.encode("utf-16-le")
        data = text + bytes(64 - len(text)) + struct.pack("<HBB", len(text) + 2 if title else 0, kind, 1)
        data += struct.pack("<III", free, free, child) + bytes(16) + struct.pack("<I", 0) + bytes(16)
        return data + struct.pack("<IQ", start, size)

    directory = entry("Root Entry", 5, 1, end, 0) + entry(name, 2, free, first, len(stream))
    directory += entry("", 0, free, 0, 0) * 2
    return header + struct.pack(f"<{len(chain)}I", *chain) + directory + stream
