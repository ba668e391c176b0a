"""What a hub logged about one message, asked of the hub itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE

SECRET = "sk-0123456789abcdefghijklmnop"


async def lines(http: httpx.AsyncClient, **wanted: str) -> list[dict[str, Any]]:
    answer = await http.get("/admin/log/list", params=wanted)
    return answer.json()["data"]["items"]


async def test_the_lines_of_a_message_are_found_from_its_turn_to_the_delivery_of_its_answer(tmp_path: Path) -> None:
    async with HubProcess(tmp_path, demo_config()) as hub:
        headers = {"Authorization": f"Bearer {hub.key}"}
        async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE) as http:
            said = await http.post("/api/v1/web/lobby", json={"text": f"my key is {SECRET}"})
            message = said.json()["message_id"]
            async with asyncio.timeout(PATIENCE), http.stream("GET", "/admin/log/tail?q=delivery&after=0") as tail:
                async for text in tail.aiter_lines():
                    if message in text:
                        break
            found = await lines(http, message=message)
            assert [line["event"] for line in found] == ["delivery", "turn"]
            assert found[1]["fields"]["agent"] == "assistant"
            assert {line["fields"]["address"] for line in found} == {"web:lobby"}
            assert message in {line["fields"]["id"] for line in await lines(http, channel="web", agent="assistant")}
            assert "channel up" in {line["event"] for line in await lines(http, channel="web")}
            everything = await http.get("/admin/log/list?limit=1000")
            assert (SECRET in everything.text, hub.key in everything.text) == (False, False)
