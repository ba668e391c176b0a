"""Functions of a client's on agents with memory, as the official SDK gets them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import FunctionToolParam, Response, ResponseFunctionToolCall, ResponseInputItemParam
from openai.types.responses.response_input_item_param import FunctionCallOutput

from hub.accounts import turns
from hub.memory import UNKNOWN
from tests.platforms.openai import Answer, Call, fail, say
from tests.responses.serving import WEATHER, Serving, until

pytestmark = pytest.mark.asyncio(loop_scope="package")
ASK = 'call weather {"city": "Bern"}'
BERN, BONN = Call("weather", '{"city":"Bern"}', id="call_1"), Call("weather", '{"city":"Bonn"}', id="call_2")
RECALL = Call("recall", '{"query": "tea"}', id="call_r")


def calls_of(answer: Response) -> list[ResponseFunctionToolCall]:
    return [item for item in answer.output if isinstance(item, ResponseFunctionToolCall)]


def turn_of(answer: Response) -> str:
    return answer.id.removeprefix("resp_")


def output(call_id: str, text: str = "sunny") -> FunctionCallOutput:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def told(hub: Serving) -> list[tuple[str, Any]]:
    """What the upstream was told last, but for what the agent is."""
    return [(one["role"], one["content"]) for one in hub.told if one["role"] != "system"]


async def ask(
    client: AsyncOpenAI,
    given: str | list[ResponseInputItemParam],
    before: Response | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    body = more if before is None else {"previous_response_id": before.id, **more}
    return await client.responses.create(
        model="writer", input=given, tools=[WEATHER], extra_body=body, extra_headers=headers
    )


async def test_a_function_goes_round_offline(every_hub: Serving) -> None:
    async with every_hub.openai() as client:
        raw = await client.responses.with_raw_response.create(model="assistant", input=ASK, tools=[WEATHER])
        asked = raw.parse()
        assert "Warning" not in raw.headers
        assert (asked.status, [item.type for item in asked.output]) == ("completed", ["function_call"])
        [call] = calls_of(asked)
        assert (call.name, call.arguments, call.status) == ("weather", '{"city": "Bern"}', "completed")
        answer = await client.responses.create(
            model="assistant", input=[output(call.call_id)], tools=[WEATHER], previous_response_id=asked.id
        )
        assert (answer.status, answer.output_text) == ("completed", "sunny")
        for one in (asked, answer):
            assert (await client.responses.retrieve(one.id)).model_dump() == one.model_dump()
        again = await client.responses.create(model="assistant", input="what did I say", previous_response_id=answer.id)
        assert again.output_text == f"- {ASK}\n- what did I say"


async def test_the_model_sees_calls_with_their_results_round_after_round(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(text=("I look.",), calls=(BERN,)), Answer(calls=(BONN,)), say("Both."))
    first = await ask(client, "weather?")
    assert [item.type for item in first.output] == ["message", "function_call"]
    second = await ask(client, [output("call_1", "sun")], first)
    parts = [{"type": "input_text", "text": "ra"}, {"type": "input_text", "text": "in"}]
    last = await ask(client, [{**output("call_2"), "output": parts}], second)  # pyright: ignore[reportArgumentType] - as JSON has it
    assert last.output_text == "Both."
    asked = [("user", "weather?"), ("assistant", "I look."), ("tool", "sun"), ("assistant", None), ("tool", "ra\n\nin")]
    assert told(hub) == asked
    await ask(client, "thanks", last)
    assert told(hub) == [*asked, ("assistant", "Both."), ("user", "thanks")]
    calls = [call for one in hub.told for call in one.get("tool_calls", ())]
    assert [(call["id"], call["function"]["name"]) for call in calls] == [("call_1", "weather"), ("call_2", "weather")]


async def test_a_conversation_may_be_named_and_the_user_may_add_something(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)))
    await ask(client, "weather?", conversation="c")
    await ask(client, [output("call_1"), {"role": "user", "content": "and now?"}], conversation="c")
    assert told(hub) == [("user", "weather?"), ("assistant", None), ("tool", "sunny"), ("user", "and now?")]


async def test_parallel_calls_need_all_their_outputs(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN, BONN)))
    asked = await ask(client, "weather?")
    assert [call.call_id for call in calls_of(asked)] == ["call_1", "call_2"]
    wrong: list[tuple[list[ResponseInputItemParam], str, str]] = [
        ([output("call_1")], "input", "No tool output found for function call call_2"),
        ([output("call_2"), output("call_3")], "input[1].call_id", r"No tool call found .* call_3"),
        ([output("call_1"), output("call_1")], "input[1].call_id", "second output"),
        ([output("call_1"), {**output("call_2"), "output": [{"type": "input_image", "image_url": "x"}]}],  # pyright: ignore[reportAssignmentType] - as JSON has it
         "input[1].output[0]", "image_url"),
    ]  # fmt: skip
    for given, param, words in wrong:
        with pytest.raises(openai.BadRequestError, match=words) as raised:
            await ask(client, given, asked)
        assert raised.value.param == param
    assert len(hub.upstream.requests) == 1
    await ask(client, [output("call_2", "rain"), output("call_1", "sun")], asked)
    assert told(hub)[2:] == [("tool", "sun"), ("tool", "rain")]


async def test_an_output_of_a_call_that_nobody_made_is_refused(client: AsyncOpenAI) -> None:
    asked = await client.responses.create(model="assistant", input="hi")
    for before in ({}, {"previous_response_id": asked.id}, {"conversation": "new"}):
        with pytest.raises(openai.BadRequestError, match=r"No tool call found .* call_1") as raised:
            await client.responses.create(model="assistant", input=[output("call_1")], extra_body=before)
        assert raised.value.param == "input[0].call_id"


async def test_who_speaks_on_instead_closes_the_call(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)))
    asked = await ask(client, "weather?", session_id="s")
    await client.chat.completions.create(
        model="writer", messages=[{"role": "user", "content": "never mind"}], extra_body={"session_id": "s"}
    )
    placeheld = [("user", "weather?"), ("assistant", None), ("tool", UNKNOWN), ("user", "never mind")]
    assert told(hub) == placeheld
    with pytest.raises(openai.BadRequestError, match="the conversation went on"):
        await ask(client, [output("call_1")], asked)
    await ask(client, "hm", asked)
    assert told(hub) == [*placeheld, ("assistant", "You said: never mind"), ("user", "hm")]


async def test_an_answer_to_what_was_answered_already_is_refused(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)))
    asked = await ask(client, "weather?")
    await ask(client, [output("call_1")], asked)
    with pytest.raises(openai.BadRequestError, match="have an output already"):
        await ask(client, [output("call_1", "rain")], asked)


async def test_what_was_told_a_model_that_failed_may_be_told_again(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)), fail(400), fail(400))
    asked = await ask(client, "weather?")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await ask(client, [output("call_1")], asked)
    await ask(client, [output("call_1")], asked)
    assert told(hub)[:4] == [("user", "weather?"), ("assistant", None), ("tool", "sunny"), ("assistant", "(failed)")]
    assert told(hub)[-1] == ("user", "(The call call_1 returned: sunny)")


async def test_the_agents_own_tools_are_used_beside_the_clients(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(RECALL,)), Answer(text=("I look.",), calls=(BERN,)))
    asked = await ask(client, "weather?")
    assert [item.type for item in asked.output] == ["message", "function_call"]
    offered = [tool["function"]["name"] for tool in hub.upstream.requests[-1].body["tools"]]
    assert offered == ["remember", "recall", "forget", "weather"]
    await ask(client, [output("call_1")], asked)
    assert [role for role, _ in told(hub)] == ["user", "assistant", "tool", "assistant", "tool"]


async def test_with_a_call_of_the_clients_none_of_ours_is_run(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(RECALL, BERN)))
    asked = await ask(client, "weather?", bothub={"tools": True})
    assert [call.call_id for call in calls_of(asked)] == ["call_1"]
    await ask(client, [output("call_1")], asked)
    assert told(hub) == [("user", "weather?"), ("assistant", None), ("tool", "sunny")]
    assert [call["id"] for call in hub.told[-2]["tool_calls"]] == ["call_1"]


async def test_a_function_with_the_name_of_a_tool_of_the_agents_is_refused(hub: Serving, client: AsyncOpenAI) -> None:
    named: Sequence[FunctionToolParam] = [WEATHER, {**WEATHER, "name": "recall"}]
    with pytest.raises(openai.BadRequestError, match="'writer' has a tool 'recall'") as raised:
        await client.responses.create(model="writer", input="hi", tools=named)
    assert raised.value.param == "tools[1].name"
    assert not hub.upstream.requests


async def test_the_choice_of_a_function_holds_for_the_first_step(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(RECALL,)), Answer(calls=(BERN,)))
    asked = await ask(client, "weather?", tool_choice="required", parallel_tool_calls=False)
    first, second = [request.body for request in hub.upstream.requests]
    assert (first["tool_choice"], first["parallel_tool_calls"]) == ("required", False)
    assert ("tool_choice" in second, second["parallel_tool_calls"]) == (False, False)
    await ask(client, [output("call_1")], asked, tool_choice={"type": "function", "name": "weather"})
    assert hub.upstream.requests[-1].body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    await ask(client, "hi", tool_choice="none")
    body = hub.upstream.requests[-1].body
    assert ([tool["function"]["name"] for tool in body["tools"]], body["tool_choice"]) == (["weather"], "none")


async def test_arguments_that_are_no_json_are_the_clients_to_judge(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(Call("weather", '{"city": Bern', id="call_1"),)))
    asked = await ask(client, "weather?")
    assert calls_of(asked)[0].arguments == '{"city": Bern'
    await ask(client, [output("call_1", "that is no JSON")], asked)
    assert hub.told[-2]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert hub.told[-1]["content"] == "that is no JSON"


async def test_a_client_may_keep_the_items_itself(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(text=("I look.",), calls=(BERN, BONN)), Answer(calls=(Call("weather", id="call_3"),)))
    items: list[Any] = [{"role": "user", "content": "weather?"}]
    for outputs in ([output("call_1", "sun"), output("call_2", "rain")], [output("call_3", "snow")]):
        asked = await ask(client, items, store=False)
        items += [item.model_dump(exclude_none=True) for item in asked.output]
        with pytest.raises(openai.BadRequestError, match=r"No tool (output|call) found"):
            await ask(client, [*items, *outputs[1:], *([] if outputs[1:] else [output("call_x")])], store=False)
        items += outputs
    assert (await ask(client, items, store=False)).output_text == "You said: weather?"
    results = [("tool", "sun"), ("tool", "rain"), ("assistant", None), ("tool", "snow")]
    assert told(hub) == [("user", "weather?"), ("assistant", "I look."), *results]


async def test_a_request_sent_again_is_answered_once(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)))
    first = [await ask(client, "weather?", headers={"Idempotency-Key": "a"}) for _ in range(2)]
    assert first[0].model_dump() == first[1].model_dump()
    answers = [await ask(client, [output("call_1")], first[0], headers={"Idempotency-Key": "b"}) for _ in "ab"]
    assert answers[0].model_dump() == answers[1].model_dump()
    assert len(hub.upstream.requests) == 2


async def test_who_reads_the_session_sees_calls_and_results(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)), say("Sunny."))
    asked = await ask(client, "weather?")
    await ask(client, [output("call_1")], asked)
    async with hub.http() as http:
        [session] = (await http.get("/api/v1/sessions")).json()["data"]
        messages = (await http.get(f"/api/v1/sessions/{session['id']}")).json()["messages"]
        events = (await http.get(f"/api/v1/turns/{turn_of(asked)}/events")).text
    shown = [(one["role"], one["content"], one.get("tool_call_id")) for one in messages]
    assert shown == [
        ("user", "weather?", None),
        ("assistant", "", None),
        ("tool", "sunny", "call_1"),
        ("assistant", "Sunny.", None),
    ]
    assert messages[1]["tool_calls"][0]["id"] == "call_1"
    assert '"type":"tool_call","id":"call_1"' in events


async def test_two_who_bring_the_same_output_at_once_lose_nothing(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(calls=(BERN,)), say("Sunny.", gate=(gate := asyncio.Event()), gate_after=0))
    asked = await ask(client, "weather?")
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(ask(client, [output("call_1", text)], asked)) for text in ("sunny", "rainy")]
        await hub.upstream.wait_request(2)
        lane = (await hub.engine.store.read(lambda c: turns.find(c, turn_of(asked)))) or pytest.fail("no turn")

        async def both_wait() -> bool | None:
            return await hub.engine.bus.waiting("agent:writer", lane.address) == 2 or None

        await until(both_wait)
        gate.set()
    assert {each.result().status for each in both} == {"completed"}
    ids = [call["id"] for one in hub.told for call in one.get("tool_calls", ())]
    assert ids == ["call_1"]
    assert "sunny" in str(hub.told)
    assert "rainy" in str(hub.told)


async def test_items_may_be_named_by_their_ids(hub: Serving, client: AsyncOpenAI) -> None:
    hub.upstream.script(Answer(text=("I look.",), calls=(BERN,)))
    asked = await ask(client, "weather?")
    [question] = (await client.responses.input_items.list(asked.id)).data
    named: list[Any] = [{"type": "item_reference", "id": one.id} for one in (question, *asked.output)]
    await ask(client, [*named, output("call_1")])
    assert told(hub) == [("user", "weather?"), ("assistant", "I look."), ("tool", "sunny")]
    with pytest.raises(openai.BadRequestError) as raised:
        await ask(client, [{"type": "item_reference", "id": "fc_1_0"}, output("call_1")])
    assert raised.value.param == "input[0].id"
