"""What is asked of providers and what they answer, each against a local upstream with its real wire."""

import asyncio
from typing import Any

import pytest

from agents.models.anthropic import Anthropic
from agents.models.provided import Provided
from hub.errors import ModelRefused
from hub.model import Completion, Usage
from tests.agents.models.given import error_of
from tests.agents.models.provided.cases import PIXEL, Case, converse
from tests.contracts.model import TOOLS, answer, ask, text_of
from tests.platforms import bedrock
from tests.platforms import openai as platform
from tests.platforms.openai import Answer, Call, call, say
from tests.platforms.served import Served

pytestmark = pytest.mark.slow


class TestRequest:
    async def test_parameters_pass_also_zero(self, upstream: Served, model: Provided) -> None:
        await answer(
            model, ask("hello", temperature=0, top_p=0.5, stop="END", max_completion_tokens=7, seed=1, user="u")
        )
        body = upstream.requests[0].body
        limits = body.get("inferenceConfig") or body
        found = {name.lower().replace("_", ""): value for name, value in limits.items()}
        assert {name: found[name] for name in ("temperature", "topp", "stopsequences", "maxtokens")} == {
            "temperature": 0,
            "topp": 0.5,
            "stopsequences": ["END"],
            "maxtokens": 7,
        }
        assert not {"seed", "user"} & body.keys()

    @pytest.mark.parametrize("params", [{"max_tokens": 5}, {"max_tokens": 500}, {}])
    async def test_a_model_never_writes_more_than_it_may(
        self, case: Case, upstream: Served, params: dict[str, Any]
    ) -> None:
        model = case.make(upstream.base_url, max_output=99)
        await answer(model, ask("hello", **params))
        await model.close()
        body = upstream.requests[0].body
        sent = body["inferenceConfig"]["maxTokens"] if "inferenceConfig" in body else body["max_tokens"]
        assert sent == min(params.get("max_tokens", 99), 99)

    @pytest.mark.parametrize(
        "params",
        [{"n": 2}, {"response_format": {"type": "json_object"}}, {"logprobs": True}, {"reasoning_effort": "odd"}],
    )
    async def test_what_a_provider_does_not_have_is_refused_by_name(
        self, upstream: Served, model: Provided, params: dict[str, Any]
    ) -> None:
        _, error = await error_of(model, ask("hello", **params))
        assert isinstance(error, ModelRefused)
        assert error.status == 400
        assert f"'{next(iter(params))}'" in str(error)
        assert upstream.requests == []

    async def test_an_image_and_a_document_reach_the_model(self, upstream: Served, model: Provided) -> None:
        parts = [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}},
        ]
        assert text_of(await answer(model, ask(parts))) == "You said: what is it?"
        assert str(upstream.requests[0].body).count(PIXEL) == 2

    @pytest.mark.parametrize(
        "part",
        [{"type": "input_audio", "input_audio": {}}, {"type": "image_url", "image_url": {"url": "data:,plain"}}],
    )
    async def test_content_that_cannot_be_sent_is_refused(
        self, upstream: Served, model: Provided, part: dict[str, Any]
    ) -> None:
        _, error = await error_of(model, ask([part]))
        assert isinstance(error, ModelRefused)
        assert upstream.requests == []

    async def test_tools_results_and_ids_in_a_row(self, upstream: Served, model: Provided) -> None:
        calls = [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": '{"n": 1}'}}
            for n, name in enumerate(("find", "book"))
        ]
        messages: list[dict[str, Any]] = [
            {"role": "assistant", "content": "earlier"},
            {"role": "user", "content": "both"},
            {"role": "user", "content": "now"},
            {"role": "assistant", "content": " \n", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c0", "content": "found"},
            {"role": "tool", "tool_call_id": "c1", "content": "booked"},
            {"role": "system", "content": "Be quick."},
        ]
        await answer(model, Completion(messages=messages, tools=TOOLS, params={"tool_choice": "required"}))
        sent = str(upstream.requests[0].body)
        assert sent.index("c0") < sent.index("c1") < sent.index("found") < sent.index("booked")
        assert "Be quick." in sent

    async def test_a_choice_of_tools_without_tools_is_left_out(self, upstream: Served, model: Provided) -> None:
        await answer(model, ask("hello", tool_choice="auto", parallel_tool_calls=False))
        assert not {"tool_choice", "toolConfig", "tools"} & upstream.requests[0].body.keys()

    async def test_arguments_that_are_no_object_are_refused(self, model: Provided) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1"}}
        _, error = await error_of(model, Completion(messages=[{"role": "assistant", "tool_calls": [call]}]))
        assert isinstance(error, ModelRefused)


class TestAnswer:
    @pytest.mark.parametrize("stream", [True, False])
    async def test_details_of_usage(self, upstream: Served, model: Provided, stream: bool) -> None:
        used = platform.Usage(prompt=10, completion=5, cached=4, reasoning=2)
        upstream.script(Answer(text=("x",), usage=used))
        # Bedrock does not say how much of an answer was thought.
        reasoning = 2 if isinstance(model, Anthropic) else 0
        usage = (await answer(model, ask("x", stream=stream)))[-1].usage
        assert usage == Usage(prompt=10, completion=5, cached=4, reasoning=reasoning)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_usage_is_estimated_when_the_server_counts_nothing(
        self, upstream: Served, model: Provided, stream: bool
    ) -> None:
        upstream.script(Answer(text=("12345678",), usage=platform.Usage(prompt=0, completion=0)))
        usage = (await answer(model, ask("1234", stream=stream)))[-1].usage
        assert usage == Usage(prompt=1, completion=2, estimated=True)

    async def test_parallel_tool_calls_keep_their_ids(self, upstream: Served, model: Provided) -> None:
        upstream.script(call(Call("find", ("{", '"a":', "1}"), id="c1"), Call("book", "{}", id="c2")))
        chunks = await answer(model, Completion(messages=ask("go").messages, tools=TOOLS))
        calls = [call for chunk in chunks for call in chunk.calls]
        assert [(call.id, call.name, call.arguments) for call in calls] == [
            ("c1", "find", '{"a":1}'),
            ("c2", "book", "{}"),
        ]

    async def test_bedrock_blocks_no_other_request(self) -> None:
        """boto3 waits in threads: while many answers are held, another one comes."""
        gate = asyncio.Event()
        async with bedrock.Bedrock() as upstream:
            upstream.default = lambda request: (
                say("held", gate=gate) if "hold" in str(request.body) else say("here I am")
            )
            model = converse(upstream.base_url)
            held = [asyncio.create_task(answer(model, ask("hold", stream=number % 2 == 0))) for number in range(50)]
            await upstream.wait_request(50)
            assert text_of(await answer(model, ask("quick"))) == "here I am"
            assert not any(task.done() for task in held)
            gate.set()
            assert {text_of(chunks) for chunks in await asyncio.gather(*held)} == {"held"}
            await model.close()
