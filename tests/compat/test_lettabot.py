"""What LettaBot's document promises its users, a test a row: its requests as they stand there."""

from __future__ import annotations

import asyncio
import json
import stat
from typing import Any

import httpx
import pytest

from tests.clients.serving import Serving
from tests.compat import pasted
from tests.compat.asking import CHAT, PICTURES, WHAT, asked, content_of, events
from tests.platforms.openai import Answer, Call, Request, Upstream, call, say
from tests.platforms.telegram import TelegramServer

pytestmark = pytest.mark.asyncio(loop_scope="package")
PYTHON = """
from openai import OpenAI
client = OpenAI(
base_url="http://localhost:8080/v1",
api_key="YOUR_API_KEY",
)
# Sync
response = client.chat.completions.create(
model="lettabot", # your agent name
messages=[{"role": "user", "content": "What's on my todo list?"}],
)
print(response.choices[0].message.content)
# Streaming
stream = client.chat.completions.create(
model="lettabot",
messages=[{"role": "user", "content": "What's on my todo list?"}],
stream=True,
)
for chunk in stream:
    delta = chunk.choices[0].delta
    if delta.content:
        print(delta.content, end="", flush=True)
"""
NODE = """
import OpenAI from "openai";
const client = new OpenAI({
baseURL: "http://localhost:8080/v1",
apiKey: "YOUR_API_KEY",
});
// Sync
const response = await client.chat.completions.create({
model: "lettabot",
messages: [{ role: "user", content: "What's on my todo list?" }],
});
console.log(response.choices[0].message.content);
// Streaming
const stream = await client.chat.completions.create({
model: "lettabot",
messages: [{ role: "user", content: "What's on my todo list?" }],
stream: true,
});
for await (const chunk of stream) {
const delta = chunk.choices[0].delta;
if (delta.content) process.stdout.write(delta.content);
}
"""
CURL = """curl -s -X POST http://localhost:8080/v1/chat/completions \\
-H "Content-Type: application/json" \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-d '{
"model": "lettabot",
"messages": [{"role": "user", "content": "What is on my todo list?"}]
}'
"""
CURL_STREAM = """curl -s -N -X POST http://localhost:8080/v1/chat/completions \\
-H "Content-Type: application/json" \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-d '{
"model": "lettabot",
"messages": [{"role": "user", "content": "What is on my todo list?"}],
"stream": true
}'
"""
CURL_MODELS = """curl -s http://localhost:8080/v1/models \\
-H "Authorization: Bearer YOUR_API_KEY"
"""
ANSWERED = "You said: What's on my todo list?\nYou said: What's on my todo list?"
"""What the Python and Node examples print."""


def ours(key: str) -> dict[str, str]:
    return {"YOUR_API_KEY": key}


async def test_l1_agents_are_listed_as_models(hub: Serving, key: str) -> None:
    listed = json.loads(await pasted.shell(CURL_MODELS, hub.root, ours(key)))
    assert listed["object"] == "list"
    names = [model["id"] for model in listed["data"]]
    assert names[:3] == ["assistant", "writer", "lettabot"]
    for model in listed["data"]:
        assert (model["object"], model["owned_by"]) == ("model", "bothub")
        assert isinstance(model["created"], int)
    async with hub.http(key) as client:
        assert (await client.get("/v1/models/lettabot")).json() == listed["data"][2]


async def test_l2_either_header_on_every_route(hub: Serving, key: str) -> None:
    async with hub.http() as client:
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-Api-Key": key}):
            assert (await client.get("/v1/models", headers=headers)).status_code == 200
            assert content_of(await client.post(CHAT, json=asked("hi"), headers=headers)) == "You said: hi"
        for path in ("/v1/models", "/api/v1/turns/x", "/v1/deliveries/x", "/metrics"):
            assert (await client.get(path, headers={"X-Api-Key": "sk-wrong"})).status_code == 401


