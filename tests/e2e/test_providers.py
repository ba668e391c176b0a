"""A hub with models of Anthropic and Bedrock, asked by the official OpenAI client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config
from tests.platforms import bedrock
from tests.platforms.anthropic import Anthropic
from tests.platforms.openai import Answer, Call
from tests.platforms.served import Served

TOOL: Any = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
SECRET = "a-very-secret-key"


@pytest.fixture(params=["anthropic", "bedrock-converse"])
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with Anthropic() if request.param == "anthropic" else bedrock.Bedrock() as upstream:
        yield upstream


@pytest.fixture
async def hub(tmp_path: Path, upstream: Served) -> AsyncIterator[HubProcess]:
    claude: dict[str, Any] = {"provider": "anthropic", "model": "claude-test", "api_key": SECRET}
    if isinstance(upstream, bedrock.Bedrock):
        keys = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": SECRET}
        claude = {"provider": "bedrock-converse", "model": bedrock.MODEL, "region": bedrock.REGION, **keys}
    config = demo_config()
    config["models"]["claude"] = {**claude, "base_url": upstream.base_url}
    config["agents"]["assistant"]["model"] = "claude"
    async with HubProcess(tmp_path, config) as process:
        yield process


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=0) as client:
        yield client


async def test_an_agent_uses_a_tool_and_answers_in_a_stream(
    hub: HubProcess, upstream: Served, client: AsyncOpenAI
) -> None:
    posted = Call("message", '{"content": "Done.", "channel": "web", "chat_id": "lobby"}')
    upstream.script(Answer(reasoning=("Post first.",), calls=(posted,)), Answer(text=("It is ", "posted.")))
    stream = await client.chat.completions.create(
        model="assistant", messages=[{"role": "user", "content": "post it"}], stream=True
    )
    said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(said) == "It is posted."
    assert "delivered" in str(upstream.requests[1].body)
    assert SECRET not in "".join(hub.log)


async def test_a_program_that_runs_its_own_tools_gets_calls_and_sends_results(
    upstream: Served, client: AsyncOpenAI
) -> None:
    upstream.script(Answer(calls=(Call("find", '{"what": "key"}', id="c1"),)), "In the drawer.")
    messages: list[Any] = [{"role": "user", "content": "where is it?"}]
    first = (await client.chat.completions.create(model="claude", messages=messages, tools=[TOOL])).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls
    assert first.message.tool_calls[0].id == "c1"
    messages += [first.message, {"role": "tool", "tool_call_id": "c1", "content": "drawer"}]
    stream = await client.chat.completions.create(
        model="claude", messages=messages, tools=[TOOL], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "In the drawer."
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 3


async def test_ctrl_c_does_not_wait_for_an_answer_that_is_held(
    hub: HubProcess, upstream: Served, client: AsyncOpenAI
) -> None:
    upstream.script(Answer(end="silence"))
    room = {"text": "are you there?"}
    await client.post("/../api/v1/web/lobby", body=room, cast_to=object)
    await upstream.wait_request()
    assert await hub.stop() == 0
