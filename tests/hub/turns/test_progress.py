"""Following a turn: everything it does comes once and in order, whenever one begins to listen and whatever is lost."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from hub.accounts.turns import Sign
from hub.agent import Reply, Step, Turn
from hub.asks import FollowedTurn
from hub.errors import TurnTimeout
from hub.memory import Heard, Said, Stepped
from hub.message import Address
from hub.model import ToolCall
from hub.turns.progress import Happening, Progress, Returned, Thought, Words
from tests.hub.asking import Held, agent, ask, asking, count
from tests.hub.engine import BOT, Engine, soon

LOOK = ToolCall(id="c1", name="look", arguments='{"at": "it"}')
FAIL = ToolCall(id="c2", name="fail", arguments="{}")
STEP = Step(text="Let me look.", calls=(LOOK, FAIL), results=("a cat", '{"error":"no"}'))
REPLY = Reply(text="A cat.")
RETURNED = [
    Returned(id="c1", content="a cat", is_error=False),
    Returned(id="c2", content='{"error":"no"}', is_error=True),
]


class Looking:
    """An agent that thinks, calls two tools and answers; it waits at its gates."""

    def __init__(self, *, open_gates: bool = True) -> None:
        self.calling, self.called, self.told = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if open_gates:
            self.called.set()
            self.told.set()

    async def __call__(self, turn: Turn) -> Reply:
        turn.think("Hm. ")
        turn.emit("Let me ")
        turn.emit("look.")
        with turn.acting(STEP.calls):
            self.calling.set()
            await self.called.wait()
            await turn.checkpoint(STEP)
        turn.emit("\n\nA ")
        await self.told.wait()
        turn.emit("cat.")
        return REPLY


async def read(answer: FollowedTurn) -> list[Happening]:
    """What happens, the pieces of text between two other things joined."""
    found: list[Happening] = []
    async for one in answer.happenings():
        last = found[-1] if found else None
        if isinstance(one, Words) and isinstance(last, Words):
            found[-1] = Words(text=last.text + one.text)
        else:
            found.append(one)
    return found


WHOLE = [Words(text="Let me look."), LOOK, FAIL, *RETURNED, Words(text="\n\nA cat.")]


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize("lost", [(), ("turn.",), ("turn.", "inbox.")])
async def test_everything_happens_once_and_in_order(every_engine: Engine, lost: tuple[str, ...]) -> None:
    engine = every_engine
    engine.signals.lost = lost
    async with asking(engine) as asks, agent(engine, Looking()), asks.ask(ask()) as answer:
        found = await soon(read(answer))
    assert [one for one in found if not isinstance(one, Thought)] == WHOLE
    assert lost or found[0] == Thought(text="Hm. ")
    assert answer.record.response == "Let me look.\n\nA cat."


async def test_a_call_is_told_before_it_returns(engine: Engine) -> None:
    looking = Looking(open_gates=False)
    async with asking(engine) as asks, agent(engine, looking), asks.ask(ask()) as answer:
        happenings = aiter(answer.happenings())
        early = [await soon(anext(happenings)) for _ in range(5)]
        assert early == [Thought(text="Hm. "), Words(text="Let me "), Words(text="look."), LOOK, FAIL]
        looking.called.set()
        assert [await soon(anext(happenings)) for _ in range(3)] == [*RETURNED, Words(text="\n\nA ")]
        looking.told.set()
        assert [one async for one in happenings] == [Words(text="cat.")]


@pytest.mark.usefixtures("quick_polls")
async def test_who_comes_late_is_told_what_happened_and_goes_on_live(every_engine: Engine) -> None:
    engine, looking = every_engine, Looking(open_gates=False)
    async with asking(engine) as asks, agent(engine, looking):
        await asks.start(one := ask())
        await soon(looking.calling.wait())
        async with asks.follow(one.id) as early:
            looking.called.set()
            assert await soon(anext(aiter(early.happenings()))) == Words(text="Let me look.")
        async with asks.follow(one.id) as late:
            happenings = aiter(late.happenings())
            assert [await soon(anext(happenings)) for _ in range(5)] == WHOLE[:5]
            looking.told.set()
            rest = [each async for each in happenings]
        async with asks.follow(one.id) as after:
            assert await soon(read(after)) == WHOLE
    assert "".join(each.text for each in rest if isinstance(each, Words)) == "\n\nA cat."
    assert (late.record.status, after.record) == ("completed", late.record)


async def test_who_leaves_a_turn_that_was_started_changes_nothing(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=0.0) as asks, agent(engine, held) as script:
        await asks.start(one := ask())
        await asks.start(one)
        async with asks.follow(one.id) as followed:
            await soon(held.begun.wait())
            followed.began()
        held.go.set()
        assert await engine.outcome(BOT, one.id) == ("answered", None)
        assert script.answers == 1


async def test_a_turn_that_goes_on_is_asked_for_again_by_its_id(every_engine: Engine) -> None:
    engine, held = every_engine, Held("Done.")
    kept = structs.replace(ask(), goes_on=True)
    async with asking(engine, grace=0.0) as asks, agent(engine, held) as script:
        async with asks.ask(kept) as first:
            await soon(held.begun.wait())
            first.began()
        held.go.set()
        async with asks.ask(kept) as second:
            assert await soon(read(second)) == [Words(text="Done.")]
        async with asks.ask(kept) as third:
            assert "".join([piece async for piece in third]) == "Done."
        assert (second.id, third.id, script.answers) == (first.id, first.id, 1)
    assert await count(engine) == 1
    assert second.record == third.record
    assert await engine.bus.residue(0.0) == 0


async def test_a_turn_that_goes_on_is_not_cancelled_when_its_asker_has_waited_too_long(engine: Engine) -> None:
    held, one = Held(), structs.replace(ask(), goes_on=True)
    async with asking(engine, timeout=0.05) as asks, agent(engine, held):
        async with asks.ask(one) as first:
            with pytest.raises(TurnTimeout, match="goes on"):
                await soon(read(first))
        held.go.set()
        assert await engine.outcome(BOT, one.id) == ("answered", None)


@pytest.mark.usefixtures("quick_polls")
async def test_a_turn_that_is_cancelled_ends_for_its_followers(engine: Engine) -> None:
    held = Held("Done.")
    async with asking(engine) as asks, agent(engine, held):
        await asks.start(one := ask())
        await soon(held.begun.wait())
        async with asks.follow(one.id) as followed:
            await soon(asks.cancel(one.id))
            assert await soon(read(followed)) == [Words(text="Do")]
    assert followed.record.status == "cancelled"


def test_old_and_lost_signs_tell_nothing() -> None:
    progress = Progress()
    sign = Sign(kind="delta", turn="t", address=Address("api", "1", "s"))

    def hear(offset: int, text: str, step: int = 0) -> list[Happening]:
        return list(progress.hear(structs.replace(sign, offset=offset, text=text, step=step)))

    assert hear(0, "ab") == [Words(text="ab")]
    assert hear(0, "abc") == [Words(text="c")]
    assert hear(9, "lost before") == []
    assert list(progress.catch_up([Heard(text="hi"), Stepped(text="abcd")])) == [Words(text="d")]
    assert hear(3, "de") == []
    assert hear(4, "\n\nz", step=1) == [Words(text="\n\nz")]
    assert list(progress.catch_up([Said(text="z")])) == []
    assert (list(progress.end("abcd\n\nz")), progress.read) == ([], 3)


def test_what_was_said_in_other_words_after_a_crash_is_not_told_twice() -> None:
    progress = Progress()
    sign = Sign(kind="delta", turn="t", address=Address("api", "1", "s"), text="I think so")
    assert list(progress.hear(sign)) == [Words(text="I think so")]
    assert list(progress.catch_up([Stepped(text="Perhaps.")])) == []
    assert list(progress.end("Perhaps.\n\nNo.")) == [Words(text="\n\nNo.")]


@pytest.mark.parametrize(
    ("result", "is_error"),
    [('{"error":"no"}', True), ('{"error":null}', False), ('{"error":"no","code":1}', False), ('{"error":', False)],
)
def test_a_failure_is_known_by_its_form(result: str, is_error: bool) -> None:
    step = Stepped(calls=(LOOK,), results=(result,))
    assert list(Progress().catch_up([step])) == [LOOK, Returned(id="c1", content=result, is_error=is_error)]
