"""Files of a conversation are references: a model that takes images is sent the newest, everything else is a note."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.agent import Reply, Room, Turn
from hub.delivery.posts import Posts
from hub.errors import NotFound
from hub.files import FileStore
from hub.memory import Heard, Said
from hub.message import File, Message, Text
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Worker
from tests.hub.engine import BOT, FAST, Engine, channels, journal_of, message, running
from tests.hub.turns.test_turns import say


class Looker:
    """An agent that looks at what a model with room for so many images would see."""

    def __init__(self, images: int) -> None:
        self.room = Room(tokens=10_000, images=images)
        self.views: list[list[dict[str, Any]]] = []
        self.contents: list[bytes] = []

    async def answer(self, turn: Turn) -> Reply:
        self.views.append(await turn.view(self.room))
        for file in turn.messages[-1].files:
            self.contents.append(await turn.open(file))
        return Reply(text="ok")


def worker_of(engine: Engine, agent: Looker, files: FileStore | None) -> Worker:
    persona = Persona(name="bot", bus=engine.bus, posts=Posts(engine.bus, channels(support=True)), files=files)
    return Worker(engine.bus, BOT, TurnHandler(persona, agent), timing=FAST, random=lambda: 0.0)


async def image(files: FileStore, name: str) -> File:
    return await files.keep(f"{name}.png", "image/png", name.encode())


def shows(id: str, *files: File) -> Message:
    return message(id, parts=(Text(text=id), *files))


def shown(view: list[dict[str, Any]]) -> list[str]:
    """The URLs of the images in a view."""
    parts: list[dict[str, Any]] = []
    for said in view:
        parts += said["content"] if isinstance(said["content"], list) else []
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


async def test_the_newest_images_are_sent_and_older_ones_are_notes(engine: Engine, tmp_path: Path) -> None:
    files, agent = FileStore(tmp_path / "files"), Looker(images=2)
    cat, dog, cow = [await image(files, name) for name in ("cat", "dog", "cow")]
    plan = await files.keep("plan.pdf", "application/pdf", b"plan")
    async with running(worker_of(engine, agent, files), engine):
        for said in (shows("a", cat), shows("b", dog, plan), shows("c", cow), shows("d")):
            await say(engine, said)
            await engine.outcome(BOT, said.id)
    assert shown(agent.views[0]) == ["data:image/png;base64,Y2F0"]
    assert shown(agent.views[2]) == ["data:image/png;base64,ZG9n", "data:image/png;base64,Y293"]
    assert shown(agent.views[3]) == shown(agent.views[2])
    assert agent.views[3][0]["content"] == "a\n\n[image cat.png]"
    assert agent.views[3][2]["content"][0]["text"] == "b\n\n[image dog.png]\n\n[plan.pdf, application/pdf, 4 bytes]"
    assert agent.contents == [b"cat", b"dog", b"plan", b"cow"]
    assert await journal_of(engine, "b") == [Heard(text="b", files=(dog, plan)), Said(text="ok")]


async def test_a_model_that_takes_no_images_is_told_of_them(engine: Engine, tmp_path: Path) -> None:
    files, agent = FileStore(tmp_path / "files"), Looker(images=0)
    cat = await image(files, "cat")
    async with running(worker_of(engine, agent, files), engine):
        await say(engine, shows("a", cat))
        await engine.outcome(BOT, "a")
    assert agent.views == [[{"role": "user", "content": "a\n\n[image cat.png]"}]]


@pytest.mark.parametrize("kept", [True, False])
async def test_an_image_that_was_removed_is_a_note(engine: Engine, tmp_path: Path, kept: bool) -> None:
    files = FileStore(tmp_path / "files") if kept else None
    gone = File(ref="0" * 64, name="gone.png", media_type="image/png", size=4)

    class Lost(Looker):
        async def answer(self, turn: Turn) -> Reply:
            self.views.append(await turn.view(self.room))
            with pytest.raises(NotFound, match=r"gone\.png"):
                await turn.open(gone)
            return Reply(text="ok")

    agent = Lost(images=2)
    async with running(worker_of(engine, agent, files), engine):
        await say(engine, shows("a", gone))
        assert await engine.outcome(BOT, "a") == ("answered", None)
    assert agent.views == [[{"role": "user", "content": "a\n\n[image gone.png]"}]]
