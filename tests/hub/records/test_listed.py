"""Lists of sessions and turns: what they find, what they add up, and whose they show."""

from __future__ import annotations

from typing import Any

import pytest

from hub import memory
from hub.accounts import keys, turns
from hub.accounts.turns import TurnRecord
from hub.errors import RequestError
from hub.memory import Heard, Said
from hub.message import Address, File
from hub.model import Usage
from hub.records import listed, search
from hub.records.search import Sought
from hub.store import Store, listing
from hub.store.listing import Part

ALL = Part(limit=50)
ANN, BOB = 1, 2


async def spoken(
    store: Store, id: str, where: str, text: str = "hi", *, at: float = 100.0, person: str | None = None, **how: Any
) -> int:
    """A turn that was answered in the session of an address; returns the session."""
    address = Address.parse(where)
    agent = how.pop("agent", "bot")
    private = person or (None if address.channel != "api" else address.chat)

    def unit(connection: Any) -> int:
        session = memory.opened(connection, agent, address, at, private)
        heard = Heard(text=text, files=how.pop("files", ()), sender=how.pop("sender", None))
        memory.append(connection, session, id, 0, [heard, Said(text=f"re {text}")], at)
        key = int(address.chat_id) if address.channel == "api" else None
        record = TurnRecord(
            id=id,
            address=where,
            agent=agent,
            session=session,
            session_id=address.thread_id,
            status=how.pop("status", "completed"),
            key_id=how.pop("key_id", key),
            usage=Usage(prompt=3, completion=4),
            fee=5,
            created_at=at,
            response=f"re {text}",
        )
        turns.save(connection, record, charged=True)
        return session

    return await store.write(unit)


async def sessions_of(store: Store, own: list[int] | None = None, **sought: Any) -> list[int]:
    page = await store.read(lambda c: listed.list_sessions(c, Sought(**sought), own, ALL))
    assert page.total == len(page.items)
    return [one.session.id for one in page.items]


async def turns_of(store: Store, own: list[int] | None = None, **sought: Any) -> list[str]:
    page = await store.read(lambda c: listed.list_turns(c, Sought(**sought), own, ALL))
    assert page.total == len(page.items)
    return [one.record.id for one in page.items]


async def test_sessions_say_what_their_turns_used(store: Store) -> None:
    ann = await store.write(lambda c: keys.create(c, None, name="ann", now=0.0))
    session = await spoken(store, "t1", f"api:{ann.id}:work", at=100.0)
    assert await spoken(store, "t2", f"api:{ann.id}:work", at=200.0) == session
    chat = await spoken(store, "t3", "support:7", person="support:7")
    page = await store.read(lambda c: listed.list_sessions(c, Sought(), None, ALL))
    first, second = page.items
    assert (first.session.id, first.key_id, first.person, first.turns) == (chat, None, "support:7", 1)
    assert (second.key_id, second.key_name, second.session.session_id) == (ann.id, "ann", "work")
    assert (second.turns, second.prompt, second.completion, second.fee) == (2, 6, 8, 10)
    assert (second.session.started_at, second.session.updated_at) == (100.0, 200.0)


async def test_sessions_are_found_by_what_was_said_and_by_their_names(store: Store) -> None:
    tea = await spoken(store, "t1", "api:1:work", "the green teapot leaks")
    cup = await spoken(store, "t2", "api:2:home", "a green cup", agent="other")
    chat = await spoken(store, "t3", "support:7", "绿茶很好喝")
    assert await sessions_of(store, text="green") == [cup, tea]
    assert await sessions_of(store, text="LEAKS green") == [tea]
    assert await sessions_of(store, text="tea") == [tea]  # it begins a word
    assert await sessions_of(store, text="leaks cup") == []
    assert await sessions_of(store, text="绿茶") == [chat]
    assert await sessions_of(store, text="home") == [cup]
    assert await sessions_of(store, text=str(chat)) == [chat]
    assert await sessions_of(store, text="%") == []
    assert await sessions_of(store, [ANN], text="green") == [tea]
    assert await sessions_of(store, [ANN], text="cup") == []
    assert await sessions_of(store, [ANN], text="home") == []
    assert await sessions_of(store, [ANN, BOB], text="green") == [cup, tea]
    assert await sessions_of(store, key_id=BOB, text="green") == [cup]
    assert await turns_of(store, text="green") == ["t2", "t1"]
    assert await turns_of(store, text="t3") == ["t3"]
    assert await turns_of(store, [ANN], text="t2") == []
    assert await turns_of(store, [BOB], text="green") == ["t2"]


