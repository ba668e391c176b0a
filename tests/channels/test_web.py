"""The web channel puts messages into stored rooms."""

import asyncio

import pytest

from channels.web import Channel
from hub.channel import Sending
from hub.errors import StoreUnavailable, Unreachable
from hub.message import Address, Author, Text
from tests.contracts.channel_hub import Hub

SENDING = Sending(
    address=Address("web", "lobby"),
    part=Text(text="hello"),
    author=Author(id="assistant", name="Assistant", kind="agent"),
    key="k",
)


class Rooms:
    """A room that is written to, or cannot be."""

    def __init__(self, error: Exception | None = None) -> None:
        self.posts: list[Sending] = []
        self._error = error

    async def post(self, sending: Sending) -> str:
        if self._error is not None:
            raise self._error
        self.posts.append(sending)
        return "17"


async def test_it_is_up_until_cancelled() -> None:
    hub = Hub()
    listening = asyncio.create_task(Channel("web", None, Rooms()).listen(hub))
    await hub.is_up()
    assert not listening.done()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


async def test_the_platforms_id_is_the_posts() -> None:
    rooms = Rooms()
    channel = Channel("web", None, rooms)
    assert await channel.send(SENDING) == "17"
    assert rooms.posts == [SENDING]
    await channel.close()


async def test_a_store_that_does_not_answer_may_have_taken_the_message() -> None:
    channel = Channel("web", None, Rooms(StoreUnavailable("down")))
    with pytest.raises(Unreachable) as caught:
        await channel.send(SENDING)
    assert caught.value.maybe_sent
    assert channel.limits.dedupes
