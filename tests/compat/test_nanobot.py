"""What nanobot's document promises its users, a test a row: its requests as they stand there, without a key."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from hub.config import ApiSettings
from tests.agents.test_documents import docx, pdf, pptx, xlsx
from tests.clients.lossy import lossy
from tests.clients.serving import HI, TOO_LONG, Serving, behind
from tests.compat import pasted
from tests.compat.asking import CHAT, PICTURES, WHAT, asked, content_of, events, inline, picture
from tests.e2e.here import running_hub
from tests.platforms.openai import Answer, Upstream, fail, say
from tests.platforms.telegram import TelegramServer

pytestmark = pytest.mark.asyncio(loop_scope="package")
CURL = """curl -s http://127.0.0.1:8900/v1/chat/completions \\
-H "Content-Type: application/json" \\
-d '{
"messages": [{"role": "user", "content": "hi"}],
"session_id": "my-session"
}'
"""
CURL_IMAGE = """curl -s http://127.0.0.1:8900/v1/chat/completions \\
-H "Content-Type: application/json" \\
-d '{
"messages": [{"role": "user", "content": [
{"type": "text", "text": "Describe this image"},
{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR..."}}
]}]
}'
"""
REQUESTS = """
import requests
resp = requests.post(
"http://127.0.0.1:8900/v1/chat/completions",
json={
"messages": [{"role": "user", "content": "hi"}],
"session_id": "my-session", # optional: isolate conversation
},
timeout=120,
)
resp.raise_for_status()
print(resp.json()["choices"][0]["message"]["content"])
"""
CURL_FILE = """curl -s http://127.0.0.1:8900/v1/chat/completions \\
-F "message=Summarize this report" \\
-F "files=@report.docx"
"""
CURL_FILES = """curl -s http://127.0.0.1:8900/v1/chat/completions \\
-F "message=Compare these files" \\
-F "files=@chart.png" \\
-F "files=@data.xlsx" \\
-F "session_id=my-session"
"""
WRITTEN: dict[str, tuple[bytes, str]] = {
    "report.docx": (docx(), "Größe and 消息"),
    "data.xlsx": (xlsx(), "tea"),
    "deck.pptx": (pptx(), "Because"),
    "page.pdf": (pdf("tea costs 3.50"), "tea costs 3.50"),
    "note.txt": ("tea costs 3,50 €".encode(), "tea costs 3,50 €"),
    "note.md": (b"## tea", "## tea"),
    "data.csv": (b"what,how much\ntea,3.50\n", "tea"),
    "data.json": (b'{"tea": 3.5}', '"tea": 3.5'),
}
"""Documents, and what is written in them."""
SDK = """
from openai import OpenAI
client = OpenAI(
base_url="http://127.0.0.1:8900/v1",
api_key="dummy",
)
resp = client.chat.completions.create(
model="MiniMax-M2.7",
messages=[{"role": "user", "content": "hi"}],
extra_body={"session_id": "my-session"}, # optional: isolate conversation
)
print(resp.choices[0].message.content)
"""


async def test_n1_it_binds_to_loopback_and_has_the_three_endpoints(hub: Serving) -> None:
    assert (ApiSettings().host, httpx.URL(hub.root).host) == ("127.0.0.1", "127.0.0.1")
    async with hub.http() as client:
        health = await client.get("/health")
        assert (health.status_code, health.json()) == (200, {"status": "ok"})
        models = (await client.get("/v1/models")).json()
        assert models["data"][0]["id"] == "assistant"
        assert content_of(await client.post(CHAT, json=asked("hi", session_id="n1"))) == "You said: hi"


async def test_n2_a_session_isolates_and_without_one_the_key_has_one(hub: Serving) -> None:
    assert json.loads(await pasted.shell(CURL, hub.root))["choices"][0]["message"]["content"] == "You said: hi"
    assert await pasted.python(REQUESTS, hub.root) == "You said: hi\n"
    async with hub.http() as client:
        assert content_of(await client.post(CHAT, json=asked(WHAT, session_id="my-session"))) == f"- hi\n- hi\n- {WHAT}"
        assert content_of(await client.post(CHAT, json=asked(WHAT, session_id="n2"))) == f"- {WHAT}"
    for _ in range(2):
        async with hub.http(await hub.key()) as client:
            await client.post(CHAT, json=asked("hi"))
            assert content_of(await client.post(CHAT, json=asked(WHAT))) == f"- hi\n- {WHAT}"


async def test_n3_a_stream_ends_with_done_and_without_stream_it_is_one_json(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        streamed = await client.post(CHAT, json=asked("count to 3", stream=True))
        assert streamed.headers["Content-Type"].startswith("text/event-stream")
        chunks = events(streamed.text)
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "1 2 3"
        for whole in ({}, {"stream": False}):
            answer = await client.post(CHAT, json=asked("count to 3", **whole))
            assert (answer.json()["object"], content_of(answer)) == ("chat.completion", "1 2 3")


@pytest.mark.parametrize("kind", PICTURES)
async def test_n4_an_image_goes_to_the_model_as_vision_input(
    hub: Serving, key: str, upstream: Upstream, kind: str
) -> None:
    parts = [{"type": "text", "text": "Describe this image"}, picture(kind)]
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json={"model": "writer", "messages": [{"role": "user", "content": parts}]}))
    shown = upstream.requests[0].body["messages"][-1]["content"]
    assert [part for part in shown if part["type"] == "image_url"] == [picture(kind)]
    assert "Describe this image" in json.dumps(shown)


async def test_n4_its_request_with_an_image_is_answered(hub: Serving) -> None:
    answer = await pasted.shell(CURL_IMAGE, hub.root, {"iVBOR...": b64encode(PICTURES["png"]).decode()})
    assert "Describe this image" in json.loads(answer)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("way", ["form", "inline"])
async def test_n4_n5_what_is_written_in_a_document_reaches_the_model(
    hub: Serving, key: str, upstream: Upstream, name: str, way: str
) -> None:
    content, text = WRITTEN[name]
    inlined = {"type": "file", "file": {"filename": name, "file_data": inline("application/octet-stream", content)}}
    async with hub.http(key) as client:
        if way == "form":
            fields = {"message": "Summarize this report", "model": "writer"}
            answer = await client.post(CHAT, data=fields, files=[("files", (name, content))])
        else:
            parts = [{"type": "text", "text": "Summarize this report"}, inlined]
            messages = [{"role": "user", "content": parts}]
            answer = await client.post(CHAT, json={"model": "writer", "messages": messages})
    content_of(answer)
    shown = json.dumps(upstream.requests[0].body["messages"][-1], ensure_ascii=False)
    assert "Summarize this report" in shown
    assert text in shown.replace("\\\\", "\\").replace('\\"', '"')


async def test_n5_its_forms_are_answered_and_remembered(hub: Serving, tmp_path: Path) -> None:
    (tmp_path / "report.docx").write_bytes(docx())
    (tmp_path / "data.xlsx").write_bytes(xlsx())
    (tmp_path / "chart.png").write_bytes(PICTURES["png"])
    report = json.loads(await pasted.shell(CURL_FILE, hub.root, folder=tmp_path))
    assert "Summarize this report" in report["choices"][0]["message"]["content"]
    own = CURL_FILES.replace("my-session", "n5")
    compared = json.loads(await pasted.shell(own, hub.root, folder=tmp_path))
    assert "Compare these files" in compared["choices"][0]["message"]["content"]
    async with hub.http() as client:
        assert "Compare these files" in content_of(await client.post(CHAT, json=asked(WHAT, session_id="n5")))


async def test_n5_a_form_goes_to_the_model_with_its_pictures_and_may_be_streamed(
    hub: Serving, key: str, upstream: Upstream
) -> None:
    fields = {"message": "Compare these files", "model": "writer", "stream": "true"}
    files = [("files", (f"chart.{kind}", PICTURES[kind], f"image/{kind}")) for kind in ("png", "webp")]
    async with hub.http(key) as client:
        assert events((await client.post(CHAT, data=fields, files=files)).text)
    shown = upstream.requests[0].body["messages"][-1]["content"]
    assert [part for part in shown if part["type"] == "image_url"] == [picture("png"), picture("webp")]


@pytest.mark.parametrize(("size", "count"), [(10, 1), (8, 3)], ids=["file", "body"])
async def test_n5_what_is_too_large_is_a_413(hub: Serving, key: str, size: int, count: int) -> None:
    files = [("files", ("large.txt", b" " * (size * 2**20 + 1)))] * count
    async with hub.http(key) as client:
        answer = await client.post(CHAT, data={"message": "Summarize this report"}, files=files)
    assert answer.status_code == 413
    assert ("large.txt" if count == 1 else "20 MB") in answer.json()["error"]["message"]


async def test_n6_only_the_message_tool_posts_to_a_chat_and_it_delivers(
    hub: Serving, key: str, telegram: TelegramServer
) -> None:
    call = {"content": "Build finished successfully.", "channel": "telegram", "chat_id": "123456789"}
    telegram.say("hello", chat=123456789, user=123456789)
    await telegram.wait_text("You said: hello", chat=123456789)
    before = len(telegram.called("sendMessage"))
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json=asked("Build finished successfully.")))
        nowhere = content_of(await client.post(CHAT, json=asked('call message {"content": "Nobody reads this."}')))
        assert len(telegram.called("sendMessage")) == before
        report = content_of(await client.post(CHAT, json=asked(f"call message {json.dumps(call)}")))
    assert "Nothing was sent" in nowhere
    said = await telegram.wait_text("Build finished successfully.", chat=123456789)
    assert '"status":"delivered"' in report
    assert f'"{said["message_id"]}"' in report


async def test_n7_a_post_to_a_channel_that_is_not_enabled_waits_is_seen_and_can_be_discarded(
    hub: Serving, key: str
) -> None:
    call = {"content": "Build finished successfully.", "channel": "discord", "chat_id": "123456789"}
    async with hub.http(key) as client:
        report = content_of(await client.post(CHAT, json=asked(f"call message {json.dumps(call)}")))
        assert '"status":"waiting"' in report
        assert '"reason":"channel not enabled"' in report
        name = report.partition('"id":"')[2].partition('"')[0]
    async with hub.http(hub.process.key) as client:
        seen = (await client.get(f"/v1/deliveries/{name}")).json()
        assert (seen["status"], seen["reason"], seen["address"]) == (
            *("waiting", "channel not enabled"),
            "discord:123456789",
        )
        assert (await client.delete(f"/v1/deliveries/{name}")).json()["status"] == "discarded"


async def test_n8_the_tool_posts_to_the_asking_chat_with_media_and_buttons(
    hub: Serving, telegram: TelegramServer
) -> None:
    call = {"content": "yours", "media": ["data:text/plain;base64,aGk="], "buttons": [["Yes", "No"]]}
    telegram.say(f"call message {json.dumps(call)}", chat=801, user=801)
    said = await telegram.wait_sent(801, 3)
    assert said[0]["text"] == "yours"
    [keyboard] = [message["reply_markup"]["inline_keyboard"] for message in said if "reply_markup" in message]
    assert [[button["text"] for button in row] for row in keyboard] == [["Yes", "No"]]
    assert [message["document"]["file_name"] for message in said if "document" in message] == ["file.txt"]


async def test_n8_a_reply_reference_goes_to_no_other_chat(hub: Serving, telegram: TelegramServer) -> None:
    telegram.say("hello", chat=802, user=802)
    await telegram.wait_text("You said: hello", chat=802)
    call = {"content": "from the group", "channel": "support", "chat_id": 802}
    asking = telegram.say(f"call message {json.dumps(call)}", kind="group", mention=True)
    assert "reply_to_message" not in await telegram.wait_text("from the group", chat=802)
    [report] = await telegram.wait_sent(asking["chat"]["id"], 1)
    assert report["reply_to_message"]["message_id"] == asking["message_id"]


async def test_n9_every_error_has_openais_shape(hub: Serving, key: str, upstream: Upstream) -> None:
    async with hub.http(key) as client:
        unknown = await client.get("/v1/nothing")
        method = await client.get(CHAT)
        large = await client.post(CHAT, content=b" " * (21 * 2**20))
        upstream.script(fail(500, retry_after=TOO_LONG), Answer(text=("Once",), end="cut"))
        failed = await client.post(CHAT, json=asked("hi", model="gpt"))
        cut = await client.post(CHAT, json=asked("hi", model="gpt", stream=True))
    assert [answer.status_code for answer in (unknown, method, large, failed, cut)] == [404, 405, 413, 502, 200]
    *_, last = events(cut.text)
    for error in (*(answer.json()["error"] for answer in (unknown, method, large, failed)), last["error"]):
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["message"]
        assert error["type"]


async def test_n10_turns_of_a_session_run_one_after_another(hub: Serving, key: str, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("One.", gate=gate), say("Two."))
    async with hub.http(key) as client:
        first = asyncio.create_task(client.post(CHAT, json=asked("first", model="writer")))
        await upstream.wait_request(1)
        second = asyncio.create_task(client.post(CHAT, json=asked("second", model="writer")))
        other = await client.post(CHAT, json=asked("hi", model="assistant"))
        assert content_of(other) == "You said: hi"
        assert len(upstream.requests) == 1
        gate.set()
        assert [content_of(answer) for answer in await asyncio.gather(first, second)] == ["One.", "Two."]
    assert [message["content"] for message in upstream.requests[1].body["messages"] if message["role"] != "system"] == [
        *("first", "One.", "second"),
    ]


async def test_n10_waiting_counts_against_the_time_limit(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with Upstream() as upstream, running_hub(tmp_path, writer(upstream, turn_timeout="1s")) as here:
        upstream.script(say("One.", gate=gate))
        async with here.http() as client:
            first = (await client.post("/api/v1/chat/async", json={"message": "first"})).json()
            await upstream.wait_request()
            second = await client.post(CHAT, json=asked("second"))
            assert (second.status_code, second.json()["error"]["code"]) == (504, "timeout")
            gate.set()
            assert (await here.over(first["id"])).response == "One."
        assert len(upstream.requests) == 1


def writer(upstream: Upstream, **api: Any) -> dict[str, Any]:
    """The settings of a hub of one agent."""
    return {"api": api, "models": {"gpt": behind(upstream, "gpt-test")}, "agents": {"writer": {"model": "gpt"}}}


async def test_n10_n14_a_full_queue_is_a_429_that_says_how_to_have_ones_own(
    hub: Serving, key: str, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.script(say("One.", gate=gate))
    async with hub.http(key) as client:
        # The lane takes three, and nobody is answered while the gate is closed.
        asking = [asyncio.create_task(client.post(CHAT, json=asked("hi", model="writer"))) for _ in range(5)]
        done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert refused.status_code == 429, refused.text
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["error"]["code"] == "queue_full"
        assert "pass session_id" in refused.json()["error"]["message"]
        own = await client.post(CHAT, json=asked("hi", session_id="own"))
        assert content_of(own) == "You said: hi"
        gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} <= {200, 429}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_n11_the_bearer_scheme_may_be_in_any_case(hub: Serving, key: str, scheme: str) -> None:
    async with hub.http() as client:
        answer = await client.post(CHAT, json=asked("hi"), headers={"Authorization": f"{scheme} {key}"})
    assert content_of(answer) == "You said: hi"


@pytest.mark.parametrize("secret", ["sk-ключ".encode(), b"sk-\xff\xfe"])
async def test_n11_a_key_that_is_not_ascii_is_a_401(hub: Serving, secret: bytes) -> None:
    async with hub.http() as client:
        answer = await client.get("/v1/models", headers=[(b"Authorization", b"Bearer " + secret)])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_n11_a_text_for_stream_is_refused_not_streamed(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        answer = await client.post(CHAT, json=asked("hi", stream="false"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")


async def test_n11_the_role_comes_first_and_the_usage_last(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        first, *_, last = events((await client.post(CHAT, json=asked("count to 3", **options))).text)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)


async def test_n11_comments_keep_a_silent_stream_alive(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with Upstream() as upstream, running_hub(tmp_path, writer(upstream), keep_alive=0.05) as here:
        upstream.script(say("At last.", gate=gate))
        asking = here.http()
        async with asking as client, client.stream("POST", CHAT, json=asked("hi", stream=True)) as answer:
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith(":")
            gate.set()
            assert "At last." in "".join([line async for line in lines])


async def test_n13_a_client_with_any_key_or_none_acts_as_the_local_key(hub: Serving) -> None:
    models = (await pasted.shell("curl -s http://127.0.0.1:8900/v1/models", hub.root)).strip()
    name = json.loads(models)["data"][0]["id"]
    assert await pasted.python(SDK, hub.root, {"MiniMax-M2.7": name}) == "You said: hi\n"


async def test_n13_without_that_setting_the_401_names_it(tmp_path: Path) -> None:
    demo = {"models": {"demo": {"provider": "demo"}}, "agents": {"assistant": {"model": "demo"}}}
    async with running_hub(tmp_path, demo) as here:
        answer = json.loads(await pasted.shell(CURL, here.url))
        assert "api.local_key" in answer["error"]["message"]
        async with AsyncOpenAI(base_url=f"{here.url}/v1", api_key="dummy") as client:
            with pytest.raises(openai.AuthenticationError, match=r"api\.local_key"):
                await client.chat.completions.create(model="assistant", messages=HI)


async def test_n14_a_retry_of_an_sdk_never_doubles_a_turn(hub: Serving, key: str, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("Once.", gate=gate), say("Twice."))
    async with (
        lossy(hub.root, upstream.wait_request) as (root, way),
        AsyncOpenAI(base_url=f"{root}/v1", api_key=key) as client,
    ):
        asking = asyncio.create_task(client.chat.completions.create(model="writer", messages=HI))
        await way.again.wait()
        gate.set()
        assert (await asking).choices[0].message.content == "Once."
        upstream.script(say("As I said."))
        await client.chat.completions.create(model="writer", messages=HI)
    said = [message["role"] for message in upstream.requests[-1].body["messages"] if message["role"] != "system"]
    assert said == ["user", "assistant", "user"]
