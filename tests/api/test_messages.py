"""/api/v1/messages: posts in LettaBot's words, and what was said in a room."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from werkzeug.datastructures import FileStorage

from hub.channel import Sending
from hub.delivery.deliveries import DeliveryRecord, PartReceipt, Status
from hub.message import Address, Author, Delivery, File, Message, Part, Text
from hub.records.rooms import StoredRooms
from tests.api.asking import Asking, open_asking
from tests.api.fake_hub import NOW

PATH = "/api/v1/messages"
TO = {"channel": "support", "chatId": "12", "text": "hello"}
AGENT = Author(id="assistant", name="Assistant", kind="agent")
WRONG: list[tuple[dict[str, Any], int, str, str]] = [
    ({"channel": None}, 400, "missing_parameter", "channel"),
    ({"chatId": None}, 400, "missing_parameter", "chatId"),
    ({"text": None}, 400, "missing_parameter", "text"),
    ({"text": "x" * 100_001}, 413, "too_large", "text"),
    ({"file": "no URL"}, 400, "invalid_value", "That"),
    ({"file": {"filename": "a.txt"}}, 400, "missing_parameter", "Missing"),
    ({"kind": "smell"}, 400, "invalid_value", "Invalid"),
    ({"kind": "image", "file": "data:text/plain,hi"}, 400, "invalid_value", "kind"),
]


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


@pytest.fixture
def rooms(facade: Asking) -> StoredRooms:
    return StoredRooms(facade.store, facade.hub.signals, facade.hub.clock)


async def post(facade: Asking, body: Any, **headers: str) -> tuple[int, Any, Any]:
    return await facade.ask("POST", PATH, body, await facade.key("deliver") | headers)


async def read(facade: Asking, query: str) -> tuple[int, Any, Any]:
    return await facade.ask("GET", f"{PATH}?{query}", headers=await facade.key("read", name="reader"))


def ended(delivery: Delivery, status: Status, error: str | None = None) -> DeliveryRecord:
    receipts = (PartReceipt(part=0, platform_id="77", at=NOW),) if status == "delivered" else ()
    return DeliveryRecord(
        delivery=delivery, status=status, reason=None, attempts=1, parts=receipts, last_error=error, created_at=NOW
    )


async def test_a_delivered_post_has_the_platforms_id(facade: Asking) -> None:
    facade.fake.posts.answers = lambda delivery: ended(delivery, "delivered")
    status, body, _ = await post(facade, TO | {"threadId": 3})
    [(delivery, wait)] = facade.fake.posts.deliveries
    assert (status, wait, delivery.address) == (200, 10.0, Address("support", "12", "3"))
    assert body == {"success": True, "messageId": "77", "id": delivery.id, "status": "delivered"}


async def test_our_own_names_work_as_well(facade: Asking) -> None:
    await post(facade, {"channel": "support", "chat_id": 12, "thread_id": "3", "text": "hello"})
    [(delivery, _)] = facade.fake.posts.deliveries
    assert (delivery.address, delivery.parts) == (Address("support", "12", "3"), (Text(text="hello"),))


async def test_a_post_that_waits_says_why(facade: Asking) -> None:
    status, body, _ = await post(facade, TO)
    [(delivery, _)] = facade.fake.posts.deliveries
    waiting = {"success": True, "status": "waiting", "reason": "channel not enabled", "id": delivery.id}
    assert (status, body) == (202, waiting)


async def test_a_failure_is_reported_as_one(facade: Asking) -> None:
    facade.fake.posts.answers = lambda delivery: ended(delivery, "failed", "chat not found")
    status, body, _ = await post(facade, TO)
    [(delivery, _)] = facade.fake.posts.deliveries
    why = {"success": False, "error": "Not delivered: chat not found", "code": "delivery_failed", "id": delivery.id}
    assert (status, body) == (502, why)


@pytest.mark.parametrize(("change", "status", "code", "word"), WRONG)
async def test_what_is_wrong_is_named(
    facade: Asking, change: dict[str, Any], status: int, code: str, word: str
) -> None:
    got, body, _ = await post(facade, TO | change)
    assert (got, body["success"], body["code"]) == (status, False, code)
    assert body["error"].startswith(word)
    assert facade.fake.posts.deliveries == []


async def test_a_form_is_read_like_json(facade: Asking) -> None:
    client: Any = facade.app.test_client()
    sent = await client.post(PATH, form=TO, files={}, headers=await facade.key("deliver"))
    assert sent.status_code == 202
    file = FileStorage(BytesIO(b"one"), filename="a.txt", content_type="text/plain")
    sent = await client.post(PATH, form=TO, files={"file": file}, headers=await facade.key("deliver"))
    assert sent.status_code == 202
    text, kept = facade.fake.posts.deliveries[1][0].parts
    assert isinstance(kept, File)
    assert (text, kept.name, kept.media_type) == (Text(text=TO["text"]), "a.txt", "text/plain")
    assert await facade.fake.files.read(kept) == b"one"


async def test_a_repeated_post_is_sent_once(facade: Asking) -> None:
    facade.fake.posts.answers = lambda delivery: ended(delivery, "failed", "chat not found")
    first = await post(facade, TO, **{"Idempotency-Key": "k"})
    again = await post(facade, TO, **{"Idempotency-Key": "k"})
    assert first[:2] == again[:2]
    assert again[2].headers["Idempotent-Replayed"] == "true"
    assert len(facade.fake.posts.deliveries) == 1


async def test_the_scope_counts(facade: Asking) -> None:
    assert (await facade.ask("POST", PATH, TO, await facade.key("chat", "read", name="bob")))[0] == 403
    status, body, _ = await facade.ask("POST", PATH, TO, await facade.key("deliver=web:*", name="web"))
    assert (status, body["success"], body["code"]) == (403, False, "address_not_allowed")


async def test_a_room_shows_both_sides_in_order(facade: Asking, rooms: StoredRooms) -> None:
    lobby = Address("web", "lobby", "t")
    said: tuple[Part, ...] = (Text(text="hi"),)
    file = File(ref="abc", name="a.pdf", media_type="application/pdf", size=3)
    first = await rooms.say(Message(id="m", address=lobby, author=Author(id="1", name="Ann"), parts=said, at=NOW))
    second = await rooms.post(Sending(address=lobby, part=file, author=AGENT, key="k"))
    status, body, _ = await read(facade, "channel=web&chat_id=lobby")
    where: dict[str, Any] = {"channel": "web", "chat_id": "lobby", "thread_id": "t", "buttons": [], "at": int(NOW)}
    ann, agent = ({"id": "1", "name": "Ann", "kind": "person"}, msgspec.to_builtins(AGENT))
    url = f"/api/v1/messages/{second}/files/0"
    shown = {"name": "a.pdf", "media_type": "application/pdf", "size": 3, "url": url}
    assert (status, body["next"]) == (200, second)
    assert body["messages"] == [
        {"id": first, "author": ann, "text": "hi", "files": [], **where},
        {"id": second, "author": agent, "text": "", "files": [shown], **where},
    ]


async def test_next_is_where_to_go_on(facade: Asking, rooms: StoredRooms) -> None:
    for n in range(3):
        await rooms.post(Sending(address=Address("web", "lobby"), part=Text(text=str(n)), author=AGENT, key=str(n)))
    page = (await read(facade, "channel=web&chat_id=lobby&limit=2"))[1]
    rest = (await read(facade, f"channel=web&chat_id=lobby&limit=2&after={page['next']}"))[1]
    end = (await read(facade, f"channel=web&chat_id=lobby&after={rest['next']}"))[1]
    assert [message["text"] for message in page["messages"] + rest["messages"]] == ["0", "1", "2"]
    assert end == {"messages": [], "next": rest["next"]}
    assert (await read(facade, "channel=web&chat_id=nowhere"))[1] == {"messages": [], "next": None}


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("chat_id=lobby", "channel"),
        ("channel=web", "chat_id"),
        ("channel=web&chat_id=lobby&after=x", "after"),
        ("channel=web&chat_id=lobby&after=-1", "after"),
        (f"channel=web&chat_id=lobby&after={'9' * 19}", "after"),
        ("channel=web&chat_id=lobby&limit=0", "limit"),
        ("channel=web&chat_id=lobby&limit=201", "limit"),
    ],
)
async def test_a_wrong_question_is_a_400(facade: Asking, query: str, word: str) -> None:
    status, body, _ = await read(facade, query)
    assert status == 400
    assert word in body["error"]


async def test_only_web_rooms_can_be_read(facade: Asking) -> None:
    status, body, _ = await read(facade, "channel=support&chat_id=77")
    assert (status, body["code"]) == (400, "unsupported_channel")


async def test_reading_takes_the_scope_read(facade: Asking) -> None:
    key = await facade.key("chat", "deliver")
    assert (await facade.ask("GET", f"{PATH}?channel=web&chat_id=lobby", headers=key))[0] == 403