async def test_what_is_listed_fits_every_filter(store: Store) -> None:
    old = await spoken(store, "t1", "api:1:old", at=100.0)
    new = await spoken(store, "t2", "api:1:new", at=300.0, status="failed", agent="other")
    alone = await spoken(store, "t3", "support:7", at=200.0, person="support:7")
    group = await spoken(store, "t4", "support:-9", at=400.0, sender="support:7")
    assert await sessions_of(store) == [group, alone, new, old]
    assert await turns_of(store) == ["t4", "t2", "t3", "t1"]
    filters: list[tuple[dict[str, Any], list[int], list[str]]] = [
        ({"since": 300.0}, [group, new], ["t4", "t2"]),
        ({"until": 300.0}, [alone, old], ["t3", "t1"]),
        ({"since": 101.0, "until": 400.0}, [alone, new], ["t2", "t3"]),
        ({"channel": "support"}, [group, alone], ["t4", "t3"]),
        ({"agent": "other"}, [new], ["t2"]),
        ({"key_id": 1}, [new, old], ["t2", "t1"]),
        ({"person": "support:7"}, [group, alone], ["t4", "t3"]),
        ({"person": "api:1"}, [new, old], ["t2", "t1"]),
        ({"person": "support:8"}, [], []),
        ({"person": "api:99999999999999999999"}, [], []),
        ({"status": "failed"}, [new], ["t2"]),
        ({"status": "completed", "channel": "api"}, [old], ["t1"]),
        ({"session": "old"}, [old], ["t1"]),
        ({"session": str(alone)}, [alone], ["t3"]),
        ({"session": "nowhere"}, [], []),
    ]
    for sought, wanted, asked in filters:
        assert await sessions_of(store, **sought) == wanted, sought
        assert await turns_of(store, **sought) == asked, sought
    with pytest.raises(RequestError, match="nobody"):
        await sessions_of(store, person="nobody")


async def test_own_records_are_those_of_ones_keys_and_of_chats_only_with_a_grant(store: Store) -> None:
    mine = await spoken(store, "t1", "api:1:s")
    theirs = await spoken(store, "t2", "api:2:s", at=101.0)
    await spoken(store, "t3", "support:7", at=102.0, key_id=ANN)  # in a chat that the key is not granted any more
    assert await sessions_of(store, [ANN]) == [mine]
    assert await sessions_of(store, [ANN, BOB]) == [theirs, mine]
    assert await turns_of(store, [ANN]) == ["t1"]
    assert await turns_of(store, [ANN], key_id=BOB) == []
    assert await turns_of(store, [ANN], session=str(theirs)) == []
    assert await store.read(lambda c: listed.find_session(c, theirs, [ANN])) is None
    for turn in ("t2", "t3"):
        assert await store.read(lambda c, turn=turn: listed.find_turn(c, turn, [ANN])) is None


async def test_rooms_of_ones_own_are_of_ones_key_and_nobody_elses(store: Store) -> None:
    ann = await store.write(lambda c: keys.create(c, None, name="ann", now=0.0))
    made = await store.write(lambda c: keys.create(c, None, name="laptop", now=0.0, owner_id=ann.id))
    bob = await store.write(lambda c: keys.create(c, None, name="bob", now=0.0))
    room, other = f"web:own.{ann.id}.bot.a", f"web:own.{ann.id}.bot.b"
    mine = await spoken(store, "t1", room, "the teapot", person=f"web:{ann.id}", key_id=ann.id)
    its = await spoken(store, "t2", other, "a teapot", at=101.0, person=f"web:{made.id}", key_id=made.id)
    theirs = await spoken(store, "t3", f"web:own.{bob.id}.bot.a", "my teapot", at=102.0, person=f"web:{bob.id}")
    await spoken(store, "t4", room, "as Bob", at=103.0, key_id=bob.id)  # where Bob is not granted it any more
    await spoken(store, "t5", f"web:{ann.id}", "all read this", at=104.0, key_id=ann.id)  # a room that is called so
    chat = await spoken(store, "t6", f"web:{ann.id}", at=105.0, agent="tg", person=f"web:{ann.id}")  # no web room
    assert await sessions_of(store, [ann.id, made.id]) == [its, mine]
    assert await sessions_of(store, [made.id]) == [its]
    assert await sessions_of(store, [bob.id]) == [theirs]
    assert await sessions_of(store, [ann.id, made.id], text="teapot") == [its, mine]
    assert await sessions_of(store, [ann.id, made.id], session=str(theirs)) == []
    assert await turns_of(store, [ann.id, made.id]) == ["t2", "t1"]
    assert await turns_of(store, [ann.id, made.id], text="teapot") == ["t2", "t1"]
    assert await turns_of(store, [ann.id, made.id], session=str(mine)) == ["t1"]
    assert await turns_of(store, [made.id]) == ["t2"]
    assert await turns_of(store, [bob.id]) == []
    assert await sessions_of(store, key_id=ann.id) == [mine]
    assert await sessions_of(store, person=f"api:{ann.id}") == [mine]
    assert await sessions_of(store, key_id=ann.id, text="teapot") == [mine]
    assert await turns_of(store, key_id=ann.id, text="teapot") == ["t1"]
    for session in (theirs, chat):
        assert await store.read(lambda c, session=session: listed.find_session(c, session, [ann.id, made.id])) is None
    one = await store.read(lambda c: listed.find_session(c, its, None))
    assert one is not None
    assert (one.person, one.key_id, one.key_name) == (f"web:{made.id}", ann.id, "ann")


