"""`kill -9` between a call of a client's function and its output, and while the output is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.responses import FunctionToolParam, Response
from openai.types.responses.response_input_item_param import FunctionCallOutput

from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Call, Request, Step, Upstream, say
from tests.responses.test_streams import until_over

WEATHER: FunctionToolParam = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
BERN = Call("weather", '{"city":"Bern"}', id="call_1")
OUTPUT: FunctionCallOutput = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
ROUND = [("user", "weather?"), ("assistant", None), ("tool", "sunny")]


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[HubProcess]:
    gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}
    config = demo_config(models={"gpt": gpt}, agents={"writer": {"model": "gpt"}}, channels={})
    async with HubProcess(tmp_path, config) as hub:
        yield hub


def told(upstream: Upstream) -> list[tuple[str, Any]]:
    messages = upstream.requests[-1].body["messages"]
    return [(one["role"], one["content"]) for one in messages if one["role"] != "system"]


async def test_a_function_goes_round_through_kills(hub: HubProcess, upstream: Upstream) -> None:
    gate = asyncio.Event()

    def play(request: Request) -> Step:
        """Who was told, answers when the gate is open: however often it is asked until then."""
        if request.body["messages"][-1]["role"] == "tool":
            return say("It is ", "sunny.", gate=gate, gate_after=0)
        return say("Bye.") if request.last_text == "thanks" else Answer(calls=(BERN,))

    upstream.default = play
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=9, timeout=PATIENCE) as client:

        async def ask(given: str | list[Any], **more: Any) -> Response:
            answer: Response = await client.responses.create(
                model="writer", input=given, tools=[WEATHER], extra_body=more
            )
            return answer

        asked = await ask("weather?")
        await hub.kill()
        await hub.start()
        assert (await client.responses.retrieve(asked.id)).model_dump() == asked.model_dump()
        begun = await ask([OUTPUT], previous_response_id=asked.id, background=True)
        await upstream.wait_request(2)
        assert told(upstream) == ROUND
        await hub.kill()
        gate.set()
        await hub.start()
        answer = await until_over(client, begun.id)
        assert (answer.status, answer.output_text) == ("completed", "It is sunny.")
        assert told(upstream) == ROUND
        assert (await client.responses.retrieve(asked.id)).model_dump() == asked.model_dump()
        await ask("thanks", previous_response_id=answer.id)
        assert told(upstream) == [*ROUND, ("assistant", "It is sunny."), ("user", "thanks")]
