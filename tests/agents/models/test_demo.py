"""The demo model speaks its script."""

import asyncio
import math
from typing import Any

import msgspec
import pytest

from agents.models.demo import Demo
from hub.errors import ModelUnavailable
from hub.model import Completion, Recording, Usage
from tests.contracts.model import TOOLS, WORDS, ModelLaws, answer, ask, text_of


class Sleeper:
    """Sleeps that are over at once, or never; both are noted."""

    def __init__(self, *, forever: bool = False) -> None:
        self.slept: list[float] = []
        self.cancelled = asyncio.Event()
        self._forever = forever

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        try:
            if self._forever:
                await asyncio.Event().wait()
        finally:
            self.cancelled.set()


class DemoSubject:
    """The demo model in the words of the laws."""

    def __init__(self) -> None:
        self.sleeper = Sleeper(forever=True)
        self.model = Demo(sleep=self.sleeper)

    def calling(self, name: str, arguments: str) -> Completion:
        return Completion(messages=ask(f"call {name} {arguments}").messages, tools=TOOLS)

    def failing(self) -> Completion:
        return ask("fail")

    def lasting(self) -> Completion:
        return ask("slowly 60 one two")

    def cut_short(self) -> Completion:
        return ask(WORDS, max_tokens=2)

    async def stopped(self) -> None:
        # Closing an iterator that waits between two chunks cancels nothing: it just is not asked for more.
        if self.sleeper.slept:
            await self.sleeper.cancelled.wait()


class TestDemoLaws(ModelLaws):
    """The demo model is a model like any other."""

    @pytest.fixture
    def subject(self) -> DemoSubject:
        return DemoSubject()


async def say(text: str, **params: Any) -> str:
    return text_of(await answer(Demo(), ask(text, **params)))


async def talk(*messages: tuple[str, str], tools: tuple[str, ...] = ()) -> list[Any]:
    """The answer to a conversation: its text, or its calls as (name, arguments)."""
    request = Completion(
        messages=[{"role": role, "content": content} for role, content in messages],
        tools=[{"type": "function", "function": {"name": name}} for name in tools],
    )
    chunks = await answer(Demo(), request)
    calls = [(call.name, msgspec.json.decode(call.arguments)) for chunk in chunks for call in chunk.calls]
    return calls or [text_of(chunks)]


class TestScript:
    async def test_whatever_it_does_not_know_it_repeats(self) -> None:
        assert await say("Hello  there,\nfriend") == "You said: Hello  there,\nfriend"
        assert await say("") == "You said: "

    async def test_the_name_that_stands_before_a_text_in_a_group_is_no_obstacle(self) -> None:
        assert await say("Anna Maria: count to 3") == "1 2 3"
        assert await talk(("user", "Anna: post to web:lobby: fail"), tools=("message",)) == [
            ("message", {"content": "fail", "channel": "web", "chat_id": "lobby"})
        ]
        assert await say("Anna: hello") == "You said: Anna: hello"

    async def test_it_counts_one_chunk_a_number(self) -> None:
        chunks = await answer(Demo(), ask("Count to 12"))
        assert [chunk.text.strip() for chunk in chunks if chunk.text] == [str(number) for number in range(1, 13)]
        assert text_of(chunks) == "1 2 3 4 5 6 7 8 9 10 11 12"

    async def test_slowly_takes_the_seconds_it_was_given(self) -> None:
        sleeper = Sleeper()
        chunks = await answer(Demo(sleep=sleeper), ask("slowly 2.5 a b c d e"))
        assert text_of(chunks) == "a b c d e"
        assert sleeper.slept == [0.5] * 5

    async def test_only_slowly_sleeps(self) -> None:
        sleeper = Sleeper()
        for line in ("hello", "count to 100", "long 5000", "system"):
            await answer(Demo(sleep=sleeper), ask(line))
        assert sleeper.slept == []

    async def test_fail_is_a_500(self) -> None:
        with pytest.raises(ModelUnavailable) as caught:
            await say("FAIL")
        assert caught.value.status == 500

    async def test_fail_n_then_answers_from_the_next_call_on(self) -> None:
        demo = Demo()
        for _ in range(2):
            with pytest.raises(ModelUnavailable):
                await answer(demo, ask("fail 2 then well done"))
        assert text_of(await answer(demo, ask("fail 2 then well done"))) == "well done"
        assert text_of(await answer(demo, ask("fail 2 then well done"))) == "well done"

    async def test_fail_n_counts_what_is_said_again_in_a_session(self) -> None:
        demo = Demo()
        before: list[dict[str, Any]] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
        again: dict[str, Any] = {"role": "user", "content": "fail 2 then well done"}
        noted: dict[str, Any] = {"role": "assistant", "content": "(failed)"}
        for times in (0, 1):
            with pytest.raises(ModelUnavailable):
                await answer(demo, Completion(messages=[*before, *[again, noted] * times, again]))
        assert text_of(await answer(demo, Completion(messages=[*before, *[again, noted] * 2, again]))) == "well done"

    async def test_a_long_answer_lets_others_have_their_turn(self) -> None:
        others: list[str] = []
        asyncio.get_running_loop().call_soon(others.append, "me")
        async for _ in Demo().complete(ask("count to 1000")):
            if others:
                return
        raise AssertionError("nobody else had a turn")

    async def test_fail_n_counts_each_request_for_itself(self) -> None:
        demo = Demo()
        with pytest.raises(ModelUnavailable):
            await answer(demo, ask("fail 1 then a"))
        with pytest.raises(ModelUnavailable):
            await answer(demo, ask("fail 1 then b"))

    async def test_it_remembers_a_bounded_number_of_failures(self) -> None:
        demo = Demo()
        for number in (*range(1001), 0):
            with pytest.raises(ModelUnavailable):
                await answer(demo, ask(f"fail 1 then {number}"))

    async def test_post_to_calls_the_message_tool(self) -> None:
        calls = await talk(("user", "Post to support:42:7: See you: all\nat 8"), tools=("message",))
        arguments = {"content": "See you: all\nat 8", "channel": "support", "chat_id": "42", "thread_id": "7"}
        assert calls == [("message", arguments)]

    @pytest.mark.parametrize(
        ("result", "sentence"),
        [
            ('{"status":"delivered","id":"x","reason":null}', "The post to web:lobby is delivered."),
            ('{"status":"waiting","reason":"not enabled"}', "The post to web:lobby is waiting: not enabled."),
            ('{"error":"unknown channel"}', "The post to web:lobby failed: unknown channel."),
            ("what?", "The post to web:lobby failed: what?."),
            ('{"error":"no chat."}', "The post to web:lobby failed: no chat."),
        ],
    )
    async def test_post_to_reports_what_became_of_it(self, result: str, sentence: str) -> None:
        said = ("user", "post to web:lobby: hi")
        assert await talk(said, ("assistant", ""), ("tool", result), tools=("message",)) == [sentence]

    async def test_post_to_says_what_it_lacks(self) -> None:
        assert await talk(("user", "post to web:lobby: hi")) == ["I have no tool 'message'."]
        [text] = await talk(("user", "post to web: hi"), tools=("message",))
        assert text.startswith("'web' is not an address")

    async def test_call_calls_any_tool_and_answers_with_its_result(self) -> None:
        said = ("user", 'call Weather {"city": "Rome"}')
        assert await talk(said, tools=("Weather",)) == [("Weather", {"city": "Rome"})]
        assert await talk(said, ("assistant", ""), ("tool", "sunny"), tools=("Weather",)) == ["sunny"]
        assert await talk(said) == ["I have no tool 'Weather'."]

    async def test_what_did_i_say_lists_what_the_user_said(self) -> None:
        said = [("user", "one"), ("assistant", "You said: one"), ("user", "two"), ("user", "What did I say?")]
        assert await talk(*said) == ["- one\n- two\n- What did I say?"]

    async def test_system_is_its_prompt(self) -> None:
        assert await talk(("system", "Be kind."), ("user", "System")) == ["Be kind."]
        assert await talk(("user", "system")) == ["(no system prompt)"]

    @pytest.mark.parametrize("length", [0, 1, 9, 500, 4097, 20_000])
    async def test_long_is_exactly_as_long_as_asked(self, length: int) -> None:
        text = await say(f"long {length}")
        assert len(text) == length
        if length > 1000:
            assert "```python" in text
            assert "|---|---|" in text
            assert text.count("```") % 2 == 0

    async def test_only_the_last_user_message_counts(self) -> None:
        assert await talk(("user", "fail"), ("assistant", "?"), ("user", "hello")) == ["You said: hello"]


