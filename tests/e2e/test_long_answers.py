"""A long answer arrives whole and in order while the platform throws errors at it."""

from __future__ import annotations

import re
from pathlib import Path

from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer

LENGTH = 20_000


def said(text: str) -> str:
    """The letters and digits that a reader sees of a Markdown text: no fences, no targets of links."""
    seen = re.sub(r"^\s*```.*$|(?<=\])\(.*?\)", "", text, flags=re.MULTILINE)
    return "".join(re.findall(r"[^\W_]", seen))


async def test_twenty_thousand_characters_survive_a_rough_platform(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        config = demo_config()
        config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
        async with HubProcess(tmp_path, config) as hub:
            async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client:
                whole = await client.chat.completions.create(
                    model="demo", messages=[{"role": "user", "content": f"long {LENGTH}"}]
                )
            expected = whole.choices[0].message.content or ""
            assert len(expected) == LENGTH
            for method in ("sendMessage", "editMessageText", "sendMessageDraft"):
                telegram.fail(method, code=429, retry_after=1, times=1)
                telegram.fail(method, code=502, json=False, times=1)
            telegram.say(f"long {LENGTH}")
            await telegram.wait_for(lambda: said("".join(texts(telegram))) == said(expected), 60)
            assert "```" not in "".join(texts(telegram)), "code is marked, not fenced"
            assert all(len(text.encode("utf-16-le")) // 2 <= 4096 for text in texts(telegram))


def texts(telegram: TelegramServer) -> list[str]:
    return [message.get("text", "") for message in telegram.sent()]
