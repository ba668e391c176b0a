"""Patience ends long waits, and only these."""

import asyncio

import pytest

from agents.models.patience import Patience


async def forever() -> None:
    await asyncio.Event().wait()


async def turns(times: int) -> None:
    """Let the loop go round, so that a timer that is due fires."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_a_wait_that_takes_too_long_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        await Patience(0.0).wait(forever())
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_what_came_in_time_is_returned() -> None:
    patience = Patience(60.0)
    assert [await patience.wait(asyncio.sleep(0, number)) for number in range(3)] == [0, 1, 2]
    patience.stop()


async def test_time_between_two_waits_does_not_count() -> None:
    patience = Patience(0.0)
    coming: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    coming.set_result("there")
    assert await patience.wait(coming) == "there"
    await turns(5)
    assert await patience.wait(coming) == "there"


async def test_the_timer_follows_the_latest_wait() -> None:
    """A timer that was set for an early wait does not end a later one before its time."""
    patience = Patience(60.0)
    await patience.wait(asyncio.sleep(0))
    waiting = asyncio.create_task(patience.wait(forever()))
    await turns(2)
    patience._look()  # pyright: ignore[reportPrivateUsage]
    await turns(2)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    patience.stop()


async def test_a_cancel_from_outside_stays_a_cancel() -> None:
    waiting = asyncio.create_task(Patience(60.0).wait(forever()))
    await turns(2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_outer_timeout_is_not_taken_for_its_own() -> None:
    patience = Patience(60.0)
    limit = asyncio.timeout(0.0)
    with pytest.raises(TimeoutError):
        async with limit:
            await patience.wait(forever())
    assert limit.expired()
    patience.stop()
