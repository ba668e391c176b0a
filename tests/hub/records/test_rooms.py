"""Rooms keep what was said, once and in order, on both engines."""

import asyncio
from itertools import count

import pytest

from hub.channel import Sending
from hub.errors import InboxFull
from hub.message import Address, Author, File, Message, Own, Text, own
from hub.records.rooms import StoredRooms, topic
from hub.signals.local import LocalSignals
from hub.store import Store
from tests.patience import PATIENCE

LOBBY = Address("web", "lobby")
AGENT = Author(id="assistant", name="Assistant", kind="agent")
ANN = Author(id="7", name="Ann")


@pytest.fixture
def signals() -> LocalSignals:
    return LocalSignals()


@pytest.fixture
def rooms(store: Store, signals: LocalSignals) -> StoredRooms:
    return StoredRooms(store, signals, lambda: 1000.0)


def sending(key: str, text: str = "hello", address: Address = LOBBY) -> Sending:
    return Sending(address=address, part=Text(text=text), author=AGENT, key=key)


def message(id: str, text: str = "hi", at: float = 990.0) -> Message:
    return Message(id=id, address=LOBBY, author=ANN, parts=(Text(text=text),), at=at)


async def test_a_post_is_read_back_as_it_was_sent(rooms: StoredRooms) -> None:
    address = Address("web", "lobby", "7")
    given = await rooms.post(sending("k", "*hello*", address))
    [post] = await rooms.read("web", "lobby", 0, 10)
    assert (str(post.id), post.address, post.author, post.text, post.at) == (given, address, AGENT, "*hello*", 1000.0)


async def test_a_file_is_kept_by_reference(rooms: StoredRooms) -> None:
    file = File(ref="abc", name="a.pdf", media_type="application/pdf", size=3)
    await rooms.post(Sending(address=LOBBY, part=file, author=AGENT, key="k"))
    [post] = await rooms.read("web", "lobby", 0, 10)
    assert (post.files, post.text) == ((file,), "")


async def test_the_same_key_again_is_the_same_post(rooms: StoredRooms) -> None:
    ids = {await rooms.post(sending("k")) for _ in range(2)}
    assert len(ids) == len(await rooms.read("web", "lobby", 0, 10)) == 1


async def test_two_channels_may_use_the_same_key(rooms: StoredRooms) -> None:
    assert await rooms.post(sending("k")) != await rooms.post(sending("k", address=Address("panel", "lobby")))


async def test_a_reader_goes_on_after_its_cursor_and_sees_no_other_room(rooms: StoredRooms) -> None:
    for n in range(5):
        await rooms.post(sending(f"k{n}", str(n)))
        await rooms.post(sending(f"o{n}", "other", Address("web", "other")))
    first = await rooms.read("web", "lobby", 0, 3)
    rest = await rooms.read("web", "lobby", first[-1].id, 3)
    assert [post.text for post in (*first, *rest)] == ["0", "1", "2", "3", "4"]
    assert await rooms.newest("web", "lobby") == rest[-1].id


async def test_an_empty_room_has_no_newest_post(rooms: StoredRooms) -> None:
    assert await rooms.newest("web", "nowhere") == 0
    assert await rooms.read("web", "nowhere", 0, 10) == []


async def test_a_post_wakes_who_listens_to_its_room(rooms: StoredRooms, signals: LocalSignals) -> None:
    with signals.listen("room.web.lobby") as here, signals.listen("room.web.other") as elsewhere:
        await rooms.post(sending("k"))
        assert await here.next(timeout=PATIENCE) == b""
        assert await elsewhere.next(timeout=0) is None


def test_a_chat_is_one_plain_word_of_its_topic() -> None:
    assert topic("web", "a.b *>") == "room.web.a%2Eb%20%2A%3E"


async def test_people_and_agents_share_the_room(rooms: StoredRooms) -> None:
    await rooms.say(message("m1"))
    await rooms.post(sending("m1"))
    assert [(post.author, post.at) for post in await rooms.read("web", "lobby", 0, 10)] == [
        (ANN, 990.0),
        (AGENT, 1000.0),
    ]


async def test_what_was_said_is_unheard_until_the_hub_accepted_it(rooms: StoredRooms) -> None:
    await rooms.say(message("m1"))
    assert await rooms.unheard(older_than=1000.0) == [message("m1")]
    assert await rooms.unheard(older_than=990.0) == []
    await rooms.heard("m1")
    assert await rooms.unheard(older_than=1000.0) == []
    assert len(await rooms.read("web", "lobby", 0, 10)) == 1


async def test_saying_it_again_is_the_same_post_heard_again(rooms: StoredRooms) -> None:
    first = await rooms.say(message("m1"))
    await rooms.heard("m1")
    assert await rooms.say(message("m1")) == first
    assert await rooms.say(message("m1")) == first
    assert await rooms.unheard(older_than=1000.0) == [message("m1")]


