"""The main job on a real process that takes the local server for Discord."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from hub.ingress import BOT_TURNS
from tests.e2e.hub import HubProcess, demo_config
from tests.platforms.discord import ANNA, BORIS, DISCORD_LIMITS, GENERAL, DiscordServer

ROBOT = "300000000000000777"


def discord_channel(server: DiscordServer, **more: Any) -> dict[str, Any]:
    """A Discord channel on a local server, open to everybody."""
    return {
        "kind": "discord",
        "token": server.token,
        "base_url": server.base_url,
        "ca_file": str(server.ca_file),
        "agent": "assistant",
        "direct": "open",
        **more,
    }


def letters(text: str) -> str:
    """What a text says, without how it says it or which language a block of code is in."""
    return "".join(re.findall(r"[^\W_]", re.sub(r"```\w*", "", text)))


@pytest.fixture
async def hub(tmp_path: Path, server: DiscordServer) -> AsyncIterator[HubProcess]:
    config = demo_config()
    config["channels"]["workshop"] = discord_channel(server, allow=[ANNA])
    async with HubProcess(tmp_path, config) as process:
        await process.logged('"channel": "workshop", "event": "channel up"')
        yield process


async def test_a_direct_message_is_answered_and_typing_is_shown(hub: HubProcess, server: DiscordServer) -> None:
    server.dm("hello there")
    await server.wait_text("You said: hello there", server.dm_channel())
    assert server.called("trigger_typing")


async def test_a_mention_in_a_channel_is_answered_below_it_and_chatter_is_not(
    hub: HubProcess, server: DiscordServer
) -> None:
    server.say("just talking")
    asked = server.say("hello", user=BORIS, mention=True)
    answer = await server.wait_text("You said: Борис: hello")
    assert answer["message_reference"]["message_id"] == asked["id"]
    assert len(server.sent()) == 1


async def test_a_command_is_answered_in_its_place_in_channels_and_direct_chats(
    hub: HubProcess, server: DiscordServer
) -> None:
    await server.wait_for(lambda: server.commands)
    for channel in (GENERAL, server.dm_channel()):
        asked = server.slash("ask", {"text": "slowly 1 a b c"}, channel=channel)
        await server.wait_for(lambda asked=asked: any(r["content"] == "a b c" for r in asked.responses))
        status = server.slash("status", channel=channel)
        await server.wait_for(lambda status=status: status.responses)
        assert status.responses[0]["content"].startswith("I am assistant")
    assert server.called("create_message") == []


@pytest.mark.slow
async def test_a_long_answer_arrives_whole_and_in_order_while_discord_has_a_bad_day(
    hub: HubProcess, server: DiscordServer
) -> None:
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client:
        asked = await client.chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": "long 20000"}]
        )
    wanted = letters(asked.choices[0].message.content or "")
    chat = server.dm_channel()
    server.limit(DISCORD_LIMITS)
    for method in ("create_message", "edit_message"):
        server.fail(method, 429, retry_after=0.2)
        server.reset(method, handled=True)
        server.fail(method, 502, times=2)
    server.dm("long 20000")

    def sent() -> list[str]:
        return [message["content"] for message in sorted(server.sent(chat), key=lambda message: int(message["id"]))]

    await server.wait_for(lambda: len(letters("".join(sent()))) >= len(wanted), timeout=90)
    assert letters("".join(sent())) == wanted
    assert all(text.count("```") % 2 == 0 for text in sent())


async def test_what_was_said_while_the_hub_was_down_is_answered_once(hub: HubProcess, server: DiscordServer) -> None:
    server.dm("before")
    await server.wait_text("You said: before", server.dm_channel())
    await hub.kill()
    server.dm("meanwhile")
    server.say("in the channel", mention=True)
    await hub.start()
    await server.wait_text("You said: meanwhile", server.dm_channel())
    await server.wait_text("You said: Anna Lindqvist: in the channel")
    server.dm("after")
    await server.wait_text("You said: after", server.dm_channel())
    said = [message["content"] for message in server.sent(server.dm_channel())]
    assert said == ["You said: before", "You said: meanwhile", "You said: after"]


async def test_a_command_in_private_that_gets_only_a_notice_is_answered_by_it(
    tmp_path: Path, server: DiscordServer
) -> None:
    config = demo_config()
    config["channels"]["workshop"] = discord_channel(server, direct="pairing")
    async with HubProcess(tmp_path, config) as process:
        await process.logged('"channel": "workshop", "event": "channel up"')
        await server.wait_for(lambda: server.commands)
        chat = server.dm_channel()
        used = [server.slash("ask", {"text": "hello"}, channel=chat), server.slash("pair", channel=chat)]
        used += [server.slash(name, channel=chat) for name in ("status", "help", "new")]
        await server.wait_for(lambda: all(one.responses for one in used))
    code, again, third, help_, fourth = [one.responses[0]["content"] for one in used]
    assert code == again == third == fourth
    assert "bothub pairing approve workshop" in code
    assert "/pair: Show how to be let in" in help_
    assert server.called("create_message") == []


async def test_two_bots_that_answer_each_other_end(tmp_path: Path, server: DiscordServer) -> None:
    config = demo_config()
    config["channels"]["workshop"] = discord_channel(server, bots="allow")
    async with HubProcess(tmp_path, config) as process:
        await process.logged('"channel": "workshop", "event": "channel up"')
        server.say("one", user=ROBOT, bot=True, mention=True)
        for count in range(1, BOT_TURNS + 1):  # the other bot answers each answer
            await server.wait_for(lambda count=count: len(server.sent()) == count)
            server.say(f"and {count}", user=ROBOT, bot=True, mention=True)
        await process.logged("bots talk to each other")
        server.say("enough, and now?", user=BORIS, mention=True)
        await server.wait_text("You said: Борис: enough, and now?")
    assert len(server.sent()) == BOT_TURNS + 1
