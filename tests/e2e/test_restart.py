"""A channel is restarted from outside while its hub runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer


async def bothub(hub: HubProcess, *words: str) -> tuple[int | None, str]:
    """Run a command beside the hub."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "--config", str(hub.folder / "config.yaml"), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_a_channel_restarted_by_the_command_line_answers_once(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        config = demo_config()
        config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
        async with HubProcess(tmp_path, config) as hub:
            await telegram.wait_call("getUpdates")
            greetings = len(telegram.called("getMe"))
            for number in range(1, 3):
                assert await bothub(hub, "channels", "restart", "support") == (
                    0,
                    "restarting  support connects anew within a few seconds\n",
                )
                await telegram.wait_call("getMe", greetings + number)
            telegram.say("hello")
            await telegram.wait_text("You said: hello")
            code, listed = await bothub(hub, "channels", "list")
            assert (code, "support" in listed, "up" in listed) == (0, True, True)
            assert [message["text"] for message in telegram.sent()] == ["You said: hello"]
        assert (await bothub(hub, "channels", "restart", "nobody"))[0] == 2
