"""/v1/files, by the official SDK."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from api.uploads import FILE_LIMIT
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config
from tests.platforms.openai import Upstream

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Here]:
    behind = {"provider": "openai", "base_url": upstream.base_url, "multiple": True}
    models = {"demo": {"provider": "demo"}, "gpt": {**behind, "model": "g"}}
    agents = {"assistant": {"model": "gpt"}}
    config = demo_config(bus={}, models=models, agents=agents)
    async with running_hub(tmp_path, config) as hub:
        yield hub


async def test_a_file_comes_and_goes(client: AsyncOpenAI) -> None:
    made = await client.files.create(file=("../notes ä.txt", b"one\ntwo\n"), purpose="user_data")
    assert (made.filename, made.bytes, made.purpose, made.status) == ("notes ä.txt", 8, "user_data", "processed")
    assert (made.object, made.expires_at) == ("file", None)
    assert await client.files.retrieve(made.id) == made
    content = await client.files.content(made.id)
    assert content.content == b"one\ntwo\n"
    headers = content.response.headers
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("text/plain", "nosniff")
    assert headers["Content-Disposition"].startswith("attachment")
    assert (await client.files.delete(made.id)).deleted
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match=made.id) as gone:
            await call(made.id)
        assert gone.value.code == "file_not_found"


async def test_a_list_may_be_deleted_while_it_is_read(client: AsyncOpenAI) -> None:
    made = [await client.files.create(file=(f"{n}.png", PNG), purpose="vision") for n in range(3)]
    other = await client.files.create(file=("a.txt", b"a"), purpose="user_data")
    assert [each.id async for each in client.files.list(order="asc", limit=3)] == [*(m.id for m in made), other.id]
    page = await client.files.list(purpose="vision", limit=2)
    assert ([each.id for each in page.data], page.has_more) == ([made[2].id, made[1].id], True)
    async for each in client.files.list(limit=1):
        await client.files.delete(each.id)
    assert (await client.files.list()).data == []


async def test_another_keys_files_are_not_found(hub: Here, client: AsyncOpenAI) -> None:
    made = await client.files.create(file=("a.txt", b"a"), purpose="user_data")
    async with (await hub.other()).openai() as other:
        assert (await other.files.list()).data == []
        for call in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError):
                await call(made.id)
        content: list[Any] = [{"type": "file", "file": {"file_id": made.id}}]
        with pytest.raises(openai.NotFoundError):
            await other.chat.completions.create(model="assistant", messages=[{"role": "user", "content": content}])
    assert (await client.files.content(made.id)).content == b"a"


async def test_a_file_may_be_kept_for_some_time(client: AsyncOpenAI) -> None:
    made = await client.files.create(
        file=("a.txt", b"a"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert made.expires_at
    assert made.expires_at - made.created_at in (3599, 3600, 3601)


async def test_what_is_wrong_is_named(hub: Here, client: AsyncOpenAI) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any] | None, str]] = [
        ({"purpose": "user_data"}, None, "file"),
        ({"purpose": "user_data"}, {"file": ("a", b"a"), "more": ("b", b"b")}, "file"),
        ({}, {"file": ("a", b"a")}, "purpose"),
        ({"purpose": "fun"}, {"file": ("a", b"a")}, "purpose"),
        ({"purpose": "vision", "expires_after[seconds]": "60"}, {"file": ("a", b"a")}, "expires_after[seconds]"),
        ({"purpose": "vision", "expires_after[anchor]": "now"}, {"file": ("a", b"a")}, "expires_after[anchor]"),
    ]
    async with hub.http() as http:
        for fields, files, param in cases:
            answer = await http.post("/v1/files", data=fields, files=files or {"x": (None, "x")})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
        for query, param in (("after=../x", "after"), ("limit=0", "limit"), ("order=up", "order")):
            answer = await http.get(f"/v1/files?{query}")
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    with pytest.raises(openai.APIStatusError, match=r"'big\.bin' is over the limit of 10 MB") as large:
        await client.files.create(file=("big.bin", bytes(FILE_LIMIT + 1)), purpose="user_data")
    assert large.value.status_code == 413
    assert (await client.files.list()).data == []


async def test_an_upload_that_is_sent_again_is_made_once(client: AsyncOpenAI) -> None:
    headers = {"Idempotency-Key": "k"}
    first, again = [
        await client.files.create(file=("a.txt", b"a"), purpose="user_data", extra_headers=headers) for _ in range(2)
    ]
    assert first == again
    with pytest.raises(openai.ConflictError):
        await client.files.create(file=("a.txt", b"b"), purpose="user_data", extra_headers=headers)
    assert [each.id for each in (await client.files.list()).data] == [first.id]


async def test_an_agent_keeps_what_it_was_sent_when_the_file_is_deleted(
    hub: Here, client: AsyncOpenAI, upstream: Upstream
) -> None:
    made = await client.files.create(file=("cat.png", PNG), purpose="vision")
    content: list[Any] = [{"type": "text", "text": "Look"}, {"type": "file", "file": {"file_id": made.id}}]
    await client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": content}])
    await client.files.delete(made.id)
    await client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": "And again?"}])
    assert len(upstream.requests) == 2
    for request in upstream.requests:
        assert base64.b64encode(PNG).decode() in str(request.body["messages"])


async def test_a_model_is_sent_a_file_by_its_id(client: AsyncOpenAI, upstream: Upstream) -> None:
    made = await client.files.create(file=("notes.txt", b"one two"), purpose="user_data")
    content: list[Any] = [{"type": "file", "file": {"file_id": made.id}}]
    await client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": content}])
    [part] = upstream.requests[0].body["messages"][0]["content"]
    assert "one two" in part["text"]
