"""Providers that refuse, fail, fall silent or are not there."""

import asyncio

import pytest

from agents.models.anthropic import Anthropic
from agents.models.provided import Provided
from agents.models.upstream import Timeouts
from hub.errors import ModelRefused, ModelUnavailable
from hub.model import Completion
from tests.agents.models.given import KEY, NEVER, Naps, error_of
from tests.agents.models.provided.cases import Case
from tests.contracts.model import answer, ask, text_of
from tests.platforms import anthropic, bedrock
from tests.platforms.openai import Answer, Call
from tests.platforms.served import Served

pytestmark = pytest.mark.slow


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
