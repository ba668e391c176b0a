"""A database of an older version keeps what is in it, and finds it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, text

from hub import memory
from hub.errors import StoreUnavailable
from hub.memory import Heard, Said
from hub.message import Address, Message
from hub.store import migrate, open_store
from hub.store.tables import sessions
from tests.hub.engine import FailingStore, message
from tests.hub.revisions import bring

TEXTS = {
    "support:42": "the teapot is green",
    "support:42:7": "小明的茶壶是蓝色的",
    "support:-1": "a group has a teapot too",
    "api:3:my:session": "a teapot over HTTP",
}


async def test_all_revisions_are_one_transaction(store_url: str) -> None:
    store = FailingStore(await open_store(store_url))
    store.break_commit = lambda: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await migrate.migrate(store)
    assert await store.read(migrate.revision) is None
    await migrate.migrate(store)
    assert await store.read(migrate.revision) == migrate.HEAD
    await store.close()


def fill(connection: Connection) -> None:
    """Rows as the first version wrote them."""
    said: list[Message] = [
        message("support:42", address=Address("support", "42")),
        message("support:-1", address=Address("support", "-1"), direct=False),
    ]
    for seq, body in enumerate([*map(msgspec.json.encode, said), b"not JSON"]):
        row = {"lane_id": 1, "seq": seq, "inbox": "agent:bot", "mid": str(seq), "body": body, "at": 0.0, "attempts": 0}
        columns = ", ".join(row)
        connection.execute(
            text(f"INSERT INTO messages ({columns}) VALUES ({', '.join(f':{name}' for name in row)})"), row
        )
    for number, (address, words) in enumerate(TEXTS.items(), 1):
        begun: dict[str, Any] = {"id": number, "agent": "bot", "address": address}
        connection.execute(text("INSERT INTO sessions VALUES (:id, :agent, :address, 0.0)"), begun)
        for ordinal, entry in enumerate([Heard(text=words), Said(text=""), Said(text="Yes.")]):
            row = {"session": number, "turn": address, "ordinal": ordinal, "body": msgspec.json.encode(entry)}
            insertion = "INSERT INTO entries (session, turn, ordinal, body, at) VALUES "
            connection.execute(text(f"{insertion}(:session, :turn, :ordinal, :body, 0.0)"), row)


async def test_what_was_said_before_there_was_a_search_is_found(store_url: str) -> None:
    store = await open_store(store_url)
    await bring(store, "0001")
    await store.write(fill)
    await migrate.migrate(store)

    async def found(address: Address, query: str) -> list[str]:
        return [one.text for one in await store.read(lambda c: memory.recall(c, "bot", address, query, without=""))]

    for chat in (Address("support", "42"), Address("support", "42", "7")):
        assert await found(chat, "teapot") == [TEXTS["support:42"]]
        assert await found(chat, "茶壶") == [TEXTS["support:42:7"]]
    assert await found(Address("support", "-1"), "teapot") == [TEXTS["support:-1"]]
    assert await found(Address("api", "3", "other"), "teapot") == [TEXTS["api:3:my:session"]]
    assert await found(Address("api", "1"), "teapot") == []
    rows = await store.read(lambda c: c.execute(select(sessions.c.address, sessions.c.person)).all())
    persons = {row.address: row.person for row in rows if row.person is not None}
    assert persons == {"support:42": "support:ann", "api:3:my:session": "api:3"}
    await store.close()


async def test_what_is_said_afterwards_is_in_the_same_place(store_url: str) -> None:
    store = await open_store(store_url)
    await bring(store, "0001")
    await store.write(fill)
    await migrate.migrate(store)
    chat = Address("support", "42")

    def say(connection: Connection) -> None:
        session = memory.new_session(connection, "bot", chat, 0.0)
        memory.append(connection, session, "new", 0, [Heard(text="which teapot?")], 0.0)

    if store_url.startswith("postgresql"):  # the rows above came with ids of their own
        await store.write(lambda c: c.execute(text("SELECT setval('sessions_id_seq', 100)")))
    await store.write(say)
    hits = await store.read(lambda c: memory.recall(c, "bot", chat, "teapot", without=""))
    assert [one.text for one in hits] == ["which teapot?", TEXTS["support:42"]]
    await store.close()
