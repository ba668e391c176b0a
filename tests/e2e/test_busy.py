"""People speak in Telegram while the model works: what it is asked, how each message ends, what the chat sees."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.openai import Call, Request, Upstream, call
from tests.platforms.telegram import TelegramServer


@dataclass
class Chat:
    """A chat in Telegram, an agent, and a model that is held until the test admits it."""

    telegram: TelegramServer
    upstream: Upstream
    folder: Path

    def hub(self, **agent: Any) -> HubProcess:
        gpt = {"provider": "openai", "base_url": self.upstream.base_url, "model": "gpt-test"}
        config = demo_config(models={"gpt": gpt}, bus={"lease": "300s", "extend": "60s"})
        config["agents"]["assistant"] |= {"model": "gpt", **agent}
        config["channels"]["support"] = telegram_channel(self.telegram.base_url, self.telegram.token)
        return HubProcess(self.folder, config)

    async def say(self, *texts: str) -> None:
        """Say this, and wait until the hub has stored it all."""
        for text in texts:
            self.telegram.say(text)
        await self.telegram.wait_for(lambda: not self.telegram.updates.pending)

    def ends(self) -> list[tuple[str, str | None]]:
        """The outcome of each message, and whether it was merged into the first."""
        with closing(sqlite3.connect(self.folder / "data" / "bothub.db")) as connection:
            query = "SELECT mid, outcome, reason FROM messages WHERE inbox = 'agent:assistant' ORDER BY seq"
            rows = connection.execute(query).fetchall()
        first = rows[0][0]
        return [(outcome, reason and reason.replace(first, "first")) for _, outcome, reason in rows]

    def texts(self) -> list[str]:
        return [message["text"] for message in self.telegram.sent()]


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with TelegramServer() as telegram, Upstream(hold=True) as upstream:
        telegram.fail("sendMessageDraft", code=404, times=None)  # as servers do that are older than drafts
        yield Chat(telegram, upstream, tmp_path)


def shown(request: Request) -> list[str]:
    """The texts the model is shown, a tool's result left out."""
    return [message["content"] for message in request.body["messages"] if message["role"] == "user"]


MERGED = ("silent", "merged:first")


async def test_steer_gives_what_comes_to_the_next_step(chat: Chat) -> None:
    chat.upstream.script(call(Call("message", '{"content": "Looking."}')), "Both.")
    async with chat.hub(busy="steer") as hub:
        await chat.say("one")
        assert shown(await chat.upstream.wait_held()) == ["one"]
        await chat.say("two", "three")
        chat.upstream.admit()
        await chat.telegram.wait_text("Looking.")
        assert shown(await chat.upstream.wait_held()) == ["one", "two", "three"]
        chat.upstream.admit()
        await chat.telegram.wait_text("Both.")
        await hub.logged('.reply"')
        assert chat.ends() == [("answered", None), MERGED, MERGED]
        assert chat.texts() == ["Looking.", "Both."]
    assert len(chat.upstream.requests) == 2


async def test_interrupt_asks_again_with_all(chat: Chat) -> None:
    chat.upstream.script("Both.")
    async with chat.hub(busy="interrupt") as hub:
        await chat.say("one")
        assert shown(await chat.upstream.wait_held()) == ["one"]
        await chat.say("two")
        await chat.upstream.wait_disconnect()
        assert shown(await chat.upstream.wait_held()) == ["one", "two"]
        chat.upstream.admit()
        await chat.telegram.wait_text("Both.")
        await hub.logged('.reply"')
        assert chat.ends() == [("answered", None), MERGED]
        assert chat.texts() == ["Both."]
    assert len(chat.upstream.requests) == 2


async def test_debounce_asks_once(chat: Chat) -> None:
    chat.upstream.script("All.")
    for text in ("one", "two", "three"):
        chat.telegram.say(text)  # one poll brings them all, so they are as rapid on a busy machine
    async with chat.hub(debounce=2.0) as hub:
        assert shown(await chat.upstream.wait_held()) == ["one", "two", "three"]
        chat.upstream.admit()
        await chat.telegram.wait_text("All.")
        await hub.logged('.reply"')
        assert chat.ends() == [("answered", None), MERGED, MERGED]
        assert chat.texts() == ["All."]
    assert len(chat.upstream.requests) == 1
