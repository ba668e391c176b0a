"""Several models as one: who is asked, and whose words are heard."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest
from msgspec import structs

from agents.models.fallback import Fallback
from hub.errors import ModelError, ModelRefused, ModelUnavailable
from hub.model import Chunk, Completion, Usage
from tests.contracts.model import answer, ask, stream, text_of

AWAY = ModelUnavailable("The first is away.", status=503, retry_after=20.0)
ROLE = Chunk()
"""What a server may send before it fails: nothing yet."""


class Scripted:
    """A model that says its chunks, and fails where one is an error."""

    def __init__(self, *script: Chunk | ModelError) -> None:
        self.script: Sequence[Chunk | ModelError] = script
        self.requests: list[Completion] = []
        self.stopped = 0

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        self.requests.append(request)
        try:
            for item in self.script:
                if isinstance(item, ModelError):
                    raise item
                yield item
        finally:
            self.stopped += 1

    async def close(self) -> None:
        raise AssertionError("a model is not the fallback's to close")


def saying(*texts: str) -> Scripted:
    return Scripted(*(Chunk(text=text) for text in texts), Chunk(finish="stop", usage=Usage(prompt=1, completion=2)))


def fallback(*models: Scripted) -> Fallback:
    return Fallback([(f"model{number}", model) for number, model in enumerate(models, 1)])


async def test_the_first_model_answers_and_no_other_is_asked() -> None:
    first, second = saying("Hel", "lo"), saying("no")
    chunks = await answer(fallback(first, second), ask("hi"))
    assert (text_of(chunks), [chunk.model for chunk in chunks]) == ("Hello", ["model1", "", ""])
    assert second.requests == []


@pytest.mark.parametrize(
    "error",
    [AWAY, ModelUnavailable("late"), *(ModelRefused("ours", status=status) for status in (401, 402, 403, 404))],
)
async def test_when_a_model_cannot_answer_the_next_is_asked(error: ModelError) -> None:
    first, second, third = Scripted(ROLE, error), Scripted(error), saying("here ", "I am")
    chunks = await answer(fallback(first, second, third), ask("hi"))
    assert (text_of(chunks), chunks[0].model, chunks[-1].usage) == (
        "here I am",
        "model3",
        Usage(prompt=1, completion=2),
    )
    assert (first.stopped, second.stopped) == (1, 1)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_would_be_refused_anywhere_is_refused_at_once(status: int) -> None:
    second = saying("no")
    with pytest.raises(ModelRefused, match="too long"):
        await answer(fallback(Scripted(ModelRefused("too long", status=status)), second), ask("hi"))
    assert second.requests == []


@pytest.mark.parametrize("word", [Chunk(text="One "), Chunk(reasoning="Hm. ")])
async def test_after_the_first_word_nobody_else_is_asked(word: Chunk) -> None:
    second = saying("no")
    chunks = aiter(fallback(Scripted(word, AWAY), second).complete(ask("hi")))
    assert await anext(chunks) == structs.replace(word, model="model1")
    with pytest.raises(ModelUnavailable, match="away"):
        await anext(chunks)
    assert second.requests == []


async def test_when_all_fail_the_last_one_says_why() -> None:
    with pytest.raises(ModelUnavailable, match="so is the second"):
        await answer(fallback(Scripted(AWAY), Scripted(ModelUnavailable("so is the second"))), ask("hi"))


async def test_only_the_last_one_takes_its_time() -> None:
    first, second, third = Scripted(AWAY), Scripted(AWAY), saying("hi")
    await answer(fallback(first, second, third), ask("hi"))
    assert [model.requests[0].hurry for model in (first, second, third)] == [True, True, False]


async def test_closing_the_answer_stops_who_answers() -> None:
    second = saying("one", "two")
    async with aclosing(stream(fallback(Scripted(AWAY), second), ask("hi"))) as chunks:
        await anext(chunks)
        assert second.stopped == 0
    assert second.stopped == 1


async def test_an_answer_of_nothing_is_an_answer() -> None:
    second = saying("no")
    assert text_of(await answer(fallback(Scripted(), second), ask("hi"))) == ""
    assert second.requests == []
