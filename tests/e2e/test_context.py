"""What a model is told in a real hub: time and place, images, and a summary when there is little room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config

PATIENCE = 30.0


async def ask(client: AsyncOpenAI, text: str, **more: Any) -> str:
    said: Any = [{"role": "user", "content": text}]
    answer = await client.chat.completions.create(model="assistant", messages=said, extra_body=more)
    return answer.choices[0].message.content or ""


async def test_the_demo_model_shows_what_it_is_told_and_what_was_summed_up(tmp_path: Path) -> None:
    agent = {"model": "demo", "system_prompt": "Be brief.", "context": {"budget": 300}}
    async with (
        HubProcess(tmp_path, demo_config(agents={"assistant": agent})) as hub,
        AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client,
    ):
        told = await ask(client, "system")
        assert told.startswith("Be brief.\n\nYou are asked by a program, over HTTP.\n\nIt is ")
        await ask(client, "My cat is called Tom.")
        for number in range(8):
            await ask(client, f"{number} is a number that I like a lot, for no reason that I could tell anybody.")
        async with asyncio.timeout(PATIENCE):
            while "It is a record" not in (told := await ask(client, "system")):
                pass
        assert "My cat is called Tom." in told
        assert "My cat is called Tom." not in await ask(client, "what did I say")
        assert await ask(client, "what did I say", session_id="another") == "- what did I say"
