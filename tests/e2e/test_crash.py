"""`kill -9` at random points while messages are in flight: nothing is lost, nothing is out of order.

Telegram has no dedupe key: a kill between its answer and our record sends a part again. Those are counted, and there
can be at most one a kill and chat in the middle of a send.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from sqlalchemy import Connection, func, select

from hub.bus import Bus
from hub.signals.local import LocalSignals
from hub.store import open_store
from hub.store.tables import lanes, messages, turns
from tests.e2e.hub import HubProcess, demo_config, telegram_channel
from tests.platforms.telegram import TelegramServer

KILLS = 20
CHATS = range(1001, 1007)
SESSIONS = 8
ASKED_A_KILL = 4
SLOWLY = "slowly 0.5 "


@dataclass
class Traffic:
    """What people and programs said, in order, and what programs were answered."""

    hub: HubProcess
    telegram: TelegramServer
    client: AsyncOpenAI
    said: dict[int, list[str]] = field(default_factory=lambda: {chat: [] for chat in CHATS})
    asked: dict[str, list[str]] = field(default_factory=lambda: {f"s{n}": [] for n in range(SESSIONS)})
    answers: dict[str, str] = field(default_factory=dict[str, str])

    def people(self, chooser: random.Random) -> None:
        """Everybody says something."""
        for chat, said in self.said.items():
            text = f"{'' if chooser.random() < 0.5 else SLOWLY}m{chat}.{len(said)}"
            said.append(text)
            self.telegram.say(text, chat=chat, user=chat)

    async def program(self, session: str, go: asyncio.Semaphore) -> None:
        """A program asks one thing after another in its session; the SDK repeats what fails."""
        for number in range(KILLS * ASKED_A_KILL // SESSIONS):
            await go.acquire()
            text = f"{SLOWLY}{session} asks {number}"
            self.asked[session].append(text)
            answer = await self.client.chat.completions.create(
                model="assistant", messages=[{"role": "user", "content": text}], extra_body={"session_id": session}
            )
            self.answers[text] = answer.choices[0].message.content or ""

    @property
    def in_flight(self) -> int:
        """How much was said and is not answered yet."""
        chats = sum(len(said) - len(set(texts(self, chat))) for chat, said in self.said.items())
        return chats + sum(map(len, self.asked.values())) - len(self.answers)


@pytest.fixture
async def traffic(tmp_path: Path) -> AsyncIterator[Traffic]:
    async with TelegramServer() as telegram:
        config = demo_config()
        # By default a message that was in work at five kills is given up as one that kills the hub.
        config["bus"]["tries"] = KILLS + 1
        config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
        async with (
            HubProcess(tmp_path, config) as hub,
            AsyncOpenAI(base_url=f"{hub.url}/v1", api_key=hub.key, max_retries=30, timeout=60) as client,
        ):
            yield Traffic(hub=hub, telegram=telegram, client=client)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_twenty_kills_lose_nothing_and_keep_every_order(traffic: Traffic) -> None:
    chooser = random.Random(20)
    go = asyncio.Semaphore(0)
    programs = [asyncio.create_task(traffic.program(session, go)) for session in traffic.asked]
    in_flight: list[int] = []
    for _ in range(KILLS):
        await listening(traffic)
        traffic.people(chooser)
        for _ in range(ASKED_A_KILL):
            go.release()
        await asyncio.sleep(chooser.uniform(0.0, 0.6))  # the random point of the kill
        in_flight.append(traffic.in_flight)
        await traffic.hub.kill()
        await traffic.hub.start()
    async with asyncio.timeout(180):
        await asyncio.gather(*programs)
    for chat, said in traffic.said.items():
        await traffic.telegram.wait_for(lambda c=chat, s=said: set(map(answer_to, s)) <= set(texts(traffic, c)), 60)
    check_programs(traffic)
    repeated = sum(check_chat(traffic, chat, said) for chat, said in traffic.said.items())
    assert repeated <= KILLS, f"{repeated} replies came twice in {KILLS} kills"
    assert sum(map(bool, in_flight)) > KILLS * 0.7, f"kills that hit nothing: {in_flight}"
    await check_store(traffic)
    logging.getLogger(__name__).warning(
        "%d kills, %s messages in flight at each; %d replies came twice", KILLS, in_flight, repeated
    )


async def listening(traffic: Traffic) -> None:
    """Wait until the bot polls again."""
    polls = len(traffic.telegram.called("getUpdates"))
    await traffic.telegram.wait_for(lambda: len(traffic.telegram.called("getUpdates")) > polls)


def texts(traffic: Traffic, chat: int) -> list[str]:
    return [message["text"] for message in traffic.telegram.sent(chat)]


def answer_to(said: str) -> str:
    return said.removeprefix(SLOWLY) if said.startswith(SLOWLY) else f"You said: {said}"


def check_chat(traffic: Traffic, chat: int, said: list[str]) -> int:
    """Every message has its answer, in order; returns how many came again."""
    replies = texts(traffic, chat)
    once = list(dict.fromkeys(replies))
    assert once == [answer_to(text) for text in said], f"chat {chat}"
    again = Counter(replies)
    assert max(again.values(), default=1) <= 2
    return len(replies) - len(once)


def check_programs(traffic: Traffic) -> None:
    for asked in traffic.asked.values():
        for text in asked:
            assert traffic.answers[text] == answer_to(text)


async def check_store(traffic: Traffic) -> None:
    """No turn was doubled, every history is in order, and every message has exactly one outcome."""
    for session, asked in traffic.asked.items():
        answer = await traffic.client.chat.completions.create(
            model="assistant",
            messages=[{"role": "user", "content": "what did I say"}],
            extra_body={"session_id": session},
        )
        assert answer.choices[0].message.content == "\n".join(f"- {text}" for text in [*asked, "what did I say"])
    assert await traffic.hub.stop() == 0
    store = await open_store(traffic.hub.store_url)
    try:
        numbers = await store.read(count)
        residue = await Bus(store, LocalSignals(), lambda: 0.0).residue(0.0)
    finally:
        await store.close()
    asked = sum(map(len, traffic.asked.values())) + SESSIONS
    said = sum(map(len, traffic.said.values()))
    assert numbers == {"waiting": 0, "dead": 0, "http turns": asked, "chat turns": said}
    assert residue == 0


def count(connection: Connection) -> dict[str, Any]:
    waiting = select(func.sum(lanes.c.tail - lanes.c.head)).where(lanes.c.inbox != "run")
    dead = select(func.count()).where(messages.c.outcome == "dead")
    http = select(func.count()).where(turns.c.key_id.is_not(None))
    chat = select(func.count()).where(turns.c.key_id.is_(None))
    names = ("waiting", "dead", "http turns", "chat turns")
    return {
        name: connection.execute(query).scalar() or 0
        for name, query in zip(names, (waiting, dead, http, chat), strict=True)
    }
