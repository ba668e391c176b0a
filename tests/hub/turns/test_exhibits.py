"""Documents of a conversation are references: a model reads the newest as text, as far as there is room."""

from __future__ import annotations

from pathlib import Path

from hub.agent import Room
from hub.errors import MessageRefused
from hub.files import FileStore
from hub.memory import Entry, Heard, Said, Stepped
from hub.message import File
from hub.model import ToolCall
from hub.turns.exhibits import DOCUMENTS, Exhibits
from hub.turns.view import SHORT, Past, Shown, fit

PDF = "application/pdf"


class Reader:
    """Reads documents: they say what is in them; what is empty cannot be read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def __call__(self, name: str, content: bytes) -> str:
        self.read.append(name)
        if not content:
            raise MessageRefused(f"The document '{name}' has no text in it.")
        return content.decode()


def asked(*files: File, text: str = "look") -> tuple[Entry, ...]:
    return Heard(text=text, files=files), Said(text="I see.")


async def test_a_document_is_text_to_the_model_and_read_once_for_all_turns(tmp_path: Path) -> None:
    files, reader = FileStore(tmp_path), Reader()
    plan = await files.keep("plan.pdf", PDF, b"the plan")
    again = await files.keep("a copy.pdf", PDF, b"the plan")
    for file in (plan, again):
        own = [Heard(text="what is in it?", files=(file,))]
        shown = await Exhibits(files, reader).show(Past(), own, images=0)
        [said] = fit(Past(), own, Room(tokens=1000), shown)
        assert said["content"] == f"what is in it?\n\n[{file.name}, {PDF}, 8 bytes]\n\nthe plan"
    assert reader.read == ["plan.pdf"]


async def test_what_cannot_be_read_is_a_sentence_and_not_tried_again(tmp_path: Path) -> None:
    files, reader = FileStore(tmp_path), Reader()
    empty = await files.keep("empty.pdf", PDF, b"")
    for _ in range(2):
        shown = await Exhibits(files, reader).show(Past(), [Heard(text="", files=(empty,))], images=0)
        assert shown.documents == {empty.ref: "(The document 'empty.pdf' has no text in it.)"}
    assert reader.read == ["empty.pdf"]


async def test_a_file_that_was_removed_is_a_sentence(tmp_path: Path) -> None:
    gone = File(ref="0" * 64, name="gone.pdf", media_type=PDF, size=1)
    shown = await Exhibits(FileStore(tmp_path), Reader()).show(Past(), [Heard(text="", files=(gone,))], images=0)
    assert shown.documents == {gone.ref: "(The file 'gone.pdf' is not stored any more.)"}


async def test_the_newest_documents_are_read_and_pictures_and_sound_are_none(tmp_path: Path) -> None:
    files, reader = FileStore(tmp_path), Reader()
    many = [await files.keep(f"{n}.txt", "text/plain", f"text {n}".encode()) for n in range(DOCUMENTS + 2)]
    media = [await files.keep(f"m{n}", kind, b"x") for n, kind in enumerate(["image/png", "audio/ogg", "video/mp4"])]
    past = Past(turns=tuple(asked(file) for file in many))
    shown = await Exhibits(files, reader).show(past, [Heard(text="", files=tuple(media))], images=0)
    assert list(shown.documents.values()) == [f"text {n}" for n in range(2, DOCUMENTS + 2)]


def test_what_the_turn_reads_takes_room_from_the_past_and_older_documents_are_short() -> None:
    old, new = (File(ref=ref, name=f"{ref}.txt", media_type="text/plain", size=9) for ref in ("old", "new"))
    shown = Shown(documents={"old": "o" * 8000, "new": "n" * 8000})
    past = Past(turns=(asked(old, text="first"), *(asked(text="chatter " * 200) for _ in range(9))))
    view = fit(past, [Heard(text="and this?", files=(new,))], Room(tokens=5000), shown)
    assert "n" * 8000 in view[-1]["content"]
    assert len(view) < 20
    view = fit(Past(turns=(asked(old),)), [Heard(text="and this?", files=(new,))], Room(tokens=2300), shown)
    assert "n" * 8000 in view[-1]["content"]
    assert SHORT < view[0]["content"].count("o") < 4 * SHORT


def test_a_tool_result_of_the_turn_takes_room_from_the_past() -> None:
    call = ToolCall(id="1", name="fetch_url", arguments="{}")
    own = [Heard(text="fetch it"), Stepped(calls=(call,), results=("r" * 8000,))]
    past = Past(turns=tuple(asked(text="chatter " * 200) for _ in range(20)))
    view = fit(past, own, Room(tokens=8000))
    assert view[-1]["content"] == "r" * 8000
    assert sum("chatter" in (said["content"] or "") for said in view) > 2
