"""Reading ahead, and the events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from api import sse


async def said(*items: str | asyncio.Event | Exception, ended: asyncio.Event | None = None) -> AsyncIterator[str]:
    try:
        for item in items:
            if isinstance(item, asyncio.Event):
                await item.wait()
            elif isinstance(item, Exception):
                raise item
            else:
                yield item
    finally:
        if ended is not None:
            ended.set()


async def test_everything_comes_in_order_and_together_when_it_came_together() -> None:
    gate = asyncio.Event()
    batches = sse.batches(said("a", "b", gate, "c"), 60)
    assert await anext(batches) == ["a", "b"]
    gate.set()
    assert [batch async for batch in batches] == [["c"]]


async def test_a_source_is_not_read_ahead_of_without_end() -> None:
    given: list[int] = []

    async def endless() -> AsyncIterator[int]:
        for number in range(10 * sse.AHEAD):
            given.append(number)
            yield number

    batches = sse.batches(endless(), 60)
    got = await anext(batches)
    assert got == given == list(range(sse.AHEAD))
    for _ in range(9):
        got += await anext(batches)
        assert got == given
    assert [batch async for batch in batches] == []
    assert got == list(range(10 * sse.AHEAD))


async def test_nothing_gives_nothing() -> None:
    assert [batch async for batch in sse.batches(said(), 60)] == []


async def test_silence_is_an_empty_list_each_time() -> None:
    gate = asyncio.Event()
    batches = sse.batches(said("a", gate, "b"), 0.005)
    assert [await anext(batches) for _ in range(3)] == [["a"], [], []]
    gate.set()
    assert [batch async for batch in batches if batch] == [["b"]]


async def test_an_error_comes_after_what_was_said_before_it() -> None:
    batches = sse.batches(said("a", ValueError("x")), 60)
    assert await anext(batches) == ["a"]
    with pytest.raises(ValueError, match="x"):
        await anext(batches)


async def test_closing_stops_the_source() -> None:
    ended = asyncio.Event()
    batches = sse.batches(said("a", asyncio.Event(), ended=ended), 60)
    assert await anext(batches) == ["a"]
    await batches.aclose()
    assert ended.is_set()


async def test_cancelling_stops_the_source() -> None:
    ended = asyncio.Event()
    batches = sse.batches(said("a", asyncio.Event(), ended=ended), 60)
    await anext(batches)
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


def test_an_event_is_one_line_of_json() -> None:
    assert sse.event({"a": "b\nc"}) == b'data: {"a":"b\\nc"}\n\n'
    assert sse.event(1, "message") == b"event: message\ndata: 1\n\n"
