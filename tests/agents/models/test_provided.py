"""The providers that pydantic-ai speaks to, each against a local upstream with its real wire."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import pytest

from agents.models.anthropic import Anthropic
from agents.models.bedrock import Bedrock
from agents.models.provided import Provided
from agents.models.upstream import Timeouts
from hub.errors import ModelRefused, ModelUnavailable
from hub.model import Completion, Usage
from tests.agents.models.given import KEY, NEVER, Naps, error_of
from tests.contracts.model import TOOLS, ModelLaws, answer, ask, text_of
from tests.platforms import anthropic, bedrock
from tests.platforms import openai as platform
from tests.platforms.openai import Answer, Call, Failure, call, say
from tests.platforms.served import Served

pytestmark = pytest.mark.slow

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
BUDGET = {"type": "enabled", "budget_tokens": 1024}


class Make(Protocol):
    def __call__(self, base_url: str, **settings: Any) -> Provided: ...


class Case:
    """A provider: its upstream, how a model of it is made, and its words for some errors."""

    def __init__(self, served: Callable[[], Served], make: Make, overloaded: Failure, limited: Failure) -> None:
        self.served = served
        self.make = make
        self.overloaded = overloaded
        self.limited = limited


def claude(base_url: str, **settings: Any) -> Anthropic:
    return Anthropic(model="claude-test", api_key=KEY, base_url=base_url, **settings)


def converse(base_url: str, **settings: Any) -> Bedrock:
    named: dict[str, Any] = {"model": bedrock.MODEL, "access_key_id": "AKIA-not-so-secret", "secret_access_key": KEY}
    return Bedrock(region=bedrock.REGION, base_url=base_url, **named | settings)


CASES = {
    "anthropic": Case(anthropic.Anthropic, claude, anthropic.fail(529), anthropic.fail(429, retry_after=7)),
    "bedrock": Case(
        bedrock.Bedrock,
        converse,
        bedrock.fail("ServiceUnavailableException"),
        bedrock.fail("ThrottlingException", retry_after=7),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
async def upstream(case: Case) -> AsyncIterator[Served]:
    async with case.served() as upstream:
        yield upstream


@pytest.fixture
async def model(case: Case, upstream: Served, naps: Naps) -> AsyncIterator[Provided]:
    model = case.make(upstream.base_url, sleep=naps)
    yield model
    await model.close()


class ProvidedSubject:
    """A model of a local upstream in the words of the laws."""

    def __init__(self, case: Case, upstream: Served, model: Provided) -> None:
        self.case = case
        self.upstream = upstream
        self.model = model

    def calling(self, name: str, arguments: str) -> Completion:
        self.upstream.script(call(Call(name, arguments)))
        return Completion(messages=ask("book").messages, tools=TOOLS)

    def failing(self) -> Completion:
        kind = "api_error" if isinstance(self.upstream, anthropic.Anthropic) else "InternalServerException"
        self.upstream.default = lambda _: Failure(status=500, type=kind)
        return ask("fail")

    def lasting(self) -> Completion:
        self.upstream.script(Answer(text=("one",), end="silence"))
        return ask("last")

    def cut_short(self) -> Completion:
        self.upstream.default = lambda _: Answer(text=("one ", "two"), finish="max_tokens")
        return ask("more", max_tokens=2)

    async def stopped(self) -> None:
        await self.upstream.wait_disconnect()


class TestProvidedLaws(ModelLaws):
    """A model of either provider, without a difference."""

    @pytest.fixture
    def subject(self, case: Case, upstream: Served, model: Provided) -> ProvidedSubject:
        # "You said: " and the words come as pieces of their own.
        return ProvidedSubject(case, upstream, model)


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


class TestFailures:
    async def test_a_refusal_is_not_tried_again(self, upstream: Served, model: Provided) -> None:
        refused = anthropic.fail(400, "prompt is too long") if isinstance(model, Anthropic) else None
        upstream.script(refused or bedrock.fail("ValidationException", "prompt is too long"))
        _, error = await error_of(model)
        assert isinstance(error, ModelRefused)
        assert error.status == 400
        assert "prompt is too long" in str(error)
        assert len(upstream.requests) == 1

    async def test_a_model_that_is_busy_is_asked_three_times(
        self, case: Case, upstream: Served, model: Provided, naps: Naps
    ) -> None:
        upstream.script(*[case.overloaded] * 3)
        _, error = await error_of(model)
        assert isinstance(error, ModelUnavailable)
        assert error.status == case.overloaded.status
        assert case.overloaded.message in str(error)
        assert len(upstream.requests) == 3
        assert len(naps.seconds) == 2

    async def test_in_a_hurry_it_is_asked_once(self, case: Case, upstream: Served, model: Provided) -> None:
        upstream.script(case.overloaded)
        await error_of(model, Completion(messages=ask("hello").messages, hurry=True))
        assert len(upstream.requests) == 1

    @pytest.mark.parametrize("stream", [True, False])
    async def test_retry_after_is_obeyed(
        self, case: Case, upstream: Served, model: Provided, naps: Naps, stream: bool
    ) -> None:
        upstream.script(case.limited, "here I am")
        assert text_of(await answer(model, ask("hello", stream=stream))) == "here I am"
        assert naps.seconds == [7.0]

    async def test_our_keys_are_never_in_an_error(self, upstream: Served, model: Provided) -> None:
        if isinstance(model, Anthropic):
            upstream.script(anthropic.fail(401, f"Incorrect API key: {KEY}."))
        else:
            upstream.script(bedrock.fail("AccessDeniedException", f"Incorrect API key: {KEY}."))
        _, error = await error_of(model)
        assert str(error).endswith("Incorrect API key: ***.")
        assert error.__cause__ is None

    async def test_a_server_that_is_not_there(self, case: Case, naps: Naps) -> None:
        async with case.served() as gone:
            address = gone.base_url
        model = case.make(address, sleep=naps)
        _, error = await error_of(model)
        await model.close()
        assert isinstance(error, ModelUnavailable)
        assert str(error) == f"The server of the model '{model.model}' cannot be reached."
        assert len(naps.seconds) == 2

    async def test_a_cut_in_the_middle_keeps_what_was_said(self, upstream: Served, model: Provided) -> None:
        upstream.script(Answer(text=("one ", "two"), end="cut"))
        chunks, error = await error_of(model)
        assert isinstance(error, ModelUnavailable)
        assert text_of(chunks) == "one two"
        assert len(upstream.requests) == 1

    async def test_an_error_in_the_middle_keeps_what_was_said(
        self, case: Case, upstream: Served, model: Provided
    ) -> None:
        upstream.script(Answer(text=("one ", "two"), end=case.overloaded))
        chunks, error = await error_of(model)
        assert isinstance(error, ModelUnavailable)
        assert case.overloaded.message in str(error)
        assert text_of(chunks) == "one two"
        assert len(upstream.requests) == 1

    async def test_an_error_before_the_first_token_is_tried_again(
        self, case: Case, upstream: Served, model: Provided, naps: Naps
    ) -> None:
        upstream.script(Answer(end=case.overloaded), "here I am")
        assert text_of(await answer(model, ask("hello"))) == "here I am"
        assert len(naps.seconds) == 1


class TestTimeouts:
    """A timeout of nothing is over at the first wait: no test waits for one."""

    @pytest.mark.parametrize(("stream", "timeout"), [(True, "first"), (False, "whole")])
    async def test_no_answer(self, case: Case, upstream: Served, naps: Naps, stream: bool, timeout: str) -> None:
        model = case.make(upstream.base_url, timeouts=Timeouts(**{"whole": 300.0, timeout: NEVER}), sleep=naps)
        _, error = await error_of(model, ask("hello", stream=stream))
        await model.close()
        assert isinstance(error, ModelUnavailable)
        assert str(error) == f"The model '{model.model}' did not answer in time."
        assert len(naps.seconds) == 2

    async def test_silence_after_the_first_token(self, case: Case, upstream: Served, naps: Naps) -> None:
        upstream.script(Answer(text=("one",), end="silence"))
        model = case.make(upstream.base_url, timeouts=Timeouts(idle=NEVER), sleep=naps)
        chunks, error = await error_of(model)
        await upstream.wait_disconnect()
        await model.close()
        assert text_of(chunks) == "one"
        assert isinstance(error, ModelUnavailable)
        assert naps.seconds == []

    async def test_thinking_may_be_silent_for_longer(self, case: Case, upstream: Served, naps: Naps) -> None:
        gate = asyncio.Event()
        upstream.script(Answer(reasoning=("hm",), calls=(Call("find", ("{}",)),), gate=gate, gate_after=1))
        model = case.make(upstream.base_url, timeouts=Timeouts(idle=NEVER, first=5.0), sleep=naps)
        heard: list[str] = []

        async def read() -> None:
            async for chunk in model.complete(ask("hello")):
                heard.append(chunk.reasoning)
                gate.set()

        with pytest.raises(ModelUnavailable):  # what follows the thought is waited for no longer than usual
            await read()
        await model.close()
        assert "".join(heard) == "hm"


def test_settings_of_models_load_with_every_sdk_blocked() -> None:
    program = """
import sys
for name in ("pydantic_ai", "anthropic", "boto3", "botocore", "openai"):
    sys.modules[name] = None
import hub.config, agents.models.config
agents.models.config.ModelSettings(provider="anthropic", model="m", api_key="k")
import hub.app
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("names", [["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"], ["AWS_BEARER_TOKEN_BEDROCK"]])
async def test_nothing_of_the_environment_is_sent(
    case: Case, upstream: Served, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(name, "from-the-environment")
    model = case.make(upstream.base_url)
    await answer(model, ask("hello"))
    await model.close()
    assert "from-the-environment" not in str(upstream.requests[0].headers)
