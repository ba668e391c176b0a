"""POST /v1/completions, by the official SDK, in front of a real agent and a real model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Completion

from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config

TARGETS = ["assistant", "drafter", "demo"]
"""An agent that remembers, one that does not, and a model."""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Here]:
    agents = {"assistant": {"model": "demo"}, "drafter": {"model": "demo", "history": "client"}}
    async with running_hub(tmp_path, demo_config(agents=agents)) as hub:
        yield hub


@pytest.mark.parametrize("model", TARGETS)
async def test_a_prompt_is_answered(client: AsyncOpenAI, hub: Here, model: str) -> None:
    answer = await client.completions.create(model=model, prompt="count to 3")
    assert (answer.object, answer.model) == ("text_completion", model)
    [choice] = answer.choices
    assert (choice.text, choice.finish_reason, choice.index) == ("1 2 3", "stop", 0)
    assert answer.usage
    assert (answer.usage.completion_tokens, answer.usage.total_tokens > 3) == (3, True)
    turn = await hub.over(answer.id.removeprefix("cmpl-"))
    assert (turn.status, turn.usage.completion) == ("completed", 3)


@pytest.mark.parametrize("model", TARGETS)
async def test_a_prompt_is_answered_as_a_stream(client: AsyncOpenAI, model: str) -> None:
    options: Any = {"include_usage": True}
    stream = await client.completions.create(model=model, prompt=["count to 3"], stream=True, stream_options=options)
    events: list[Completion] = [event async for event in stream]
    *pieces, last, used = events
    assert "".join(piece.choices[0].text for piece in pieces) == "1 2 3"
    assert len(pieces) > 1
    assert {piece.choices[0].finish_reason for piece in pieces} == {None}
    assert (last.choices[0].text, last.choices[0].finish_reason) == ("", "stop")
    assert used.choices == []
    assert used.usage
    assert used.usage.completion_tokens == 3
    assert len({event.id for event in events}) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_echo_begins_with_the_prompt(client: AsyncOpenAI, stream: bool) -> None:
    made: Any = await client.completions.create(model="demo", prompt="count to 2", echo=True, stream=stream)
    pieces = [event.choices[0].text async for event in made] if stream else [made.choices[0].text]
    assert "".join(pieces) == "count to 21 2"


async def test_an_agent_remembers_prompts_and_shares_its_sessions_with_chats(client: AsyncOpenAI) -> None:
    await client.completions.create(model="assistant", prompt="first", user="ann")
    said = await client.chat.completions.create(
        model="assistant", messages=[{"role": "user", "content": "what did I say"}], user="ann"
    )
    assert said.choices[0].message.content == "- first\n- what did I say"
    other = await client.completions.create(model="assistant", prompt="what did I say", user="bob")
    assert other.choices[0].text == "- what did I say"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"suffix": "."}, "suffix"),
        ({"logprobs": 3}, "logprobs"),
        ({"best_of": 2}, "best_of"),
        ({"n": 2}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
async def test_what_cannot_be_asked_is_named(client: AsyncOpenAI, wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.post("/completions", cast_to=Completion, body={"model": "demo", "prompt": "hello", **wrong})
    assert refused.value.param == param


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_an_error_of_the_sdk(client: AsyncOpenAI, model: str, stream: bool) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        await client.completions.create(model=model, prompt="fail", stream=stream)
    assert failed.value.status_code == 502


def said(answer: str) -> tuple[set[str], str]:
    """The ids in an answer, and its text; a stream may come in other pieces."""
    return set(re.findall(r'"id":"(.*?)"', answer)), "".join(re.findall(r'"text":"(.*?)"', answer))


async def test_an_unknown_model_is_a_404(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.completions.create(model="nobody", prompt="hello")


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_asked_once_under_an_idempotency_key(hub: Here, model: str, stream: bool) -> None:
    body = {"model": model, "prompt": "hello", "stream": stream}
    async with hub.http(**{"Idempotency-Key": "one"}) as http:
        first, again = [await http.post("/v1/completions", json=body) for _ in range(2)]
        other = await http.post("/v1/completions", json=body | {"prompt": "another"})
    assert (first.status_code, said(again.text)) == (200, said(first.text))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 409
