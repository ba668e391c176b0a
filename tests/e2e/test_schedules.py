"""A reminder outlives the process that set it."""

from __future__ import annotations

from pathlib import Path

from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer

ASK = 'call schedule {"text": "drink your tea", "in": 1, "channel": "support", "chat_id": 77}'


async def test_a_reminder_comes_once_in_the_chat_it_is_for_after_a_kill(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        config = demo_config()
        config["agents"]["assistant"]["tools"] = ["schedule"]
        config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
        # Without the role `channels` nothing fires: the reminder is due while no hub runs, or later.
        async with HubProcess(tmp_path, {**config, "roles": ["api", "agents"]}) as first:
            async with AsyncOpenAI(api_key=first.key, base_url=f"{first.url}/v1") as client:
                answer = await client.chat.completions.create(
                    model="assistant", messages=[{"role": "user", "content": ASK}]
                )
            assert '"address":"support:77"' in (answer.choices[0].message.content or "")
            await first.kill()
        async with HubProcess(tmp_path, config) as second:
            await second.logged('.reply", "address": "support:77"')
        [reminder] = [message["text"] for message in telegram.sent(77)]
    assert "A reminder you set yourself" in reminder
    assert "drink your tea" in reminder
