"""Streams of responses: every event in its order, taken up again, and in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent

from api.openai.responses import background
from hub.accounts import responses
from hub.store import open_store
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Call, Upstream, fail, say
from tests.responses.serving import Serving, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="package")
RECALL = Call("recall", '{"query": "tea"}', id="call_1")
TWO_STEPS = (Answer(text=("I ", "look."), calls=(RECALL,)), say("Nothing ", "there."))
TOOLS: dict[str, Any] = {"bothub": {"tools": True}}
MODELS = ("writer", "gpt")


def plain(events: Sequence[ResponseStreamEvent]) -> list[dict[str, Any]]:
    return [event.model_dump() for event in events]


async def all_of(events: AsyncIterator[ResponseStreamEvent]) -> list[ResponseStreamEvent]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in events]


async def until_over(client: AsyncOpenAI, id: str) -> Response:
    """The response, once it has ended."""

    async def over() -> Response | None:
        response = await client.responses.retrieve(id)
        return None if response.status in ("queued", "in_progress") else response

    return await until(over)


async def test_every_event_in_its_order(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(*TWO_STEPS)
    events = await all_of(await client.responses.create(model="writer", input="tea?", stream=True, extra_body=TOOLS))
    message = ["output_item.added", "content_part.added", "output_text.delta", "output_text.delta"]
    message += ["output_text.done", "content_part.done", "output_item.done"]
    call = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
    types = ["created", "in_progress", *message, *call, *message, "completed"]
    assert [event.type for event in events] == [f"response.{each}" for each in types]
    assert [event.sequence_number for event in events] == list(range(len(types)))
    end = events[-1]
    assert end.type == "response.completed"
    assert [item.type for item in end.response.output] == ["message", "function_call", "message"]
    assert end.response.output_text == "I look.\n\nNothing there."
    assert (await client.responses.retrieve(end.response.id)).model_dump() == end.response.model_dump()


async def test_the_sdk_accumulates_a_stream(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="assistant", input="count to 5") as stream:
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert snapshots[-1] == final.output_text == "1 2 3 4 5"


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_that_has_ended_is_read_again_from_any_event(hub: Serving, model: str) -> None:
    async with hub.openai() as client:
        hub.upstream.script(*(TWO_STEPS if model == "writer" else [say("One ", "two ", "three.")]))
        asked = await client.responses.create(model=model, input="tea?", stream=True, extra_body=TOOLS)
        first = await all_of(asked)
        created = first[0]
        assert created.type == "response.created"
        response = created.response.id
        again = await all_of(await client.responses.retrieve(response, stream=True))
        assert plain(again) == plain(first)
        for after in (0, 5, len(first) - 2):
            rest = await all_of(await client.responses.retrieve(response, stream=True, starting_after=after))
            assert plain(rest) == plain(first[after + 1 :])
        async with client.responses.stream(response_id=response, starting_after=5) as stream:
            assert [event.sequence_number async for event in stream] == list(range(6, len(first)))
            assert (await stream.get_final_response()).output_text


async def test_a_running_turn_is_taken_up_with_whole_items_and_goes_on_live(every_hub: Serving) -> None:
    hub, gate = every_hub, asyncio.Event()
    hub.upstream.script(TWO_STEPS[0], say("Nothing ", "there.", gate=gate, gate_after=0))
    async with hub.openai() as client:
        begun = await client.responses.create(model="writer", input="tea?", background=True, extra_body=TOOLS)
        await hub.upstream.wait_request(2)
        stream = aiter(await client.responses.retrieve(begun.id, stream=True))
        seen: list[ResponseStreamEvent] = []
        async with asyncio.timeout(PATIENCE):
            while [event.type for event in seen].count("response.output_item.done") < 2:
                seen.append(await anext(stream))
        gate.set()
        seen += await all_of(stream)
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        assert plain(await all_of(await client.responses.retrieve(begun.id, stream=True))) == plain(seen)
        assert (await client.responses.retrieve(begun.id)).output_text == "I look.\n\nNothing there."


@pytest.mark.parametrize("model", MODELS)
async def test_a_background_response_is_polled(every_hub: Serving, model: str) -> None:
    hub, gate = every_hub, asyncio.Event()
    hub.upstream.script(say("Hello ", "there.", gate=gate, gate_after=0))
    async with hub.openai() as client:
        begun = await client.responses.create(model=model, input="hi", background=True)
        assert begun.status in ("queued", "in_progress")
        assert begun.background
        await hub.upstream.wait_request()
        assert (await client.responses.retrieve(begun.id)).status == "in_progress"
        gate.set()
        over = await until_over(client, begun.id)
        assert (over.status, over.output_text) == ("completed", "Hello there.")
        assert over.usage
        assert over.usage.output_tokens == 2
        assert (await client.responses.cancel(begun.id)).status == "completed"


@pytest.mark.parametrize("model", MODELS)
async def test_a_background_stream_goes_on_without_its_client(hub: Serving, client: AsyncOpenAI, model: str) -> None:
    gate = asyncio.Event()
    hub.upstream.script(say("One ", "two ", "three.", gate=gate, gate_after=2))
    stream = await client.responses.create(model=model, input="hi", background=True, stream=True)
    seen: list[ResponseStreamEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    await stream.close()
    assert [event.type for event in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    created = seen[0]
    assert created.type == "response.created"
    again = await client.responses.retrieve(created.response.id, stream=True, starting_after=seen[-1].sequence_number)
    gate.set()
    seen += await all_of(again)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == "One two three."
    assert seen[-1].type == "response.completed"


@pytest.mark.parametrize("model", MODELS)
async def test_a_background_response_is_cancelled(every_hub: Serving, model: str) -> None:
    hub = every_hub
    hub.upstream.script(say("One ", "two", gate=asyncio.Event(), gate_after=1))
    async with hub.openai() as client:
        begun = await client.responses.create(model=model, input="hi", background=True)
        await hub.upstream.wait_request()
        stream = await client.responses.retrieve(begun.id, stream=True)
        cancelled = await client.responses.cancel(begun.id)
        assert cancelled.status == "cancelled"
        await hub.upstream.wait_disconnect()
        end = (await all_of(stream))[-1]
        assert end.type == "response.failed"
        assert end.response.status == "cancelled"
        assert (await client.responses.cancel(begun.id)).model_dump() == cancelled.model_dump()
        assert (await client.responses.retrieve(begun.id)).status == "cancelled"


@pytest.mark.parametrize("model", MODELS)
async def test_a_background_response_that_is_deleted_is_stopped(hub: Serving, client: AsyncOpenAI, model: str) -> None:
    hub.upstream.script(say("One ", "two", gate=asyncio.Event(), gate_after=0))
    begun = await client.responses.create(model=model, input="hi", background=True)
    await hub.upstream.wait_request()
    await client.responses.delete(begun.id)
    await hub.upstream.wait_disconnect()
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(begun.id)


@pytest.mark.parametrize("model", MODELS)
async def test_a_background_response_that_fails_says_so(hub: Serving, client: AsyncOpenAI, model: str) -> None:
    hub.upstream.script(fail(400, "too long"))
    begun = await client.responses.create(model=model, input="hi", background=True)
    over = await until_over(client, begun.id)
    assert over.status == "failed"
    assert over.error
    assert over.error.code == "server_error"
    assert "too long" in over.error.message
    events = await all_of(await client.responses.retrieve(begun.id, stream=True))
    assert [event.type for event in events][-2:] == ["error", "response.failed"]


async def test_a_models_response_whose_process_is_gone_has_failed(
    hub: Serving, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.upstream.script(say("One ", gate=asyncio.Event(), gate_after=0))
    begun = await client.responses.create(model="gpt", input="hi", background=True)
    await hub.upstream.wait_request()
    monkeypatch.setattr(background, "DEAD", -3600.0)
    over = await client.responses.retrieve(begun.id)
    assert over.status == "failed"
    assert over.error
    assert "stopped" in over.error.message
    await hub.upstream.wait_disconnect()


async def test_a_hub_that_stops_ends_what_its_models_write(tmp_path: Path, sqlite_url: str, upstream: Upstream) -> None:
    upstream.script(say("One ", "two", gate=asyncio.Event(), gate_after=1))
    async with serving(tmp_path, sqlite_url, upstream) as hub, hub.openai() as client:
        begun = await client.responses.create(model="gpt", input="hi", background=True)
        await upstream.wait_request()
    store = await open_store(sqlite_url)
    kept = await store.read(lambda connection: responses.find(connection, begun.id.removeprefix("resp_"), 1))
    await store.close()
    assert kept
    assert kept.answer
    assert kept.answer["status"] == "failed"
    assert "stopping" in kept.answer["error"]["message"]


async def test_silence_is_broken_with_the_beginning_of_the_response(hub: Serving, client: AsyncOpenAI) -> None:
    gate = asyncio.Event()
    hub.upstream.script(say("Hello.", gate=gate, gate_after=0))
    stream = aiter(await client.responses.create(model="writer", input="hi", stream=True))
    async with asyncio.timeout(PATIENCE):
        first = await anext(stream)
    assert first.type == "response.created"
    gate.set()
    assert (await all_of(stream))[-1].type == "response.completed"
