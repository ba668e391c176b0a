"""What a turn recalls: everything of its own place by any words, and nothing of another one, whatever is asked."""

from __future__ import annotations

from typing import Any

import pytest

from hub import chats, facts, memory
from hub.agent import Recalled, Reply, Step, Turn
from hub.errors import Forbidden, NotFound
from hub.facts import Place
from hub.memory import Heard, Said, Stepped
from hub.message import Address, Author, Message
from hub.store import search
from hub.store.tables import metadata
from tests.hub.engine import BOT, CHAT, Engine, Script, message, running
from tests.hub.turns.test_turns import handler_of, say, worker_of

SECRET = "xylophone 保险柜"
ANN = Author(id="ann", name="Ann")
BEN = Author(id="ben", name="Ben")


async def tell(engine: Engine, text: str, address: Address = CHAT, agent: str = "bot", turn: str = "") -> None:
    """Something was said in a chat, in a turn of its own."""

    def write(connection: Any) -> None:
        session = memory.current_session(connection, agent, address)
        session = session or memory.new_session(connection, agent, address, 0.0)
        memory.append(connection, session, turn or f"{address}/{text}", 0, [Heard(text=text)], engine.clock())

    await engine.store.write(write)


async def found(engine: Engine, query: str, address: Address = CHAT, agent: str = "bot") -> list[str]:
    said = await engine.store.read(lambda c: memory.recall(c, agent, address, query, without="now"))
    return [one.text for one in said]


async def test_everything_that_was_said_here_is_found_also_in_sessions_before(every_engine: Engine) -> None:
    engine = every_engine
    session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0))
    step = Stepped(text="I look for the kettle.")
    entries = [Heard(text="where is the teapot?", author="Ann"), step, Said(text="In the cupboard.")]
    await engine.store.write(lambda c: memory.append(c, session, "t", 0, entries, 5.0))
    await engine.store.write(lambda c: memory.append(c, session, "t", 0, entries, 5.0))  # a write that got through
    await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 9.0))
    for query, by, text in (
        ("teapot", "Ann", "where is the teapot?"),
        ("KETTLE", "you", "I look for the kettle."),
        ("cupboard", "you", "In the cupboard."),
    ):
        [one] = await engine.store.read(lambda c, query=query: memory.recall(c, "bot", CHAT, query, without=""))
        assert (one.by, one.text, one.at) == (by, text, 5.0)
    assert await engine.store.read(lambda c: memory.recall(c, "bot", CHAT, "teapot", without="t")) == []


SCRIPTS = {
    "My dogs are called Rex and Bo.": ["dog", "DOGS", "rex", "bo"],
    "Zoë drinks café au lait": ["zoe", "Zoë", "cafe", "CAFÉ"],
    "我的猫叫小明,住在北京。": ["猫", "小明", "北京", "我的猫叫什么", "住在北京"],
    "東京でラーメンを食べた": ["東京", "ラーメン", "食"],
    "서울에서 김치를 먹었다": ["서울", "김치"],
    "กรุงเทพ is hot": ["กรุงเทพ", "hot"],
    "Die Straße heißt Mühlweg": ["STRASSE", "muhlweg", "Mühlweg"],
    "version v2.0_beta of foo-bar": ["v2", "beta", "foo-bar", "foo"],
    "\uff21\uff22\uff23 full width": ["abc"],
}


async def test_words_of_any_script_are_found(every_engine: Engine) -> None:
    for text in SCRIPTS:
        await tell(every_engine, text)
    for text, queries in SCRIPTS.items():
        for query in queries:
            assert (await found(every_engine, query))[0] == text, query


NO_SYNTAX = [
    *("", "   ", '"', "'", "''", '"tea', "tea'", "tea*", "*", "^tea", "-tea", "tea -pot", "tea AND", "OR", "NOT tea"),
    *("NEAR(tea pot, 2)", "words:tea", "(tea", "tea)", "{tea}", "tea & | !", "tea:*", "\\", "\x00", "%", "_", "§"),
    *("1§tea", "tea'); DROP TABLE entries; --", "a" * 5000, "tea " * 3000, "\U0001f600", "'tea' <-> 'pot'"),
]


