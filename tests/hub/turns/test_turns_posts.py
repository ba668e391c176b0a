"""What an agent posts while its turn runs."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from hub.agent import Receipt, Reply, Turn
from hub.errors import Forbidden, RequestError
from hub.message import Address, Text
from tests.auditing import audited
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
    rows = [(row.what, row.target, row.by, row.key_id) for row in await audited(engine.store)]
    elsewhere = allowed and target.chat != asked_in.chat
    assert rows == [("post", str(target), "agent:bot", 1 if asked_in == ASKER else None)] * elsewhere
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


async def test_a_post_to_another_chat_is_audited_and_the_reply_is_not(every_engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        await turn.post("0", Address("parked", "9"), (Text(text="secret words"),))
        return Reply(text="posted")

    engine = every_engine
    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play, posts_to=("parked:*",))), engine):
        assert await engine.outcome(BOT, "m") == ("answered", None)
    [row] = await audited(engine.store)
    told = {"delivery": "m.0.0", "turn": "m", "message": "m", "asked_in": str(CHAT), "asked_by": "support:ann"}
    assert (row.target, row.after) == ("parked:9", told)
    assert await engine.row("channel:support", "m.reply") is not None
