"""Responses of agents with memory, as the official SDK gets them."""

from __future__ import annotations

import asyncio
import base64

import openai
import pytest
from openai import AsyncOpenAI

from tests.platforms.openai import Answer, Call, fail, say
from tests.responses.serving import Serving

pytestmark = pytest.mark.asyncio(loop_scope="package")
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636460f8cf"
        "0f0002850181b4b1d1590000000049454e44ae426082"
    )
).decode()


async def test_a_chain_is_a_session_of_its_own(every_hub: Serving) -> None:
    async with every_hub.openai() as client:
        first = await client.responses.create(model="assistant", input="count to 3")
        assert first.output_text == "1 2 3"
        assert first.status == "completed"
        assert first.usage
        assert first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens
        other = await client.responses.create(model="assistant", input="what did I say")
        assert other.output_text == "- what did I say"
        second = await client.responses.create(model="assistant", input="what did I say", previous_response_id=first.id)
        assert second.output_text == "- count to 3\n- what did I say"
        assert second.previous_response_id == first.id
        read = await client.responses.retrieve(second.id)
        assert read.model_dump() == second.model_dump()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"conversation": "c"}, {}),
        ({"conversation": {"id": "c"}}, {}),
        ({"session_id": "c"}, {}),
        ({}, {"Session-Id": "c"}),
    ],
)
async def test_a_conversation_is_a_session_also_of_chat_completions(
    client: AsyncOpenAI, body: dict[str, object], headers: dict[str, str]
) -> None:
    await client.chat.completions.create(
        model="assistant", messages=[{"role": "user", "content": "hello"}], extra_body={"session_id": "c"}
    )
    answer = await client.responses.create(
        model="assistant", input="what did I say", extra_body=body, extra_headers=headers
    )
    assert answer.output_text == "- hello\n- what did I say"


async def test_another_keys_response_is_not_there(hub: Serving, client: AsyncOpenAI) -> None:
    mine = await client.responses.create(model="assistant", input="count to 3")
    async with hub.openai(await hub.key()) as other:
        for ask in (other.responses.retrieve, other.responses.cancel, other.responses.delete):
            with pytest.raises(openai.NotFoundError):
                await ask(mine.id)
        with pytest.raises(openai.NotFoundError):
            await other.responses.input_items.list(mine.id)
        with pytest.raises(openai.BadRequestError) as raised:
            await other.responses.create(model="assistant", input="hi", previous_response_id=mine.id)
    assert raised.value.code == "previous_response_not_found"


async def test_what_is_not_stored_cannot_be_read(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(model="assistant", input="count to 3", store=False)
    assert answer.output_text == "1 2 3"
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(answer.id)


async def test_a_deleted_response_is_gone_and_the_agent_remembers(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(model="assistant", input="count to 3", extra_body={"conversation": "c"})
    await client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(answer.id)
    asked = await client.responses.create(model="assistant", input="what did I say", extra_body={"conversation": "c"})
    assert asked.output_text == "- count to 3\n- what did I say"


async def test_input_items_come_in_pages(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(
        model="assistant",
        input=[
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "count to 3"}]},
        ],
    )
    newest = await client.responses.input_items.list(answer.id, limit=2)
    assert [item.model_dump()["content"][0]["text"] for item in newest.data] == ["count to 3", "two"]
    assert newest.has_more
    rest = [item async for item in newest]
    assert [item.model_dump()["content"][0]["text"] for item in rest] == ["count to 3", "two", "one"]
    oldest = await client.responses.input_items.list(answer.id, order="asc")
    assert [item.id for item in oldest.data] == [item.id for item in rest[::-1]]
    assert [getattr(item, "role", None) for item in oldest.data] == ["user", "assistant", "user"]


async def test_what_a_client_says_was_said_before_begins_the_session(hub: Serving, client: AsyncOpenAI) -> None:
    answer = await client.responses.create(
        model="writer",
        input=[
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "b", "output": "rain"},
            {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "sun"}]},
            {"role": "assistant", "content": "Both."},
            {"role": "user", "content": "Thanks."},
            {"role": "user", "content": "And now?"},
        ],
    )
    assert [(one["role"], one["content"]) for one in hub.told if one["role"] != "system"] == [
        ("user", "weather?"),
        ("assistant", "I look."),
        ("tool", "sun"),
        ("tool", "rain"),
        ("assistant", "Both."),
        ("user", "Thanks.\n\nAnd now?"),
    ]
    await client.responses.create(model="writer", input="More.", previous_response_id=answer.id)
    assert [one["role"] for one in hub.told if one["role"] != "system"][-3:] == ["user", "assistant", "user"]


async def test_instructions_hold_for_their_turn_alone(hub: Serving, client: AsyncOpenAI) -> None:
    first = await client.responses.create(
        model="writer",
        instructions="Rhyme.",
        input=[{"role": "developer", "content": "Be short."}, {"role": "user", "content": "hi"}],
    )
    prompt, note = [message["content"] for message in hub.told if message["role"] == "system"]
    assert prompt.startswith("Be kind.")
    assert note.endswith("Rhyme.\n\nBe short.")
    await client.responses.create(model="writer", input="again", previous_response_id=first.id)
    assert "Rhyme" not in str(hub.told)


