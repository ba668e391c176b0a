"""Tools of real MCP servers, over stdio and HTTP: lent, filtered, and had again after the server has died."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from openai import AsyncOpenAI

from agents.config import Mcp
from agents.mcp import Server
from agents.models.demo import Demo
from agents.runner import Runner
from tests.agents.fake_turn import FakeTurn
from tests.e2e.hub import HubProcess, demo_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLOCK = re.compile(r"^```python\n(# clock\.py\n.*?)^```$", re.MULTILINE | re.DOTALL)
SERVER = Path(__file__).with_name("mcp_server.py")
STDIO = Mcp(command=sys.executable, args=(str(SERVER),))


@asynccontextmanager
async def lent(settings: Mcp) -> AsyncGenerator[Server]:
    server = Server("tools", settings)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def over_http() -> AsyncGenerator[Mcp]:
    """A server on a port of its own."""
    process = await asyncio.create_subprocess_exec(sys.executable, SERVER, "http", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield Mcp.model_validate({"url": f"http://127.0.0.1:{port}/mcp", "headers": {"X-Who": "bothub"}})
    finally:
        process.kill()
        await process.communicate()


async def use(server: Server, tool: str, **arguments: object) -> str:
    tools = {one.name: one for one in await server.tools()}
    return await tools[f"tools_{tool}"].call(FakeTurn(), "0", arguments)


async def test_a_programs_tools_are_named_after_it_and_work() -> None:
    async with lent(STDIO) as server:
        tools = {tool.name: tool for tool in await server.tools()}
        assert list(tools) == ["tools_add", "tools_pid", "tools_die", "tools_fail", "tools_environment", "tools_much"]
        assert tools["tools_add"].description == "Add two numbers."
        assert tools["tools_add"].parameters["required"] == ["a", "b"]
        assert await use(server, "add", a=2, b=3) == "5"
        assert "2 validation errors" in await use(server, "add", a="x")
        assert msgspec.json.decode(await use(server, "fail")) == {"error": "Error executing tool fail"}
        assert (await use(server, "much")).endswith("(The result goes on; this is its beginning.)")


async def test_a_server_over_http_gets_its_headers() -> None:
    async with over_http() as settings, lent(settings) as server:
        assert await use(server, "add", a=2, b=3) == "5"
        assert "bothub" in await use(server, "environment")


async def test_config_says_which_tools_are_lent() -> None:
    async with lent(STDIO.model_copy(update={"tools": ("a*", "pid")})) as server:
        assert [tool.name for tool in await server.tools()] == ["tools_add", "tools_pid"]


async def test_a_program_sees_what_config_gives_it_and_no_secret_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    settings = Mcp.model_validate({**STDIO.model_dump(), "env": {"CITY": "Zürich"}})
    async with lent(settings) as server:
        seen = await use(server, "environment")
        assert "Zürich" in seen
        assert "sk-secret" not in seen


async def test_a_server_that_died_is_started_again() -> None:
    async with lent(STDIO) as server:
        first = int(await use(server, "pid"))
        os.kill(first, signal.SIGKILL)
        assert int(await use(server, "pid")) != first


async def test_a_call_under_way_when_its_server_dies_is_told_and_not_repeated() -> None:
    async with lent(STDIO) as server:
        first = int(await use(server, "pid"))
        assert "what the tool began may have happened" in await use(server, "die")
        assert int(await use(server, "pid")) != first


async def test_closing_ends_the_program() -> None:
    async with lent(STDIO) as server:
        pid = int(await use(server, "pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    "settings",
    [
        Mcp(command="/there/is/no/such/program"),
        Mcp(command=sys.executable, args=("-c", "raise SystemExit(1)")),
        Mcp(url="http://127.0.0.1:9/mcp"),
    ],
)
async def test_a_turn_goes_on_without_a_server_that_is_away(settings: Mcp) -> None:
    away = Server("away", settings)
    async with lent(STDIO) as server:
        runner = Runner(name="bot", model=Demo(), model_name="demo", sources=[away, server])
        said = await runner.answer(FakeTurn('call tools_add {"a": 2, "b": 3}'))
        assert "5" in said.text
        assert await away.tools() == []
    await away.close()


async def test_the_documents_server_works_in_a_hub(tmp_path: Path) -> None:
    [clock] = CLOCK.findall((ROOT / "docs/agents/mcp.md").read_text())
    (tmp_path / "clock.py").write_text(clock)
    config = demo_config()
    config["agents"]["assistant"]["mcp"] = {"clock": {"command": sys.executable, "args": [str(tmp_path / "clock.py")]}}
    async with (
        HubProcess(tmp_path, config) as hub,
        AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key) as client,
    ):
        answer = await client.chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": "call clock_now {}"}]
        )
    assert re.search(r"20\d\d-\d\d-\d\dT", answer.choices[0].message.content or "")
