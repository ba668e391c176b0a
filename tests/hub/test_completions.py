"""Stateless completions: every one is recorded once, and its upstream stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from agents.models.tokens import estimate
from hub.accounts.turns import Call, TurnRecord, Work
from hub.agent import Turn
from hub.completions import Completions, Target
from hub.delivery.posts import Channels, Posts
from hub.errors import ModelUnavailable, RequestError, TurnTimeout
from hub.files import FileStore
from hub.model import Chunk, Completion, Embeddable, Embeddings, Usage
from hub.store.tables import turns
from hub.turns.errand import Desk
from tests.hub.engine import Engine, soon, turn_of

CALL = Call(id="t", name="gpt", key_id=1, completion=Completion(messages=[{"role": "user", "content": "hi"}]))


class Scripted:
    """A model that says its chunks and then may fail or wait."""

    def __init__(self, *chunks: Chunk | Exception | asyncio.Event) -> None:
        self.chunks = chunks
        self.asked: list[Completion] = []
        self.stopped = False

    async def complete(self, request: Completion) -> AsyncIterator[Chunk]:
        self.asked.append(request)
        try:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                if isinstance(chunk, asyncio.Event):
                    await chunk.wait()
                else:
                    yield chunk
        finally:
            self.stopped = True

    async def close(self) -> None: ...


def desk(engine: Engine) -> Desk:
    channels = Channels(kinds={}, enabled=set(), known_kinds=set())
    return Desk(posts=Posts(engine.bus, channels), files=FileStore(Path("/dev/null")), clock=engine.clock)


def completions(engine: Engine, model: Scripted) -> Completions:
    targets = {"gpt": Target(model=model, model_name="gpt")}
    return Completions(engine.store, engine.clock, targets, desk(engine), estimate=estimate)


async def recorded(engine: Engine) -> TurnRecord:
    assert (await engine.all(select(func.count()).select_from(turns)))[0][0] == 1
    return await turn_of(engine, "t")


async def test_a_completion_is_recorded_with_what_it_used(engine: Engine) -> None:
    usage = Usage(prompt=3, completion=2)
    model = Scripted(Chunk(text="Hel"), Chunk(text="lo"), Chunk(finish="stop", usage=usage))
    chunks = [chunk async for chunk in completions(engine, model).complete(CALL)]
    assert [chunk.text for chunk in chunks] == ["Hel", "lo", ""]
    record = await recorded(engine)
    assert (record.status, record.response, record.usage) == ("completed", "Hello", usage)
    assert record.finish == "stop"
    assert (record.agent, record.model, record.key_id) == (None, "gpt", 1)
    assert model.stopped


async def test_an_agent_counts_its_own_tokens_and_those_that_it_lost(engine: Engine) -> None:
    async def complete(request: Completion, turn: Turn) -> AsyncIterator[Chunk]:
        yield Chunk(text="Hel", usage=Usage(prompt=1, completion=2))
        turn.spent(Usage(prompt=10, completion=20, estimated=True), "gpt")
        yield Chunk(text="lo", usage=Usage(prompt=100, completion=200))
        assert request is CALL.completion

    targets = {"gpt": Target(model=Scripted(), model_name="gpt", agent="bot", answer=complete)}
    async for _ in Completions(engine.store, engine.clock, targets, desk(engine), estimate=estimate).complete(CALL):
        pass
    record = await recorded(engine)
    assert (record.agent, record.response) == ("bot", "Hello")
    assert record.usage == Usage(prompt=111, completion=222, estimated=True)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ModelUnavailable("away", status=503), "upstream_503"), (ZeroDivisionError("a bug"), "internal_error")],
)
async def test_a_failure_is_recorded_and_raised(engine: Engine, error: Exception, code: str) -> None:
    with pytest.raises(type(error)):
        async for _ in completions(engine, Scripted(Chunk(text="Hel"), error)).complete(CALL):
            pass
    record = await recorded(engine)
    assert (record.status, record.response, record.error, record.error_code) == ("failed", "Hel", str(error), code)


async def test_an_answer_nobody_reads_to_its_end_is_estimated(engine: Engine) -> None:
    model = Scripted(Chunk(reasoning="1234"), Chunk(text="5678", model="second"), Chunk(text="never read"))
    async with aclosing(completions(engine, model).complete(CALL)) as chunks:
        await anext(chunks)
        await anext(chunks)
    record = await recorded(engine)
    assert (record.status, record.response, record.model) == ("cancelled", "5678", "second")
    assert record.usage == Usage(prompt=1, completion=2, estimated=True)


async def test_a_model_that_fails_without_a_word_used_nothing(engine: Engine) -> None:
    with pytest.raises(ModelUnavailable):
        async for _ in completions(engine, Scripted(ModelUnavailable("away"))).complete(CALL):
            pass
    assert (await recorded(engine)).usage == Usage()


async def test_a_model_that_says_nothing_in_time_is_a_timeout_and_the_turn_is_cancelled(engine: Engine) -> None:
    model = Scripted(asyncio.Event())
    targets = {"gpt": Target(model=model, model_name="gpt")}
    with pytest.raises(TurnTimeout, match=r"within 0\.01 s"):
        async for _ in Completions(
            engine.store, engine.clock, targets, desk(engine), estimate=estimate, timeout=0.01
        ).complete(CALL):
            pass
    assert model.stopped
    record = await recorded(engine)
    assert (record.status, record.error) == ("cancelled", None)


async def test_an_answer_that_has_begun_in_time_may_take_longer(engine: Engine) -> None:
    gate = asyncio.Event()
    model = Scripted(Chunk(text="Hel"), gate, Chunk(text="lo"))
    targets = {"gpt": Target(model=model, model_name="gpt")}
    asyncio.get_running_loop().call_later(0.05, gate.set)
    chunks = [
        c
        async for c in Completions(
            engine.store, engine.clock, targets, desk(engine), estimate=estimate, timeout=0.01
        ).complete(CALL)
    ]
    assert [chunk.text for chunk in chunks] == ["Hel", "lo"]


async def test_its_log_line_says_for_whom_it_was_and_how_long_it_took(engine: Engine) -> None:
    with capture_logs() as logs:
        async for _ in completions(engine, Scripted(Chunk(text="hi"))).complete(CALL):
            pass
    [line] = [line for line in logs if line["event"] == "completion"]
    assert (line["id"], line["address"], line["model"], line["status"]) == ("t", "api:1", "gpt", "completed")
    assert line["seconds"] >= 0


async def test_closing_early_stops_the_upstream_and_is_recorded(engine: Engine) -> None:
    model = Scripted(Chunk(text="Hel"), Chunk(text="lo"))
    async with aclosing(completions(engine, model).complete(CALL)) as chunks:
        await anext(chunks)
    assert model.stopped
    record = await recorded(engine)
    assert (record.status, record.response, record.error) == ("cancelled", "Hel", None)


async def test_a_caller_that_is_cancelled_stops_the_upstream_and_is_recorded(engine: Engine) -> None:
    begun = asyncio.Event()
    model = Scripted(Chunk(text="Hel"), asyncio.Event())

    async def call() -> None:
        async with aclosing(completions(engine, model).complete(CALL)) as chunks:
            async for _ in chunks:
                begun.set()

    task = asyncio.create_task(call())
    await soon(begun.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.stopped
    assert (await recorded(engine)).status == "cancelled"


class Vectors(Scripted):
    """A model that embeds, when its event is set."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def embed(self, texts: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        await self.may.wait()
        return Embeddings(vectors=tuple((1.0,) for _ in texts), usage=Usage(prompt=9))


