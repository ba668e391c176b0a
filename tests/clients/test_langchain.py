"""LangChain's ChatOpenAI."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.clients.serving import Serving
from tests.platforms.openai import Call, Upstream, call, say

pytestmark = pytest.mark.asyncio(loop_scope="package")


@tool
def weather(city: str) -> str:
    """How the weather is in a city."""
    return f"cold in {city}"


class City(BaseModel):
    """Where."""

    city: str


def chat(hub: Serving, key: str, model: str, **more: Any) -> Any:
    """A ChatOpenAI; its own types leave half of it unknown."""
    return ChatOpenAI(base_url=hub.url, api_key=SecretStr(key), model=model, max_retries=0, **more)


async def test_an_agent_answers_and_remembers(hub: Serving, key: str) -> None:
    model = chat(hub, key, "assistant", default_headers={"Session-Id": "chain"})
    answer = await model.ainvoke("count to 3")
    assert answer.content == "1 2 3"
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] == 3
    assert (await model.ainvoke("what did I say")).content == "- count to 3\n- what did I say"
    assert (await chat(hub, key, "assistant").ainvoke("what did I say")).content == "- what did I say"


async def test_a_stream_is_read_to_its_usage(hub: Serving, key: str) -> None:
    chunks = [chunk async for chunk in chat(hub, key, "assistant", stream_usage=True).astream("count to 3")]
    assert "".join(str(chunk.content) for chunk in chunks) == "1 2 3"
    assert [usage["output_tokens"] for chunk in chunks if (usage := chunk.usage_metadata)] == [3]


async def test_tools_go_round(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(
        call(Call("weather", '{"city":"Oslo"}', id="a"), Call("weather", '{"city":"Rome"}', id="b")), say("Cold.")
    )
    model = chat(hub, key, "drafter").bind_tools([weather])
    messages: list[Any] = [SystemMessage("Ask first."), HumanMessage("How is it?")]
    asked = await model.ainvoke(messages)
    results = [await weather.ainvoke(each) for each in asked.tool_calls]
    assert [result.content for result in results if isinstance(result, ToolMessage)] == ["cold in Oslo", "cold in Rome"]
    assert (await model.ainvoke([*messages, asked, *results])).content == "Cold."
    roles = [message["role"] for message in upstream.requests[1].body["messages"]]
    assert roles == ["system", "system", "user", "assistant", "tool", "tool"]


async def test_an_answer_in_a_schema_is_parsed(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script('{"city":"Oslo"}')
    assert await chat(hub, key, "gpt").with_structured_output(City).ainvoke("Where?") == City(city="Oslo")
    assert upstream.requests[0].body["response_format"]["type"] == "json_schema"
