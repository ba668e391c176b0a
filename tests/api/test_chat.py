"""POST /v1/chat/completions over real sockets, mostly as the official SDK sees it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from hub.errors import InboxFull
from hub.message import Text
from hub.model import Chunk
from hub.store import Store
from tests.api.facade import ADMIN, CHAT, HI, TOOLS, USER, Facade, body, events, running, stream
from tests.api.fake_hub import TIMEOUT


class TestWhole:
    async def test_N3_L4_the_sdk_gets_the_answer_of_the_default_agent(self, facade: Facade) -> None:
        async with facade.openai() as client:
            made = await client.chat.completions.with_raw_response.create(model="assistant", messages=HI)
        answer = made.parse()
        assert answer.choices[0].message.content == "Hello, you."
        assert answer.choices[0].finish_reason == "stop"
        assert answer.id == "chatcmpl-turn0"
        assert made.headers["X-Turn-Id"] == "turn0"
        assert answer.model == "assistant"
        assert facade.fake.turns.answers[0].log == ["over", "began", "written", "left"]

    async def test_L9_the_sync_sdk_works(self, facade: Facade) -> None:
        def ask() -> str | None:
            with facade.openai_sync() as client:
                return client.chat.completions.create(model="assistant", messages=HI).choices[0].message.content

        assert await asyncio.to_thread(ask) == "Hello, you."

    async def test_L8_usage_is_real(self, facade: Facade) -> None:
        async with facade.openai() as client:
            answer = await client.chat.completions.create(model="assistant", messages=HI)
        assert answer.usage
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 2, 5)
        assert answer.usage.prompt_tokens_details
        assert answer.usage.prompt_tokens_details.cached_tokens == 1

    async def test_an_answer_that_was_cut_short_says_length(self, facade: Facade) -> None:
        facade.fake.turns.ending = {"finish": "length"}
        async with facade.openai() as client:
            answer = await client.chat.completions.create(model="assistant", messages=HI)
            stream = await client.chat.completions.create(model="assistant", messages=HI, stream=True)
            reasons = [chunk.choices[0].finish_reason async for chunk in stream]
        assert answer.choices[0].finish_reason == "length"
        assert reasons[-2:] == [None, "length"]

    async def test_L4_without_a_model_the_first_agent_answers(self, facade: Facade) -> None:
        async with facade.http() as client:
            answer = await client.post(CHAT, json={"messages": HI})
        assert answer.json()["model"] == "assistant"

    async def test_an_unknown_model_is_a_404_that_names_what_there_is(self, facade: Facade) -> None:
        async with facade.openai() as client:
            with pytest.raises(openai.NotFoundError, match="assistant, drafter, gpt") as raised:
                await client.chat.completions.create(model="nobody", messages=HI)
        assert raised.value.code == "model_not_found"
        assert raised.value.param == "model"

    async def test_L7_only_the_last_user_message_counts(self, facade: Facade) -> None:
        messages: list[Any] = [
            {"role": "system", "content": "be rude"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "well"},
        ]
        async with facade.http() as client:
            await client.post(CHAT, json=body(messages=messages))
        assert facade.fake.turns.asks[0].parts == (Text(text="one"), Text(text="two"))

    async def test_L6_an_agent_gets_the_known_parameters(self, facade: Facade) -> None:
        async with facade.http() as client:
            await client.post(CHAT, json=body(temperature=0, max_tokens=5, stop=["."], chat_id="x", n=1, user="u"))
        assert facade.fake.turns.asks[0].params == {"temperature": 0, "max_tokens": 5, "stop": ["."]}

    async def test_tools_of_the_request_are_ignored_with_a_warning(self, facade: Facade) -> None:
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body(tools=TOOLS))
            assert "ignored" in answer.headers["Warning"]
            assert "Warning" not in (await client.post(CHAT, json=body())).headers

    async def test_what_the_key_may_post_goes_with_the_question(self, facade: Facade) -> None:
        for secret, posts_to in ((USER, ()), (ADMIN, ("*",))):
            async with facade.http(secret) as client:
                await client.post(CHAT, json=body())
            assert facade.fake.turns.asks[-1].posts_to == posts_to


class TestSession:
    @pytest.mark.parametrize(
        ("fields", "headers", "expected"),
        [
            ({}, {}, "default"),
            ({"user": "u"}, {}, "u"),
            ({"user": "u"}, {"X-OpenWebUI-Chat-Id": "o"}, "o"),
            ({}, {"X-Session-Id": "x", "X-OpenWebUI-Chat-Id": "o"}, "x"),
            ({}, {"Session-Id": "s", "X-Session-Id": "x"}, "s"),
            ({"session_id": "b", "user": "u"}, {"Session-Id": "s"}, "b"),
            ({"session_id": ""}, {"Session-Id": ""}, "default"),
        ],
    )
    async def test_N2_L9_the_session_is_named_by(
        self, facade: Facade, fields: dict[str, Any], headers: dict[str, str], expected: str
    ) -> None:
        async with facade.http(**headers) as client:
            await client.post(CHAT, json=body(**fields))
        assert facade.fake.turns.asks[0].session_id == expected

    async def test_a_header_names_the_session_that_a_body_names_with_the_same_letters(self, facade: Facade) -> None:
        async with facade.http() as client:
            await client.post(CHAT, json=body(session_id="ключ"))
            await client.post(CHAT, json=body(), headers=[(b"Session-Id", "ключ".encode())])
        assert [ask.session_id for ask in facade.fake.turns.asks] == ["ключ", "ключ"]

    @pytest.mark.parametrize("session", ["a\x00b", "a\nb", "x" * 201, 7, ["a"]])
    async def test_a_session_that_cannot_be_is_a_400(self, facade: Facade, session: Any) -> None:
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body(session_id=session))
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "session_id"


class TestStream:
    async def test_N3_L5_the_sdk_streams(self, facade: Facade) -> None:
        async with facade.openai() as client:
            answer = await client.chat.completions.create(model="assistant", messages=HI, stream=True)
            chunks = [chunk async for chunk in answer]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello, you."
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
        assert {chunk.id for chunk in chunks} == {"chatcmpl-turn0"}
        assert {chunk.model for chunk in chunks} == {"assistant"}

    async def test_N3_the_sync_sdk_streams(self, facade: Facade) -> None:
        def ask() -> str:
            with facade.openai_sync() as client:
                chunks = client.chat.completions.create(model="assistant", messages=HI, stream=True)
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

        assert await asyncio.to_thread(ask) == "Hello, you."

    async def test_N3_headers_and_the_exact_order_of_chunks(self, facade: Facade) -> None:
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body(stream=True))
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["X-Turn-Id"] == "turn0"
        chunks = events(answer.text)
        assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
            {"role": "assistant", "content": "", "refusal": None},
            {"content": "Hello"},
            {"content": ", "},
            {"content": "you."},
            {},
        ]
        assert all(chunk["object"] == "chat.completion.chunk" and "usage" not in chunk for chunk in chunks)

    async def test_N11_usage_comes_last_when_asked_for(self, facade: Facade) -> None:
        chunks = await stream(facade, stream_options={"include_usage": True})
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["total_tokens"] == 5
        assert all(chunk["usage"] is None for chunk in chunks[:-1])

    async def test_an_answer_of_nothing_is_a_stream_all_the_same(self, facade: Facade) -> None:
        facade.fake.turns.script = ()
        chunks = await stream(facade)
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "stop"]

    async def test_text_is_written_as_it_was_said(self, facade: Facade) -> None:
        said = 'q"\\ \n\r\t\x00\x1f é 漢 😀 \u2028 </script>'
        facade.fake.turns.script = tuple(said)
        chunks = await stream(facade)
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == said

    async def test_each_piece_is_sent_when_it_is_said(self, facade: Facade) -> None:
        gate = asyncio.Event()
        facade.fake.turns.script = ("one", gate, "two")
        async with facade.openai() as client:
            answer = await client.chat.completions.create(model="assistant", messages=HI, stream=True)
            async for chunk in answer:
                if chunk.choices[0].delta.content == "one":
                    gate.set()
        assert gate.is_set()

    async def test_N11_silence_is_broken_by_comments(self, store: Store) -> None:
        async with running(store, keep_alive=0.01) as facade:
            gate = asyncio.Event()
            facade.fake.turns.script = (gate, "late")
            async with facade.http() as client, client.stream("POST", CHAT, json=body(stream=True)) as answer:
                lines = answer.aiter_lines()
                assert [await anext(lines) for _ in range(4)] == [": keep-alive", ""] * 2
                gate.set()
                rest = [line async for line in lines if line.startswith("data:")]
        assert '"late"' in rest[1]
        assert rest[-1] == "data: [DONE]"


class TestFailure:
    async def test_N9_a_failed_turn_is_a_502_that_sdks_do_not_repeat(self, facade: Facade) -> None:
        facade.fake.turns.script = ()
        facade.fake.turns.ending = {"status": "failed", "error": "The model said 500.", "error_code": "upstream_500"}
        async with facade.openai(max_retries=2) as client:
            with pytest.raises(openai.InternalServerError, match="The model said 500") as raised:
                await client.chat.completions.create(model="assistant", messages=HI)
        assert raised.value.status_code == 502
        assert raised.value.code == "upstream_500"
        assert raised.value.response.headers["X-Turn-Id"] == "turn0"
        assert len(facade.fake.turns.asks) == 1

    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize(
        ("code", "status"),
        [("upstream_429", 429), ("upstream_504", 504), ("upstream_unavailable", 502), ("internal_error", 500)],
    )
    async def test_N9_a_failure_before_the_first_byte_has_its_status(
        self, facade: Facade, code: str, status: int, streamed: bool
    ) -> None:
        facade.fake.turns.script = ()
        facade.fake.turns.ending = {"status": "failed", "error": "no", "error_code": code}
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body(stream=streamed))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.headers["X-Should-Retry"] == "false"
        assert ("Retry-After" in answer.headers) == (status == 429)

    async def test_N9_a_stream_that_fails_ends_with_the_error(self, facade: Facade) -> None:
        facade.fake.turns.ending = {"status": "failed", "error": "gone", "error_code": "upstream_unavailable"}
        chunks = await stream(facade)
        assert chunks[-1]["error"]["message"] == "gone"
        async with facade.openai() as client:
            answer = await client.chat.completions.create(model="assistant", messages=HI, stream=True)
            with pytest.raises(openai.APIError, match="gone"):
                [chunk async for chunk in answer]
        assert facade.fake.turns.answers[0].log == ["over", "began", "written", "left"]

    async def test_N10_a_turn_over_its_time_is_a_504(self, facade: Facade) -> None:
        facade.fake.turns.script = (TIMEOUT,)
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body())
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        facade.fake.turns.script = ("a bit", TIMEOUT)
        assert (await stream(facade))[-1]["error"]["code"] == "timeout"

    async def test_an_unforeseen_error_says_nothing_of_itself(
        self, facade: Facade, caplog: pytest.LogCaptureFixture
    ) -> None:
        facade.fake.turns.script = (RuntimeError("secret detail"),)
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body())
        assert answer.status_code == 500
        assert "secret detail" not in answer.text
        assert "secret detail" in caplog.text
        facade.fake.turns.script = ("a", RuntimeError("secret detail"))
        last = (await stream(facade))[-1]
        assert last["error"]["code"] == "internal_error"
        assert "secret" not in str(last)

    async def test_a_cancelled_turn_is_told_and_not_repeated(self, facade: Facade) -> None:
        facade.fake.turns.script = ()
        facade.fake.turns.ending = {"status": "cancelled"}
        async with facade.openai(max_retries=2) as client:
            with pytest.raises(openai.ConflictError) as raised:
                await client.chat.completions.create(model="assistant", messages=HI)
        assert raised.value.code == "turn_cancelled"
        assert len(facade.fake.turns.asks) == 1

    async def test_N10_a_full_queue_is_a_429_with_retry_after(self, facade: Facade) -> None:
        facade.fake.turns.full = InboxFull("This conversation is full.", retry_after=2.2)
        async with facade.http() as client:
            answer = await client.post(CHAT, json=body(session_id="mine"))
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "3"
        assert answer.json()["error"]["code"] == "queue_full"
        assert "session_id" not in answer.text

    async def test_N14_a_full_default_session_says_pass_session_id(self, facade: Facade) -> None:
        facade.fake.turns.full = InboxFull("This conversation is full.")
        async with facade.http() as client:
            assert "pass session_id" in (await client.post(CHAT, json=body())).json()["error"]["message"]


class TestRetry:
    async def test_N14_an_sdk_retry_has_the_fingerprint_of_its_first_try(self, facade: Facade) -> None:
        facade.fake.turns.full = InboxFull("full", retry_after=0.01)
        seen = facade.fake.turns

        async def fill(request: httpx.Request) -> None:
            if request.headers["x-stainless-retry-count"] == "1":
                seen.full = None

        async with httpx.AsyncClient(event_hooks={"request": [fill]}) as http:
            client = facade.openai(max_retries=2, http_client=http)
            await client.chat.completions.create(model="assistant", messages=HI)
            await client.chat.completions.create(model="assistant", messages=HI)
            await client.chat.completions.create(model="assistant", messages=HI, user="else")
        assert [ask.repeats for ask in seen.asks] == [True, False, False]
        assert seen.asks[0].fingerprint == seen.asks[1].fingerprint != seen.asks[2].fingerprint

    async def test_N14_the_fingerprint_is_of_key_session_and_body(self, facade: Facade) -> None:
        for secret, header in ((USER, "a"), (USER, "b"), (ADMIN, "a")):
            async with facade.http(secret, **{"Session-Id": header}) as client:
                await client.post(CHAT, json=body())
        assert len({ask.fingerprint for ask in facade.fake.turns.asks}) == 3

    @pytest.mark.parametrize(("count", "repeats"), [("0", False), ("1", True), ("x", False), ("-1", False)])
    async def test_N14_the_header_says_whether_it_repeats(self, facade: Facade, count: str, repeats: bool) -> None:
        async with facade.http(**{"x-stainless-retry-count": count}) as client:
            await client.post(CHAT, json=body())
        assert facade.fake.turns.asks[0].repeats is repeats


class TestClientGone:
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_before_the_first_byte_the_turn_is_left_at_once(self, facade: Facade, streamed: bool) -> None:
        facade.fake.turns.script = (asyncio.Event(), "never")
        _, writer = await facade.raw(json.dumps(body(stream=streamed)).encode())
        await facade.fake.turns.asked.wait()
        writer.close()
        answer = facade.fake.turns.answers[0]
        await asyncio.wait_for(answer.left.wait(), 5)
        assert answer.log == ["left"]

    async def test_after_the_first_byte_the_turn_is_left_at_once(self, facade: Facade) -> None:
        facade.fake.turns.script = ("one", asyncio.Event(), "never")
        reader, writer = await facade.raw(json.dumps(body(stream=True)).encode())
        await reader.readuntil(b'"one"')
        writer.close()
        answer = facade.fake.turns.answers[0]
        await asyncio.wait_for(answer.left.wait(), 5)
        assert answer.log == ["began", "left"]

    async def test_a_client_that_stops_reading_and_leaves_ends_its_turn(self, facade: Facade) -> None:
        gate = asyncio.Event()
        facade.fake.turns.script = (*["x" * 100_000] * 200, gate)
        reader, writer = await facade.raw(json.dumps(body(stream=True)).encode())
        await reader.readuntil(b"xxx")
        writer.transport.abort()
        answer = facade.fake.turns.answers[0]
        await asyncio.wait_for(answer.left.wait(), 5)
        assert "written" not in answer.log

    async def test_the_sdk_closing_its_stream_ends_the_turn(self, facade: Facade) -> None:
        facade.fake.turns.script = ("one", asyncio.Event())
        async with facade.openai() as client:
            answer = await client.chat.completions.create(model="assistant", messages=HI, stream=True)
            async for chunk in answer:
                if chunk.choices[0].delta.content:
                    break
            await answer.close()
            await asyncio.wait_for(facade.fake.turns.answers[0].left.wait(), 5)

    async def test_a_model_is_stopped_too(self, facade: Facade) -> None:
        facade.fake.models.chunks = (Chunk(text="one"), asyncio.Event())
        reader, writer = await facade.raw(json.dumps(body(model="gpt", stream=True)).encode())
        await reader.readuntil(b'"one"')
        writer.close()
        await asyncio.wait_for(facade.fake.models.closed.wait(), 5)

    async def test_a_model_is_stopped_before_the_first_byte(self, facade: Facade) -> None:
        facade.fake.models.chunks = (asyncio.Event(),)
        _, writer = await facade.raw(json.dumps(body(model="gpt")).encode())
        await facade.fake.models.called.wait()
        writer.close()
        await asyncio.wait_for(facade.fake.models.closed.wait(), 5)
