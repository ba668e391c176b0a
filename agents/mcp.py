"""Tools that run elsewhere: servers that speak the Model Context Protocol, over stdio or streamable HTTP.

A server is started or connected to when a turn first wants its tools, and again when it has died. Without it the turn
goes on: a server that is away takes its tools along, nothing else.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog

from agents.config import Mcp
from agents.tools import Tool, failure
from hub.agent import Turn

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, ContentBlock
    from mcp.types import Tool as Offered

log = structlog.get_logger()
START, ANSWER = 30.0, 5.0
"""Seconds a server may take to start and tell its tools, and to tell them again."""
MOST = 1_000
"""Tools of one server that are listed."""
REST = 5.0
"""Seconds until a server that could not be reached is tried again."""
LONGEST = 100_000
"""Characters of a result that reach the model."""
NAME = 64
"""The longest name of a tool that OpenAI's API takes."""


class Server:
    """One server's tools for one agent."""

    def __init__(self, name: str, settings: Mcp) -> None:
        self._name = name
        self._settings = settings
        self._connection: _Connection | None = None
        self._resting_until = 0.0
        self._lock = asyncio.Lock()

    async def tools(self) -> Sequence[Tool]:
        """The tools it offers now, those that config leaves out aside; none while it cannot be reached."""
        offered: Sequence[Offered] = ()
        if (connection := await self._up()) is not None:
            try:
                async with asyncio.timeout(ANSWER):
                    offered = await connection.offered()
            except Exception as error:  # noqa: BLE001 - it may have died since; a new one may do
                log.warning("MCP server lost", server=self._name, error=_told(error))
                await connection.close()
                connection = await self._up()
                offered = () if connection is None else connection.first
        return [_RemoteTool(self, self._name, tool) for tool in offered if self._lends(tool.name)]

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Have the server do it; whatever goes wrong is the model's to read."""
        connection = await self._up()
        if connection is None:
            return failure(f"The server '{self._name}' cannot be reached now.")
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        try:
            return _as_text(await connection.client.call_tool(tool, arguments))
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                return failure(error.message)
            await connection.close()
            return failure(f"The server '{self._name}' ended meanwhile; what the tool began may have happened.")

    async def close(self) -> None:
        """End the process or the connection."""
        async with self._lock:
            if self._connection is not None:
                await self._connection.close()

    def _lends(self, tool: str) -> bool:
        return any(fnmatchcase(tool, pattern) for pattern in self._settings.tools)

    async def _up(self) -> _Connection | None:
        """The connection, made anew where there is none; None while that is not possible."""
        async with self._lock:
            if self._connection is not None and self._connection.is_up:
                return self._connection
            now = asyncio.get_running_loop().time()
            if now < self._resting_until:
                return None
            connection = _Connection(self._name, self._settings)
            try:
                async with asyncio.timeout(START):
                    await connection.open()
            except Exception as error:  # noqa: BLE001 - whatever it is, turns go on without these tools
                await connection.close()
                self._resting_until = now + REST
                log.warning("MCP server unavailable", server=self._name, error=_told(error))
                return None
            log.info("MCP server up", server=self._name, tools=[tool.name for tool in connection.first])
            self._connection = connection
            return connection


class _Connection:
    """A connection in a task of its own: the SDK wants it opened and closed in one."""

    client: Client
    first: Sequence[Offered] = ()
    """What it offered when it was opened."""

    def __init__(self, name: str, settings: Mcp) -> None:
        self._settings = settings
        self._closing = asyncio.Event()
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"mcp {name}")

    @property
    def is_up(self) -> bool:
        return not self._closing.is_set()

    async def open(self) -> None:
        """Wait for the connection, and for its tools."""
        await asyncio.shield(self._open)
        self.first = await self.offered()

    async def close(self) -> None:
        """Let go; a server of our own is ended."""
        self._closing.set()
        if not self._open.done():
            self._task.cancel()
        await asyncio.wait({self._task})

    async def offered(self) -> Sequence[Offered]:
        """All its tools, asked anew."""
        offered: list[Offered] = []
        cursor: str | None = None
        while len(offered) < MOST:
            page = await self.client.list_tools(cursor=cursor, cache_mode="bypass")
            offered += page.tools
            if (cursor := page.next_cursor) is None:
                break
        return offered

    async def _run(self) -> None:
        try:
            async with _client(self._settings) as self.client:
                self._open.set_result(None)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001 - told to whoever waits; later errors come from calls
            if not self._open.done():
                self._open.set_exception(error)
        finally:
            self._closing.set()
            self._open.cancel()


class _RemoteTool:
    """One tool of a server, under the server's name and its own."""

    def __init__(self, server: Server, prefix: str, tool: Offered) -> None:
        self.name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{prefix}_{tool.name}")[:NAME]
        self.description = tool.description or tool.title or tool.name
        self.parameters: dict[str, Any] = dict(tool.input_schema)
        self._server = server
        self._theirs = tool.name

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:
        """Have the server do it."""
        del turn, key  # it is told nothing of the chat
        return await self._server.call(self._theirs, arguments)


@asynccontextmanager
async def _client(settings: Mcp) -> AsyncGenerator[Client]:
    await asyncio.to_thread(importlib.import_module, "mcp")  # takes a second
    from mcp import Client, StdioServerParameters
    from mcp.client.streamable_http import streamable_http_client

    async with AsyncExitStack() as stack:
        if settings.url is None:
            assert settings.command is not None
            server: Any = StdioServerParameters(
                command=settings.command, args=list(settings.args), env=_plain(settings.env)
            )
        else:
            import httpx2

            timeout = httpx2.Timeout(START, read=300.0)
            http = await stack.enter_async_context(
                httpx2.AsyncClient(headers=_plain(settings.headers), timeout=timeout)
            )
            server = streamable_http_client(settings.url, http_client=http)
        yield await stack.enter_async_context(Client(server))


def _plain(secrets: Mapping[str, Any]) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in secrets.items()}


def _as_text(result: CallToolResult) -> str:
    """What a model can read of a result: its texts, and a note for whatever is none."""
    text = "\n\n".join(map(_block, result.content))
    if not text and result.structured_content is not None:
        text = msgspec.json.encode(result.structured_content).decode()
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\n(The result goes on; this is its beginning.)"
    return failure(text) if result.is_error else text


def _block(block: ContentBlock) -> str:
    match block.type:
        case "text":
            return block.text
        case "resource":
            return getattr(block.resource, "text", "(a file)")
        case kind:
            return f"({kind})"


def _told(error: BaseException) -> str:
    """An error in words, the first one of a group."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _told(group.exceptions[0])
    return str(error) or type(error).__name__
