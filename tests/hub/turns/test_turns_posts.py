"""What an agent posts while its turn runs."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from hub.agent import Receipt, Reply, Turn
from hub.errors import Forbidden, RequestError
from hub.message import Address, Text
from tests.hub.engine import (
    ASKER,
    BOT,
    CHAT,
    Engine,
    message,
    running,
)
from tests.hub.turns.test_turns import OTHER, handler_of, say, worker_of


@pytest.mark.parametrize(
    ("asked_in", "posts_to", "key_posts_to", "target", "allowed"),
    [
        (CHAT, (), None, CHAT, True),
        (CHAT, (), None, Address("support", "42", "7"), True),
        (CHAT, (), None, OTHER, False),
        (CHAT, ("support:43",), None, OTHER, True),
        (CHAT, ("support:4",), None, OTHER, False),
        (CHAT, ("support:*",), None, OTHER, True),
        (CHAT, ("web:*",), None, CHAT, True),
        (ASKER, ("support:*",), (), OTHER, False),  # over HTTP it is the key that matters
        (ASKER, (), ("support:*",), OTHER, True),
        (ASKER, (), ("*",), OTHER, True),
        (ASKER, (), ("parked:*",), OTHER, False),
    ],
)
async def test_who_may_post_where(
    engine: Engine,
    asked_in: Address,
    posts_to: tuple[str, ...],
    key_posts_to: tuple[str, ...] | None,
    target: Address,
    allowed: bool,
) -> None:
    answers: list[object] = []

    async def play(turn: Turn) -> Reply:
        post = asyncio.create_task(turn.post("0", target, (Text(text="hi"),)))
        await engine.store.until(lambda: posted(engine, post))
        answers.append(post.exception() if post.done() else None)
        post.cancel()
        return Reply()

    await say(engine, message("m", address=asked_in, posts_to=key_posts_to))
    with structlog.testing.capture_logs() as logs:
        async with running(worker_of(engine, handler_of(engine, play, posts_to=posts_to)), engine):
            await engine.outcome(BOT, "m")
    assert [type(answer) for answer in answers] == [type(None) if allowed else Forbidden]
    refusals = [entry for entry in logs if entry["event"] == "post refused"]
    named = [(entry["message"], entry["turn"], entry["target"]) for entry in refusals]
    assert named == ([] if allowed else [("m", "m", str(target))])


async def posted(engine: Engine, post: asyncio.Task[Receipt]) -> bool:
    return post.done() or await engine.row("channel:support", "m.0.0") is not None


async def test_a_post_to_a_channel_that_is_not_enabled_says_that_it_waits(engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        receipts.append(await turn.post("0", Address("parked", "9"), (Text(text="hi"),)))
        return Reply(text="posted")

    receipts: list[Receipt] = []
    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play, posts_to=("parked:*",))), engine):
        assert await engine.outcome(BOT, "m") == ("answered", None)
    assert receipts == [Receipt(id="m.0.0", status="waiting", reason="channel not enabled")]


async def test_a_post_to_an_unknown_channel_says_which_there_are(engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        with pytest.raises(RequestError, match=r"Channels: parked, support\."):
            await turn.post("0", Address("nowhere", "9"), (Text(text="hi"),))
        return Reply(text="sorry")

    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        assert await engine.outcome(BOT, "m") == ("answered", None)