async def test_what_the_hub_refused_is_taken_back(rooms: StoredRooms) -> None:
    await rooms.say(message("m1"))
    await rooms.take_back("m1")
    assert await rooms.read("web", "lobby", 0, 10) == await rooms.unheard(older_than=1000.0) == []


async def test_a_reader_among_many_writers_misses_nothing(rooms: StoredRooms) -> None:
    """Ids are given before a transaction commits; without one writer a room a reader would step over the slow ones."""
    seen: list[int] = []
    numbers = count()

    async def write() -> None:
        for _ in range(20):
            await rooms.post(sending(f"k{next(numbers)}"))

    async def follow() -> None:
        while len(seen) < 120:
            seen.extend(post.id for post in await rooms.read("web", "lobby", seen[-1] if seen else 0, 7))

    async with asyncio.timeout(60):
        await asyncio.gather(follow(), *(write() for _ in range(6)))
    assert seen == sorted(set(seen))


class Hub:
    """Accepts messages, but for those it refuses."""

    def __init__(self, *full: str) -> None:
        self.heard: list[str] = []
        self._full = full

    async def accept(self, message: Message) -> None:
        if message.id in self._full:
            raise InboxFull("full")
        self.heard.append(message.id)


async def test_what_was_cut_off_is_handed_over_once_and_in_order(rooms: StoredRooms) -> None:
    hub = Hub()
    for name in ("m1", "m2", "m3"):
        await rooms.say(message(name))
    await rooms.heard("m2")
    assert await rooms.hand_over(hub.accept, older_than=1000.0) == 2
    assert await rooms.hand_over(hub.accept, older_than=1000.0) == 0
    assert hub.heard == ["m1", "m3"]


async def test_what_the_hub_does_not_take_now_stays_unheard(rooms: StoredRooms) -> None:
    for name in ("m1", "m2"):
        await rooms.say(message(name))
    assert await rooms.hand_over(Hub("m1").accept, older_than=1000.0) == 1
    assert await rooms.unheard(older_than=1000.0) == [message("m1")]


async def test_what_is_older_is_read_backwards_from_the_newest(rooms: StoredRooms) -> None:
    ids = [int(await rooms.post(sending(str(n), str(n)))) for n in range(5)]
    newest = await rooms.before("web", "lobby", None, 2)
    older = await rooms.before("web", "lobby", newest[0].id, 2)
    assert [[post.id for post in posts] for posts in (newest, older)] == [ids[3:], ids[1:3]]
    assert [post.text for post in await rooms.before("web", "lobby", older[0].id, 2)] == ["0"]
    assert await rooms.before("web", "lobby", ids[0], 2) == []


async def test_the_first_message_of_an_answer_names_its_turn(rooms: StoredRooms) -> None:
    for key in ("web_7.reply.0", "web_7.reply.1", "web_7.2.call_1.0"):
        await rooms.post(sending(key))
    assert [post.turn for post in await rooms.read("web", "lobby", 0, 10)] == ["web_7", None, None]


async def test_rooms_are_listed_for_whom_they_belong_to(rooms: StoredRooms) -> None:
    mine, later = Own(7, "poet", "b").room, Own(7, "assistant", "a").room
    for number, chat in enumerate(["lobby", mine, Own(70, "poet", "c").room, "kitchen", later, mine, "owner"]):
        await rooms.post(sending(str(number), f"{number}", Address("web", chat)))
    assert [(told.room, told.text) for told in await rooms.owned("web", 7, 10)] == [(mine, "1"), (later, "4")]
    assert [told.room for told in await rooms.owned("web", 7, 1)] == [mine]
    assert await rooms.owned("web", 8, 10) == []
    assert [told.room for told in await rooms.shared("web", 10)] == ["owner", "kitchen", "lobby"]


async def test_shared_rooms_may_have_any_name(rooms: StoredRooms) -> None:
    names = ["own", "own-1", "Own.7.poet.a", "own/7", "0", "zoo", "绿茶", "\U0010fffe"]
    for number, chat in enumerate([*names, Own(7, "poet", "a").room, "zoo"]):
        await rooms.post(sending(str(number), f"{number}", Address("web", chat)))
    await rooms.post(sending("other", "other", Address("hall", "elsewhere")))
    told = await rooms.shared("web", 10)
    assert [each.room for each in told] == ["zoo", *(name for name in reversed(names) if name != "zoo")]
    assert told[0].text == "5"
    assert [each.room for each in await rooms.shared("web", 3)] == [each.room for each in told[:3]]


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("own.7.my-poet_2.k3x", Own(7, "my-poet_2", "k3x")),
        ("own.7.poet", None),
        ("own.7.poet.", None),
        ("own.-7.poet.a", None),
        ("xown.7.poet.a", None),
        ("lobby", None),
    ],
)
def test_whose_a_room_is_stands_in_its_name(name: str, whose: Own | None) -> None:
    assert own(name) == whose
    assert whose is None or whose.room == name
