"""Web rooms: whose they are, and following what happens in one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Self

import msgspec

from api import current, names
from api.ports import Hub, Named
from hub.accounts.keys import Key
from hub.accounts.turns import Sign
from hub.errors import NotFound
from hub.message import Address, Own, own
from hub.records.rooms import Post, StoredRooms, topic
from hub.signals import POLL, Listener

PAGE = 50
"""Messages read at once for a reader."""
BACKLOG = 256
"""Signs of life kept for a reader that is slow; older ones are lost, messages are not."""
JOINED = 8_000
"""Characters of an answer that wait as one sign of life."""


def stored(hub: Hub) -> StoredRooms:
    """The rooms of a hub."""
    return StoredRooms(hub.store, hub.signals, hub.clock)


def check(key: Key, room: str) -> Own | None:
    """Whose own room it is, None for everybody's; raises NotFound for one that is neither the key's nor an admin's."""
    whose = own(room)
    if whose is not None and whose.key != key.payer and key.role != "admin":
        raise NotFound(f"There is no room '{room}'.", code="unknown_room")
    return whose


async def partner(room: str) -> Named | None:
    """The agent to whom an own room belongs, None for everybody's; raises NotFound where the key may not use it."""
    whose = check(current.key(), room)
    if whose is None:
        return None
    return await names.agent(whose.agent)


async def follow(hub: Hub, room: Address, after: int | None, silence: float) -> AsyncGenerator[list[Post | Sign]]:
    """What happens in a room from now on, or after a post; an empty list at first, and after each silence (seconds).

    Messages come from the store, so a lost signal only delays them; of the signs of life of a turn some may be lost.
    """
    rooms, loop = stored(hub), asyncio.get_running_loop()
    with _Ears(hub, room) as ears:
        seen = await rooms.newest(room.channel, room.chat_id) if after is None else after
        yield []
        spoke = looked = loop.time()
        ears.news = True
        while True:
            found: list[Post | Sign] = [*ears.take()]
            if ears.news or loop.time() - looked >= POLL:
                ears.news, looked = False, loop.time()
                posts = await rooms.read(room.channel, room.chat_id, seen, PAGE)
                ears.news = ears.news or len(posts) == PAGE
                seen = posts[-1].id if posts else seen
                found += posts
            if found or loop.time() - spoke >= silence:
                spoke = loop.time()
                yield found
            await ears.wait(min(POLL, silence))


class _Ears:
    """What a reader has not looked at: whether its room has news, and the newest signs of life."""

    def __init__(self, hub: Hub, room: Address) -> None:
        self.news = False
        self._room = room
        self._lives: deque[Sign] = deque(maxlen=BACKLOG)
        self._woken = asyncio.Event()
        self._posts = hub.signals.listen(topic(room.channel, room.chat_id))
        self._live = hub.signals.listen(f"live.{room.channel}")
        self._tasks: list[asyncio.Task[None]] = []

    async def wait(self, seconds: float) -> None:
        """Wait until there is something, at most so long."""
        if self.news:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def take(self) -> list[Sign]:
        """The signs of life since the last time."""
        lives = list(self._lives)
        self._lives.clear()
        return lives

    async def _hear_posts(self, posts: Listener) -> None:
        while True:
            await posts.next()
            self.news = True
            self._woken.set()

    async def _hear_live(self, lives: Listener) -> None:
        while True:
            payload = await lives.next()
            live = None if payload is None else _SIGN.decode(payload)
            if live is not None and live.kind != "reasoning" and live.address.chat_id == self._room.chat_id:
                self._keep(live)
                self._woken.set()

    def _keep(self, live: Sign) -> None:
        """Pieces of an answer that wait one behind the other are one."""
        last = self._lives[-1] if self._lives else None
        if last is not None and last.kind == live.kind == "delta" and (last.turn, last.step) == (live.turn, live.step):
            text = last.text + live.text
            if last.offset + len(last.text) == live.offset and len(text) <= JOINED:
                self._lives[-1] = msgspec.structs.replace(last, text=text)
                return
        self._lives.append(live)

    def __enter__(self) -> Self:
        posts, lives = self._posts.__enter__(), self._live.__enter__()
        self._tasks = [asyncio.create_task(self._hear_posts(posts)), asyncio.create_task(self._hear_live(lives))]
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self._posts.__exit__(None, None, None)
        self._live.__exit__(None, None, None)


_SIGN = msgspec.json.Decoder(Sign)