async def test_l3_a_key_is_made_on_the_first_run_and_serves_every_route(hub: Serving) -> None:
    path = hub.process.folder / "data" / "api-key.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()).keys() == {"apiKey"}
    assert sum(str(path.name) in line for line in hub.process.log) == 1
    assert not any(hub.process.key in line for line in hub.process.log)
    async with hub.http(hub.process.key) as client:
        assert (await client.get("/v1/models")).status_code == 200


async def test_l4_the_model_is_the_agents_name_and_without_one_the_first_answers(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        named = await client.post(CHAT, json=asked("hi", model="lettabot"))
        unnamed = await client.post(CHAT, json=asked("hi"))
    assert (named.json()["model"], unnamed.json()["model"]) == ("lettabot", "assistant")


async def test_l5_a_stream_has_content_and_a_finish_and_no_reasoning(
    hub: Serving, key: str, upstream: Upstream
) -> None:
    text = await pasted.shell(CURL_STREAM, hub.root, ours(key))
    assert "".join(words(events(text))) == "You said: What is on my todo list?"
    upstream.script(call(Call("message", '{"content": "hi", "channel": "discord", "chat_id": "1"}')), say("Told."))
    async with hub.http(key) as client:
        chunks = events((await client.post(CHAT, json=asked("Tell them.", model="writer", stream=True))).text)
    assert "".join(words(chunks)) == "Told."
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert not [delta for delta in deltas if "tool_calls" in delta or "reasoning_content" in delta]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] == "stop"


async def test_l5_tool_calls_are_streamed_to_who_asks_for_them(hub: Serving, key: str, upstream: Upstream) -> None:
    arguments = '{"content": "hi", "channel": "discord", "chat_id": "1"}'
    upstream.script(call(Call("message", arguments, id="c1")), say("Told."))
    async with hub.http(key) as client:
        body = asked("Tell them.", model="writer", stream=True, bothub={"tools": True})
        chunks = events((await client.post(CHAT, json=body)).text)
    calls = [each for chunk in chunks for each in chunk["choices"][0]["delta"].get("tool_calls") or ()]
    assert "".join(each["function"].get("name") or "" for each in calls) == "message"
    assert json.loads("".join(each["function"].get("arguments") or "" for each in calls)) == json.loads(arguments)
    assert "".join(words(chunks)) == "Told."
    assert [reason for chunk in chunks if (reason := chunk["choices"][0]["finish_reason"])] == ["stop"]


def words(chunks: list[Any]) -> list[str]:
    return [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]


async def test_l6_parameters_are_honoured_ranges_checked_and_the_unknown_accepted(
    hub: Serving, key: str, upstream: Upstream
) -> None:
    known = {"temperature": 0, "max_tokens": 9, "top_p": 0.5, "stop": ["."], "n": 1}
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json=asked("hi", model="writer", **known, flavour="plain")))
        for name, wrong in {"temperature": 3, "max_tokens": 0, "top_p": -1, "stop": 7, "n": 2}.items():
            answer = await client.post(CHAT, json=asked("hi", model="writer", **{name: wrong}))
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    [request] = upstream.requests
    assert {name: request.body.get(name) for name in known} | {"n": 1} == known


async def test_l7_only_the_last_user_message_counts_and_the_agent_remembers(hub: Serving, key: str) -> None:
    history = [
        {"role": "system", "content": "You are somebody else."},
        {"role": "user", "content": "I never said this."},
        {"role": "assistant", "content": "Nor I."},
    ]
    async with hub.http(key) as client:
        for text in ("hi", WHAT):
            messages = [*history, {"role": "user", "content": text}]
            said = content_of(await client.post(CHAT, json={"messages": messages}))
    assert said == f"- hi\n- {WHAT}"


