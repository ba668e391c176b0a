"""Pushes reach what reads them, which is made once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from hub.channel import Intake, WebhookAnswer
from hub.errors import ChannelRefused
from hub.files import FileStore
from hub.ingress import Ingress
from hub.inlet import Door, Inlet


class Reader:
    """A webhook that remembers."""

    def __init__(self) -> None:
        self.got: list[tuple[Mapping[str, str], bytes, Intake]] = []

    async def receive(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> WebhookAnswer:
        self.got.append((headers, body, intake))
        return WebhookAnswer(body=body)


@pytest.fixture
def inlet() -> Inlet:
    return Inlet("support", cast(Ingress, None), cast(FileStore, None))


async def test_pushes_at_once_are_read_by_one_reader(inlet: Inlet) -> None:
    made: list[Reader] = []

    async def make() -> Reader:
        await asyncio.sleep(0.01)
        made.append(Reader())
        return made[-1]

    door = Door(make, inlet)
    answers = await asyncio.gather(*(door({"a": "b"}, b"%d" % number) for number in range(3)))
    [reader] = made
    assert sorted(answer.body for answer in answers) == [b"0", b"1", b"2"]
    assert all(got[0] == {"a": "b"} and got[2] is inlet for got in reader.got)


async def test_one_that_cannot_be_made_is_tried_again(inlet: Inlet) -> None:
    failures = [ChannelRefused("no")]

    async def make() -> Reader:
        if failures:
            raise failures.pop()
        return Reader()

    door = Door(make, inlet)
    with pytest.raises(ChannelRefused):
        await door({}, b"")
    assert (await door({}, b"x")).body == b"x"
