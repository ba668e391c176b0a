"""Telegram with a real hub process: what people send comes in, answers go out."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from openai import AsyncOpenAI

from hub.files import FileStore
from hub.message import File
from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.openai import Upstream, fail
from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TELEGRAM_LIMITS, TelegramServer
from tests.platforms.telegram.text import units

SECRET = "a-secret_of-the-webhook"
pytestmark = pytest.mark.slow


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


def config_of(telegram: TelegramServer, **more: Any) -> dict[str, Any]:
    config = demo_config()
    config["channels"]["support"] = {**telegram_channel(telegram.base_url, telegram.token), **more}
    return config


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_pushed_message_is_stored_and_answered_and_a_forged_one_refused(
    tmp_path: Path, telegram: TelegramServer
) -> None:
    port = free_port()
    hook = {"mode": "webhook", "webhook_secret": SECRET, "public_url": f"http://127.0.0.1:{port}"}
    config = {**config_of(telegram, **hook), "api": {"port": port}}
    async with HubProcess(tmp_path, config) as hub, ClientSession() as http:
        await telegram.wait_call("setWebhook")
        telegram.say("hello")
        await telegram.wait_text("You said: hello")
        assert [push.status for push in telegram.pushes] == [200]
        url = f"{hub.url}/webhooks/telegram/support"
        for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": "guessed"}):
            async with http.post(url, json={"update_id": 1}, headers=headers) as response:
                assert response.status == 403
        async with http.post(f"{hub.url}/webhooks/telegram/other", json={}) as response:
            assert response.status == 404
        await hub.logged('"status": "delivered"')  # Telegram knows no second copy: a kill before makes one
        await hub.kill()
        telegram.say("while it was away")
        await hub.start()
        await telegram.wait_text("You said: while it was away")
    assert len(telegram.sent()) == 2
    assert telegram.called("getUpdates") == []


async def test_markdown_streams_and_stands_rendered_in_the_end(tmp_path: Path, telegram: TelegramServer) -> None:
    async with HubProcess(tmp_path, config_of(telegram)):
        telegram.say("slowly 2 some **bold** words and `code`")
        message = await telegram.wait_text("some bold words and code")
    assert [entity["type"] for entity in message["entities"]] == ["bold", "code"]
    assert len(telegram.sent()) == 1
    assert telegram.state.drafts


@pytest.mark.parametrize("chat", [PRIVATE, GROUP])
async def test_a_long_answer_arrives_complete_in_order_and_once(
    tmp_path: Path, telegram: TelegramServer, chat: int
) -> None:
    config = config_of(telegram)
    async with HubProcess(tmp_path, config) as hub:
        async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client:
            answer = await client.chat.completions.create(
                model="assistant", messages=[{"role": "user", "content": "long 20000"}]
            )
        written = answer.choices[0].message.content or ""
        telegram.limit(TELEGRAM_LIMITS)
        telegram.fail("sendMessageDraft", 429, retry_after=1)
        telegram.fail("editMessageText", 502, times=2)
        telegram.fail("editMessageText", 400, "Bad Request: message is not modified: same")
        telegram.fail("sendMessage", 429, retry_after=1)
        telegram.fail("sendMessage", 502, json=False)
        telegram.say("long 20000", chat, mention=chat < 0)
        await telegram.wait_for(lambda: words(shown(telegram, chat)) == words(written), timeout=60)
        await asyncio.sleep(2)
        assert words(shown(telegram, chat)) == words(written), "what stands there stays"
    assert all(units(message["text"]) <= 4096 for message in telegram.sent(chat))
    marks = [entity["type"] for message in telegram.sent(chat) for entity in message["entities"]]
    assert marks.count("text_link") == written.count("](http")
    assert "pre" in marks


def shown(telegram: TelegramServer, chat: int) -> str:
    return "\n".join(message["text"] for message in telegram.sent(chat))


def words(text: str) -> list[str]:
    """The words of a text, without what became a mark: the language of a block of code, and where a link leads."""
    return re.findall(r"[^\W_]+", re.sub(r"^(```|~~~)\w*$|(?<=\])\([^)]*\)", "", text, flags=re.MULTILINE))


async def test_the_stop_button_of_a_draft_stops_the_answer(tmp_path: Path, telegram: TelegramServer) -> None:
    async with HubProcess(tmp_path, config_of(telegram)):
        telegram.say("slowly 600 one two three four")
        await telegram.wait_for(lambda: telegram.state.drafts)
        telegram.stop_draft()
        await telegram.wait_text("Stopped.")
        await telegram.wait_text("one\n\n(stopped)")
    assert len(telegram.sent()) == 2


async def test_what_a_draft_showed_stays_after_a_stop(tmp_path: Path, telegram: TelegramServer) -> None:
    async with HubProcess(tmp_path, config_of(telegram)):
        telegram.say("slowly 600 one two three four")
        await telegram.wait_for(lambda: telegram.state.drafts)
        telegram.say("/stop")
        await telegram.wait_text("one\n\n(stopped)")
        await telegram.wait_text("Stopped.")
    assert len(telegram.sent()) == 2


async def test_where_the_bot_listens_it_knows_what_people_said_to_each_other(
    tmp_path: Path, telegram: TelegramServer
) -> None:
    async with Upstream() as upstream:
        config = config_of(telegram, groups="listen")
        config["models"]["main"] = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt"}
        config["agents"]["assistant"]["model"] = "main"
        async with HubProcess(tmp_path, config):
            telegram.say("pizza?", GROUP, user=11)
            telegram.say("rather soup", GROUP, user=12)
            telegram.say("what do they want?", GROUP, user=13, mention=True)
            await telegram.wait_sent(GROUP)
        [request] = upstream.requests
    said = [message["content"] for message in request.body["messages"] if message["role"] == "user"]
    assert [line.partition(": ")[2] for line in said] == ["pizza?", "rather soup", "what do they want?"]
    assert len({line.partition(": ")[0] for line in said}) == 3


async def test_an_album_with_a_caption_is_one_turn_and_its_files_are_kept(
    tmp_path: Path, telegram: TelegramServer
) -> None:
    async with HubProcess(tmp_path, config_of(telegram)) as hub:
        telegram.say_album([b"one", b"two"], caption="look")
        [message] = await telegram.wait_sent()
        assert "look" in message["text"]
        files = FileStore(hub.folder / "data" / "files")
        for content in (b"one", b"two"):
            file = await files.keep("", "", content)
            assert await files.read(File(ref=file.ref, name="", media_type="", size=3)) == content
    assert len(telegram.sent()) == 1


async def test_a_voice_message_is_written_down_and_answered(tmp_path: Path, telegram: TelegramServer) -> None:
    async with Upstream() as upstream:
        config = config_of(telegram)
        config["models"]["whisper"] = {"provider": "openai", "base_url": upstream.base_url, "model": "whisper-1"}
        config["agents"]["assistant"]["transcribe"] = "whisper"
        upstream.script("count to 3", fail(400, "no speech"))
        async with HubProcess(tmp_path, config):
            telegram.say_media("voice", b"\0OggS", "voice.oga")
            await telegram.wait_text("1 2 3")
            telegram.say_media("voice", b"\0OggS again", "voice.oga")
            await telegram.wait_text("You said: [voice] (voice.ogg: could not be transcribed)")
            telegram.say("what did I say")
            await telegram.wait_for(lambda: any("[voice] count to 3" in sent["text"] for sent in telegram.sent()))
        recording = upstream.requests[0].body["file"]
    assert recording == {"name": "voice.ogg", "type": "audio/ogg", "content": b"\0OggS"}
    assert len(upstream.requests) == 2


async def test_a_group_that_becomes_a_supergroup_is_answered_there(tmp_path: Path, telegram: TelegramServer) -> None:
    async with HubProcess(tmp_path, config_of(telegram)):
        telegram.say("one", kind="group", mention=True)
        [answer] = await telegram.wait_sent(GROUP)
        assert answer["text"].endswith("one")
        telegram.migrate()
        telegram.say("what did I say", kind="supergroup", mention=True)
        [message] = await telegram.wait_sent(SUPERGROUP)
    assert "one" in message["text"], "its conversation went along"


async def test_a_person_who_blocked_the_bot_is_answered_after_coming_back(
    tmp_path: Path, telegram: TelegramServer
) -> None:
    async with HubProcess(tmp_path, config_of(telegram)):
        telegram.block(PRIVATE)
        telegram.unblock(PRIVATE)
        telegram.say("again")
        await telegram.wait_text("You said: again")


async def test_an_agent_reacts_to_what_it_answers(tmp_path: Path, telegram: TelegramServer) -> None:
    config = config_of(telegram)
    config["agents"]["assistant"]["tools"] = ["react"]
    async with HubProcess(tmp_path, config):
        telegram.say('call react {"emoji": "👍"}')
        await telegram.wait_for(lambda: telegram.state.reactions)
    assert list(telegram.state.reactions.values()) == [["👍"]]
