"""/api/v1/web: speaking into a room, and following it over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from api.rooms import PAGE
from hub.channel import Sending
from hub.errors import InboxFull, StoreUnavailable
from hub.message import Address, Author, Live, Message, Text
from hub.records.rooms import StoredRooms
from tests.api.asking import Asking, Events, open_asking
from tests.api.fake_hub import NOW
from tests.patience import PATIENCE

LOBBY = Address("web", "lobby")
PATH = "/api/v1/web/lobby"
AGENT = Author(id="assistant", name="Assistant", kind="agent")


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


@pytest.fixture
def rooms(facade: Asking) -> StoredRooms:
    return StoredRooms(facade.store, facade.hub.signals, facade.hub.clock)


async def say(facade: Asking, body: Any, **headers: str) -> tuple[int, Any, Any]:
    return await facade.ask("POST", PATH, body, await facade.key("chat") | headers)


async def texts(rooms: StoredRooms) -> list[str]:
    return [post.text for post in await rooms.read("web", "lobby", 0, 200)]


async def post(rooms: StoredRooms, text: str, address: Address = LOBBY) -> str:
    return await rooms.post(Sending(address=address, part=Text(text=text), author=AGENT, key=text))


class TestSpeaking:
    async def test_what_is_said_is_in_the_room_and_heard_by_the_hub(self, facade: Asking, rooms: StoredRooms) -> None:
        status, body, _ = await say(facade, {"text": "hi"})
        [message] = facade.fake.accepted
        [posted] = await rooms.read("web", "lobby", 0, 10)
        assert (status, body) == (202, {"id": str(posted.id), "message_id": message.id})
        assert (posted.text, posted.author, posted.address) == ("hi", message.author, LOBBY)
        assert message == Message(
            id=message.id,
            address=LOBBY,
            author=Author(id=str(facade.keys["ann"].id), name="ann"),
            parts=(Text(text="hi"),),
            at=NOW,
            shared=True,
        )
        assert await rooms.unheard(older_than=NOW + 1) == []

    async def test_it_is_in_the_room_before_the_hub_hears_it(self, facade: Asking, rooms: StoredRooms) -> None:
        """So an answer never stands before its question, and a crash in between leaves a note."""
        seen: list[list[str]] = []

        async def accept(message: Message) -> None:
            seen.append(await texts(rooms))
            assert await rooms.unheard(older_than=NOW + 1) == [message]

        facade.hear(accept)
        assert (await say(facade, {"text": "hi"}))[0] == 202
        assert seen == [["hi"]]

    async def test_a_key_may_speak_for_people_by_name(self, facade: Asking) -> None:
        await say(facade, {"text": "hi", "name": "Bob"})
        [message] = facade.fake.accepted
        assert message.author == Author(id=f"{facade.keys['ann'].id}/Bob", name="Bob")

    async def test_two_sayings_are_two_messages(self, facade: Asking) -> None:
        for _ in range(2):
            await say(facade, {"text": "hi"})
        assert len({message.id for message in facade.fake.accepted}) == 2

    async def test_a_repeated_saying_is_one_message(self, facade: Asking, rooms: StoredRooms) -> None:
        first = await say(facade, {"text": "hi"}, **{"Idempotency-Key": "k"})
        again = await say(facade, {"text": "hi"}, **{"Idempotency-Key": "k"})
        assert first[:2] == again[:2]
        assert (len(facade.fake.accepted), await texts(rooms)) == (1, ["hi"])

    async def test_cut_off_before_the_hub_heard_it_a_repetition_finishes_it(
        self, facade: Asking, rooms: StoredRooms
    ) -> None:
        async def down(message: Message) -> None:
            raise StoreUnavailable("down")

        facade.hear(down)
        assert (await say(facade, {"text": "hi"}, **{"Idempotency-Key": "k"}))[0] == 503
        facade.hear(None)
        assert (await say(facade, {"text": "hi"}, **{"Idempotency-Key": "k"}))[0] == 202
        assert (len(facade.fake.accepted), await texts(rooms)) == (1, ["hi"])

    async def test_cut_off_for_good_the_hub_hears_it_later(self, facade: Asking, rooms: StoredRooms) -> None:
        async def down(message: Message) -> None:
            raise StoreUnavailable("down")

        facade.hear(down)
        await say(facade, {"text": "hi"})
        facade.hear(None)
        assert await rooms.hand_over(facade.hub.accept, older_than=NOW + 60) == 1
        assert [message.text for message in facade.fake.accepted] == await texts(rooms) == ["hi"]

    async def test_what_the_hub_refuses_is_not_said(self, facade: Asking, rooms: StoredRooms) -> None:
        async def full(message: Message) -> None:
            raise InboxFull("full", retry_after=3)

        facade.hear(full)
        status, body, response = await say(facade, {"text": "hi"})
        assert (status, body["code"], response.headers["Retry-After"]) == (429, "queue_full", "3")
        assert await texts(rooms) == await rooms.unheard(older_than=NOW + 1) == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [({}, 400), ({"text": " "}, 400), ({"text": "x" * 100_001}, 413), ({"text": "a", "name": "x" * 101}, 400)],
    )
    async def test_what_is_wrong_is_refused(self, facade: Asking, body: dict[str, str], status: int) -> None:
        got, answer, _ = await say(facade, body)
        assert (got, answer["success"], facade.fake.accepted) == (status, False, [])

    async def test_a_room_is_one_word(self, facade: Asking) -> None:
        assert (await facade.ask("POST", "/api/v1/web/a:b", {"text": "hi"}, await facade.key("chat")))[0] == 400

    async def test_it_takes_the_scope_chat(self, facade: Asking) -> None:
        key = await facade.key("read", "deliver")
        assert (await facade.ask("POST", PATH, {"text": "hi"}, key))[0] == 403


class Follower:
    """Follows the lobby over a socket."""

    def __init__(self, facade: Asking, client: httpx.AsyncClient) -> None:
        self._facade = facade
        self._client = client

    async def __call__(self, query: str = "", **headers: str) -> Events:
        key = await self._facade.key("read", name="reader")
        request = self._client.build_request("GET", f"{PATH}/events{query}", headers=key | headers)
        response = await self._client.send(request, stream=True)
        assert response.status_code == 200, await response.aread()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = Events(response)
        assert await events.next() == {"": "keep-alive"}
        return events


@pytest.fixture
async def follow(facade: Asking) -> AsyncIterator[Follower]:
    async with facade.client() as client:
        yield Follower(facade, client)


def live(facade: Asking, **fields: Any) -> None:
    sign = msgspec.structs.replace(Live(kind="delta", turn="t", address=LOBBY), **fields)
    facade.hub.signals.send("live.web", msgspec.json.encode(sign))


class TestFollowing:
    async def test_messages_come_as_they_are_said(self, facade: Asking, rooms: StoredRooms, follow: Follower) -> None:
        await post(rooms, "before")
        events = await follow()
        await say(facade, {"text": "hi"})
        given = await post(rooms, "hello")
        assert (await events.named("message"))["text"] == "hi"
        fields = await events.next()
        shown = msgspec.json.decode(fields["data"])
        assert (fields["event"], fields["id"], shown["id"], shown["text"]) == ("message", given, given, "hello")
        assert shown["author"] == {"id": "assistant", "name": "Assistant", "kind": "agent"}

    async def test_after_a_break_nothing_is_missed(self, rooms: StoredRooms, follow: Follower) -> None:
        events = await follow()
        await post(rooms, "1")
        last = (await events.next())["id"]
        for text in ("2", "3"):
            await post(rooms, text)
        again = await follow(**{"Last-Event-ID": last})
        assert [(await again.named("message"))["text"] for _ in range(2)] == ["2", "3"]

    async def test_a_reader_may_begin_where_its_reading_ended(self, rooms: StoredRooms, follow: Follower) -> None:
        cursor = await post(rooms, "1")
        await post(rooms, "2")
        events = await follow(f"?after={cursor}")
        assert (await events.named("message"))["text"] == "2"
        events = await follow("?after=0", **{"Last-Event-ID": cursor})
        assert (await events.named("message"))["text"] == "2"

    async def test_a_long_absence_is_made_up_for_in_pages(self, rooms: StoredRooms, follow: Follower) -> None:
        many = PAGE * 2 + 1
        for n in range(many):
            await post(rooms, str(n))
        events = await follow("?after=0")
        assert [(await events.named("message"))["text"] for _ in range(many)] == [str(n) for n in range(many)]

    async def test_signs_of_life_of_this_room_are_passed_on(self, facade: Asking, follow: Follower) -> None:
        events = await follow()
        live(facade, kind="delta", text="no", address=Address("web", "other"))
        live(facade, kind="reasoning", text="hm")
        live(facade, kind="calls")
        live(facade, kind="step")
        live(facade, kind="typing")
        live(facade, kind="delta", offset=3, text="lo", address=Address("web", "lobby", "7"))
        live(facade, kind="done")
        assert await events.named("typing") == {"turn": "t", "thread_id": None, "active": True}
        assert await events.named("delta") == {"turn": "t", "thread_id": "7", "offset": 3, "text": "lo"}
        assert await events.named("typing") == {"turn": "t", "thread_id": None, "active": False}

    async def test_a_message_whose_signal_is_lost_comes_a_little_later(self, facade: Asking, follow: Follower) -> None:
        events = await follow()
        deaf = StoredRooms(facade.store, type(facade.hub.signals)(), facade.hub.clock)
        await post(deaf, "hello")
        assert (await events.named("message"))["text"] == "hello"

    async def test_a_client_that_left_is_forgotten(self, facade: Asking) -> None:
        listening = Counting(facade)
        async with facade.client() as client:
            follow = Follower(facade, client)
            await follow()
            assert listening.now > 0
        await asyncio.wait_for(listening.none.wait(), PATIENCE)

    @pytest.mark.parametrize("headers", [{"Last-Event-ID": "x"}, {"Last-Event-ID": "-1"}])
    async def test_a_wrong_cursor_is_a_400(self, facade: Asking, headers: dict[str, str]) -> None:
        key = await facade.key("read")
        assert (await facade.ask("GET", f"{PATH}/events", headers=key | headers))[0] == 400

    async def test_it_takes_the_scope_read(self, facade: Asking) -> None:
        assert (await facade.ask("GET", f"{PATH}/events", headers=await facade.key("chat")))[0] == 403


class Counting:
    """Counts who listens to signals."""

    def __init__(self, facade: Asking) -> None:
        self.now = 0
        self.none = asyncio.Event()
        signals: Any = facade.hub.signals
        listen, forget = signals.listen, signals.forget

        def counted(topic: str) -> Any:
            self.now += 1
            return listen(topic)

        def forgotten(topic: str, listener: Any) -> None:
            forget(topic, listener)
            self.now -= 1
            if self.now == 0:
                self.none.set()

        signals.listen, signals.forget = counted, forgotten


async def test_silence_is_kept_alive(tmp_path: Path) -> None:
    async with open_asking(tmp_path, keep_alive=0.01) as facade, facade.client() as client:
        events = await Follower(facade, client)()
        assert [await events.next() for _ in range(2)] == [{"": "keep-alive"}] * 2


async def test_a_slow_reader_loses_signs_of_life_but_no_message(facade: Asking, rooms: StoredRooms) -> None:
    """A reader that reads nothing holds a bounded number of them; then messages come in full."""
    key = await facade.key("read")
    numbers = count()
    async with facade.client() as client:
        host, port = client.base_url.host, client.base_url.port
        reader, writer = await asyncio.open_connection(host, port, limit=2**12)
        head = f"GET {PATH}/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: {key['Authorization']}\r\n\r\n"
        writer.write(head.encode())
        await reader.readuntil(b": keep-alive")
        for _ in range(200):
            for _ in range(100):
                live(facade, text=f"{next(numbers)} " + "x" * 1000)
            await asyncio.sleep(0)
        await post(rooms, "after all")
        seen = await _read_to(reader)
        writer.close()
    assert seen.count(b"event: delta") < next(numbers)


async def _read_to(reader: asyncio.StreamReader) -> bytes:
    seen = bytearray()
    async with asyncio.timeout(PATIENCE):
        while b"after all" not in seen:
            seen += await reader.read(2**16)
    return bytes(seen)
