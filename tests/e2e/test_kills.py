"""`kill -9` at every point of one turn: it goes on after its last finished step, and nothing is said or posted twice.

What is seen from outside says when to kill: a request at the model's server, a piece of the answer in its room, a post
in another chat, a line of the log. The store is locked where nothing more may be stored before the kill.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Call, Request, Step, Upstream, say
from tests.platforms.telegram import TelegramServer

ANN = 88
LONG = {"lease": "300s", "extend": "60s", "tries": 100}
"""Nothing is taken over because this machine is busy; after a kill the test lets the leases run out."""


def post(content: str, channel: str, chat_id: str) -> Call:
    return Call("message", msgspec.json.encode({"content": content, "channel": channel, "chat_id": chat_id}).decode())


PLAN = (
    Answer(text=("First ", "the news."), calls=(post("For all.", "web", "news"),)),
    Answer(text=("Then ", "Ann."), calls=(post("For Ann.", "support", str(ANN)),)),
    Answer(text=("All ", "is told.")),
)
"""The steps of the turn."""
ANSWER = "First the news.\n\nThen Ann.\n\nAll is told."
QUESTION, NEXT = "Tell everybody.", "What did you do?"


def step_of(request: Request) -> int:
    """Which step the model is asked for: how many finished ones it is shown."""
    return sum(message["role"] == "tool" for message in request.body["messages"])


@dataclass
class Journey:
    """One turn, and all who take part."""

    hub: HubProcess
    telegram: TelegramServer
    upstream: Upstream
    polls: int = 0
    """How often Telegram was asked before the process was started last."""
    gate: asyncio.Event | None = None
    """Holds the next answer after its first piece."""

    def answer(self, request: Request) -> Step:
        if request.last_text == NEXT:
            return say("Told them.")
        gate, self.gate = self.gate, None
        return replace(PLAN[step_of(request)], gate=gate, gate_after=1)

    async def reach(self, step: int) -> None:
        """Wait until the model is asked for a step; those before it are answered."""
        while (asked := step_of(await self.upstream.wait_held())) < step:
            self.upstream.admit()
        assert asked == step

    def half(self) -> asyncio.Event:
        """Let the model answer, and hold the rest of its answer after the first piece until the event is set."""
        self.gate = gate = asyncio.Event()
        self.upstream.admit()
        return gate

    @asynccontextmanager
    async def follow(self, room: str) -> AsyncGenerator[AsyncIterator[str]]:
        """The events of a web room."""
        async with (
            self.client() as client,
            client.stream("GET", f"/api/v1/web/{room}/events", params={"after": 0}) as events,
        ):
            lines = events.aiter_lines()
            await anext(lines)
            yield lines

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.hub.key}"}
        return httpx.AsyncClient(base_url=self.hub.url, headers=headers, timeout=PATIENCE)

    async def say(self, text: str) -> None:
        async with self.client() as client:
            (await client.post("/api/v1/web/lobby", json={"text": text})).raise_for_status()

    async def texts(self, room: str) -> list[str]:
        """What was said in a web room, by whomever."""
        async with self.client() as client:
            answer = await client.get("/api/v1/messages", params={"channel": "web", "chat_id": room})
        return [message["text"] for message in answer.raise_for_status().json()["messages"]]

    @property
    def path(self) -> Path:
        return self.hub.folder / "data" / "bothub.db"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else writes to the store."""
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=PATIENCE)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    def read(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
            return connection.execute(query).fetchall()

    @property
    def finished(self) -> int:
        """How many steps are stored."""
        return sum(msgspec.json.decode(body)["kind"] == "step" for (body,) in self.read("SELECT body FROM entries"))

    async def revive(self) -> None:
        """Start the killed process again, its leases run out."""
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection, connection:
            connection.execute("UPDATE lanes SET ready_at = ? WHERE leased", (time.time(),))
        self.polls = len(self.telegram.called("getUpdates"))
        await self.hub.start()


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    async with TelegramServer() as telegram, Upstream(hold=True) as upstream:
        gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}
        config = demo_config(models={"gpt": gpt}, bus=LONG)
        config["agents"]["assistant"]["model"] = "gpt"
        config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
        async with HubProcess(tmp_path, config) as hub:
            journey = Journey(hub, telegram, upstream)
            upstream.default = journey.answer
            yield journey


async def line_with(lines: AsyncIterator[str], text: str) -> str:
    """The next line of a stream that holds a text."""
    async with asyncio.timeout(PATIENCE):
        return await anext(line async for line in lines if text in line)


