"""Posts with files: L12's form and JSON, and the parts of deliveries, as they stand in the room that they went to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.here import Here, running_hub

TO = {"channel": "web", "chatId": "lobby"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
URL = "data:text/plain;base64,dGhlIHRlYQ=="


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Here]:
    config: dict[str, Any] = {
        "models": {"demo": {"provider": "demo"}},
        "agents": {"bot": {"model": "demo"}},
        "channels": {"web": {"kind": "web", "agent": "bot"}},
    }
    async with running_hub(tmp_path, config) as hub:
        yield hub


async def room(client: httpx.AsyncClient) -> list[Any]:
    """Text, file and its content of every message in the room."""
    found = (await client.get("/api/v1/messages", params={"channel": "web", "chat_id": "lobby"})).json()["messages"]
    shown: list[Any] = []
    for message in found:
        for file in message["files"]:
            content = (await client.get(file["url"])).content
            shown.append((file["name"], file["media_type"], content))
        shown += [message["text"]] if message["text"] else []
    return shown


async def test_L12_a_form_with_a_file(hub: Here) -> None:
    async with hub.http() as client:
        files = {"file": ("tea.png", PNG, "image/png")}
        sent = await client.post("/api/v1/messages", data={**TO, "text": "Look", "kind": "image"}, files=files)
        assert (sent.status_code, sent.json()["success"]) == (200, True), sent.text
        assert sent.json()["messageId"]
        assert await room(client) == ["Look", ("tea.png", "image/png", PNG)]


@pytest.mark.parametrize("file", [URL, {"filename": "tea.txt", "file_data": URL}])
async def test_L12_a_file_inline_and_nothing_else(hub: Here, file: Any) -> None:
    async with hub.http() as client:
        sent = await client.post("/api/v1/messages", json={**TO, "file": file})
        assert (sent.status_code, sent.json()["success"]) == (200, True), sent.text
        name = "file.txt" if file == URL else "tea.txt"
        assert await room(client) == [(name, "text/plain", b"the tea")]


async def test_L12_a_picture_that_shall_be_saved(hub: Here) -> None:
    async with hub.http() as client:
        files = {"file": ("tea.png", PNG, "image/png")}
        await client.post("/api/v1/messages", data={**TO, "kind": "file"}, files=files)
        assert await room(client) == [("tea.png", "application/octet-stream", PNG)]


async def test_L12_nothing_to_say_is_a_400(hub: Here) -> None:
    async with hub.http() as client:
        for empty in ({}, {"text": " "}):
            refused = await client.post("/api/v1/messages", json={**TO, **empty})
            assert (refused.status_code, refused.json()["code"]) == (400, "missing_parameter")


async def test_L12_a_form_is_sent_once_under_its_key(hub: Here) -> None:
    async with hub.http(**{"Idempotency-Key": "k"}) as client:
        # Each form has a boundary of its own.
        await client.post("/api/v1/messages", data=TO, files={"file": ("a.txt", b"once", "text/plain")})
        sent = await client.post("/api/v1/messages", data=TO, files={"file": ("a.txt", b"once", "text/plain")})
        assert (sent.status_code, sent.headers["Idempotent-Replayed"]) == (200, "true")
        other = await client.post("/api/v1/messages", data=TO, files={"file": ("a.txt", b"else", "text/plain")})
        assert (other.status_code, len(await room(client))) == (409, 1)


async def test_the_parts_of_a_delivery(hub: Here) -> None:
    async with hub.http() as client:
        kept = await client.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("b.txt", b"kept")})
        parts = [
            {"type": "text", "text": "Two files"},
            {"type": "file", "file": {"filename": "a.txt", "file_data": URL}},
            {"type": "file", "file": {"file_id": kept.json()["id"]}},
        ]
        to = {"channel": "web", "chat_id": "lobby", "wait": True}
        sent = await client.post("/v1/deliveries", json={**to, "parts": parts})
        assert (sent.status_code, sent.json()["status"], len(sent.json()["parts"])) == (200, "delivered", 3), sent.text
        said, first, second = await room(client)
        assert (said, first, second[0], second[2]) == (
            "Two files",
            ("a.txt", "text/plain", b"the tea"),
            "b.txt",
            b"kept",
        )
        wrong = await client.post("/v1/deliveries", json={**to, "parts": [{"type": "file", "file": {"file_id": "x"}}]})
        assert wrong.status_code == 404
