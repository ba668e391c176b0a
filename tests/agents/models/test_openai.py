"""The provider for OpenAI's protocol, against a local upstream."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest

from agents.models.openai import OpenAI
from agents.models.upstream import Timeouts
from hub.errors import ModelRefused, ModelUnavailable
from hub.model import Completion, Model, Recording, Usage
from tests.agents.models.given import KEY, NEVER, Naps, error_of
from tests.contracts.model import TOOLS, WORDS, ModelLaws, answer, ask, text_of
from tests.platforms import openai as platform
from tests.platforms.openai import Answer, Call, Failure, Upstream, call, fail, say


@pytest.fixture
async def model(upstream: Upstream, naps: Naps) -> AsyncIterator[OpenAI]:
    model = OpenAI(model="gpt-test", api_key=KEY, base_url=upstream.base_url, sleep=naps)
    yield model
    await model.close()


class OpenAISubject:
    """A model of the local upstream in the words of the laws."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self.upstream = upstream
        self.model = model

    def calling(self, name: str, arguments: str) -> Completion:
        self.upstream.script(call(Call(name, arguments)))
        return Completion(messages=ask("book").messages, tools=TOOLS)

    def failing(self) -> Completion:
        self.upstream.default = lambda _: fail(500)
        return ask("fail")

    def lasting(self) -> Completion:
        self.upstream.script(Answer(text=("one",), end="silence"))
        return ask("last")

    def cut_short(self) -> Completion:
        self.upstream.default = lambda _: Answer(text=("one ", "two"), finish="length")
        return ask("more", max_tokens=2)

    async def stopped(self) -> None:
        await self.upstream.wait_disconnect()


class TestOpenAILaws(ModelLaws):
    """A model of an upstream, without a difference."""

    @pytest.fixture
    def subject(self, upstream: Upstream, model: OpenAI) -> OpenAISubject:
        return OpenAISubject(upstream, model)


async def body_of(upstream: Upstream, model: OpenAI, request: Completion) -> dict[str, Any]:
    await answer(model, request)
    return upstream.requests[-1].body


