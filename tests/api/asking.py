"""A façade over a fake hub and a real store, asked without a socket or over one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
from quart import Quart, Response

from api.app import create_app
from api.ports import Hub
from api.serve import listen, serve
from hub.accounts import keys
from hub.accounts.keys import Key
from hub.message import Message
from hub.store import Store, open_store
from hub.store.migrate import migrate
from tests.api.fake_hub import NOW, FakeHub
from tests.patience import PATIENCE


class Asking:
    """The app, its fake hub, and keys to ask with."""

    def __init__(self, store: Store, files: Path, *, keep_alive: float = 15.0) -> None:
        self.store = store
        self.fake = FakeHub(store, files)
        self.hub: Hub = replace(self.fake.hub(), accept=self._accept)
        self.app: Quart = create_app(self.hub, keep_alive=keep_alive)
        self.keys: dict[str, Key] = {}
        self._hear: Callable[[Message], Awaitable[None]] | None = None

    def hear(self, accept: Callable[[Message], Awaitable[None]] | None) -> None:
        """Have something else happen to what is said in rooms; None: keep it in `fake.accepted`."""
        self._hear = accept

    async def _accept(self, message: Message) -> None:
        if self._hear is None:
            self.fake.accepted.append(message)
        else:
            await self._hear(message)

    async def key(self, *scopes: str, name: str = "ann") -> dict[str, str]:
        """The headers of a user key with these scopes; the same name again is the same key."""
        secret = f"br-{name}"
        if name not in self.keys:
            self.keys[name] = await self.store.write(
                lambda connection: keys.create(connection, secret, name=name, now=NOW, scopes=scopes)
            )
        return {"Authorization": f"Bearer {secret}"}

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Response]:
        """Status, JSON and response of a request without a socket."""
        data = None if body is None else msgspec.json.encode(body)
        client: Any = self.app.test_client()  # Quart's types leave its parameters unknown
        response = await client.open(path, method=method, data=data, headers=dict(headers or {}))
        return response.status_code, await response.get_json(force=True), response

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx.AsyncClient]:
        """A client of a real server."""
        stop, listener = asyncio.Event(), listen("127.0.0.1", 0)
        host, port = listener.getsockname()
        server = asyncio.create_task(serve(self.app, listener, stop, grace=0.1))
        try:
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=PATIENCE) as client:
                yield client
        finally:
            stop.set()
            await server


@asynccontextmanager
async def open_asking(path: Path, *, keep_alive: float = 15.0) -> AsyncGenerator[Asking]:
    """A façade over a new store in this folder."""
    store = await open_store(f"sqlite:///{path}/bothub.db")
    await migrate(store)
    yield Asking(store, path / "files", keep_alive=keep_alive)
    await store.close()


class Events:
    """Reads server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines: AsyncIterator[str] = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """The next event's fields; a comment has the field ``."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if not line and fields:
                    return fields
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        raise EOFError

    async def named(self, name: str) -> Any:
        """The data of the next event of this name."""
        while (fields := await self.next()).get("event") != name:
            pass
        return msgspec.json.decode(fields["data"])
