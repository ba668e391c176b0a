"""The main job on a real process: a message in, an answer out, a post across."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def hub(tmp_path: Path, telegram: TelegramServer) -> AsyncIterator[HubProcess]:
    config = demo_config()
    config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
    async with HubProcess(tmp_path, config) as process:
        yield process


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client:
        yield client


async def ask(client: AsyncOpenAI, text: str, session: str = "default") -> str:
    answer = await client.chat.completions.create(
        model="assistant", messages=[{"role": "user", "content": text}], extra_body={"session_id": session}
    )
    return answer.choices[0].message.content or ""


async def test_a_program_is_answered_and_remembered(client: AsyncOpenAI) -> None:
    assert await ask(client, "count to 3") == "1 2 3"
    assert await ask(client, "what did I say") == "- count to 3\n- what did I say"
    assert "count" not in await ask(client, "what did I say", session="another")


async def test_a_person_in_telegram_is_answered_and_sees_typing(hub: HubProcess, telegram: TelegramServer) -> None:
    telegram.say("hello there")
    message = await telegram.wait_text("You said: hello there")
    assert message["chat"]["id"] == 77
    assert telegram.called("sendChatAction")


async def test_a_program_posts_to_telegram_and_to_a_room_and_learns_the_platform_ids(
    client: AsyncOpenAI, telegram: TelegramServer
) -> None:
    answer = await ask(client, 'call message {"content": "Build finished.", "channel": "support", "chat_id": "77"}')
    message = await telegram.wait_text("Build finished.")
    assert '"status":"delivered"' in answer
    assert f'"{message["message_id"]}"' in answer
    assert "delivered" in await ask(client, "post to web:lobby: Build finished.")


async def test_the_log_says_for_which_request_a_line_is(hub: HubProcess, client: AsyncOpenAI) -> None:
    await client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "hi"}], extra_headers={"X-Request-Id": "build-41"}
    )
    await hub.logged('"request_id": "build-41"')


async def test_ctrl_c_ends_the_hub_cleanly_while_a_turn_runs(
    hub: HubProcess, client: AsyncOpenAI, telegram: TelegramServer
) -> None:
    telegram.say("slowly 600 this takes a while")
    await telegram.wait_call("sendChatAction")
    assert await hub.stop() == 0
    await hub.start()
    telegram.say("/stop")
    await telegram.wait_text("Stopped.")
    assert not any("this takes" in message.get("text", "") for message in telegram.sent())
