"""Several agents behind one bot: by route, by word, and by what the chat chose, over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer


async def test_a_bot_with_several_agents_lets_the_right_one_answer(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        agents: dict[str, Any] = {
            "assistant": {"model": "demo"},
            "sales": {"model": "demo", "routes": [{"channel": "support", "sender": 78}]},
            "shout": {"model": "demo", "public": False, "routes": [{"command": "shout"}]},
        }
        config = demo_config(agents=agents)
        config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
        async with HubProcess(tmp_path, config) as hub:
            telegram.say("/status", chat=78, user=78)
            await telegram.wait_text("I am sales: no session yet, nothing to answer.", chat=78)
            telegram.say("/shout hello there")
            await telegram.wait_text("You said: hello there")
            telegram.say("/agent sales")
            await telegram.wait_text("sales answers here from now on.")
            await hub.stop()
            await hub.start()
            telegram.say("hello")
            await telegram.wait_text("You said: hello")
            telegram.say("/agent")
            await telegram.wait_text(
                "sales answers here. You may choose:\n\n/agent assistant\n/agent sales\n/agent default"
            )
            telegram.say("/agent default")
            await telegram.wait_text("assistant answers here again.")
            telegram.say("/status")
            await telegram.wait_text("I am assistant: no session yet, nothing to answer.")