class TestRequest:
    async def test_a_stream_asks_for_usage(self, upstream: Upstream, model: OpenAI) -> None:
        body = await body_of(upstream, model, ask("hello"))
        assert body == {
            "model": "gpt-test",
            "messages": [{"role": "user", "content": "hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"

    async def test_parameters_and_tools_pass_also_zero(self, upstream: Upstream, model: OpenAI) -> None:
        request = Completion(messages=[], tools=TOOLS, params={"temperature": 0, "tool_choice": "auto", "seed": 7})
        body = await body_of(upstream, model, request)
        assert (body["temperature"], body["tool_choice"], body["seed"], body["tools"]) == (0, "auto", 7, TOOLS)

    async def test_images_reach_the_server_as_they_are(self, upstream: Upstream, model: OpenAI) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}}
        content = [{"type": "text", "text": "What is this?"}, image]
        body = await body_of(upstream, model, ask(content))
        assert body["messages"] == [{"role": "user", "content": content}]

    async def test_what_asks_to_think_passes(self, upstream: Upstream, model: OpenAI) -> None:
        thinking: dict[str, Any] = {"reasoning_effort": "high", "thinking": {"type": "enabled", "budget_tokens": 2000}}
        body = await body_of(upstream, model, ask("hello", **thinking))
        assert {name: body[name] for name in thinking} == thinking

    async def test_a_choice_of_tools_without_tools_is_left_out(self, upstream: Upstream, model: OpenAI) -> None:
        body = await body_of(upstream, model, ask("hello", tool_choice="auto", parallel_tool_calls=False))
        assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()

    async def test_no_parameter_replaces_what_the_model_is(self, upstream: Upstream, model: OpenAI) -> None:
        body = await body_of(upstream, model, ask("hello", stream=True, messages=[]))
        assert (body["messages"], body["stream"]) == ([{"role": "user", "content": "hello"}], True)

    @pytest.mark.parametrize(
        ("params", "sent"),
        [
            ({}, 99),
            ({"max_tokens": 5}, 5),
            ({"max_completion_tokens": 6}, 6),
            ({"max_tokens": 0}, 0),
            ({"max_tokens": 100}, 99),
        ],
    )
    async def test_a_limit_on_tokens_is_always_sent_and_never_more_than_the_model_has(
        self, upstream: Upstream, params: dict[str, Any], sent: int
    ) -> None:
        model = OpenAI(model="m", api_key=KEY, base_url=upstream.base_url, max_output=99)
        body = await body_of(upstream, model, ask("hello", **params))
        await model.close()
        assert {name: body[name] for name in body if name.startswith("max_")} == {"max_tokens": sent}

    async def test_nothing_of_the_environment_is_sent(
        self, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY"):
            monkeypatch.setenv(name, "from-the-environment")
        model = OpenAI(model="m", base_url=upstream.base_url)
        await answer(model, ask("hello"))
        await model.close()
        assert "from-the-environment" not in str(upstream.requests[0].headers)

    async def test_a_proxy_of_the_environment_is_asked_where_it_is_for_that_server(
        self, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in (("http_proxy", upstream.base_url), ("no_proxy", "127.0.0.1")):
            monkeypatch.setenv(name, value)
            monkeypatch.setenv(name.upper(), value)
        async with Upstream() as near:
            for address in ("http://models.test/v1", near.base_url):
                model = OpenAI(model="m", base_url=address)
                await answer(model, ask("hello"))
                await model.close()
            assert [request.headers["host"] for request in upstream.requests] == ["models.test"]
            assert len(near.requests) == 1

    async def test_a_connection_is_used_again(self, upstream: Upstream, model: OpenAI) -> None:
        for _ in range(3):
            await answer(model, ask("hello"))
            await answer(model, ask("hello", stream=False))
        assert not upstream.disconnects


class TestAnswer:
    async def test_reasoning_is_apart_from_text(self, upstream: Upstream, model: OpenAI) -> None:
        thought = Answer(reasoning=("let me ", "think"), text=("4",))
        upstream.script(thought, thought)
        chunks = await answer(model, ask("2+2"))
        assert "".join(chunk.reasoning for chunk in chunks) == "let me think"
        assert text_of(chunks) == "4"
        [chunk] = await answer(model, ask("2+2", stream=False))
        assert (chunk.reasoning, chunk.text) == ("let me think", "4")

    async def test_details_of_usage(self, upstream: Upstream, model: OpenAI) -> None:
        used = platform.Usage(prompt=10, completion=5, cached=4, reasoning=2)
        upstream.script(Answer(text=("x",), usage=used))
        assert (await answer(model, ask("x")))[-1].usage == Usage(prompt=10, completion=5, cached=4, reasoning=2)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_usage_is_estimated_when_the_server_gives_none(
        self, upstream: Upstream, model: OpenAI, stream: bool
    ) -> None:
        upstream.script(Answer(text=("12345678",), usage="never"))
        chunks = await answer(model, ask("1234", stream=stream))
        assert chunks[-1].usage == Usage(prompt=1, completion=2, estimated=True)

    async def test_parallel_tool_calls_in_fragments(self, upstream: Upstream, model: OpenAI) -> None:
        upstream.script(call(Call("find", ("{", '"a":', "1}"), id="c1"), Call("book", "{}", id="c2")))
        chunks = await answer(model, Completion(messages=[], tools=TOOLS))
        calls = [call for chunk in chunks for call in chunk.calls]
        assert [(call.id, call.name, call.arguments) for call in calls] == [
            ("c1", "find", '{"a":1}'),
            ("c2", "book", "{}"),
        ]

    async def test_raw_is_the_upstreams_own_chunk(self, upstream: Upstream, model: OpenAI) -> None:
        chunks = await answer(model, ask(WORDS))
        raws = [msgspec.json.decode(chunk.raw) for chunk in chunks if chunk.raw is not None]
        assert len(raws) == len(chunks)
        assert raws[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert {raw["object"] for raw in raws} == {"chat.completion.chunk"}
        assert raws[-1]["usage"]["total_tokens"] == 10


class TestFailures:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
    async def test_a_refusal_is_not_tried_again(self, upstream: Upstream, model: OpenAI, status: int) -> None:
        upstream.script(fail(status, "context is too long"))
        _, error = await error_of(model)
        assert isinstance(error, ModelRefused)
        assert error.status == status
        assert "context is too long" in str(error)
        assert len(upstream.requests) == 1

    @pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
    async def test_what_may_pass_is_tried_three_times(
        self, upstream: Upstream, model: OpenAI, naps: Naps, status: int
    ) -> None:
        upstream.script(*[fail(status, "come back later")] * 3)
        _, error = await error_of(model)
        assert isinstance(error, ModelUnavailable)
        assert error.status == status
        assert "come back later" in str(error)
        assert len(upstream.requests) == 3
        assert 0.0 < naps.seconds[0] <= 0.5 < naps.seconds[1] <= 1.0

    async def test_in_a_hurry_nothing_is_tried_again(self, upstream: Upstream, model: OpenAI, naps: Naps) -> None:
        upstream.script(fail(503, retry_after=1))
        _, error = await error_of(model, Completion(messages=ask("hello").messages, hurry=True))
        assert error.status == 503
        assert (len(upstream.requests), naps.seconds) == (1, [])

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_failure_that_passes_is_not_noticed(self, upstream: Upstream, model: OpenAI, stream: bool) -> None:
        upstream.script(fail(500), fail(503), "here I am")
        assert text_of(await answer(model, ask("hello", stream=stream))) == "here I am"

    async def test_retry_after_is_obeyed(self, upstream: Upstream, model: OpenAI, naps: Naps) -> None:
        upstream.script(fail(429, retry_after=30), fail(429, retry_after=0.25), "here I am")
        await answer(model, ask("hello"))
        assert naps.seconds == [30.0, 0.25]

    async def test_who_wants_us_to_wait_long_is_not_asked_again(
        self, upstream: Upstream, model: OpenAI, naps: Naps
    ) -> None:
        upstream.script(fail(429, retry_after=31))
        _, error = await error_of(model)
        assert error.retry_after == 31.0
        assert naps.seconds == []

    async def test_retry_after_may_be_a_date(self, upstream: Upstream, model: OpenAI, naps: Naps) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=25), usegmt=True)
        upstream.script(Failure(status=429, headers=(("Retry-After", date),)), "here I am")
        await answer(model, ask("hello"))
        assert 1.0 <= naps.seconds[0] <= 25.0

    @pytest.mark.parametrize(
        ("headers", "least", "most"),
        [
            ((("Retry-After-Ms", "1500"), ("Retry-After", "9")), 1.5, 1.5),
            ((("Retry-After", format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)),), 0.0, 0.0),
            ((("Retry-After", "soon"),), 0.3, 0.5),
            ((("Retry-After", "nan"),), 0.3, 0.5),
        ],
    )
    async def test_retry_after_in_all_its_forms(
        self,
        upstream: Upstream,
        model: OpenAI,
        naps: Naps,
        headers: tuple[tuple[str, str], ...],
        least: float,
        most: float,
    ) -> None:
        upstream.script(Failure(status=429, headers=headers), "here I am")
        await answer(model, ask("hello"))
        assert least <= naps.seconds[0] <= most

    async def test_our_key_is_never_in_an_error(self, upstream: Upstream, model: OpenAI) -> None:
        upstream.script(fail(401, f"Incorrect API key provided: {KEY}."))
        _, error = await error_of(model)
        assert str(error) == "The model 'gpt-test' refused the request (401): Incorrect API key provided: ***."
        assert error.__cause__ is None
        upstream.script(Answer(text=("a",), end=Failure(message=f"no {KEY} here")))
        _, error = await error_of(model)
        assert KEY not in str(error)

    async def test_a_server_that_is_not_there(self, upstream: Upstream, naps: Naps) -> None:
        async with Upstream() as gone:
            address = gone.base_url
        model = OpenAI(model="gpt-test", base_url=address, sleep=naps)
        _, error = await error_of(model)
        await model.close()
        assert isinstance(error, ModelUnavailable)
        assert str(error) == "The server of the model 'gpt-test' cannot be reached."
        assert len(naps.seconds) == 2

    async def test_a_cut_in_the_middle_keeps_what_was_said(self, upstream: Upstream, model: OpenAI) -> None:
        upstream.script(Answer(text=("one ", "two"), end="cut"))
        chunks, error = await error_of(model)
        assert isinstance(error, ModelUnavailable)
        assert text_of(chunks) == "one two"
        assert len(upstream.requests) == 1

    async def test_an_error_in_the_middle_keeps_what_was_said(self, upstream: Upstream, model: OpenAI) -> None:
        upstream.script(Answer(text=("one ", "two"), end=Failure(message="out of memory")))
        chunks, error = await error_of(model)
        assert isinstance(error, ModelUnavailable)
        assert "out of memory" in str(error)
        assert text_of(chunks) == "one two"

    @pytest.mark.parametrize("early", [Failure(message="overloaded"), "cut"])
    async def test_a_stream_that_fails_before_the_first_token_is_tried_again(
        self, upstream: Upstream, model: OpenAI, early: Any
    ) -> None:
        role_only = Answer(text=("",), end=early)
        upstream.script(lambda _: role_only, lambda _: role_only, "here I am")
        assert text_of(await answer(model, ask("hello"))) == "here I am"


class TestTimeouts:
    """A timeout of nothing is over at the first wait: no test waits for one."""

    def impatient(self, upstream: Upstream, naps: Naps, **timeouts: float) -> OpenAI:
        return OpenAI(model="gpt-test", base_url=upstream.base_url, timeouts=Timeouts(**timeouts), sleep=naps)

    async def test_no_first_token(self, upstream: Upstream, naps: Naps) -> None:
        model = self.impatient(upstream, naps, first=NEVER)
        _, error = await error_of(model)
        await model.close()
        assert isinstance(error, ModelUnavailable)
        assert str(error) == "The model 'gpt-test' did not answer in time."
        assert len(naps.seconds) == 2

    async def test_silence_after_the_first_token(self, upstream: Upstream, naps: Naps) -> None:
        upstream.script(Answer(text=("one",), end="silence"))
        model = self.impatient(upstream, naps, idle=NEVER)
        chunks, error = await error_of(model)
        await upstream.wait_disconnect()
        await model.close()
        assert text_of(chunks) == "one"
        assert isinstance(error, ModelUnavailable)
        assert naps.seconds == []

    async def test_an_answer_that_is_not_streamed(self, upstream: Upstream, naps: Naps) -> None:
        model = self.impatient(upstream, naps, whole=NEVER)
        _, error = await error_of(model, ask("hello", stream=False))
        await model.close()
        assert isinstance(error, ModelUnavailable)

    async def test_a_reader_that_takes_its_time_is_no_timeout(self, upstream: Upstream, naps: Naps) -> None:
        """Only waiting for the upstream counts, not what happens between two chunks."""
        gate = asyncio.Event()
        upstream.script(say("one", "two", gate=gate, gate_after=1))
        model = self.impatient(upstream, naps, idle=5.0)
        heard: list[str] = []
        async for chunk in model.complete(ask("hello")):
            heard.append(chunk.text)
            gate.set()
        await model.close()
        assert "".join(heard) == "onetwo"


class TestEmbeddings:
    async def test_each_text_has_its_vector(self, upstream: Upstream, model: OpenAI) -> None:
        both = await model.embed(["one", "two words"], 4)
        assert upstream.requests[0].body == {
            "model": "gpt-test",
            "input": ["one", "two words"],
            "encoding_format": "float",
            "dimensions": 4,
        }
        assert both.usage == Usage(prompt=3)
        assert [len(vector) for vector in both.vectors] == [4, 4]
        [alone] = (await model.embed(["two words"], 4)).vectors
        assert alone == both.vectors[1]

    async def test_tokens_go_as_they_are(self, upstream: Upstream, model: OpenAI) -> None:
        both = await model.embed([[1, 2], [3]])
        assert upstream.requests[0].body["input"] == [[1, 2], [3]]
        assert len(both.vectors) == 2

    async def test_without_a_wish_the_model_has_its_own_length(self, upstream: Upstream, model: OpenAI) -> None:
        [vector] = (await model.embed(["one"])).vectors
        assert "dimensions" not in upstream.requests[0].body
        assert len(vector) == 8


class TestTranscripts:
    async def test_a_recording_is_written_down(self, upstream: Upstream, model: OpenAI, naps: Naps) -> None:
        upstream.script(fail(503), "good morning")
        said = Recording(name="voice.ogg", media_type="audio/ogg", content=b"\0OggS", language="en", prompt="bothub")
        heard = await model.transcribe(said)
        assert (heard.text, heard.usage) == ("good morning", Usage(prompt=7, completion=2))
        assert upstream.requests[1].body == {
            "model": "gpt-test",
            "file": {"name": "voice.ogg", "type": "audio/ogg", "content": b"\0OggS"},
            "language": "en",
            "prompt": "bothub",
        }
        assert len(naps.seconds) == 1

    @pytest.mark.parametrize(
        ("name", "media_type", "sent"),
        [
            ("a.MP3", "audio/mpeg", "a.MP3"),
            ("audio.opus", "audio/opus", "audio.ogg"),
            ("voice", "audio/mp4", "voice.m4a"),
            ("sound", "audio/x-wav; rate=8000", "sound.wav"),
            ("", "audio/strange", "recording.ogg"),
            ('Grüße "an\r\nalle".mp3', "audio/mpeg\r\nX: y", 'Grüße "analle".mp3'),
        ],
    )
    async def test_its_name_says_what_it_is(
        self, upstream: Upstream, model: OpenAI, name: str, media_type: str, sent: str
    ) -> None:
        await model.transcribe(Recording(name=name, media_type=media_type, content=b"hi"))
        assert upstream.requests[0].body["file"]["name"] == sent

    async def test_what_more_is_asked_is_handed_on(self, upstream: Upstream, model: OpenAI) -> None:
        said = Recording(
            name="a", media_type="audio/wav", content=b"hi", temperature=0.2, detailed=True, granularities=("word",)
        )
        heard = await model.transcribe(said)
        body = upstream.requests[0].body
        assert (body["temperature"], body["response_format"], body["timestamp_granularities[]"]) == (
            "0.2",
            "verbose_json",
            "word",
        )
        assert heard.raw is not None
        assert msgspec.json.decode(heard.raw)["segments"][0]["end"] == 1.5

    async def test_a_server_that_cannot_is_a_refusal(self, upstream: Upstream, model: OpenAI) -> None:
        upstream.script(fail(404, "no such model"))
        with pytest.raises(ModelRefused, match="no such model"):
            await model.transcribe(Recording(name="a.mp3", media_type="audio/mpeg", content=b"hi"))
