"""What was said in a past of `bench/history.py`: entries and their words, messages, deliveries, rooms, and the rest.

`fill(store, history, now)` writes it into a store that has its sessions and turns, and counts them. Two entries a turn,
and a tool's step in every fourth; a message for an agent a turn, and a delivery for each answer in a chat. The bus
keeps settled messages for two days, so all of them came within the last one, whenever their turns were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
from sqlalchemy import select, update

from bench.history import (
    ADDRESS,
    AGENT,
    API,
    CHANNEL,
    CHAT,
    DAY,
    GROUP,
    PLACE,
    TURNS,
    History,
    Tell,
    settle,
    unheard,
    write,
)
from hub.memory import Heard, Said, Stepped
from hub.message import Address, Author, Delivery, Message, Text
from hub.model import ToolCall, Usage
from hub.records import rollup
from hub.store import Connection, Store
from hub.store.tables import lanes, messages
from hub.store.tables.memory import WORDS

COUNTED = 20_000
"""Turns, or messages, that are counted in a unit here: nobody else waits."""
GROUPS, PAYMENTS, CHANGES, JOBS = 20, 500, 20_000, 200
HERE = {
    "i": "i",
    "town": "i % 5003 * 31 % 5003",
    "river": "i % 997",
    "channel": CHANNEL,
    "chat": CHAT,
    "agent": AGENT,
}
"""What stands for values of the row in a text: `@town@`."""
ASKED = "Please tell the weather of town@town@ by river@river@ for request@i@"
ANSWERED = "The weather of town@town@ is grey, and the answer to request@i@ is a little longer than what was asked."
CALL = ToolCall(id="call1", name="weather", arguments='{"town": "town@town@"}')
TO = Address("@channel@", "@chat@")
PERSON, THE_AGENT = Author(id="p1", name="Somebody"), Author(id="@agent@", name="@agent@", kind="agent")
HEARD = Message(id="turn@i@", address=TO, author=PERSON, parts=(Text(text=ASKED),), at=0.0)
DELIVERY = Delivery(id="turn@i@.reply", address=TO, parts=(Text(text=ANSWERED),), author=THE_AGENT)
SETTLED = f"{{now}} - {DAY} * (1.0 - (i + 1) / {{turns}}.0)"
FAILED, UNDELIVERED = "i % 50 = 7", "i % 500 = 3"
LATE = 900
"""Of the first sessions, those with `bot1` wait for a delivery."""
SESSIONS, LATEST = "SELECT i AS s FROM n", "SELECT i AS s, i FROM n"
CHATS, IN_ROOMS, WITH_BOT = f"NOT ({API})", f"({CHANNEL}) = 'web'", f"({CHANNEL}) = 'bot1'"
SENT = "sent:web:turn@i@.reply.0"
AGENTS_LANE, CHATS_LANE = "s + 1", "{sessions} + s + 1"


def text(said: str) -> str:
    """A text, in which `@town@` stands for a value of the row, as an expression of SQL."""
    said = said.replace("'", "''").replace("{", "{{").replace("}", "}}")
    for name, value in HERE.items():
        said = said.replace(f"@{name}@", f"' || ({value}) || '")
    return f"'{said}'"


def body(value: Any) -> str:
    """What is stored of a value, the same way."""
    return f"{{bytes}}{text(msgspec.json.encode(value).decode())}{{end}}"


def entry(ordinal: int, value: Heard | Stepped | Said) -> dict[str, str]:
    """The row of an entry; its id is three times the number of its turn, and something."""
    return {
        "id": f"3 * i + {ordinal + 1}",
        "session": "s + 1",
        "turn": "'turn' || i",
        "ordinal": str(ordinal),
        "body": body(value),
        "at": "at",
        "author": f"CASE WHEN {GROUP} AND {ordinal} = 0 THEN {CHANNEL} || ':p' || (i % 20000) END",
    }


def words(ordinal: int, said: str, dialect: str) -> dict[str, str]:
    """Those of an entry as hub/store/search.py writes them: each with its place, and without."""
    found = dict.fromkeys(said.lower().replace(",", "").replace(".", "").split())
    bare = text(" ".join(f"§{word}" for word in found))
    both = f"replace({bare}, '§', ({PLACE}) || '§') || ' ' || {bare}"
    key, made = ("entry", f"CAST({both} AS tsvector)") if dialect == "postgresql" else ("rowid", both)
    return {key: f"3 * i + {ordinal + 1}", "words": made}


def message(mid: str, inbox: str, lane: str, carried: Message | Delivery, dead: str, outcome: str) -> dict[str, str]:
    """The row of a settled message."""
    return {
        "lane_id": lane,
        "seq": "i + 1",
        "inbox": inbox,
        "mid": mid,
        "body": body(carried),
        "at": f"{SETTLED} - 5.0",
        "attempts": f"CASE WHEN {dead} THEN 5 ELSE 1 END",
        "error": f"CASE WHEN {dead} THEN 'The other side did not answer in time.' END",
        "outcome": f"CASE WHEN {dead} THEN 'dead' ELSE '{outcome}' END",
        "reason": f"CASE WHEN {dead} THEN 'failed' END",
        "settled_at": SETTLED,
        "claimed_at": f"{SETTLED} - 4.0",
    }


def idle(number: str, inbox: str) -> dict[str, str]:
    """The row of a lane where nothing waits."""
    counts = dict.fromkeys(("tail", "head", "taken"), "{turns}") | dict.fromkeys(("stop", "tries"), "0")
    return {"id": number, "inbox": inbox, "lane": ADDRESS, "leased": "FALSE", "token": "1", **counts}


def post(number: str, key: str, author: Author, said: str) -> dict[str, str]:
    """The row of a message in a web room."""
    spoken = body({"author": author, "parts": (Text(text=said),)})
    return {"id": number, "key": text(key), "channel": "'web'", "chat_id": CHAT, "body": spoken, "at": "at"}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table: one, for each of `count` numbers that fits."""

    table: str
    row: dict[str, str]
    count: int
    numbers: str = TURNS

    def only(self, which: str) -> Rows:
        """Those that fit."""
        return replace(self, numbers=f"SELECT * FROM ({self.numbers}) AS each_ WHERE {which}")