async def test_no_query_is_a_mistake(every_engine: Engine) -> None:
    await tell(every_engine, "a tea pot")
    for query in NO_SYNTAX:
        hits = await found(every_engine, query)
        assert hits == (["a tea pot"] if "tea" in query else []), query


async def test_rare_words_count_more_than_common_ones_and_what_is_old_is_found(every_engine: Engine) -> None:
    engine = every_engine
    session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0))

    def write(connection: Any) -> None:
        memory.append(connection, session, "old", 0, [Heard(text="the name of my parrot is Coco")], 0.0)
        for number in range(search.NEWEST + 50):
            said = Heard(text=f"what is the name of number {number}?")
            memory.append(connection, session, f"t{number}", 0, [said], 0.0)

    await engine.store.write(write)
    hits = await found(engine, "what is the name of the parrot")
    assert hits[0] == "the name of my parrot is Coco"
    assert hits[1] == f"what is the name of number {search.NEWEST + 49}?"  # of equals the newest


async def test_a_long_text_is_shown_around_what_was_looked_for(engine: Engine) -> None:
    await tell(engine, f"{'a lot of words ' * 200}the needle{' and more' * 200}")
    [text] = await found(engine, "needle")
    assert "the needle" in text
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) <= search.EXCERPT + 2


async def test_a_chat_takes_what_was_said_along_when_it_moves(every_engine: Engine) -> None:
    engine = every_engine
    await tell(engine, "the teapot is green")
    await tell(engine, "the teapot is blue", Address("support", "43"))
    place = Place(agent="bot", chat="support:42", person="support:ann", private=False)
    await engine.store.write(lambda c: facts.remember(c, place, "chat", "we meet on Monday", 0.0))
    await engine.store.write(lambda c: chats.move(c, "support", "42", "43"))
    assert sorted(await found(engine, "teapot", Address("support", "43"))) == [
        "the teapot is blue",
        "the teapot is green",
    ]
    assert await found(engine, "teapot") == []
    place = Place(agent="bot", chat="support:43", person="support:ann", private=False)
    assert [fact.text for fact in await engine.store.read(lambda c: facts.visible(c, place))] == ["we meet on Monday"]


async def test_the_index_goes_with_the_tables(every_engine: Engine) -> None:
    await tell(every_engine, "a tea pot")
    await every_engine.store.write(metadata.drop_all)
    await every_engine.store.write(metadata.create_all)
    await tell(every_engine, "a tea pot")
    assert await found(every_engine, "tea") == ["a tea pot"]


# Attacks: an agent that does all it can to learn what was said elsewhere.

QUERIES = [
    SECRET,
    "xylophone",
    "保险柜",
    "xylo",
    "*",
    'xylophone" OR "x',
    "' | 'xylophone",
    "support:42 xylophone",
    "1§xylophone",
    "2§xylophone",
    '1§xylophone" OR "2§xylophone',
    "'1§xylophone' | '2§xylophone'",
]
PRIVATE = [
    message("p1", SECRET),
    message("p2", SECRET, Address("api", "1", "default"), author=Author(id="1", name="1", kind="api")),
]
ELSEWHERE = [
    message("a1", address=Address("support", "-1"), direct=False),
    message("a2", address=Address("support", "-1", "7"), direct=False, author=BEN),
    message("a3", address=Address("support", "43"), author=BEN),
    message("a4", address=Address("web", "lobby"), shared=True),
    message("a5", address=Address("web", "42"), author=Author(id="1", name="1"), shared=True),
    message("a6", address=Address("api", "2", "default"), author=Author(id="2", name="2", kind="api")),
    message("a7", address=Address("api", "11", "default"), author=Author(id="11", name="11", kind="api")),
    message("a8", address=Address("other", "42")),
    message("a9", address=Address("support", "42:x"), author=BEN),
    message("a10", address=Address("support", "4"), author=BEN),
]