async def test_l8_usage_is_real(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        usage = (await client.post(CHAT, json=asked("count to 3"))).json()["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3


async def test_l9_curl_works(hub: Serving, key: str) -> None:
    answer = json.loads(await pasted.shell(CURL, hub.root, ours(key)))
    assert answer["choices"][0]["message"]["content"] == "You said: What is on my todo list?"


async def test_l9_the_python_sdk_works(hub: Serving, key: str) -> None:
    assert await pasted.python(PYTHON, hub.root, ours(key)) == ANSWERED


async def test_l9_the_node_sdk_works(hub: Serving, key: str) -> None:
    assert await pasted.node(NODE, hub.root, ours(key)) == ANSWERED


async def test_l9_each_chat_of_open_webui_is_its_own_session(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        for chat in ("one", "two"):
            header = {"X-OpenWebUI-Chat-Id": chat}
            await client.post(CHAT, json=asked(f"I am {chat}", stream=True), headers=header)
            assert content_of(await client.post(CHAT, json=asked(WHAT), headers=header)) == f"- I am {chat}\n- {WHAT}"


async def test_l10_a_chat_is_answered_in_its_words(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        first = await client.post("/api/v1/chat", json={"message": "hi"})
        named = await client.post("/api/v1/chat", json={"message": WHAT, "agent": "lettabot", "session_id": "own"})
        again = await client.post("/api/v1/chat", json={"message": WHAT})
    assert first.json().items() >= {"success": True, "response": "You said: hi", "agentName": "assistant"}.items()
    assert named.json().items() >= {"success": True, "response": f"- {WHAT}", "agentName": "lettabot"}.items()
    assert again.json()["response"] == f"- hi\n- {WHAT}"


async def test_l10_the_stream_of_a_chat_tells_what_the_agent_does(hub: Serving, key: str, upstream: Upstream) -> None:
    tell = Call("message", '{"content": "hi", "channel": "discord", "chat_id": "1"}', id="c1")
    upstream.script(Answer(reasoning=("Let me ", "think."), calls=(tell,)), say("All ", "told."))
    async with hub.http(key) as client:
        body = {"message": "Tell them.", "agent": "writer"}
        answer = await client.post("/api/v1/chat", json=body, headers={"Accept": "text/event-stream"})
        wrong = await client.post("/api/v1/chat", json={"agent": "writer"})
    told = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line.startswith("data: ")]
    kinds = list(dict.fromkeys(event["type"] for event in told))
    assert kinds == ["reasoning", "tool_call", "tool_result", "assistant", "result"]
    assert "".join(event["content"] for event in told if event["type"] == "reasoning") == "Let me think."
    [asked_for] = [event for event in told if event["type"] == "tool_call"]
    assert (asked_for["id"], asked_for["name"]) == ("c1", "message")
    [result] = [event for event in told if event["type"] == "tool_result"]
    assert (result["id"], result["is_error"]) == ("c1", False)
    assert "channel not enabled" in result["content"]
    assert told[-1] == {"type": "result", "success": True, "response": "All told."}
    assert (wrong.status_code, wrong.json()["success"]) == (400, False)


async def test_l10_a_failure_is_an_event_too(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(Answer(text=("Once ", "upon"), end="cut"))
    async with hub.http(key) as client:
        body = {"message": "Tell me.", "agent": "writer"}
        answer = await client.post("/api/v1/chat", json=body, headers={"Accept": "text/event-stream"})
    last = json.loads([line for line in answer.text.split("\n\n") if line.startswith("data: ")][-1][6:])
    assert last["type"] == "error"
    assert last["message"]


async def test_l11_a_chat_for_later_can_be_polled(hub: Serving, key: str, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("Later.", gate=gate))
    async with hub.http(key) as client:
        queued = await client.post("/api/v1/chat/async", json={"message": "hi", "agent": "writer"})
        told = queued.json()
        await upstream.wait_request()
        now = (await client.get(f"/api/v1/turns/{told['id']}")).json()
        gate.set()
        end = await client.get(f"/api/v1/turns/{told['id']}/events")
        then = (await client.get(f"/api/v1/turns/{told['id']}")).json()
    assert queued.status_code == 202
    assert told == {"success": True, "status": "queued", "agentName": "writer", "id": told["id"]}
    assert (now["status"], now["response"]) == ("running", None)
    assert '"response":"Later."' in end.text
    assert (then["status"], then["response"]) == ("completed", "Later.")


async def test_l11_a_chat_for_later_can_be_cancelled(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(Answer(end="silence"))
    async with hub.http(key) as client:
        told = (await client.post("/api/v1/chat/async", json={"message": "hi", "agent": "writer"})).json()
        await upstream.wait_request()
        await client.delete(f"/api/v1/turns/{told['id']}")
        await upstream.wait_disconnect()
        end = await client.get(f"/api/v1/turns/{told['id']}/events")
        again = await client.delete(f"/api/v1/turns/{told['id']}")
    assert '"type":"error"' in end.text
    assert again.json()["status"] == "cancelled"


async def test_l12_a_message_is_sent_and_its_platform_id_told(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        for chat in ({"chatId": "lobby"}, {"chat_id": "lobby"}):
            body = {"channel": "web", "text": "Deployed.", **chat}
            form = {name: (None, value) for name, value in body.items()}
            for sent in (client.post("/api/v1/messages", json=body), client.post("/api/v1/messages", files=form)):
                answer = await sent
                assert answer.status_code == 200, answer.text
                assert answer.json()["success"] is True
                assert answer.json()["messageId"]


@pytest.mark.parametrize(("kind", "field"), [("file", "document"), ("image", "photo")])
async def test_l12_a_file_is_sent_with_a_form(
    hub: Serving, key: str, telegram: TelegramServer, kind: str, field: str
) -> None:
    chat = {"file": 1201, "image": 1202}[kind]
    telegram.say("hello", chat=chat, user=chat)
    await telegram.wait_text("You said: hello", chat=chat)
    name, content = ("note.txt", b"tea costs 3.50") if kind == "file" else ("chart.png", PICTURES["png"])
    async with hub.http(key) as client:
        form = {"channel": "support", "chatId": str(chat), "kind": kind}
        answer = await client.post("/api/v1/messages", data=form, files={"file": (name, content)})
    assert answer.status_code == 200, answer.text
    said = telegram.sent(chat)[-1]
    assert answer.json()["messageId"] == str(said["message_id"])
    assert field in said


@pytest.mark.parametrize(
    "body",
    [
        {"chatId": "lobby", "text": "hi"},
        {"channel": "nowhere", "chatId": "lobby", "text": "hi"},
        {"channel": "web", "text": "hi"},
        {"channel": "web", "chatId": "lobby"},
    ],
)
async def test_l12_what_lacks_a_channel_a_chat_or_content_is_a_400(
    hub: Serving, key: str, body: dict[str, str]
) -> None:
    async with hub.http(key) as client:
        answer = await client.post("/api/v1/messages", json=body)
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert answer.json()["error"]


async def test_l12_a_delivery_that_fails_is_told_as_a_failure(hub: Serving, key: str, telegram: TelegramServer) -> None:
    telegram.fail("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=404)
    async with hub.http(key) as client:
        body = {"channel": "support", "chatId": "404", "text": "hi"}
        answer = await client.post("/api/v1/messages", json=body)
    assert (answer.status_code, answer.json()["success"]) == (502, False)
    assert answer.json()["error"]


async def test_l14_two_chats_behind_one_agent_each_get_their_own_answer(
    hub: Serving, key: str, upstream: Upstream
) -> None:
    gate = asyncio.Event()

    def answer(request: Request) -> Answer:
        return say("For ", request.last_text, gate=gate)

    upstream.script(answer, answer)

    async def ask(name: str) -> str:
        async with hub.http(key) as client:
            answer: httpx.Response = await client.post(CHAT, json=asked(name, model="writer", session_id=f"l14-{name}"))
        return content_of(answer)

    both = asyncio.gather(ask("Ann"), ask("Bob"))
    await upstream.wait_request(2)
    gate.set()
    assert await both == ["For Ann", "For Bob"]