def remembered(history: History, dialect: str) -> Iterator[Rows]:
    """What agents remember."""
    conversation = {"agent": AGENT, "address": ADDRESS, "session": "s + 1"}
    place = {"id": PLACE, "agent": AGENT, "chat": f"{CHANNEL} || ':' || {CHAT}"}
    yield Rows(table="conversations", row=conversation, count=history.sessions, numbers=SESSIONS)
    yield Rows(table="places", row=place, count=history.sessions, numbers=SESSIONS).only(f"NOT ({API})")
    programs = min(4 * history.keys, history.sessions)
    yield Rows(table="places", row=place, count=programs, numbers=SESSIONS).only(API)
    step = Stepped(calls=(CALL,), results=('{"sky": "grey"}',), took=(0.2,), model="model1")
    said = Said(text=ANSWERED, usage=Usage(prompt=600, completion=90), model="model1")
    yield Rows(table="entries", row=entry(0, Heard(text=ASKED)), count=history.turns)
    yield Rows(table="entries", row=entry(1, step), count=history.turns).only("i % 4 = 0")
    yield Rows(table="entries", row=entry(2, said), count=history.turns)
    yield Rows(table="entry_words", row=words(0, ASKED, dialect), count=history.turns)
    yield Rows(table="entry_words", row=words(2, ANSWERED, dialect), count=history.turns)