async def confide(turn: Turn) -> Reply:
    """The private turn: everything is remembered, wherever that is possible."""
    for scope in ("person", "chat", "agent", None):
        try:
            await turn.memory.remember(f"{SECRET} {scope}", scope)
        except Forbidden:
            assert scope == "agent"
    await turn.checkpoint(Step(text=f"I keep {SECRET}."))
    return Reply(text=f"Yes, {SECRET}.")


class Spy:
    """Looks for the secret in whatever a turn gives it."""

    def __init__(self) -> None:
        self.seen: list[Recalled] = []
        self.views: list[str] = []

    async def play(self, turn: Turn) -> Reply:
        self.views.append(str(await turn.view()))
        for query in QUERIES:
            self.seen.append(await turn.memory.recall(query))
        for words in (SECRET, "xylophone", "e", " "):
            with pytest.raises(NotFound) as none:
                await turn.memory.forget(words)
            assert "xylophone" not in str(none.value)
        return Reply(text="nothing")


async def run(engine: Engine, script: Script, *said: Message) -> None:
    await say(engine, *said)
    async with running(worker_of(engine, handler_of(engine, script)), engine):
        for one in said:
            assert (await engine.outcome(BOT, one.id))[0] == "answered"


async def test_what_was_said_in_private_never_surfaces_elsewhere(every_engine: Engine) -> None:
    engine, spy = every_engine, Spy()
    await run(engine, Script(confide), *PRIVATE)
    await run(engine, Script(spy.play), *ELSEWHERE)
    assert spy.seen == [Recalled()] * (len(QUERIES) * len(ELSEWHERE))
    assert len(spy.views) == len(ELSEWHERE)
    assert not [view for view in spy.views if "xylophone" in view]


async def test_what_was_said_in_private_is_there_for_the_one_who_said_it(every_engine: Engine) -> None:
    engine = every_engine
    got: list[Recalled] = []

    async def look(turn: Turn) -> Reply:
        got.append(await turn.memory.recall("xylophone"))
        assert "xylophone" in str(await turn.view())
        return Reply(text="I see")

    await run(engine, Script(confide), *PRIVATE)
    again = [message("q1", "again"), message("q2", "again", PRIVATE[1].address, author=PRIVATE[1].author)]
    for asking in again:
        await run(engine, Script(look), asking)
        assert {fact.scope for fact in got[-1].facts} == {"person", "chat"}
        assert {one.by for one in got[-1].said} == {"user", "you"}
    # Another session of the same key: the key's facts and all its sessions, and not the first session's own facts.
    elsewhere = message("q3", "again", Address("api", "1", "other"), author=PRIVATE[1].author)
    await run(engine, Script(look), elsewhere)
    assert {fact.scope for fact in got[-1].facts} == {"person"}
    assert len(got[-1].said) == 3


async def test_a_group_that_recalls_finds_what_was_said_in_it(every_engine: Engine) -> None:
    engine = every_engine
    got: list[Recalled] = []

    async def look(turn: Turn) -> Reply:
        got.append(await turn.memory.recall("umbrella"))
        return Reply(text="I see")

    async def keep(turn: Turn) -> Reply:
        fact = await turn.memory.remember("the umbrella is red")
        assert fact.scope == "chat"
        return Reply(text="yes")

    group = Address("support", "-1")
    await run(engine, Script(keep), message("g1", "the umbrella is here", group, direct=False))
    other_topic = message("g2", "where?", Address("support", "-1", "7"), direct=False, author=BEN)
    await run(engine, Script(look), other_topic)
    assert [fact.text for fact in got[0].facts] == ["the umbrella is red"]
    assert [(one.by, one.text) for one in got[0].said] == [("Ann", "the umbrella is here")]
