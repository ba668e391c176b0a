"""/v1/deliveries: messages to any chat by its address, and what became of them. Times are whole Unix seconds."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from quart import Blueprint, Response

from api import current, posting
from api.acts import by
from api.auth import require
from api.document import document
from api.openai.parts import posted
from api.openai.parts import read as content
from api.repeats import once
from api.wire import answer, read
from hub.accounts.keys import Key
from hub.delivery.deliveries import DeliveryRecord
from hub.delivery.origin import Origin
from hub.errors import Forbidden, NotFound, RequestError
from hub.message import Address, Author, Delivery, Part

routes = Blueprint("deliveries", __name__)
EXPIRES_SECONDS = 24 * 3600.0
WAIT = 10.0
"""What `"wait": true` means, in seconds."""
LONGEST_WAIT = 30.0
OPEN = ("waiting", "sending")


NOTE = {"channel": "web", "chat_id": "lobby", "text": "The build is done."}


class NewDelivery(msgspec.Struct):
    """The body of POST /v1/deliveries; `wait` in seconds, `expires_at` a Unix time.

    `parts` are content parts as in chat completions: `text`, `image_url`, `file` and the like.
    """

    channel: str | None = None
    chat_id: str | int | None = None
    thread_id: str | int | None = None
    text: str | None = None
    parts: list[dict[str, Any]] | None = None
    wait: bool | float = False
    expires_at: float | None = None


class Receipt(msgspec.Struct):
    """A part that the platform took."""

    part: int
    platform_id: str
    at: int


class DeliveryState(msgspec.Struct):
    """A delivery as its caller sees it."""

    id: str
    address: str
    channel: str
    chat_id: str
    thread_id: str | None
    status: str
    reason: str | None
    attempts: int
    parts: list[Receipt]
    last_error: str | None
    created_at: int
    expires_at: int | None
    object: Literal["delivery"] = "delivery"


@routes.post("/v1/deliveries")
@require("deliver")
@document({200: DeliveryState, 202: DeliveryState}, body=NewDelivery, example=NOTE, errors=(429,), once=True)
async def create() -> Response:
    """Put a message on its way: 200 when its end was seen within `wait`, else 202."""
    new = await read(NewDelivery)
    to = posting.address(new.channel, new.chat_id, new.thread_id)
    wait, expires_at = _wait(new.wait), _expires_at(new.expires_at)
    check(current.key(), to)
    said = await _parts(new)

    async def act(id: str) -> tuple[int, Any]:
        record = await post(f"dlv_{id}", to, said, wait, expires_at)
        return 202 if record.status in OPEN else 200, shown(record)

    return await once(new, act)


@routes.get("/v1/deliveries/<id>")
@require("deliver")
@document({200: DeliveryState})
async def show(id: str) -> Response:
    """One delivery as it now is."""
    return answer(shown(await _mine(id)))


@routes.delete("/v1/deliveries/<id>")
@require("deliver")
@document({200: DeliveryState})
async def discard(id: str) -> Response:
    """Withdraw a delivery; what was sent already stays, and the answer says how it now is."""
    record = await _mine(id)
    return answer(shown(await current.hub().posts.discard(id, by()) or record))


def check(key: Key, to: Address) -> None:
    """Raise Forbidden where the key may not post."""
    if not key.may_deliver(to):
        raise Forbidden(f"This key may not post to {to}.", param="channel", code="address_not_allowed")


async def post(
    id: str, to: Address, parts: tuple[Part, ...], wait: float, expires_at: float | None = None
) -> DeliveryRecord:
    """Put a delivery of the request's key on its way, once per id; raises RequestError, InboxFull."""
    key, hub = current.key(), current.hub()
    delivery = Delivery(
        id=id,
        address=to,
        parts=parts,
        author=Author(id=str(key.id), name=key.name, kind="api"),
        expires_at=hub.clock() + EXPIRES_SECONDS if expires_at is None else expires_at,
    )
    return await hub.posts.deliver(delivery, wait, Origin(by=by()))


def shown(record: DeliveryRecord) -> DeliveryState:
    """What a caller sees of a delivery."""
    delivery, to = record.delivery, record.delivery.address
    return DeliveryState(
        id=delivery.id,
        address=str(to),
        channel=to.channel,
        chat_id=to.chat_id,
        thread_id=to.thread_id,
        status=record.status,
        reason=current.hub().posts.waiting_because(record),
        attempts=record.attempts,
        parts=[Receipt(part.part, part.platform_id, int(part.at)) for part in record.parts],
        last_error=record.last_error,
        created_at=int(record.created_at),
        expires_at=None if delivery.expires_at is None else int(delivery.expires_at),
    )


async def _mine(id: str) -> DeliveryRecord:
    """A delivery the key made, or one to where it may post; for any other it does not exist."""
    record, key = await current.hub().posts.find(id), current.key()
    if record is None or not (_made_by(key, record) or key.may_deliver(record.delivery.address)):
        raise NotFound(f"There is no delivery '{id}'.", code="delivery_not_found")
    return record


def _made_by(key: Key, record: DeliveryRecord) -> bool:
    author = record.delivery.author
    return author.kind == "api" and author.id == str(key.id)


async def _parts(new: NewDelivery) -> tuple[Part, ...]:
    if new.parts is None:
        return posting.parts(posting.text(new.text))
    if new.text is not None:
        raise RequestError("Send text or parts, not both.", param="parts", code="invalid_value")
    return await posted(content(new.parts, "parts"), "parts")


def _wait(wait: bool | float) -> float:
    if isinstance(wait, bool):
        return WAIT if wait else 0.0
    if not 0 <= wait <= LONGEST_WAIT:
        raise RequestError(f"wait must be 0 to {LONGEST_WAIT:g} seconds.", param="wait", code="invalid_value")
    return wait


def _expires_at(at: float | None) -> float | None:
    if at is not None and at <= current.hub().clock():
        raise RequestError("expires_at is in the past.", param="expires_at", code="invalid_value")
    return at
