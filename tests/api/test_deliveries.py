"""/v1/deliveries: posts to any chat by its address."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.delivery.deliveries import DeliveryRecord, PartReceipt
from hub.delivery.origin import Origin
from hub.errors import InboxFull, RequestError, StoreUnavailable
from hub.message import Address, Delivery, Text
from tests.api.asking import Asking, open_asking
from tests.api.fake_hub import NOW
from tests.patience import PATIENCE

TO = {"channel": "support", "chat_id": "12", "text": "hello"}

WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"channel": None}, 400, "channel"),
    ({"channel": ""}, 400, "channel"),
    ({"chat_id": None}, 400, "chat_id"),
    ({"chat_id": "1 2"}, 400, "chat_id"),
    ({"chat_id": "1:2"}, 400, "chat_id"),
    ({"chat_id": ["1"]}, 400, "chat_id"),
    ({"text": None}, 400, "text"),
    ({"text": "  "}, 400, "text"),
    ({"text": "x" * 100_001}, 413, "text"),
    ({"parts": [{"type": "text", "text": "a"}]}, 400, "parts"),
    ({"text": None, "parts": []}, 400, "parts"),
    ({"text": None, "parts": [{"type": "file", "file": {}}]}, 400, "parts[0].file.file_data"),
    ({"text": None, "parts": [{"type": "smell"}]}, 400, "parts[0]"),
    ({"text": None, "parts": [{"type": "text"}]}, 400, "parts[0].text"),
    ({"text": None, "parts": [{"type": "text", "text": "x" * 60_000}] * 2}, 413, "parts"),
    ({"wait": -1}, 400, "wait"),
    ({"wait": 31}, 400, "wait"),
    ({"wait": "long"}, 400, "wait"),
    ({"expires_at": NOW}, 400, "expires_at"),
]


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


def delivered(delivery: Delivery) -> DeliveryRecord:
    return DeliveryRecord(
        delivery=delivery,
        status="delivered",
        reason=None,
        attempts=1,
        parts=(PartReceipt(part=0, platform_id="77", at=NOW + 0.5),),
        last_error=None,
        created_at=NOW + 0.25,
    )


async def post(facade: Asking, body: Any, **headers: str) -> tuple[int, Any, Any]:
    key = await facade.key("deliver")
    return await facade.ask("POST", "/v1/deliveries", body, key | headers)


async def test_a_post_that_waits_is_a_202_with_its_reason(facade: Asking) -> None:
    status, body, _ = await post(facade, TO)
    assert status == 202
    assert body == {
        "id": body["id"],
        "object": "delivery",
        "address": "support:12",
        "channel": "support",
        "chat_id": "12",
        "thread_id": None,
        "status": "waiting",
        "reason": "channel not enabled",
        "attempts": 0,
        "parts": [],
        "last_error": None,
        "created_at": int(NOW),
        "expires_at": int(NOW) + 24 * 3600,
    }
    assert body["id"].startswith("dlv_")
    [origin] = facade.fake.posts.origins
    assert (origin.by.name, origin.by.ip) == ("ann", "<local>")


async def test_a_post_whose_end_was_seen_is_a_200_with_receipts(facade: Asking) -> None:
    facade.fake.posts.answers = delivered
    status, body, _ = await post(facade, TO | {"thread_id": 7, "wait": True})
    [(delivery, wait)] = facade.fake.posts.deliveries
    assert (status, body["status"], wait) == (200, "delivered", 10.0)
    assert body["parts"] == [{"part": 0, "platform_id": "77", "at": int(NOW)}]
    assert delivery.address == Address("support", "12", "7")
    assert (delivery.author.name, delivery.author.kind) == ("ann", "api")


async def test_text_parts_are_one_message(facade: Asking) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    await post(facade, {"channel": "support", "chat_id": -12, "parts": parts, "wait": 2.5, "expires_at": NOW + 60})
    [(delivery, wait)] = facade.fake.posts.deliveries
    assert delivery.parts == (Text(text="a"), Text(text="b"))
    assert (delivery.address.chat_id, delivery.expires_at, wait) == ("-12", NOW + 60, 2.5)


@pytest.mark.parametrize(
    ("change", "status", "param"),
    WRONG,
)
async def test_what_is_wrong_is_named(facade: Asking, change: dict[str, Any], status: int, param: str) -> None:
    got, body, _ = await post(facade, TO | change)
    assert (got, body["error"]["param"]) == (status, param)
    assert facade.fake.posts.deliveries == []


async def test_an_unknown_channel_is_a_400(facade: Asking) -> None:
    def unknown(_: Delivery) -> DeliveryRecord:
        raise RequestError("Unknown channel 'support'.", param="channel", code="unknown_channel")

    facade.fake.posts.answers = unknown
    status, body, _ = await post(facade, TO)
    assert (status, body["error"]["code"]) == (400, "unknown_channel")


async def test_a_full_inbox_says_when_to_come_back(facade: Asking) -> None:
    def full(_: Delivery) -> DeliveryRecord:
        raise InboxFull("full", retry_after=5.0)

    facade.fake.posts.answers = full
    status, _, response = await post(facade, TO)
    assert (status, response.headers["Retry-After"]) == (429, "5")


async def test_the_scope_may_name_addresses(facade: Asking) -> None:
    key = await facade.key("deliver=support:*")
    assert (await facade.ask("POST", "/v1/deliveries", TO, key))[0] == 202
    status, body, _ = await facade.ask("POST", "/v1/deliveries", TO | {"channel": "other"}, key)
    assert (status, body["error"]["code"]) == (403, "address_not_allowed")
    assert (await facade.ask("POST", "/v1/deliveries", TO, await facade.key("chat", name="bob")))[0] == 403
    assert (await facade.ask("POST", "/v1/deliveries", TO))[0] == 401


async def test_a_delivery_is_seen_by_its_maker_and_by_who_may_post_there(facade: Asking) -> None:
    made = (await post(facade, TO))[1]
    for name, scope, status in (
        ("ann", "", 200),
        ("near", "deliver=support:12", 200),
        ("far", "deliver=other:*", 404),
        ("reader", "read", 403),
    ):
        key = await facade.key(scope, name=name)
        assert (await facade.ask("GET", f"/v1/deliveries/{made['id']}", headers=key))[0] == status, name
    assert (await facade.ask("GET", "/v1/deliveries/dlv_none", headers=await facade.key(name="ann")))[0] == 404


async def test_a_delivery_is_discarded_once_and_for_all(facade: Asking) -> None:
    made, key = (await post(facade, TO))[1], await facade.key()
    for _ in range(2):
        status, body, _ = await facade.ask("DELETE", f"/v1/deliveries/{made['id']}", headers=key)
        assert (status, body["status"]) == (200, "discarded")


async def test_the_same_idempotency_key_gets_the_same_answer(facade: Asking) -> None:
    first = await post(facade, TO, **{"Idempotency-Key": "k"})
    again = await post(facade, TO, **{"Idempotency-Key": "k"})
    assert again[:2] == first[:2]
    assert "Idempotent-Replayed" not in first[2].headers
    assert again[2].headers["Idempotent-Replayed"] == "true"
    assert len(facade.fake.posts.deliveries) == 1


async def test_another_request_under_the_key_is_a_409(facade: Asking) -> None:
    await post(facade, TO, **{"Idempotency-Key": "k"})
    status, body, _ = await post(facade, TO | {"text": "other"}, **{"Idempotency-Key": "k"})
    assert (status, body["error"]["code"]) == (409, "idempotency_key_reused")


async def test_two_callers_may_use_the_same_idempotency_key(facade: Asking) -> None:
    await post(facade, TO, **{"Idempotency-Key": "k"})
    bob = await facade.key("deliver", name="bob")
    await facade.ask("POST", "/v1/deliveries", TO, bob | {"Idempotency-Key": "k"})
    ids = {delivery.id for delivery, _ in facade.fake.posts.deliveries}
    assert len(ids) == 2


async def test_a_repetition_of_what_was_cut_off_is_the_same_delivery(facade: Asking) -> None:
    def down(delivery: Delivery) -> DeliveryRecord:
        raise StoreUnavailable("down")

    facade.fake.posts.answers = down
    assert (await post(facade, TO, **{"Idempotency-Key": "k"}))[0] == 503
    facade.fake.posts.answers = delivered
    status, body, response = await post(facade, TO, **{"Idempotency-Key": "k"})
    assert (status, "Idempotent-Replayed" in response.headers) == (200, False)
    assert {delivery.id for delivery, _ in facade.fake.posts.deliveries} == {body["id"]}


async def test_a_repetition_joins_the_first_that_still_runs(facade: Asking) -> None:
    both, deliver = asyncio.Barrier(2), facade.fake.posts.deliver

    async def together(delivery: Delivery, wait: float, origin: Origin) -> DeliveryRecord:
        await both.wait()
        return await deliver(delivery, wait, origin)

    facade.fake.posts.deliver = together
    await facade.key("deliver")
    async with asyncio.timeout(PATIENCE):
        first, second = await asyncio.gather(*(post(facade, TO, **{"Idempotency-Key": "k"}) for _ in range(2)))
    assert first[:2] == second[:2]
    assert len({delivery.id for delivery, _ in facade.fake.posts.deliveries}) == 1


async def test_the_answer_that_was_first_counts_for_a_repetition_that_saw_more(facade: Asking) -> None:
    begun, seen = asyncio.Event(), asyncio.Event()
    waiting = facade.fake.posts.answers

    async def deliver(delivery: Delivery, wait: float, origin: Origin) -> DeliveryRecord:
        del origin
        facade.fake.posts.deliveries.append((delivery, wait))
        if len(facade.fake.posts.deliveries) == 1:
            begun.set()
            await seen.wait()
            return delivered(delivery)
        return waiting(delivery)

    facade.fake.posts.deliver = deliver
    key = await facade.key("deliver") | {"Idempotency-Key": "k"}
    slow = asyncio.create_task(facade.ask("POST", "/v1/deliveries", TO, key))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    quick = await facade.ask("POST", "/v1/deliveries", TO, key)
    seen.set()
    assert (await slow)[:2] == quick[:2]
    assert (await slow)[2].headers["Idempotent-Replayed"] == "true"


async def test_a_wrong_request_frees_its_idempotency_key(facade: Asking) -> None:
    waiting = facade.fake.posts.answers

    def unknown(_: Delivery) -> DeliveryRecord:
        raise RequestError("Unknown channel 'support'.", param="channel")

    facade.fake.posts.answers = unknown
    assert (await post(facade, TO, **{"Idempotency-Key": "k"}))[0] == 400
    facade.fake.posts.answers = waiting
    assert (await post(facade, TO | {"channel": "web"}, **{"Idempotency-Key": "k"}))[0] == 202


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_has_a_length(facade: Asking, key: str) -> None:
    assert (await post(facade, TO, **{"Idempotency-Key": key}))[0] == 400


async def test_a_failed_delivery_tells_why(facade: Asking) -> None:
    def failed(delivery: Delivery) -> DeliveryRecord:
        why = {"status": "failed", "reason": "failed", "last_error": "chat not found", "parts": ()}
        return msgspec.structs.replace(delivered(delivery), **why)

    facade.fake.posts.answers = failed
    status, body, _ = await post(facade, TO | {"wait": 5})
    assert (status, body["status"], body["last_error"]) == (200, "failed", "chat not found")
