"""What RiceBall's document promises its users, a test a row: assistants by their ids, with the caller's history."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from hub.store import Connection
from hub.store.tables import conversations, entries, sessions
from tests.clients.serving import Serving
from tests.compat import pasted
from tests.compat.asking import ASSISTANT, asked, content_of, events, inline, picture
from tests.platforms.openai import Call, Upstream, call, say

pytestmark = pytest.mark.asyncio(loop_scope="package")
ROOT = f"/api/v1/assistants/{ASSISTANT}/v1"
CHAT = f"{ROOT}/chat/completions"
PYTHON = """
from openai import OpenAI

# 1. Configuration
API_KEY = "sk-your-generated-key"
ASSISTANT_ID = "your-assistant-uuid"
# Base URL format: {host}/api/v1/assistants/{assistant_id}/v1
BASE_URL = f"http://localhost:8000/api/v1/assistants/{ASSISTANT_ID}/v1"

client = OpenAI(
    api_key=API_KEY,
    base_url=BASE_URL
)

# 2. Call the API
response = client.chat.completions.create(
    model="default", # This field is ignored by backend
    messages=[
        {"role": "user", "content": "Hello, who are you?"}
    ],
    # stream=True # Enable for streaming response
)

print(response.choices[0].message.content)
"""
STREAMED = PYTHON.replace("# stream=True", "stream=True").replace(
    "print(response.choices[0].message.content)",
    "print(*[chunk.choices[0].delta.content or '' for chunk in response], sep='')",
)
HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "I am Ann."},
    {"role": "assistant", "content": "Hello Ann."},
    {"role": "user", "content": "Who am I?"},
]


@pytest.mark.parametrize("program", [PYTHON, STREAMED], ids=["whole", "streamed"])
async def test_r2_the_sdk_asks_an_assistant_by_its_id(hub: Serving, key: str, program: str) -> None:
    words = {"sk-your-generated-key": key, "your-assistant-uuid": ASSISTANT}
    assert await pasted.python(program, hub.root, words) == "You said: Hello, who are you?\n"


async def test_r2_an_assistants_models_are_itself(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        listed = (await client.get(f"{ROOT}/models")).json()
    assert [model["object"] for model in listed["data"]] == ["model"]


@pytest.mark.parametrize("model", [{}, {"model": "default"}, {"model": "assistant"}])
async def test_r3_the_model_is_ignored_and_the_assistants_prompt_and_parameters_are_put_in(
    hub: Serving, key: str, upstream: Upstream, model: dict[str, str]
) -> None:
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json=asked("hi", **model)))
        content_of(await client.post(CHAT, json=asked("hi", temperature=0, **model)))
    first, second = (request.body for request in upstream.requests)
    assert first["messages"][0] == {"role": "system", "content": "You are a poet."}
    assert [body["model"] for body in (first, second)] == ["gpt-test", "gpt-test"]
    assert [body["temperature"] for body in (first, second)] == [0.7, 0]


async def test_r4_it_reads_and_writes_no_conversation(hub: Serving, key: str, upstream: Upstream) -> None:
    def kept(connection: Connection) -> list[int]:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (conversations, sessions, entries)
        ]

    before = await hub.store.read(kept)
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json={"messages": HISTORY}, headers={"Session-Id": "r4"}))
        content_of(await client.post(CHAT, json=asked("And now?"), headers={"Session-Id": "r4"}))
    assert upstream.requests[0].body["messages"][1:] == HISTORY
    assert upstream.requests[1].body["messages"][1:] == asked("And now?")["messages"]
    assert await hub.store.read(kept) == before


async def test_r6_usage_is_real_and_a_stream_ends_with_a_finish_chunk(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        usage = (await client.post(CHAT, json=asked("one two"))).json()["usage"]
        options = {"stream": True, "stream_options": {"include_usage": True}}
        *_, finish, last = events((await client.post(CHAT, json=asked("one two", **options))).text)
    assert (usage["completion_tokens"], usage["prompt_tokens"]) == (4, 6)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (last["usage"]["completion_tokens"], last["usage"]["prompt_tokens"]) == (4, 6)


async def test_r6_text_images_and_files_pass(hub: Serving, key: str, upstream: Upstream) -> None:
    note = {"filename": "costs.txt", "file_data": inline("text/plain", b"tea costs 3.50")}
    parts = [{"type": "text", "text": "Describe these"}, picture(), {"type": "file", "file": note}]
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json={"messages": [{"role": "user", "content": parts}]}))
    shown = upstream.requests[0].body["messages"][1]["content"]
    assert [part for part in shown if part["type"] == "image_url"] == [picture()]
    assert "tea costs 3.50" in "".join(part["text"] for part in shown if part["type"] == "text")


async def test_r6_client_tools_pass(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(call(Call("weather", '{"city":"Oslo"}', id="c1")), say("Cold."))
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    async with hub.http(key) as client:
        said = (await client.post(CHAT, json=asked("How is it?", tools=tools))).json()["choices"][0]
        result = {"role": "tool", "tool_call_id": "c1", "content": "5"}
        messages = [*asked("How is it?")["messages"], said["message"], result]
        answer = content_of(await client.post(CHAT, json={"messages": messages, "tools": tools}))
    assert (said["finish_reason"], answer) == ("tool_calls", "Cold.")
    assert [each["function"]["name"] for each in upstream.requests[0].body["tools"]] == ["weather"]
