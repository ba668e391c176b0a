"""Models of a real hub: a local upstream that fails, and the demo model that answers in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.e2e.hub import HubProcess, demo_config
from tests.platforms.openai import Answer, Upstream, fail

HI: list[Any] = [{"role": "user", "content": "count to 3"}]


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[HubProcess]:
    gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test", "multiple": True}
    models = {"demo": {"provider": "demo"}, "gpt": gpt, "short": {"provider": "demo", "max_output": 2}}
    careful = {"model": "gpt", "fallback": "demo"}
    agents = {
        "assistant": {**careful, "tools": ["message"]},
        "drafter": {**careful, "history": "client"},
        "brief": {"model": "short"},
    }
    async with HubProcess(tmp_path, demo_config(models=models, agents=agents)) as process:
        yield process


@pytest.fixture
async def client(hub: HubProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=0) as client:
        yield client


async def streamed(client: AsyncOpenAI, model: str, messages: list[Any] = HI) -> tuple[str, str | None]:
    """What is said in a stream, and why it ends."""
    text, finish = "", None
    async for chunk in await client.chat.completions.create(model=model, messages=messages, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish


async def whole(client: AsyncOpenAI, model: str, messages: list[Any] = HI) -> tuple[str | None, str]:
    [choice] = (await client.chat.completions.create(model=model, messages=messages)).choices
    return choice.message.content, choice.finish_reason


@pytest.mark.parametrize("agent", ["assistant", "drafter"])
async def test_another_model_answers_for_one_that_fails(client: AsyncOpenAI, upstream: Upstream, agent: str) -> None:
    upstream.script(fail(503), fail(429, retry_after=20), "I am back.")
    assert await whole(client, agent) == ("1 2 3", "stop")
    assert await streamed(client, agent) == ("1 2 3", "stop")
    assert await whole(client, agent) == ("I am back.", "stop")
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("agent", ["assistant", "drafter"])
async def test_words_of_two_models_are_never_one_answer(client: AsyncOpenAI, upstream: Upstream, agent: str) -> None:
    upstream.script(Answer(text=("Once ", "upon"), end="cut"))
    heard: list[str] = []

    async def listen() -> None:
        async for chunk in await client.chat.completions.create(model=agent, messages=HI, stream=True):
            heard.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError):
        await listen()
    assert "".join(heard) == "Once upon"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("model", ["brief", "short"])
async def test_an_answer_that_was_cut_short_says_so(client: AsyncOpenAI, model: str) -> None:
    text, finish = await streamed(client, model)
    assert (text.strip(), finish) == ("1 2", "length")
    assert await whole(client, model) == ("1 2", "length")


async def test_an_image_reaches_a_model_that_takes_images(client: AsyncOpenAI, upstream: Upstream) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    assert await whole(client, "gpt", messages) == ("You said: What is this?", "stop")
    assert upstream.requests[0].body["messages"] == messages
    with pytest.raises(openai.BadRequestError, match="only 'text'"):
        await whole(client, "demo", messages)
