"""Responses of models, and of agents whose history the client keeps, as the official SDK gets them."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.platforms.openai import Answer, Call, fail, say
from tests.responses.serving import WEATHER, Serving, until

pytestmark = pytest.mark.asyncio(loop_scope="package")
SUNNY = Answer(calls=(Call("weather", '{"city":"Bern"}', id="call_1"),))


def told(hub: Serving) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in hub.told]


async def test_a_chain_is_the_history(every_hub: Serving) -> None:
    async with every_hub.openai() as client:
        first = await client.responses.create(model="gpt", input="one", instructions="Rhyme.")
        assert first.output_text == "You said: one"
        assert told(every_hub) == [("system", "Rhyme."), ("user", "one")]
        second = await client.responses.create(model="gpt", input="two", previous_response_id=first.id)
        third = await client.responses.create(
            model="gpt", input="three", previous_response_id=second.id, instructions="Now."
        )
        assert told(every_hub) == [
            ("system", "Now."),
            ("user", "one"),
            ("assistant", "You said: one"),
            ("user", "two"),
            ("assistant", "You said: two"),
            ("user", "three"),
        ]
        assert (await client.responses.retrieve(third.id)).model_dump() == third.model_dump()
        await client.responses.delete(second.id)
        with pytest.raises(openai.BadRequestError) as raised:
            await client.responses.create(model="gpt", input="four", previous_response_id=third.id)
    assert raised.value.code == "previous_response_not_found"


async def test_an_older_response_is_continued_from_where_it_was(hub: Serving, client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="gpt", input="one")
    await client.responses.create(model="gpt", input="two", previous_response_id=first.id)
    await client.responses.create(model="gpt", input="three", previous_response_id=first.id)
    assert told(hub) == [("user", "one"), ("assistant", "You said: one"), ("user", "three")]


async def test_a_conversation_goes_on_where_it_was_answered_last(every_hub: Serving) -> None:
    hub = every_hub
    async with hub.openai() as client:
        first = await client.responses.create(model="gpt", input="one", conversation="c")
        assert first.conversation
        assert first.conversation.id == "c"
        hub.upstream.script(fail(400))
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(model="gpt", input="lost", conversation="c")
        second = await client.responses.create(model="gpt", input="two", conversation={"id": "c"})
        assert told(hub) == [("user", "one"), ("assistant", "You said: one"), ("user", "two")]
        assert second.previous_response_id is None
        await client.responses.create(model="gpt", input="else", conversation="d")
        assert told(hub) == [("user", "else")]


async def test_what_is_not_stored_cannot_be_continued(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(model="gpt", input="one", store=False)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="gpt", input="two", previous_response_id=answer.id)


async def test_functions_are_the_clients_to_run(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(SUNNY)
    asked = await client.responses.create(model="gpt", input="weather?", tools=[WEATHER], tool_choice="required")
    [wanted] = asked.output
    assert wanted.type == "function_call"
    assert (wanted.name, wanted.arguments, wanted.call_id) == ("weather", '{"city":"Bern"}', "call_1")
    body = hub.upstream.requests[-1].body
    assert body["tool_choice"] == "required"
    assert body["tools"][0]["function"]["name"] == "weather"
    answer = await client.responses.create(
        model="gpt",
        previous_response_id=asked.id,
        tools=[WEATHER],
        input=[{"type": "function_call_output", "call_id": wanted.call_id, "output": "sunny"}],
    )
    assert answer.output_text == "You said: weather?"
    call, result = hub.told[-2:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "call_1"
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


async def test_a_client_may_keep_the_items_itself(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(reasoning=("so",), text=("I look.",), calls=(Call("weather", "{}", id="c"),)))
    items: list[Any] = [{"role": "user", "content": "weather?"}]
    asked = await client.responses.create(model="drafter", input=items, tools=[WEATHER], store=False)
    assert [item.type for item in asked.output] == ["reasoning", "message", "function_call"]
    items += [item.model_dump(exclude_none=True) for item in asked.output]
    items.append({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "sun"}]})
    await client.responses.create(model="drafter", input=items, tools=[WEATHER], store=False)
    assert told(hub) == [
        ("system", "Be brief."),
        ("user", "weather?"),
        ("assistant", "I look."),
        ("tool", "sun"),
    ]
    assert hub.upstream.requests[-1].body["temperature"] == 0.5


async def test_items_may_be_named_by_their_ids(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(SUNNY)
    asked = await client.responses.create(model="gpt", input="weather?", tools=[WEATHER])
    [question] = (await client.responses.input_items.list(asked.id)).data
    references: list[Any] = [{"type": "item_reference", "id": each} for each in (question.id, asked.output[0].id)]
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    await client.responses.create(model="gpt", input=[*references, output], tools=[WEATHER])
    assert [message["role"] for message in hub.told] == ["user", "assistant", "tool"]
    with pytest.raises(openai.BadRequestError) as raised:
        await client.responses.create(model="gpt", input=[{"type": "item_reference", "id": "msg_1"}])
    assert raised.value.param == "input[0].id"


async def test_an_output_of_a_call_that_nobody_made_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="No tool call found") as raised:
        await client.responses.create(
            model="gpt", input=[{"type": "function_call_output", "call_id": "x", "output": "sunny"}]
        )
    assert raised.value.param == "input[0].call_id"


class Weather(BaseModel):
    """What the model is to answer."""

    city: str
    degrees: int


async def test_the_sdk_parses_what_a_schema_asked_for(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(say('{"city": "Bern",', ' "degrees": 20}'))
    answer = await client.responses.parse(model="gpt", input="weather?", text_format=Weather)
    assert answer.output_parsed == Weather(city="Bern", degrees=20)
    wanted = hub.upstream.requests[-1].body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"]["required"] == ["city", "degrees"]


async def test_unknown_parameters_go_on_to_the_model(hub: Serving, client: AsyncOpenAI) -> None:
    await client.responses.create(
        model="gpt",
        input="hi",
        parallel_tool_calls=False,
        max_output_tokens=5,
        metadata={"a": "b"},
        truncation="auto",
        text={"verbosity": "low"},
        extra_body={"seed": 7, "top_k": 3},
    )
    body = hub.upstream.requests[-1].body
    assert body == {
        "model": "gpt-test",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "max_tokens": 5,
        "verbosity": "low",
        "seed": 7,
        "top_k": 3,
    }


async def test_pictures_go_to_the_model_as_they_are(hub: Serving, client: AsyncOpenAI) -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    content: Any = [{"type": "input_text", "text": "Look."}, {"type": "input_image", "image_url": url, "detail": "low"}]
    await client.responses.create(model="gpt", input=[{"role": "user", "content": content}])
    text, image = hub.told[-1]["content"]
    assert text == {"type": "text", "text": "Look."}
    assert image["image_url"]["url"] == url


async def test_a_model_that_fails_is_an_http_error(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(fail(429, retry_after=60), fail(400, "too long"))
    with pytest.raises(openai.RateLimitError):
        await client.responses.create(model="gpt", input="hi")
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="gpt", input="hi", stream=True)


async def test_a_failure_in_a_stream_is_its_last_event(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(text=("Hel", "lo "), end=fail(500, "broken")))
    events = [event async for event in await client.responses.create(model="gpt", input="hi", stream=True)]
    assert [event.type for event in events][-2:] == ["error", "response.failed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    end = events[-1]
    assert end.type == "response.failed"
    assert end.response.status == "failed"
    assert end.response.output_text == "Hello "
    assert (await client.responses.retrieve(end.response.id)).model_dump() == end.response.model_dump()


async def test_a_client_that_leaves_stops_the_model(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(say("One ", "two ", "three", gate=asyncio.Event(), gate_after=2))
    response = ""
    stream = await client.responses.create(model="gpt", input="hi", stream=True)
    async for event in stream:
        if event.type == "response.created":
            response = event.response.id
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    await hub.upstream.wait_disconnect()

    async def stored() -> Response | None:
        try:
            return await client.responses.retrieve(response)
        except openai.NotFoundError:
            return None

    assert (await until(stored)).status == "cancelled"