async def test_pictures_and_documents_reach_the_model(hub: Serving, client: AsyncOpenAI) -> None:
    await client.responses.create(
        model="writer",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look."},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
                    {
                        "type": "input_file",
                        "filename": "notes.txt",
                        "file_data": "data:text/plain;base64," + base64.b64encode(b"the notes").decode(),
                    },
                ],
            }
        ],
    )
    text, image = hub.told[-1]["content"]
    assert "Look." in text["text"]
    assert "the notes" in text["text"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


@pytest.mark.parametrize(("model", "shown"), [("assistant", False), ("clerk", True)])
async def test_the_calls_of_the_hubs_tools_are_shown_where_asked_for(
    client: AsyncOpenAI, model: str, shown: bool
) -> None:
    for wish, shows in (({}, shown), ({"bothub": {"tools": True}}, True), ({"bothub": {"tools": False}}, False)):
        answer = await client.responses.create(model=model, input='call recall {"query": "tea"}', extra_body=wish)
        assert [item.type for item in answer.output] == (["function_call", "message"] if shows else ["message"])
        assert (await client.responses.retrieve(answer.id)).model_dump() == answer.model_dump()


async def test_the_texts_of_the_steps_are_items(hub: Serving, client: AsyncOpenAI) -> None:
    step = Call("recall", '{"query": "tea"}')
    hub.upstream.script(Answer(text=("I ", "look."), calls=(step,)), say("Nothing ", "there."))
    answer = await client.responses.create(model="writer", input="tea?")
    texts = [item.content[0].model_dump()["text"] for item in answer.output if item.type == "message"]
    assert texts == ["I look.", "\n\nNothing there."]
    assert answer.output_text == "I look.\n\nNothing there."


async def test_a_model_that_fails_is_an_http_error(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(fail(400, "too long"), fail(429, retry_after=60))
    with pytest.raises(openai.InternalServerError) as raised:
        await client.responses.create(model="writer", input="hi")
    assert raised.value.code == "upstream_400"
    with pytest.raises(openai.RateLimitError):
        await client.responses.create(model="writer", input="hi")


async def test_an_answer_that_is_cut_short_is_incomplete(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(model="assistant", input="count to 9", max_output_tokens=3)
    assert answer.status == "incomplete"
    assert answer.incomplete_details
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output_text == "1 2 3"


async def test_the_response_repeats_what_was_asked(client: AsyncOpenAI) -> None:
    answer = await client.responses.create(
        model="assistant",
        input="hi",
        instructions="Be kind.",
        metadata={"a": "b"},
        temperature=0,
        top_p=0.5,
        truncation="auto",
        text={"format": {"type": "json_object"}},
        reasoning={"effort": "low"},
    )
    assert answer.metadata == {"a": "b"}
    assert (answer.temperature, answer.top_p, answer.truncation) == (0, 0.5, "auto")
    assert answer.instructions == "Be kind."
    assert answer.text
    assert answer.text.format
    assert answer.text.format.type == "json_object"
    assert answer.reasoning
    assert answer.reasoning.effort == "low"
    assert answer.model == "assistant"


async def test_parameters_reach_the_agents_model(hub: Serving, client: AsyncOpenAI) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {}}
    await client.responses.create(
        model="writer",
        input="hi",
        temperature=0,
        max_output_tokens=7,
        reasoning={"effort": "high"},
        text={"format": {"type": "json_schema", "name": "s", "schema": schema, "strict": True}},
    )
    body = hub.upstream.requests[-1].body
    assert body["temperature"] == 0
    assert body["max_tokens"] == 7
    assert body["reasoning_effort"] == "high"
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": schema, "strict": True},
    }


async def test_only_its_own_agent_continues_a_response(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="assistant", input="hi")
    for model in ("writer", "gpt"):
        with pytest.raises(openai.BadRequestError, match="assistant") as raised:
            await client.responses.create(model=model, input="hi", previous_response_id=first.id)
        assert raised.value.param == "previous_response_id"
    stateless = await client.responses.create(model="gpt", input="hi")
    with pytest.raises(openai.BadRequestError, match="gpt"):
        await client.responses.create(model="writer", input="hi", previous_response_id=stateless.id)


async def test_a_client_that_leaves_cancels_the_turn(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(say("One two ", "three", gate=asyncio.Event(), gate_after=1))
    stream = await client.responses.create(model="writer", input="hi", stream=True)
    response = ""
    async for event in stream:
        if event.type == "response.created":
            response = event.response.id
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    await hub.upstream.wait_disconnect()
    cancelled = await client.responses.cancel(response)
    assert cancelled.status == "cancelled"
    assert cancelled.output_text == "One two "