def carried(history: History) -> Iterator[Rows]:
    """What the bus and the rooms had to do with it."""
    agent, channel, reply = f"'agent:' || {AGENT}", f"'channel:' || {CHANNEL}", "'turn' || i || '.reply'"
    to_chat = message(reply, channel, CHATS_LANE, DELIVERY, UNDELIVERED, "delivered")
    late = to_chat | dict.fromkeys(("error", "outcome", "reason", "settled_at", "claimed_at"), "NULL")
    late |= {"seq": "{turns} + 1", "mid": "'late' || s", "attempts": "0", "at": "{now} - 60.0"}
    receipt = {"delivery": reply, "part": "0", "platform_id": "'p' || i", "at": SETTLED, "final": "TRUE"}
    asked, answer = post("2 * i + 1", "said:turn@i@", PERSON, ASKED), post("2 * i + 2", SENT, THE_AGENT, ANSWERED)
    yield Rows(table="lanes", row=idle(AGENTS_LANE, agent), count=history.sessions, numbers=SESSIONS)
    yield Rows(table="lanes", row=idle(CHATS_LANE, channel), count=history.sessions, numbers=SESSIONS).only(CHATS)
    to_agent = message("'turn' || i", agent, AGENTS_LANE, HEARD, FAILED, "answered")
    yield Rows(table="messages", row=to_agent, count=history.turns)
    yield Rows(table="messages", row=to_chat, count=history.turns).only(CHATS)
    yield Rows(table="messages", row=late, count=min(LATE, history.sessions), numbers=LATEST).only(WITH_BOT)
    yield Rows(table="receipts", row=receipt, count=history.turns).only(CHATS)
    yield Rows(table="posts", row=asked, count=history.turns).only(IN_ROOMS)
    yield Rows(table="posts", row=answer, count=history.turns).only(IN_ROOMS)


def administered(history: History) -> Iterator[Rows]:
    """What admins did."""
    number = "SELECT i FROM n"
    payment = {"key_id": "i % {keys} + 1", "key_name": "'key ' || (i % {keys} + 1)", "amount": "1000", "by": "'admin'"}
    payment |= {"balance": "1000 * i", "at": "{now} - 600.0 * i"}
    change = {"at": f"{{now}} - 600.0 * ({CHANGES} - i)", "by": "'admin'", "ip": "'127.0.0.1'"}
    change |= {"what": "CASE WHEN i % 3 = 0 THEN 'key.update' ELSE 'agent.update' END", "target": "'key:' || (i % 50)"}
    change |= {"before": body({"name": "before"}), "after": body({"name": "after"})}
    group = {"name": "'group ' || i", "created_at": "{now}"}
    job = {
        "kind": "'export'",
        "arguments": body({"what": "turns"}),
        "by": "'admin'",
        "state": "'done'",
        "step": "'rows'",
    }
    job |= {"done": "100", "of": "100", "tries": "0"} | dict.fromkeys(("created_at", "finished_at"), "{now} - 60.0 * i")
    off = {"kind": "telegram", "enabled": False, "token": "123456:none", "agent": "agent0"}
    saved = {"kind": "'channel'", "name": "'bot1'", "settings": body(off)}
    saved |= dict.fromkeys(("created_at", "updated_at"), "{now}")
    yield Rows(table="definitions", row=saved, count=1, numbers=number)
    yield Rows(table="jobs", row=job, count=JOBS, numbers=number)
    yield Rows(table="groups", row=group, count=min(GROUPS, history.keys), numbers=number)
    yield Rows(table="payments", row=payment, count=min(PAYMENTS, history.turns), numbers=number)
    yield Rows(table="audit", row=change, count=min(CHANGES, history.turns), numbers=number)


async def fill(store: Store, history: History, now: float, tell: Tell = unheard) -> None:
    """Write all of it, and count it for the statistics."""
    dialect = await store.write(prepare)
    for each in (*remembered(history, dialect), *carried(history), *administered(history)):
        await write(store, each.table, each.row, each.count, each.numbers, history, now, tell)
    await store.write(wait)
    await store.write(finish)
    with patch.object(rollup, "BATCH", COUNTED):
        for count, of in ((rollup.count_turns, history.turns), (rollup.count_messages, history.turns * 7 // 4)):
            done, more = 0, True
            while more:
                more = await store.write(partial(count, now=now))
                done = min(done + COUNTED, of)
                tell("statistics", done, of)


def prepare(connection: Connection) -> str:
    """A unit: make room for writing fast; returns the name of the engine."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP INDEX ix_entry_words_words")
    else:
        connection.exec_driver_sql("PRAGMA cache_size = -500000")
    return connection.dialect.name


def wait(connection: Connection) -> None:
    """A unit: have the lanes ready that have something waiting."""
    mine = lanes.c.id.in_(select(messages.c.lane_id).where(messages.c.outcome.is_(None)))
    connection.execute(update(lanes).where(mine).values(tail=lanes.c.tail + 1, ready_at=0.0))


def finish(connection: Connection) -> None:
    """A unit: index what was not indexed on the way."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(WORDS["postgresql"][1])
    settle(connection)
