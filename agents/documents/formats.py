"""The kinds of documents, told by what is in them, and each one's way to Markdown."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from agents.documents.refusal import Refusal

UNPACKED = 200_000_000
"""Bytes an office file may unpack to."""
COLUMNS, BLANKS = 100, 50
"""Columns of a sheet that are read, and empty rows after which it is over."""


def pieces(content: bytes) -> Iterator[str]:
    """A document as Markdown, piece by piece; raises Refusal for what is none."""
    if content.startswith(b"%PDF"):
        return _pdf(content)
    if content.startswith(b"PK\x03\x04"):
        return _office(content)(content)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refusal("is in an old or protected format of Microsoft Office; save it as a new one.")
    return iter((_text(content),))


def _pdf(content: bytes) -> Iterator[str]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Refusal("is protected by a password.")
    for page in reader.pages:
        if text := page.extract_text().strip():
            yield f"{text}\n\n"


def _office(content: bytes) -> Callable[[bytes], Iterator[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        raise Refusal("is broken or not complete.") from None
    # What the directory says binds: zipfile reads no more of a member than that.
    if sum(member.file_size for member in members) > UNPACKED:
        raise Refusal(f"unpacks to more than {UNPACKED // 1_000_000} MB.")
    names = {member.filename for member in members}
    for main, read in _OFFICE.items():
        if main in names:
            return read
    raise Refusal("is an archive, not a document.")


def _docx(content: bytes) -> Iterator[str]:
    from docx import Document
    from docx.table import Table

    for block in Document(io.BytesIO(content)).iter_inner_content():
        if isinstance(block, Table):
            yield from _table([cell.text for cell in row.cells] for row in block.rows)
        elif text := block.text.strip():
            style = block.style.name if block.style is not None and block.style.name else ""
            yield f"{_mark(style)}{text}\n\n"


def _mark(style: str) -> str:
    """What Markdown puts before a paragraph of a style."""
    if style == "Title":
        return "# "
    if style.startswith("Heading ") and style[8:].isdecimal():
        return "#" * min(6, int(style[8:]) + 1) + " "
    if style.startswith("List Bullet"):
        return "- "
    return "1. " if style.startswith("List Number") else ""


def _xlsx(content: bytes) -> Iterator[str]:
    from openpyxl import load_workbook

    book: Any = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        yield f"## {sheet.title}\n\n"
        yield from _table(_rows(sheet.iter_rows(values_only=True, max_col=COLUMNS)))


def _rows(found: Iterable[Iterable[object]]) -> Iterator[list[str]]:
    """The rows of a sheet as text, without empty cells at their ends and without the emptiness below them."""
    blank = 0
    for row in found:
        cells = ["" if value is None else str(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        blank = 0 if cells else blank + 1
        if blank > BLANKS:
            return
        if cells:
            yield cells


def _pptx(content: bytes) -> Iterator[str]:
    from pptx import Presentation

    for number, slide in enumerate(Presentation(io.BytesIO(content)).slides, 1):
        yield f"## Slide {number}\n\n"
        yield from _shapes(slide.shapes)
        if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) and frame.text.strip():
            yield f"Notes: {frame.text.strip()}\n\n"


def _shapes(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if shape.has_text_frame and (text := shape.text_frame.text.strip()):
            yield f"{text}\n\n"
        if getattr(shape, "has_table", False):
            yield from _table([cell.text for cell in row.cells] for row in shape.table.rows)
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes)


def _table(rows: Iterable[list[str]]) -> Iterator[str]:
    """Rows as a Markdown table, the first one its head."""
    rest = iter(rows)
    for head in islice(rest, 1):
        yield f"{_row(head)}\n|{' --- |' * max(1, len(head))}\n"
    for row in rest:
        yield f"{_row(row)}\n"
    yield "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _text(content: bytes) -> str:
    """A file of text in whatever encoding it most likely has."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if b"\0" in content[:_SAMPLE]:
        raise Refusal("is of a kind that cannot be read as text.")
    with suppress(UnicodeDecodeError):
        return content.decode("utf-8-sig")
    from charset_normalizer import from_bytes

    best = from_bytes(content[:_SAMPLE], cp_isolation=_ENCODINGS).best()
    if best is None:
        raise Refusal("is of a kind that cannot be read as text.")
    return content.decode(best.encoding, "replace")


_ENCODINGS = ["gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "cp1252"]
"""What is in use beside Unicode; among all there are, a guess is too often wrong."""
_SAMPLE = 100_000
"""Bytes from which an encoding is told."""
_OFFICE: dict[str, Callable[[bytes], Iterator[str]]] = {
    "word/document.xml": _docx,
    "xl/workbook.xml": _xlsx,
    "ppt/presentation.xml": _pptx,
}