async def test_a_room_of_a_key_that_there_cannot_be_is_listed_too(store: Store) -> None:
    await spoken(store, "t1", f"web:own.{'9' * 18}.bot.a", person=f"web:{'9' * 18}")
    [one] = (await store.read(lambda c: listed.list_sessions(c, Sought(), None, ALL))).items
    assert (one.key_id, one.key_name) == (int("9" * 18), None)


async def test_words_are_looked_for_in_the_newest_rooms_of_ones_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ROOMS", 1)
    rooms = [await spoken(store, f"t{n}", f"web:own.{ANN}.bot.{n}", "tea", person=f"web:{ANN}") for n in range(2)]
    work = await spoken(store, "t2", f"api:{ANN}:work", "tea")
    assert await sessions_of(store, [ANN], text="tea") == [work, rooms[1]]


async def test_pages_of_turns_go_on_behind_a_time_and_an_id(store: Store) -> None:
    for turn, at in (("b", 100.0), ("a", 100.0), ("c", 100.25), ("d", 50.0)):
        await spoken(store, turn, "api:1:s", at=at)
    found, after = list[str](), tuple[Any, ...]()
    while True:
        page = await store.read(
            lambda c, after=after: listed.list_turns(c, Sought(), [ANN], Part(limit=1, after=after))
        )
        found += [one.record.id for one in page.items]
        if page.next is None:
            break
        after = page.next
    assert found == ["c", "b", "a", "d"]


async def test_a_transcript_has_each_entry_with_its_turn(store: Store) -> None:
    photo = File(ref="0" * 64, name="cup.png", media_type="image/png", size=7)
    session = await spoken(store, "t1", "api:1:s", "look", files=(photo,))
    page = await store.read(lambda c: listed.transcript(c, session, Part(limit=1)))
    [line] = page.items
    assert line.turn
    assert (line.turn.prompt, line.turn.files, line.turn.record.usage.prompt) == ("look", (photo,), 3)
    rest = await store.read(lambda c: listed.transcript(c, session, Part(limit=5, after=page.next or ())))
    assert [type(one.written.entry) for one in rest.items] == [Said]
    assert [type(one.entry) for one in await store.read(lambda c: listed.steps(c, "t1"))] == [Heard, Said]


async def test_who_spoke_in_a_room_is_called_as_they_were_said_to_be_or_as_their_key(store: Store) -> None:
    ann = await store.write(lambda c: keys.create(c, None, name="ann", now=0.0))
    room = "web:ops"
    senders = [f"web:{ann.id}", f"web:{ann.id}/Ada", "web:99", f"web:{'9' * 18}", f"web:{'9' * 30}", "support:7", None]
    session = 0
    for number, sender in enumerate(senders):
        session = await spoken(store, f"t{number}", room, sender=sender)
    lines = (await store.read(lambda c: listed.transcript(c, session, ALL))).items
    assert await store.read(lambda c: listed.speakers(c, lines)) == {
        f"web:{ann.id}": "ann",
        f"web:{ann.id}/Ada": "Ada",
        "web:99": "99",
        f"web:{'9' * 18}": "9" * 18,
        f"web:{'9' * 30}": "9" * 30,
    }


async def test_a_search_looks_at_the_newest_texts_and_a_list_is_not_counted_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FOUND", 2)
    monkeypatch.setattr(listing, "COUNTED", 2)
    for number in range(3):
        await spoken(store, f"t{number}", f"api:1:s{number}", "tea", at=100.0 + number)
    page = await store.read(lambda c: listed.list_turns(c, Sought(text="tea"), None, ALL))
    assert [one.record.id for one in page.items] == ["t2"]  # both of its texts have the word
    page = await store.read(lambda c: listed.list_turns(c, Sought(), None, ALL))
    assert (len(page.items), page.total) == (3, 2)


async def test_sqlite_looks_for_a_word_that_is_everywhere_as_it_stands(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FOUND", 2)
    tea = await spoken(store, "t1", "api:1:work", "tea")
    longer = await spoken(store, "t2", "api:2:home", "teapot")
    is_sqlite = await store.read(lambda c: c.dialect.name == "sqlite")
    assert await sessions_of(store, text="tea") == [tea if is_sqlite else longer]
    assert await sessions_of(store, text="teap") == [longer]
    assert await sessions_of(store, [ANN], text="tea") == [tea]


async def test_a_key_sees_what_the_keys_it_made_asked(store: Store) -> None:
    ann = await store.write(lambda c: keys.create(c, None, name="ann", now=0.0))
    made = await store.write(lambda c: keys.create(c, None, name="laptop", now=0.0, owner_id=ann.id))
    assert list(await store.read(lambda c: listed.owned(c, ann.id))) == [ann.id, made.id]
    assert list(await store.read(lambda c: listed.owned(c, made.id))) == [made.id]
