"""`bothub send`: a message to any chat."""

from __future__ import annotations

import secrets

import click
from rich.text import Text

from hub.accounts.audit import By
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import tell
from hub.delivery.deliveries import DeliveryRecord
from hub.delivery.origin import Origin
from hub.errors import RequestError
from hub.message import Address, Author, Delivery
from hub.message import Text as Said

EXPIRES = 24 * 3600.0
AUTHOR = Author(id="cli", name="bothub send", kind="api")
OPEN = ("waiting", "sending")
STYLES = {"delivered": "green", "failed": "red", "discarded": "red"}


def run(call: Call, address: str, text: str, wait: float) -> None:
    """Post and print what became of it; exits 1 when its end was waited for and is not `delivered`."""
    to = Address.parse(address)
    if not text.strip():
        raise RequestError("There is no text to send.", param="text")
    record, why = work(call, lambda desk: _post(desk, to, text, wait))
    tell(_data(record, why), _sentence(record, why, wait), json=call.json)
    if record.status != "delivered" and (wait > 0 or record.status not in OPEN):
        click.get_current_context().exit(1)


async def _post(desk: Desk, to: Address, text: str, wait: float) -> tuple[DeliveryRecord, str | None]:
    delivery = Delivery(
        id=f"cli_{secrets.token_hex(12)}",
        address=to,
        parts=(Said(text=text),),
        author=AUTHOR,
        expires_at=desk.now + EXPIRES,
    )
    record = await desk.posts.deliver(delivery, wait, Origin(by=By()))
    return record, desk.posts.waiting_because(record)


def _data(record: DeliveryRecord, why: str | None) -> dict[str, object]:
    return {
        "id": record.delivery.id,
        "address": str(record.delivery.address),
        "status": record.status,
        "reason": why,
        "last_error": record.last_error,
        "attempts": record.attempts,
        "platform_ids": [part.platform_id for part in record.parts],
    }


def _sentence(record: DeliveryRecord, why: str | None, wait: float) -> Text:
    status = "waiting" if record.status in OPEN else record.status
    line = Text.assemble((status, f"bold {STYLES.get(status, 'yellow')}"), f"  {record.delivery.address}  ")
    line.append(record.delivery.id, style="dim")
    if ids := [part.platform_id for part in record.parts]:
        line.append(f"  as {', '.join(ids)}")
    for reason in dict.fromkeys(text for text in (why, record.last_error) if text):
        line.append(f"\n{reason}")
    if status == "waiting" and wait > 0 and why is None:
        line.append(f"\nnot sent within {wait:g} s; does a hub run? It stays in the inbox for a day")
    return line
