"""Documents become Markdown in a process of its own, and whatever is wrong with one is a sentence."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from docx import Document
from openpyxl import Workbook
from pptx import Presentation
from pypdf import PdfReader, PdfWriter

from agents.documents import Bounds, Documents, Remembered
from hub.errors import MessageRefused
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def docx() -> bytes:
    document = Document()
    document.add_heading("Plan", 0)
    document.add_heading("First", 1)
    document.add_paragraph("Größe and 消息")
    document.add_paragraph("milk", "List Bullet")
    table = document.add_table(2, 2)
    for (row, column), text in {(0, 0): "x|y", (0, 1): "two\nlines", (1, 1): "end"}.items():
        table.cell(row, column).text = text
    document.add_paragraph("after the table")
    return saved(document)


def xlsx(rows: int = 1) -> bytes:
    book = Workbook()
    sheet: Any = book.active
    sheet.title = "Costs"
    sheet.append(["what", "how much"])
    for _ in range(rows):
        sheet.append(["tea", 3.5])
    return saved(book)


def pptx() -> bytes:
    deck: Any = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Why"
    slide.placeholders[1].text = "Because"
    slide.notes_slide.notes_text_frame.text = "say it slowly"
    return saved(deck)


def pdf(*texts: str) -> bytes:
    """A PDF with a line of text on each page, written by hand."""
    pages = range(3, 3 + 2 * len(texts), 2)
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Count {len(texts)} /Kids [{' '.join(f'{page} 0 R' for page in pages)}] >>",
    }
    font = "<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    for page, text in zip(pages, texts, strict=True):
        stream = f"BT /F 12 Tf 10 10 Td ({text}) Tj ET" if text else ""
        objects[page] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents {page + 1} 0 R /Resources {font} >>"
        )
        objects[page + 1] = f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"
    body, places = "%PDF-1.4\n", list[int]()
    for number, value in sorted(objects.items()):
        places.append(len(body))
        body += f"{number} 0 obj\n{value}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode()


def protected() -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret"))))
    writer.encrypt("password", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def archive(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file, file.open(name, "w") as member:
        for _ in range(size // 1_000_000):
            member.write(bytes(1_000_000))
    return buffer.getvalue()


PLAN = """\
# Plan

## First

Größe and 消息

- milk

| x\\|y | two lines |
| --- | --- |
|  | end |

after the table"""
PATIENT = Documents(Bounds(seconds=60))
READ: dict[str, tuple[Callable[[], bytes], str]] = {
    "plan.docx": (docx, PLAN),
    "costs.xlsx": (xlsx, "## Costs\n\n| what | how much |\n| --- | --- |\n| tea | 3.5 |"),
    "why.pptx": (pptx, "## Slide 1\n\nWhy\n\nBecause\n\nNotes: say it slowly"),
    "two.pdf": (lambda: pdf("Hello", "World"), "Hello\n\nWorld"),
    "a pdf by another name.txt": (lambda: pdf("Hello"), "Hello"),
    "notes.md": ("# Größe\n".encode, "# Größe"),
    "utf16.csv": (lambda: "größe,1".encode("utf-16"), "größe,1"),
    "latin.txt": (
        lambda: ("Die Größe der Straße überrascht. " * 9).encode("cp1252"),
        "Die Größe der Straße überrascht.",
    ),
    "chinese.txt": (lambda: ("消息总线把每条消息送到它该去的地方。" * 9).encode("gb18030"), "消息总线把每条消息"),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "protected.pdf": (protected, "is protected by a password"),
    "scan.pdf": (lambda: pdf(""), "has no text in it"),
    "broken.pdf": (lambda: b"%PDF-1.4 and nothing else", "is broken or not what its name says"),
    "cut.docx": (lambda: docx()[:2000], "is broken or not complete"),
    "bomb.docx": (lambda: archive("word/document.xml", 201_000_000), "unpacks to more than 200 MB"),
    "photos.zip": (lambda: archive("photo.jpg", 1_000_000), "is an archive, not a document"),
    "old.doc": (lambda: b"\xd0\xcf\x11\xe0" + bytes(600), "is in an old or protected format"),
    "program.exe": (lambda: b"MZ\0\1\2\0", "is of a kind that cannot be read as text"),
    "empty.txt": (lambda: b"", "has no text in it"),
}


@pytest.mark.parametrize("name", READ)
async def test_a_document_becomes_markdown(name: str) -> None:
    make, expected = READ[name]
    assert (await PATIENT.markdown(name, make())).startswith(expected)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_read_is_a_sentence(name: str) -> None:
    make, why = REFUSED[name]
    with pytest.raises(MessageRefused) as refused:
        await PATIENT.markdown(name, make())
    assert str(refused.value).startswith(f"The document '{name}' {why}")
    assert str(refused.value).endswith(".")


async def test_a_name_may_be_anything() -> None:
    assert await Documents().markdown("-c\0\ud83d'\n.txt", b"hello") == "hello"


async def test_a_long_document_is_cut_and_says_so() -> None:
    said = await Documents(Bounds(characters=500)).markdown("costs.xlsx", xlsx(rows=1000))
    assert said.startswith("## Costs\n\n| what | how much |")
    assert said.endswith("(The document goes on; this is its beginning.)")
    assert len(said) < 600


async def test_a_document_that_takes_too_much_memory_is_refused() -> None:
    with pytest.raises(MessageRefused, match="takes too much memory"):
        await Documents(Bounds(memory=100_000_000)).markdown("long.txt", b"x" * 60_000_000)


async def test_a_process_that_does_not_end_is_ended() -> None:
    with pytest.raises(MessageRefused, match="takes too long"):
        await Documents(Bounds(seconds=1), child=("-c", "while True: pass")).markdown("wild.pdf", bytes(1_000_000))


@pytest.mark.parametrize(
    "child",
    [
        "import os; os.abort()",
        "x = bytearray(10**7)\nwhile True: print(x.decode())",
        "import sys; sys.stdin.close(); sys.exit(1)",
    ],
)
async def test_a_process_that_runs_wild_is_a_sentence(child: str) -> None:
    with pytest.raises(MessageRefused, match="could not be read"):
        await Documents(Bounds(seconds=60), child=("-c", child)).markdown("wild.pdf", bytes(1_000_000))


async def test_reading_ends_with_the_turn_that_wanted_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()  # until the process is gone
        ended.set()
        writer.close()

    server = await asyncio.start_server(watch, "127.0.0.1", 0)
    async with server, asyncio.timeout(PATIENCE):
        port = server.sockets[0].getsockname()[1]
        child = f"import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)"
        reading = asyncio.create_task(Documents(child=("-c", child)).markdown("wild.pdf", b""))
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await ended.wait()


async def test_the_process_sees_nothing_of_the_hubs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    child = "import os; print(sorted(name for name in os.environ if 'KEY' in name or 'PATH' in name))"
    assert await Documents(child=("-c", child)).markdown("x", b"") == "[]\n"


async def test_what_was_read_lately_is_not_read_again() -> None:
    asked: list[str] = []

    async def read(name: str, content: bytes) -> str:
        asked.append(name)
        if not content:
            raise MessageRefused("It is empty.")
        return content.decode()

    remembered = Remembered(read, most=2)
    said = [await remembered(*each) for each in (("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3"), ("e", b"2"))]
    assert (said, asked) == (["1", "2", "1", "3", "2"], ["a", "b", "d", "e"])
    for _ in range(2):
        with pytest.raises(MessageRefused):
            await remembered("f", b"")
    assert asked[-2:] == ["f", "f"]
