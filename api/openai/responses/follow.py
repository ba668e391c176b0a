"""Turns as responses: what a turn says and does become items, as it happens or as it is stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from api import errors
from api.openai.reply import Head, Source
from api.openai.responses import stored
from api.openai.responses.events import Answer, State, sent
from api.ports import Answer as Followed
from api.ports import Hub
from hub.accounts.responses import Kept
from hub.accounts.turns import TurnRecord
from hub.memory import Entry
from hub.model import ToolCall, stopping
from hub.turns.progress import HandedOut, Happening, Progress, Words


class Items:
    """Writes what a turn does into an answer.

    What is said before and after a call are items of their own; their texts, joined, are the turn's response. Calls
    that the hub runs are left out unless they were asked for; thoughts are not stored, and so no items.
    """

    def __init__(self, answer: Answer, kept: Kept) -> None:
        self.said = ""
        self._answer = answer
        self._shows_calls = kept.asked["bothub"]["tools"]

    def take(self, happening: Happening) -> bytes:
        """Something that the turn did."""
        match happening:
            case Words(text=text):
                self.said += text
                return self._answer.text(text)
            case HandedOut():
                return self._answer.call(happening)
            case ToolCall():
                return self._answer.call(happening) if self._shows_calls else self._answer.close()
            case _:
                return b""


def state(kept: Kept, record: TurnRecord, entries: Sequence[Entry]) -> State:
    """The response that is a turn, as far as it is stored."""
    answer, progress = Answer(kept.id, stored.begun(kept)), Progress()
    items = Items(answer, kept)
    for happening in progress.catch_up(entries):
        items.take(happening)
    if record.over:
        for happening in progress.end(record.response or ""):
            items.take(happening)
    answer.close()
    if record.over:
        return _ended(kept, record, answer)
    status = "queued" if record.status == "queued" and kept.asked["background"] else "in_progress"
    return stored.begun(kept) | {"status": status, "output": answer.output}


def _ended(kept: Kept, record: TurnRecord, answer: Answer) -> State:
    at = record.finished_at or record.created_at
    end = stored.ended(kept, record.status, answer.output, record.usage, at=at, finish=record.finish)
    return stored.failed(end, errors.of_turn(record)) if record.status == "failed" else end


async def events(hub: Hub, kept: Kept, followed: Followed, answer: Answer) -> AsyncGenerator[bytes, None]:
    """A turn as events; raises what its asker is told of one that said nothing and was not answered."""
    items = Items(answer, kept)
    async with stopping(followed.happenings()) as happenings:
        async for happening in happenings:
            yield items.take(happening)
    record = followed.record if answer.has_begun else errors.completed(followed.record)
    yield answer.close()
    if items.said == (record.response or ""):
        yield answer.end(_ended(kept, record, answer))
    else:  # a crash had it say something in other words than it had begun to
        yield answer.end(state(kept, *await look(hub, record)))


async def show(hub: Hub, kept: Kept) -> State | None:
    """The response as it is now; None where its turn is gone."""
    record = await hub.turns.find(kept.id)
    return None if record is None else state(kept, *await look(hub, record))


async def look(hub: Hub, record: TurnRecord) -> tuple[TurnRecord, list[Entry]]:
    """A turn with all that is stored of it."""
    return record, (await hub.turns.look(record.id, 0))[1]


async def taken_up(hub: Hub, kept: Kept, after: int, silence: float) -> Source:
    """The events of a turn after a number: what is stored first, then what happens."""
    answer = Answer(kept.id, stored.begun(kept), after=after)
    yield Head(id=kept.id)
    yield answer.begin()
    async with hub.turns.follow(kept.id) as followed:
        async for event in told(hub, kept, followed, answer, silence):
            yield event


async def told(hub: Hub, kept: Kept, followed: Followed, answer: Answer, silence: float) -> AsyncGenerator[bytes, None]:
    """A turn as a stream."""

    def fail(error: Exception) -> State:
        return stored.failed(stored.begun(kept) | {"output": answer.output}, errors.describe(error))

    async with aclosing(sent(answer, events(hub, kept, followed, answer), silence, fail)) as told:
        async for event in told:
            yield event
