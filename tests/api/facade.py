"""A façade on a real port, in front of a fake hub with a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAI

from api.app import create_app
from api.serve import listen, serve
from hub.accounts import keys
from hub.accounts.keys import Key
from hub.store import Connection, Store
from tests.api.fake_hub import AGENTS as NAMES
from tests.api.fake_hub import NOW, FakeHub
from tests.granting import grant
from tests.patience import PATIENCE

USER = "sk-user-0123456789abcdefghijklmnopqrs"
OTHER = "sk-other-0123456789abcdefghijklmnopqr"
ADMIN = "br-admin-0123456789abcdefghijklmnopqr"
CHAT = "/v1/chat/completions"
HI: list[Any] = [{"role": "user", "content": "hi"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


class Facade:
    """A running façade; clients act as `USER` unless told otherwise."""

    def __init__(self, fake: FakeHub, port: int, user: Key) -> None:
        self.fake = fake
        self.port = port
        self.user = user
        self.root = f"http://127.0.0.1:{port}"

    def http(self, secret: str | None = USER, **headers: str) -> httpx.AsyncClient:
        """A plain client."""
        sent = headers if secret is None else {"Authorization": f"Bearer {secret}", **headers}
        return httpx.AsyncClient(base_url=self.root, headers=sent, timeout=PATIENCE)

    def openai(self, secret: str = USER, **options: Any) -> AsyncOpenAI:
        """The official SDK."""
        options.setdefault("max_retries", 0)
        return AsyncOpenAI(base_url=f"{self.root}/v1", api_key=secret, **options)

    def openai_sync(self, secret: str = USER) -> OpenAI:
        """The official SDK for threads."""
        return OpenAI(base_url=f"{self.root}/v1", api_key=secret, max_retries=0)

    async def raw(self, body: bytes, *, secret: str = USER) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection that has sent a chat completion."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
        writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return reader, writer


def user_key(connection: Connection, secret: str, name: str, *scopes: str) -> Key:
    """A unit: a new user key that may use the models of a fake hub."""
    key = keys.create(connection, secret, name=name, now=NOW, scopes=scopes or keys.USER_SCOPES)
    grant(connection, key.id, models=[each.name for each in NAMES if each.kind == "model"])
    return key


@asynccontextmanager
async def running(store: Store, *, keep_alive: float = 15.0, **options: Any) -> AsyncGenerator[Facade, None]:
    """A façade with a user's, another user's and an admin's key."""
    fake = FakeHub(store, **options)
    user = await store.write(lambda connection: user_key(connection, USER, "user"))
    await store.write(lambda connection: user_key(connection, OTHER, "other"))
    await store.write(lambda connection: keys.create(connection, ADMIN, name="admin", role="admin", now=NOW))
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    stop = asyncio.Event()
    server = asyncio.create_task(serve(create_app(fake.hub(), keep_alive=keep_alive), listener, stop))
    try:
        yield Facade(fake, port, user)
    finally:
        stop.set()
        await server


def body(**fields: Any) -> dict[str, Any]:
    """A chat completion's body."""
    return {"model": "assistant", "messages": HI, **fields}


def events(text: str) -> list[Any]:
    """The data of an event stream; comments are left out, the last `[DONE]` is checked."""
    lines = [line for line in text.split("\n\n") if line and not line.startswith(":")]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


async def stream(facade: Facade, **fields: Any) -> list[Any]:
    """The chunks of a streamed answer."""
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(stream=True, **fields))
        assert answer.status_code == 200, answer.text
        return events(answer.text)
