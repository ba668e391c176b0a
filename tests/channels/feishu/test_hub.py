"""Feishu with a real hub process: a message in, an answer out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config
from tests.platforms.feishu import FEISHU_LIMITS, GROUP, P2P, FeishuServer


@pytest.fixture
async def hub(tmp_path: Path, server: FeishuServer) -> AsyncIterator[HubProcess]:
    config = demo_config()
    config["channels"]["team"] = team(server)
    async with HubProcess(tmp_path, config) as process:
        yield process


async def test_a_person_in_feishu_is_answered(hub: HubProcess, server: FeishuServer) -> None:
    server.say("hello there")
    assert await server.wait_text("You said: hello there")


async def test_in_a_group_only_a_mention_is_answered_below_the_question(hub: HubProcess, server: FeishuServer) -> None:
    server.say("among us", kind="group")
    asked = server.say("are you there?", kind="group", mention=True)
    await server.wait_for(lambda: [m for m in server.sent(GROUP) if m["text"].endswith("are you there?")])
    [answer] = server.sent(GROUP)
    assert answer["text"].startswith("You said: ")
    assert "among us" not in answer["text"]
    assert answer["parent_id"] == asked["message_id"]


async def test_a_long_answer_arrives_complete_and_stands_still_in_the_end(
    hub: HubProcess, server: FeishuServer
) -> None:
    server.limit(FEISHU_LIMITS)
    server.fail("card.content", json=False, times=2)
    server.fail("card.settings", 99991400, reset=1)
    server.reset("message.create", handled=True)
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client:
        answer = await client.chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": "long 60000"}]
        )
    written = answer.choices[0].message.content or ""
    server.say("long 60000")
    await server.wait_for(lambda: words(server) == bare(written), timeout=60)
    await server.wait_for(lambda: not any(message["streaming"] for message in server.sent()))
    parts = server.sent()
    assert len(parts) > 2
    assert {message["msg_type"] for message in parts} == {"interactive"}


async def test_a_button_is_posted_and_pressed(hub: HubProcess, server: FeishuServer) -> None:
    call = {"content": "Which?", "channel": "team", "chat_id": P2P, "buttons": [["Red", "Blue"]]}
    server.say(f"call message {json.dumps(call)}")
    await server.wait_for(lambda: [m for m in server.sent() if m["text"] == "Which?"])
    [asked] = [message for message in server.sent() if message["text"] == "Which?"]
    server.press(asked, {"say": "Blue"})
    assert await server.wait_text("You said: Blue")


def team(server: FeishuServer) -> dict[str, Any]:
    """A channel on the local Feishu, open to everybody."""
    return {
        "kind": "feishu",
        "app_id": server.app_id,
        "app_secret": server.app_secret,
        "base_url": server.base_url,
        "agent": "assistant",
        "direct": "open",
    }


def words(server: FeishuServer) -> str:
    return bare("\n".join(message["text"] for message in server.sent()))


def bare(text: str) -> str:
    """A text without what is written again where it is cut: fences, and room."""
    lines = [line for line in text.splitlines() if not line.startswith("```")]
    return "".join("".join(lines).split())


async def test_by_webhook_a_message_is_answered_and_a_forged_one_is_not(tmp_path: Path) -> None:
    async with FeishuServer(encrypt_key="the key", verification_token="the token") as server:
        config = demo_config()
        config["channels"]["team"] = {
            **team(server),
            "mode": "webhook",
            "encrypt_key": "the key",
            "verification_token": "the token",
        }
        async with HubProcess(tmp_path, config) as hub:
            push = await server.set_webhook(f"{hub.url}/webhooks/feishu/team")
            assert push
            assert push.status == 200
            forged = server.events.envelope("im.message.receive_v1", {})
            assert (await server.events.post(forged, signature="0" * 64)).status in (401, 403)
            server.say("hello there")
            assert await server.wait_text("You said: hello there")
            await server.events.close()


async def test_what_was_said_while_the_hub_was_away_is_answered_once(hub: HubProcess, server: FeishuServer) -> None:
    server.say("before")
    await server.wait_text("You said: before")
    await hub.kill()
    server.say("meanwhile")
    await hub.start()
    assert await server.wait_text("You said: meanwhile")
    assert [message["text"] for message in server.sent()] == ["You said: before", "You said: meanwhile"]


async def test_when_feishu_is_away_the_channel_comes_back_by_itself(hub: HubProcess, server: FeishuServer) -> None:
    server.say("before")
    await server.wait_text("You said: before")
    await server.stop()
    await hub.logged("channel lost")
    await server.start()
    server.say("after")
    assert await server.wait_text("You said: after")


async def test_a_kill_in_the_middle_of_an_answer_leaves_it_there_once_and_whole(
    hub: HubProcess, server: FeishuServer
) -> None:
    server.say("slowly 2 one two three four five six")
    await server.wait_for(lambda: any("two" in message["text"] for message in server.sent()))
    await hub.kill()
    await hub.start()
    await server.wait_text("one two three four five six")
    await server.wait_for(lambda: not server.sent()[0]["streaming"])
    assert len(server.sent()) == 1


async def test_a_kill_while_the_preview_is_being_sent_leaves_no_second_copy(
    hub: HubProcess, server: FeishuServer
) -> None:
    server.reset("message.create", handled=True, times=1)
    server.say("slowly 2 one two three four five six")
    await server.wait_sent()
    await hub.kill()
    await hub.start()
    await server.wait_text("one two three four five six")
    await server.wait_for(lambda: not server.sent()[0]["streaming"])
    assert len(server.sent()) == 1


async def test_while_the_token_server_holds_its_reply_others_are_answered(tmp_path: Path) -> None:
    async with FeishuServer() as server:
        released = server.hang("token")
        config = demo_config()
        config["channels"]["team"] = team(server)
        async with HubProcess(tmp_path, config) as hub:
            await server.wait_call("token")
            async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client:
                answer = await client.chat.completions.create(
                    model="assistant", messages=[{"role": "user", "content": "count to 3"}]
                )
            assert answer.choices[0].message.content == "1 2 3"
            assert server.called("token")[0].status is None
            released.set()
            server.say("and now?")
            assert await server.wait_text("You said: and now?")
