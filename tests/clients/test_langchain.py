"""LangChain's ChatOpenAI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.clients.serving import Serving
from tests.patience import PATIENCE
from tests.platforms.openai import Call, Upstream, call, say

pytestmark = pytest.mark.asyncio(loop_scope="package")


@tool
def weather(city: str) -> str:
    """How the weather is in a city."""
    return f"cold in {city}"


class City(BaseModel):
    """Where."""

    city: str


@dataclass(frozen=True)
class Chain:
    """Makes LangChain's models for the hub; their connections end with the test."""

    options: dict[str, Any]

    def chat(self, model: str, **more: Any) -> Any:
        """A ChatOpenAI; its own types leave half of it unknown."""
        return ChatOpenAI(model=model, max_retries=0, **self.options, **more)

    def embeddings(self, model: str) -> OpenAIEmbeddings:
        return OpenAIEmbeddings(model=model, check_embedding_ctx_length=False, **self.options)


@pytest_asyncio.fixture(loop_scope="package")
async def chain(hub: Serving, key: str) -> AsyncIterator[Chain]:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        yield Chain({"base_url": hub.url, "api_key": SecretStr(key), "http_async_client": client})


async def test_an_agent_answers_and_remembers(chain: Chain) -> None:
    model = chain.chat("assistant", default_headers={"Session-Id": "chain"})
    answer = await model.ainvoke("count to 3")
    assert answer.content == "1 2 3"
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] == 3
    assert (await model.ainvoke("what did I say")).content == "- count to 3\n- what did I say"
    assert (await chain.chat("assistant").ainvoke("what did I say")).content == "- what did I say"


async def test_a_stream_is_read_to_its_usage(chain: Chain) -> None:
    chunks = [chunk async for chunk in chain.chat("assistant", stream_usage=True).astream("count to 3")]
    assert "".join(str(chunk.content) for chunk in chunks) == "1 2 3"
    assert [usage["output_tokens"] for chunk in chunks if (usage := chunk.usage_metadata)] == [3]


async def test_tools_go_round(chain: Chain, upstream: Upstream) -> None:
    upstream.script(
        call(Call("weather", '{"city":"Oslo"}', id="a"), Call("weather", '{"city":"Rome"}', id="b")), say("Cold.")
    )
    model = chain.chat("drafter").bind_tools([weather])
    messages: list[Any] = [SystemMessage("Ask first."), HumanMessage("How is it?")]
    asked = await model.ainvoke(messages)
    results = [await weather.ainvoke(each) for each in asked.tool_calls]
    assert [result.content for result in results if isinstance(result, ToolMessage)] == ["cold in Oslo", "cold in Rome"]
    assert (await model.ainvoke([*messages, asked, *results])).content == "Cold."
    roles = [message["role"] for message in upstream.requests[1].body["messages"]]
    assert roles == ["system", "system", "user", "assistant", "tool", "tool"]


async def test_an_answer_in_a_schema_is_parsed(chain: Chain, upstream: Upstream) -> None:
    upstream.script('{"city":"Oslo"}')
    assert await chain.chat("gpt").with_structured_output(City).ainvoke("Where?") == City(city="Oslo")
    assert upstream.requests[0].body["response_format"]["type"] == "json_schema"


async def test_the_responses_api_is_used_as_well(chain: Chain) -> None:
    model = chain.chat("assistant", use_responses_api=True)
    first = await model.ainvoke("count to 3")
    second = await model.ainvoke("what did I say", previous_response_id=first.response_metadata["id"])
    assert (first.text, second.text) == ("1 2 3", "- count to 3\n- what did I say")


async def test_an_agent_that_remembers_has_tools_go_round_over_responses(chain: Chain, upstream: Upstream) -> None:
    upstream.script(call(Call("weather", '{"city":"Oslo"}', id="a")), say("Cold."), say("Bye."))
    model = chain.chat("writer", use_responses_api=True).bind_tools([weather])
    asked = await model.ainvoke("How is it?")
    result = await weather.ainvoke(asked.tool_calls[0])
    last = await model.ainvoke([HumanMessage("How is it?"), asked, result])
    assert last.text == "Cold."
    await model.ainvoke("Thanks.", previous_response_id=last.response_metadata["id"])
    roles = [message["role"] for message in upstream.requests[2].body["messages"]]
    assert [role for role in roles if role != "system"] == ["user", "assistant", "tool", "assistant", "user"]


async def test_texts_are_embedded(chain: Chain) -> None:
    tea, coffee, again = await chain.embeddings("embedder").aembed_documents(["tea", "coffee", "tea"])
    assert tea == again != coffee
