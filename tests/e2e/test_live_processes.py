"""What one process saves, another one uses: with signals and without, and when the one that saved is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from hub.accounts import definitions
from hub.accounts.audit import By
from hub.accounts.definitions import Draft
from hub.store import Connection, open_store
from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE

KEY = "k7Qp2Zr9Xw4Lm8Tn3Vb6Yc1DsF5h"
ENVIRON = {"BOTHUB_API_KEY": KEY, "BOTHUB_SECRET_KEY": "f0e1d2c3b4a5968778695a4b3c2d1e0f0123456789abcdef"}
SAVED = {"name": "second", "provider": "demo"}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def client(stack: AsyncExitStack, hub: HubProcess) -> httpx.AsyncClient:
    made = httpx.AsyncClient(base_url=hub.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE)
    stack.push_async_callback(made.aclose)
    return made


async def asked(client: httpx.AsyncClient, name: str, text: str) -> str:
    body = {"model": name, "messages": [{"role": "user", "content": text}]}
    answer = (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    return answer.json()["choices"][0]["message"]["content"]


async def saved(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    return (await client.post(f"/admin/{path}", json=body)).raise_for_status().json()["data"]


async def two(
    stack: AsyncExitStack, folder: Path, one: list[str], other: list[str], **more: Any
) -> tuple[HubProcess, HubProcess]:
    """Two processes of one hub, with these roles."""
    a = HubProcess(folder / "a", demo_config(roles=one, **more), ENVIRON)
    b = HubProcess(folder / "b", demo_config(roles=other, **more), ENVIRON)
    for process in (a, b):
        stack.push_async_callback(process.kill)
    await asyncio.gather(a.start(), b.start())
    return a, b


@pytest.mark.parametrize("signalled", [True, False])
async def test_a_bot_that_one_process_saves_runs_in_another(
    tmp_path: Path, postgres_url: str, nats_url: str, stack: AsyncExitStack, signalled: bool
) -> None:
    """The room's agent answers in the process that has agents and channels; also when nothing tells it."""
    signals = {"url": f"{nats_url}/{uuid4().hex}" if signalled else "local"}
    a, b = await two(stack, tmp_path, ["api"], ["agents", "channels"], store={"url": postgres_url}, signals=signals)
    here = client(stack, a)
    await saved(here, "model/save", **SAVED)
    await saved(here, "bot/web/save", name="hall", config={"modelId": "second"})
    await b.logged('"channel": "hall", "event": "channel up"')
    assert await asked(here, "bot-hall", "hello") == "You said: hello"


async def test_a_model_that_one_process_saves_is_asked_at_another_at_once(
    tmp_path: Path, postgres_url: str, stack: AsyncExitStack
) -> None:
    a, b = await two(stack, tmp_path, ["api", "agents"], ["api"], store={"url": postgres_url})
    here, there = client(stack, a), client(stack, b)
    for number in range(5):
        made = await saved(here, "model/save", name=f"model-{number}", provider="demo")
        assert await asked(there, f"model-{number}", "hello") == "You said: hello"
        await saved(there, "model/delete", id=made["id"])
        gone = await there.post("/v1/chat/completions", json={"model": f"model-{number}", "messages": []})
        assert gone.status_code in (400, 404)


async def test_what_was_saved_by_who_was_killed_before_it_was_used_is_used_after_the_start(tmp_path: Path) -> None:
    async with HubProcess(tmp_path, demo_config(), ENVIRON) as hub:
        await hub.kill()
        store = await open_store(hub.store_url)
        draft = Draft(kind="agent", name="helper", settings={"model": "demo", "system_prompt": "I help"})

        def save(connection: Connection) -> None:
            definitions.write(connection, [draft], definitions.version(connection), 1.0, By())

        await store.write(save)
        await store.close()
        await hub.start()
        async with AsyncExitStack() as stack:
            assert (await asked(client(stack, hub), "helper", "system")).startswith("I help")


@pytest.mark.parametrize("number", [0, 1])
async def test_a_kill_in_the_middle_leaves_what_was_saved_whole_or_not_at_all(tmp_path: Path, number: int) -> None:
    async with HubProcess(tmp_path, demo_config(), ENVIRON) as hub, AsyncExitStack() as stack:
        body = {"name": "hall", "config": {"modelId": "demo"}}
        asking = asyncio.create_task(client(stack, hub).post("/admin/bot/web/save", json=body))
        for _ in range(20 * number):
            await asyncio.sleep(0)
        await hub.kill()
        await asyncio.wait({asking})
        asking.exception()
        await hub.start()
        here = client(stack, hub)
        bots = (await here.get("/admin/bot/web/list?q=hall")).json()["data"]["items"]
        names = [one["id"] for one in (await here.get("/v1/models")).json()["data"]]
        assert ("bot-hall" in names) is bool(bots)
