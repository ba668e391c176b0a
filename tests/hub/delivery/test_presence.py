"""Typing is shown while a turn runs."""

from __future__ import annotations

import asyncio

import msgspec

from hub.delivery.presence import Presence
from hub.errors import ChatGone
from hub.message import Address
from tests.hub.engine import CHAT, Chat, Engine, soon


class Typist(Chat):
    """A chat that counts its signs of typing."""

    def __init__(self) -> None:
        super().__init__()
        self.typed: asyncio.Queue[Address] = asyncio.Queue()

    async def typing(self, address: Address) -> None:
        self.typed.put_nowait(address)
        if address.chat_id == "gone":
            raise ChatGone("blocked")


def sign(kind: str, address: Address = CHAT) -> bytes:
    return msgspec.json.encode({"kind": kind, "turn": "t", "address": address})


async def test_typing_is_shown_until_the_turn_is_over(engine: Engine) -> None:
    chat = Typist()
    presence = Presence(engine.bus, "support", chat, every=0.01)
    task = asyncio.create_task(presence.run())
    await asyncio.sleep(0)
    engine.signals.send("live.support", sign("typing"))
    engine.signals.send("live.support", sign("typing", Address("support", "gone")))
    for _ in range(6):
        await soon(chat.typed.get())
    engine.signals.send("live.support", sign("done"))
    engine.signals.send("live.support", sign("done", Address("support", "gone")))
    await engine.store.until(lambda: idle(presence))
    while not chat.typed.empty():
        chat.typed.get_nowait()
    engine.signals.send("live.support", sign("delta"))
    assert await soon(chat.typed.get()) == CHAT
    engine.clock.forward(11.0)  # a turn that gives no sign any more
    await engine.store.until(lambda: idle(presence))
    task.cancel()
    await asyncio.wait({task})


async def idle(presence: Presence) -> bool:
    """Whether it shows nothing and remembers nothing."""
    return not presence._until and not presence._tasks  # pyright: ignore[reportPrivateUsage]
