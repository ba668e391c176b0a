"""Puts deliveries on their way and waits for what becomes of them: the one path for tools, HTTP and the CLI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from hub import tracing
from hub.accounts.audit import By
from hub.agent import Receipt
from hub.bus import AlreadyThere, Bus, Hold, Lease, Publish
from hub.delivery.deliveries import DeliveryRecord, carrier, find
from hub.delivery.origin import Origin
from hub.errors import RequestError
from hub.message import Address, Delivery, channel_inbox
from hub.signals import POLL
from hub.store import Connection

NOT_ENABLED = "channel not enabled"
WAIT = 10.0
"""How long a tool waits for its post's receipt, in seconds."""
EXPIRES = 24 * 3600.0
"""How long the post of a tool waits for its channel, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Which channels there are: their kinds by name, those that are enabled, and every kind bothub knows."""

    kinds: Mapping[str, str]
    enabled: AbstractSet[str]
    known_kinds: AbstractSet[str]

    def name(self, wanted: str) -> str:
        """The channel a post means: its name, or the one channel of a kind; raises RequestError.

        A kind without a channel stands for itself: its posts wait for one.
        """
        if wanted in self.kinds:
            return wanted
        if wanted not in self.known_kinds:
            known = ", ".join(sorted(self.kinds)) or "none"
            raise RequestError(
                f"Unknown channel '{wanted}'. Channels: {known}.", param="channel", code="unknown_channel"
            )
        named = sorted(name for name, kind in self.kinds.items() if kind == wanted)
        active = [name for name in named if name in self.enabled] or named
        if len(active) > 1:
            names = ", ".join(active)
            raise RequestError(f"'{wanted}' is more than one channel: name one of {names}.", param="channel")
        return active[0] if active else wanted

    def resolve(self, address: Address) -> Address:
        """The address with its channel's own name."""
        return msgspec.structs.replace(address, channel=self.name(address.channel))


def may_post(patterns: tuple[str, ...], address: Address) -> bool:
    """Whether one of the patterns (`support:*`, `web:lobby`, `*`) covers the address."""
    return any(fnmatchcase(str(address), pattern) for pattern in patterns)


async def _knows_all() -> None:
    pass


class Posts:
    """Sends messages to chats."""

    def __init__(self, bus: Bus, channels: Channels) -> None:
        self._bus = bus
        self.channels = channels
        self.refresh: Callable[[], Awaitable[None]] = _knows_all
        """Has this process know of channels that others saved."""

    async def post(self, delivery: Delivery, origin: Origin | None = None, hold: Lease | None = None) -> Receipt:
        """Deliver what a tool posts, and tell it what has become of that so far; raises what `deliver` raises."""
        delivery = msgspec.structs.replace(delivery, expires_at=self._bus.clock() + EXPIRES)
        return self.receipt(await self.deliver(delivery, WAIT, origin, hold))

    async def deliver(
        self, delivery: Delivery, wait: float, origin: Origin | None = None, hold: Lease | None = None
    ) -> DeliveryRecord:
        """Put a delivery on its way once per id and wait up to `wait` seconds for its end.

        With an `origin` the audit has it, also once. With `hold` only while that lease holds. Raises RequestError for
        an unknown channel, InboxFull, LeaseLost.
        """
        delivery = msgspec.structs.replace(delivery, address=await self.resolve(delivery.address))
        held = [Hold(lease=hold)] if hold is not None else []

        def note(connection: Connection) -> None:
            if origin is not None:
                origin.note(connection, "post", delivery.address, self._bus.clock(), delivery=delivery.id)

        with self._bus.signals.listen(f"delivery.{delivery.id}") as ends:
            with suppress(AlreadyThere):
                await self._bus.commit(*held, publish(delivery, bounded=True, once=True), also=note)
            record = await self.find(delivery.id)
            assert record is not None, "it was just stored"
            if delivery.address.channel not in self.channels.enabled:
                return record
            deadline = asyncio.get_running_loop().time() + wait
            while record.status in ("waiting", "sending"):
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                await ends.next(min(left, POLL))
                record = await self.find(delivery.id) or record
        return record

    async def find(self, id: str) -> DeliveryRecord | None:
        """A delivery as it now is."""
        return await self._bus.store.read(lambda connection: find(connection, id))

    async def discard(self, id: str, by: By) -> DeliveryRecord | None:
        """Withdraw a delivery that nobody has begun to send; returns it as it then is."""
        record = await self.find(id)
        if record is None:
            return None
        newest = await self._bus.store.read(lambda connection: carrier(connection, id))
        address, now = record.delivery.address, self._bus.clock()

        def note(connection: Connection) -> None:
            Origin(by=by).note(connection, "delivery.discard", address, now, delivery=record.delivery.id)

        await self._bus.withdraw(channel_inbox(address.channel), newest, "dead", "discarded", also=note)
        self._bus.signals.send(f"delivery.{record.delivery.id}")
        return await self.find(id)

    async def resolve(self, address: Address) -> Address:
        """The address with its channel's own name; raises RequestError for a channel that nobody knows."""
        try:
            return self.channels.resolve(address)
        except RequestError:
            await self.refresh()
            return self.channels.resolve(address)

    async def room(self, address: Address) -> Address:
        """The web room that an address means; raises RequestError for an unknown channel, or one of another kind."""
        address = await self.resolve(address)
        if self.channels.kinds.get(address.channel, address.channel) != "web":
            problem = f"'{address.channel}' is no web channel: only what was said in web rooms can be read."
            raise RequestError(problem, param="channel", code="unsupported_channel")
        return address

    def receipt(self, record: DeliveryRecord) -> Receipt:
        """What the one who posted is told of a delivery."""
        status = record.status if record.status != "sending" else "waiting"
        reason = record.last_error if record.status == "failed" else None
        reason = reason or self.waiting_because(record) or record.last_error
        ids = tuple(part.platform_id for part in record.parts)
        return Receipt(id=record.delivery.id, status=status, platform_ids=ids, reason=reason)

    def waiting_because(self, record: DeliveryRecord) -> str | None:
        """Why a delivery waits, in words."""
        if record.status not in ("waiting", "sending"):
            return record.reason
        if record.delivery.address.channel not in self.channels.enabled:
            return NOT_ENABLED
        return record.last_error


def publish(delivery: Delivery, *, bounded: bool = False, once: bool = False) -> Publish:
    """The operation that puts a delivery into its channel's inbox."""
    delivery = tracing.marked(delivery)
    return Publish(
        inbox=channel_inbox(delivery.address.channel),
        lane=str(delivery.address),
        id=delivery.id,
        body=msgspec.json.encode(delivery),
        bounded=bounded,
        once=once,
    )