class TestParameters:
    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    async def test_tokens_are_words(self, name: str) -> None:
        chunks = await answer(Demo(), Completion(messages=ask("count to 9").messages, params={name: 3}))
        assert text_of(chunks) == "1 2 3"
        assert chunks[-1].finish == "length"
        assert chunks[-1].usage == Usage(prompt=3, completion=3)

    async def test_a_limit_that_is_not_reached_changes_nothing(self) -> None:
        chunks = await answer(Demo(), ask("count to 3", max_tokens=3))
        assert (text_of(chunks), chunks[-1].finish) == ("1 2 3", "stop")

    @pytest.mark.parametrize("stop", ["5", ["7", "5"]])
    async def test_stop_ends_the_answer_before_the_sequence(self, stop: object) -> None:
        assert await say("count to 9", stop=stop) == "1 2 3 4 "

    async def test_no_stop_is_no_stop(self) -> None:
        assert await say("count to 3", stop=None, max_tokens=None) == "1 2 3"


class TestOtherAbilities:
    async def test_texts_that_share_words_are_close(self) -> None:
        said = await Demo().embed(["the red house", "The red car", "quick brown fox"])
        red, car, fox = said.vectors
        assert sum(a * b for a, b in zip(red, car, strict=True)) > sum(a * b for a, b in zip(red, fox, strict=True))
        assert (len(red), said.usage) == (32, Usage(prompt=9))
        assert (await Demo().embed(["the red house"])).vectors == (red,)
        assert math.hypot(*(await Demo().embed([""], 3)).vectors[0]) == 1.0

    async def test_a_token_is_a_word(self) -> None:
        assert await Demo().embed([[1, 2]]) == await Demo().embed(["1 2"])

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"count to 3", "count to 3"),
            (b"OggS\xff\xfe", "a recording of 6 bytes"),
            (b"OggS\0", "a recording of 5 bytes"),
        ],
    )
    async def test_a_recording_of_text_says_the_text(self, content: bytes, text: str) -> None:
        said = await Demo().transcribe(Recording(name="voice.ogg", media_type="audio/ogg", content=content))
        assert said.text == text

    async def test_a_voice_message_may_speak_the_script(self) -> None:
        assert await say("[voice] count to 3") == "1 2 3"

    async def test_max_output_bounds_every_answer(self) -> None:
        chunks = await answer(Demo(max_output=2), ask("count to 9", max_tokens=5))
        assert (text_of(chunks).strip(), chunks[-1].finish) == ("1 2", "length")