async def while_the_model_thinks(journey: Journey) -> None:
    """It was asked, and has said nothing: the step before is stored, and nothing of this one."""
    await journey.hub.kill()


async def while_the_model_answers(journey: Journey) -> None:
    async with journey.follow("lobby") as lines:
        journey.half()
        await line_with(lines, "event: delta")
        await journey.hub.kill()


async def between_the_answer_and_its_tool(journey: Journey) -> None:
    """The hub has the call, and cannot store the post."""
    async with journey.follow("lobby") as lines:
        rest = journey.half()
        await line_with(lines, "event: delta")
        with journey.locked():
            rest.set()
            await line_with(lines, '"text":"the news."')
            await journey.hub.kill()


async def when_the_post_is_there(journey: Journey) -> None:
    """The tool knows of it or not, the step is stored or not."""
    async with journey.follow("news") as lines:
        journey.upstream.admit()
        await line_with(lines, "For all.")
        await journey.hub.kill()


async def while_the_tool_waits_for_its_receipt(journey: Journey) -> None:
    await journey.telegram.wait_call("getUpdates", journey.polls + 1)
    journey.telegram.hang("sendMessage", chat=ANN)
    journey.upstream.admit()
    await journey.telegram.wait_call("sendMessage")
    await journey.hub.kill()


async def when_the_step_is_stored(journey: Journey) -> None:
    """Before the model is asked for the next one, or just after."""
    journey.upstream.admit()
    async with asyncio.timeout(PATIENCE):
        while journey.finished < 2:  # noqa: ASYNC110 - the process itself tells nobody
            await asyncio.sleep(0.001)
    await journey.hub.kill()


async def before_the_end_is_stored(journey: Journey) -> None:
    with journey.locked():
        journey.upstream.admit()
        await journey.hub.logged('"event": "turn"')
        await journey.hub.kill()


KILLS: tuple[tuple[int, Callable[[Journey], Awaitable[None]]], ...] = (
    (0, while_the_model_thinks),
    (0, while_the_model_answers),
    (0, between_the_answer_and_its_tool),
    (0, when_the_post_is_there),
    (1, while_the_model_thinks),
    (1, while_the_tool_waits_for_its_receipt),
    (1, when_the_step_is_stored),
    (2, while_the_model_thinks),
    (2, while_the_model_answers),
    (2, before_the_end_is_stored),
)
"""In which step the process is killed, and where in it."""
MAY_FINISH = (when_the_post_is_there, when_the_step_is_stored)


async def test_a_turn_that_is_killed_everywhere_is_one_turn(journey: Journey) -> None:
    await journey.say(QUESTION)
    for step, kill in KILLS:
        await journey.reach(step)
        await kill(journey)
        assert journey.finished in ((step, step + 1) if kill in MAY_FINISH else (step,)), kill.__name__
        await journey.revive()
    await journey.reach(2)
    steps = [step_of(request) for request in journey.upstream.requests]
    assert steps == sorted(steps), "the model was asked again for a finished step"
    async with journey.follow("lobby") as lines:
        journey.upstream.admit()
        await line_with(lines, '"kind":"agent"},"text":' + msgspec.json.encode(ANSWER).decode())  # as below
        await journey.say(NEXT)
        asked = await journey.upstream.wait_held()
        journey.upstream.admit()
        await line_with(lines, '"kind":"agent"},"text":"Told them."')  # the message, not a piece of it
    assert history(asked) == [
        *(("user", QUESTION), ("assistant", "First the news."), ("tool", "0.0")),
        *(("assistant", "Then Ann."), ("tool", "1.0"), ("assistant", "All is told."), ("user", NEXT)),
    ]
    assert await journey.texts("lobby") == [QUESTION, ANSWER, NEXT, "Told them."]
    assert await journey.texts("news") == ["For all."]
    await journey.telegram.wait_text("For Ann.", ANN)
    assert [message["text"] for message in journey.telegram.sent(ANN)] == ["For Ann."]
    ended = "SELECT mid, outcome FROM messages WHERE inbox = 'agent:assistant' ORDER BY seq"
    assert [outcome for _, outcome in journey.read(ended)] == ["answered", "answered"]


def history(request: Request) -> list[tuple[str, str]]:
    """The roles and texts of what the model is shown; of a tool's result, which step and call its post is of."""
    shown = [(message["role"], message["content"]) for message in request.body["messages"]]
    return [(role, post_of(text) if role == "tool" else text) for role, text in shown if role != "system"]


def post_of(result: str) -> str:
    return msgspec.json.decode(result)["id"].partition(".")[2]
