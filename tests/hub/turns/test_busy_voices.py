"""A voice message that comes while a turn runs is written down once, and the agent and the history have its words."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.agent import Reply, Step, Turn
from hub.bus import Publish
from hub.delivery.posts import Posts
from hub.files import FileStore
from hub.memory import Entry
from hub.message import news_of
from hub.model import Recording, Transcript, Usage
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.turns.voices import Voices
from hub.worker import Worker
from tests.hub.engine import BOT, CHAT, FAST, Engine, Script, channels, journal_of, message, running, soon, turn_of

USED = Usage(prompt=5, completion=2)


@dataclass
class Scribe:
    """Reads a recording as text, when it may go on; `asked` once it has one."""

    heard: list[str] = field(default_factory=list[str])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def transcribe(self, recording: Recording) -> Transcript:
        self.heard.append(recording.content.decode())
        self.asked.set()
        await self.go.wait()
        return Transcript(text=recording.content.decode(), usage=USED)


@dataclass
class Talk:
    """A chat with an agent that has a scribe."""

    engine: Engine
    files: FileStore
    scribe: Scribe = field(default_factory=Scribe)

    def at_work(self, script: Script, **persona: Any) -> AbstractAsyncContextManager[Worker]:
        bus, voices = self.engine.bus, Voices(self.scribe, "w", self.files)
        posts = Posts(bus, channels(support=True))
        handler = TurnHandler(Persona(name="bot", bus=bus, posts=posts, voices=voices, **persona), script)
        return running(Worker(bus, BOT, handler, timing=FAST, random=lambda: 0.0), self.engine)

    async def say(self, mid: str, *, voice: str | None = None) -> None:
        one = message(mid, mid)
        if voice is not None:
            recording = await self.files.keep("voice.ogg", "audio/ogg", voice.encode())
            one = msgspec.structs.replace(one, parts=(recording,))
        await self.engine.bus.commit(Publish(inbox=BOT, lane=str(CHAT), id=mid, body=msgspec.json.encode(one)))
        self.engine.signals.send(news_of(BOT, str(CHAT)))


@pytest.fixture
def talk(every_engine: Engine, tmp_path: Path) -> Talk:
    return Talk(every_engine, FileStore(tmp_path))


async def seen_by(turn: Turn) -> list[object]:
    return [one["content"] for one in await turn.view()]


def texts(found: list[Entry]) -> list[str]:
    return [entry.text for entry in found]


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_one_that_joins_at_the_next_step_is_written_down_once(talk: Talk, is_cut_off: bool) -> None:
    begun, go, held = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def play(turn: Turn) -> Reply:
        begun.set()
        await go.wait()
        await turn.take()
        if is_cut_off and script.answers == 1:
            held.set()
            await asyncio.Event().wait()
        return Reply(text=str(await seen_by(turn)))

    script = Script(play)
    talk.scribe.go.set()
    async with talk.at_work(script, busy="steer"):
        await talk.say("a")
        await soon(begun.wait())
        await talk.say("b", voice="good morning")
        go.set()
        await soon(held.wait() if is_cut_off else talk.engine.outcome(BOT, "a"))
    async with talk.at_work(script, busy="steer"):
        assert await talk.engine.outcome(BOT, "a") == ("answered", None)
        assert await talk.engine.outcome(BOT, "b") == ("silent", "merged:a")
    assert texts(await journal_of(talk.engine, "a")) == [
        "a",
        "[voice] good morning",
        "['a', '[voice] good morning']",
    ]
    assert talk.scribe.heard == ["good morning"]
    assert (await turn_of(talk.engine, "a")).usage == (Usage() if is_cut_off else USED)


async def test_one_that_interrupts_is_written_down_once(talk: Talk) -> None:
    begun: asyncio.Queue[list[object]] = asyncio.Queue()

    async def play(turn: Turn) -> Reply:
        begun.put_nowait(await seen_by(turn))
        if len(turn.messages) == 1:
            await asyncio.Event().wait()
        return Reply(text="hi")

    async with talk.at_work(Script(play), busy="interrupt"):
        await talk.say("a")
        assert await soon(begun.get()) == ["a"]
        await talk.say("b", voice="good morning")
        await soon(talk.scribe.asked.wait())
        await looked_for_recordings(talk)
        talk.scribe.go.set()
        assert await soon(begun.get()) == ["a", "[voice] good morning"]
        assert await talk.engine.outcome(BOT, "b") == ("silent", "merged:a")
    assert talk.scribe.heard == ["good morning"]
    assert texts(await journal_of(talk.engine, "a")) == ["a", "[voice] good morning", "hi"]
    assert (await turn_of(talk.engine, "a")).usage == USED


async def looked_for_recordings(talk: Talk) -> None:
    """Give whoever else would write it down the time to find that nobody has yet."""
    other = await talk.files.keep("other.ogg", "audio/ogg", b"other")
    for _ in range(20):
        assert await talk.files.derived(other, "transcript.w") is None


async def test_an_interruption_waits_for_what_is_being_written_down(talk: Talk) -> None:
    async def play(turn: Turn) -> Reply:
        return Reply(text=str(await seen_by(turn)))

    async with talk.at_work(Script(play), busy="interrupt"):
        await talk.say("a", voice="good morning")
        await soon(talk.scribe.asked.wait())
        await talk.say("b", voice="and good night")

        async def is_taken() -> bool:
            return await talk.engine.bus.is_claimed(BOT, "b")

        await talk.engine.store.until(is_taken)
        await looked_for_recordings(talk)
        talk.scribe.go.set()
        assert await talk.engine.outcome(BOT, "b") == ("silent", "merged:a")
    assert talk.scribe.heard == ["good morning", "and good night"]
    heard = ["[voice] good morning", "[voice] and good night"]
    assert texts(await journal_of(talk.engine, "a")) == [*heard, str(heard)]


async def test_a_step_is_not_stored_before_what_was_heard_is_written_down(talk: Talk) -> None:
    acting, go, stepping = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if not turn.steps:
            with turn.acting():
                acting.set()
                await go.wait()
                stepping.set()
                await turn.checkpoint(Step(text="Done it."))
        return Reply(text="hi")

    async with talk.at_work(Script(play), busy="interrupt"):
        await talk.say("a")
        await soon(acting.wait())
        await talk.say("b", voice="good morning")
        await soon(talk.scribe.asked.wait())
        go.set()
        await soon(stepping.wait())
        await talk.engine.bus.waiting(BOT, str(CHAT))
        await talk.engine.store.write(lambda _: None)  # behind the step, were that on its way
        talk.scribe.go.set()
        assert await talk.engine.outcome(BOT, "b") == ("silent", "merged:a")
    assert texts(await journal_of(talk.engine, "a")) == ["a", "[voice] good morning", "Done it.", "hi"]
