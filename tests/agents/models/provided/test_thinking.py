"""Models of providers that think before they answer."""

from typing import Any

import pytest

from agents.models.anthropic import Anthropic
from agents.models.provided import Provided
from hub.model import Completion
from tests.agents.models.given import KEY
from tests.agents.models.provided.cases import BUDGET, converse
from tests.contracts.model import TOOLS, answer, ask, text_of
from tests.platforms import anthropic, bedrock
from tests.platforms.openai import Answer, Call
from tests.platforms.served import Served

pytestmark = pytest.mark.slow


class TestThinking:
    async def test_thoughts_are_apart_from_text(self, upstream: Served, model: Provided) -> None:
        thought = Answer(reasoning=("let me ", "think"), text=("4",))
        upstream.script(thought, thought)
        chunks = await answer(model, ask("2+2", thinking=BUDGET, max_tokens=2000))
        assert "".join(chunk.reasoning for chunk in chunks) == "let me think"
        assert text_of(chunks) == "4"
        [chunk] = await answer(model, ask("2+2", stream=False))
        assert (chunk.reasoning, chunk.text) == ("let me think", "4")
        body = upstream.requests[0].body
        assert (body.get("additionalModelRequestFields") or body)["thinking"] == BUDGET

    async def test_a_budget_of_tokens_is_one_too(self, upstream: Served, model: Provided) -> None:
        await answer(model, ask("2+2", thinking_budget=1024, max_tokens=2000))
        body = upstream.requests[0].body
        assert (body.get("additionalModelRequestFields") or body)["thinking"] == BUDGET

    async def test_efforts_are_known_of_models_that_think(self, upstream: Served) -> None:
        if isinstance(upstream, anthropic.Anthropic):
            model: Provided = Anthropic(model="claude-haiku-4-5", api_key=KEY, base_url=upstream.base_url)
        else:
            model = converse(upstream.base_url, model=bedrock.THINKER)
        ways: list[dict[str, Any]] = [
            {"reasoning_effort": "high"},
            {"reasoning": {"effort": "high"}},
            {"enable_thinking": True},
        ]
        for params in ways:
            await answer(model, ask("2+2", **params))
        await model.close()
        bodies = [request.body.get("additionalModelRequestFields") or request.body for request in upstream.requests]
        assert [body["thinking"]["type"] for body in bodies] == ["enabled"] * 3

    @pytest.mark.parametrize("stream", [True, False])
    async def test_thoughts_behind_a_tool_call_go_back_with_it(
        self, upstream: Served, model: Provided, stream: bool
    ) -> None:
        thought = ("I should look. ",)
        upstream.script(Answer(reasoning=thought, text=("\n", "Wait."), calls=(Call("find", '{"a": 1}', id="c9"),)))
        params = {"thinking": BUDGET, "max_tokens": 2000}
        question = Completion(messages=ask("where?").messages, tools=TOOLS, params=params, stream=stream)
        [*_, last] = await answer(model, question)
        upstream.script("There.")
        messages = [*question.messages, *after(last.calls[0].id, "Wait.")]
        assert text_of(await answer(model, Completion(messages=messages, tools=TOOLS, params=params))) == "There."
        assert "I should look. " in str(upstream.requests[1].body)

    async def test_lost_thoughts_end_the_thinking_and_not_the_turn(self, upstream: Served, model: Provided) -> None:
        params = {"thinking": BUDGET, "max_tokens": 2000}
        messages = [*ask("where?").messages, *after("lost", "Wait.")]
        upstream.script("There.")
        assert text_of(await answer(model, Completion(messages=messages, tools=TOOLS, params=params))) == "There."
        assert "thinking" not in upstream.requests[0].body
        upstream.script("Here.")
        messages += [{"role": "assistant", "content": "There."}, {"role": "user", "content": "sure?"}]
        await answer(model, Completion(messages=messages, tools=TOOLS, params=params))
        assert str(BUDGET) in str(upstream.requests[1].body)


def after(call_id: str, text: str) -> list[dict[str, Any]]:
    call = {"id": call_id, "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}
    return [
        {"role": "assistant", "content": text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": "found"},
    ]
