"""Functions of a client's on agents with memory, streamed, taken up again and in the background."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall

from tests.platforms.openai import Answer, Call, say
from tests.responses.serving import WEATHER, Serving
from tests.responses.test_functions import BERN, BONN, calls_of, output
from tests.responses.test_streams import all_of, plain, until_over

pytestmark = pytest.mark.asyncio(loop_scope="package")
ASK = 'call weather {"city": "Bern"}'
TEXT = ["output_text.delta", "output_text.delta", "output_text.done"]
MESSAGE = ["output_item.added", "content_part.added", *TEXT, "content_part.done", "output_item.done"]
CALL = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]


async def test_calls_are_events_after_what_is_said(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(text=("I ", "look."), calls=(BERN, BONN)))
    stream = await client.responses.create(model="writer", input="weather?", tools=[WEATHER], stream=True)
    events = await all_of(stream)
    types = ["created", "in_progress", *MESSAGE, *CALL, *CALL, "completed"]
    assert [event.type for event in events] == [f"response.{each}" for each in types]
    assert [event.sequence_number for event in events] == list(range(len(types)))
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == [one.arguments for one in (BERN, BONN)]
    items = [event.item for event in events if event.type == "response.output_item.done"]
    begun = [event.item for event in events if event.type == "response.output_item.added"]
    assert [(one.status, one.arguments) for one in begun if isinstance(one, ResponseFunctionToolCall)] == [
        ("in_progress", "")
    ] * 2
    end = events[-1]
    assert end.type == "response.completed"
    assert plain([*end.response.output]) == plain([*items])  # pyright: ignore[reportArgumentType] - models all
    for after in (-1, 9, 12, len(events) - 2):
        again = await client.responses.retrieve(end.response.id, stream=True, starting_after=max(after, 0))
        assert plain(await all_of(again)) == plain(events[max(after, 0) + 1 :])


async def test_the_sdk_accumulates_both_legs(every_hub: Serving) -> None:
    async with every_hub.openai() as client:
        async with client.responses.stream(model="assistant", input=ASK, tools=[WEATHER]) as stream:
            snapshots = [
                event.snapshot async for event in stream if event.type == "response.function_call_arguments.delta"
            ]
            asked = await stream.get_final_response()
        [call] = [item for item in asked.output if item.type == "function_call"]
        assert snapshots == [call.arguments] == ['{"city": "Bern"}']
        async with client.responses.stream(
            model="assistant", input=[output(call.call_id)], previous_response_id=asked.id, tools=[WEATHER]
        ) as stream:
            answer = await stream.get_final_response()
    assert (answer.status, answer.output_text) == ("completed", "sunny")


async def test_in_the_background_calls_are_polled_or_followed(every_hub: Serving) -> None:
    hub = every_hub
    hub.upstream.script(Answer(calls=(BERN,)), Answer(text=("Hm.",), calls=(Call("weather", id="call_2"),)), say("Ok."))
    async with hub.openai() as client:
        begun = await client.responses.create(model="writer", input="weather?", tools=[WEATHER], background=True)
        asked = await until_over(client, begun.id)
        assert (asked.status, [call.call_id for call in calls_of(asked)]) == ("completed", ["call_1"])
        stream = await client.responses.create(
            model="writer",
            input=[output("call_1")],
            previous_response_id=asked.id,
            tools=[WEATHER],
            background=True,
            stream=True,
        )
        end = (await all_of(stream))[-1]
        assert end.type == "response.completed"
        assert [item.type for item in end.response.output] == ["message", "function_call"]

        answer = await client.responses.create(
            model="writer", input=[output("call_2")], previous_response_id=end.response.id
        )
        assert answer.output_text == "Ok."
