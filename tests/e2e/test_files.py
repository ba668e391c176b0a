"""A file goes into a web room, through an agent's tool, and comes out again whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def said(client: httpx.AsyncClient, room: str, count: int) -> list[dict[str, Any]]:
    """The messages of a room, once there are `count`."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.get("/api/v1/messages", params={"channel": "web", "chat_id": room})
            if len(found := answer.json()["messages"]) >= count:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_what_was_sent_is_sent_on_and_a_button_is_pressed(tmp_path: Path) -> None:
    config = demo_config()
    config["agents"]["assistant"]["tools"] = ["message"]
    async with HubProcess(tmp_path, config) as hub:
        headers = {"Authorization": f"Bearer {hub.key}"}
        async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE) as client:
            media = '["data:text/plain;base64,aGk=", "chart.png"]'
            call = f'call message {{"content": "yours", "media": {media}, "buttons": [["count to 3"]]}}'
            form = await client.post("/api/v1/web/a", data={"text": call}, files={"f": ("chart.png", PNG, "image/png")})
            assert form.status_code == 202, form.text
            question, text, note, picture, report = await said(client, "a", 5)
            assert question["files"][0] | {"url": ""} == picture["files"][0] | {"url": ""}
            assert [(await client.get(each["files"][0]["url"])).content for each in (note, picture)] == [b"hi", PNG]
            assert (text["text"], text["buttons"]) == ("yours", [])
            assert picture["buttons"] == [[{"text": "count to 3", "value": "count to 3"}]]
            assert f'"platform_ids":["{text["id"]}","{note["id"]}","{picture["id"]}"]' in report["text"]
            press = {"press": {"message": picture["id"], "value": "count to 3"}}
            assert (await client.post("/api/v1/web/a", json=press)).status_code == 202
            assert [message["text"] for message in (await said(client, "a", 7))[5:]] == ["count to 3", "1 2 3"]