WORK = Work(id="t", name="gpt", key_id=1, session_id="s")


async def test_what_was_embedded_is_recorded(engine: Engine) -> None:
    model = Vectors()
    model.may.set()
    assert len((await completions(engine, model).embed(WORK, ["a", "b"])).vectors) == 2
    record = await recorded(engine)
    assert (record.status, record.usage, record.session_id) == ("completed", Usage(prompt=9), "s")


async def test_vectors_that_do_not_come_in_time_are_a_timeout_and_their_tokens_are_guessed(engine: Engine) -> None:
    targets = {"gpt": Target(model=Vectors(), model_name="gpt")}
    with pytest.raises(TurnTimeout):
        await Completions(engine.store, engine.clock, targets, desk(engine), estimate=estimate, timeout=0.01).embed(
            WORK, ["1234", [1, 2]]
        )
    record = await recorded(engine)
    assert (record.status, record.usage) == ("cancelled", Usage(prompt=3, estimated=True))


async def test_an_agent_does_not_embed_though_its_model_can(engine: Engine) -> None:
    targets = {"gpt": Target(model=Vectors(), model_name="vectors", agent="gpt")}
    with pytest.raises(RequestError, match=r"'gpt' cannot embed texts\.$"):
        await Completions(engine.store, engine.clock, targets, desk(engine), estimate=estimate).embed(WORK, ["a"])
    assert not await engine.all(select(turns))
