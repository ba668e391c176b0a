"""Every way to cancel a turn keeps what was said so far, marked, and the next turn's model is shown it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.patience import PATIENCE
from tests.platforms.openai import Upstream, say
from tests.platforms.telegram import TelegramServer

QUESTION, NEXT = "Tell me a story.", "Go on."


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.script(say("Once ", "upon", gate=asyncio.Event(), gate_after=1))
        yield upstream


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        server.fail("sendMessageDraft", code=404, times=None)  # as servers do that are older than drafts
        yield server


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream, telegram: TelegramServer) -> AsyncIterator[HubProcess]:
    config = demo_config(models={"gpt": {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}})
    config["agents"]["assistant"]["model"] = "gpt"
    config["bus"] = {"lease": "300s", "extend": "60s"}  # what is quick here is signalled
    config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
    async with HubProcess(tmp_path, config) as process:
        yield process


def shown(upstream: Upstream) -> list[tuple[str, str]]:
    """The conversation as the model was shown it last."""
    messages = upstream.requests[-1].body["messages"]
    return [(message["role"], message["content"]) for message in messages if message["role"] != "system"]


STORY = [("user", QUESTION), ("assistant", "Once\n\n(stopped)"), ("user", NEXT)]


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("way", ["command", "button"])
async def test_a_stop_in_a_chat(upstream: Upstream, telegram: TelegramServer, way: str) -> None:
    telegram.say(QUESTION)
    [half] = await telegram.wait_sent()
    if way == "command":
        telegram.say("/stop")
    else:
        telegram.press(half, "/stop")
    await telegram.wait_text("Once\n\n(stopped)")
    telegram.say(NEXT)
    await telegram.wait_text(f"You said: {NEXT}")
    assert shown(upstream) == STORY


async def deleted(http: httpx.AsyncClient, turn: str) -> None:
    answer = await http.delete(f"/api/v1/turns/{turn}")
    assert answer.json()["status"] == "cancelled"


async def left(http: httpx.AsyncClient, turn: str) -> None:
    """The client closes its stream, and that is all."""


@pytest.mark.parametrize("way", [deleted, left])
async def test_a_program_cancels_or_goes_away(
    hub: HubProcess, upstream: Upstream, way: Callable[[httpx.AsyncClient, str], Awaitable[None]]
) -> None:
    headers = {"Authorization": f"Bearer {hub.key}"}
    async with (
        httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE) as http,
        AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=0, timeout=PATIENCE) as client,
    ):
        stream = await client.chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        turn = ""
        async for chunk in stream:
            turn = chunk.id.removeprefix("chatcmpl-")
            if chunk.choices and chunk.choices[0].delta.content:
                break
        await way(http, turn)
        await stream.close()
        await upstream.wait_disconnect()
        answer = await client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": NEXT}])
        assert answer.choices[0].message.content == f"You said: {NEXT}"
        record = (await http.get(f"/api/v1/turns/{turn}")).json()
    assert record["status"] == "cancelled"
    assert shown(upstream) == STORY
