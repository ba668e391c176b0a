"""Commands that take words: `/memory` shows what is remembered, and forgets."""

from __future__ import annotations

import pytest

from hub import facts
from hub.agent import Scope
from hub.errors import StoreUnavailable
from hub.facts import Place
from hub.message import Address, Author
from tests.hub.engine import Engine, message
from tests.hub.test_ingress import ingress, outcomes, said_to

ANN = Place(agent="bot", chat="support:42", person="support:ann", private=True)
GROUP = Place(agent="bot", chat="support:-1", person="support:ann", private=False)
OPERATOR = Place(agent="bot", chat="support:9", person="support:root", private=True, teaches=True)
BEN = Author(id="ben", name="Ben")


async def remember(engine: Engine, place: Place, scope: Scope, *texts: str) -> None:
    for text in texts:
        await engine.store.write(lambda c, text=text: facts.remember(c, place, scope, text, engine.clock()))


async def known(engine: Engine, place: Place = ANN) -> list[str]:
    return [fact.text for fact in await engine.store.read(lambda c: facts.visible(c, place))]


async def test_memory_shows_what_the_asker_may_see_in_numbers(every_engine: Engine) -> None:
    engine, door = every_engine, ingress(every_engine)
    await door.accept(message("m0", "/memory"))
    await remember(engine, ANN, "person", "Ann likes tea")
    await remember(engine, GROUP, "chat", "we meet on Monday")
    await remember(engine, OPERATOR, "agent", "the shop opens at nine")
    await door.accept(message("m1", "/memory"))
    await door.accept(message("m2", "/Memory ", address=Address("support", "-1"), direct=False))
    await door.accept(message("m3", "/memory", address=Address("support", "43"), author=BEN))
    nothing, mine = await said_to(engine)
    assert "nothing here yet" in nothing
    assert "1. Ann likes tea (about you)\n2. the shop opens at nine (for everybody)" in mine
    [group] = await said_to(engine, "-1")
    assert "1. we meet on Monday (about this chat)\n2. the shop" in group
    assert "tea" not in group
    [other] = await said_to(engine, "43")
    assert "1. the shop opens at nine" in other
    assert set((await outcomes(engine)).values()) == {("answered", "memory")}


async def test_memory_forget_deletes_with_its_reply_in_one_unit_and_once(every_engine: Engine) -> None:
    engine, door = every_engine, ingress(every_engine)
    await remember(engine, ANN, "person", "tea", "coffee", "milk")
    engine.store.break_commit = lambda: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await door.accept(message("m", "/memory forget 2"))
    assert await known(engine) == ["tea", "coffee", "milk"]
    for _ in range(3):  # platforms deliver again
        await door.accept(message("m", "/memory forget 2"))
    assert await known(engine) == ["tea", "milk"]
    assert await said_to(engine) == ["Forgotten: coffee"]
    await door.accept(message("n", "/MEMORY  Forget #1"))
    assert await known(engine) == ["milk"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/memory forget 2", "There is no 2"),
        ("/memory forget 0", "There is no 0"),
        ("/memory forget", "Say /memory to see"),
        ("/memory forget tea", "Say /memory to see"),
        ("/memory please", "Say /memory to see"),
        ("/memory forget 1\nand more", "Say /memory to see"),
    ],
)
async def test_what_memory_does_not_understand_it_explains(engine: Engine, text: str, answer: str) -> None:
    await remember(engine, ANN, "person", "tea")
    await ingress(engine).accept(message("m", text))
    [said] = await said_to(engine)
    assert said.startswith(answer)
    assert await known(engine) == ["tea"]


async def test_what_holds_for_everybody_is_not_one_persons_to_forget(engine: Engine) -> None:
    await remember(engine, OPERATOR, "agent", "the shop opens at nine")
    await ingress(engine).accept(message("m", "/memory forget 1"))
    [said] = await said_to(engine)
    assert "holds for everybody" in said
    assert await known(engine) == ["the shop opens at nine"]


async def test_numbers_of_another_person_lead_nowhere(engine: Engine) -> None:
    await remember(engine, ANN, "person", "tea")
    await ingress(engine).accept(message("m", "/memory forget 1", address=Address("support", "43"), author=BEN))
    assert await known(engine) == ["tea"]
