"""Delivers what is in a channel's inbox: split to the platform's limit, paced, each part sent once and receipted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import msgspec
import structlog

from hub import chats, tracing
from hub.bus import Bus, Hold, Lease, Publish
from hub.channel import Channel, Drafts, Edits, Reacts, Sending
from hub.delivery.deliveries import PartReceipt, add_receipt, drop_receipt, parts
from hub.delivery.pacing import Pacing
from hub.delivery.preview import Previews, pieces
from hub.errors import (
    ChannelError,
    ChannelRefused,
    ChatGone,
    ChatMoved,
    LeaseLost,
    MessageRefused,
    NotFound,
    RateLimited,
    StoreUnavailable,
    Unreachable,
)
from hub.files import FileStore
from hub.message import Delivery, File, Part, Text, channel_inbox, next_try
from hub.metrics import DELIVERIES
from hub.retry import delay
from hub.signals import POLL
from hub.store import Connection
from hub.worker import Defer, Done, Outcome, Retry, Why, Work, named, take_up

log = structlog.get_logger()
REFUSED_WAIT = 60.0
"""How long deliveries of a channel with a refused token wait before they look again, in seconds."""


class Dispatcher:
    """Handles the inbox of one channel."""

    def __init__(
        self, bus: Bus, channel: Channel, files: FileStore, pacing: Pacing, previews: Previews | None = None
    ) -> None:
        self._bus = bus
        self._channel = channel
        self._files = files
        self._pacing = pacing
        self._previews = previews

    async def handle(self, work: Work) -> Outcome:
        """Send what is not sent yet of the lease's delivery."""
        delivery = _DELIVERY.decode(work.lease.head.body)
        take_up(work.lease, delivery)
        told = {"bothub.delivery.id": delivery.id, "bothub.address": str(delivery.address)}
        with tracing.span(f"deliver {delivery.address.channel}", told, kind="producer") as span:
            outcome = await self._handled(work, delivery)
            span.set({"bothub.outcome": named(outcome)})
        return outcome

    async def _handled(self, work: Work, delivery: Delivery) -> Outcome:
        edits = dict[int, int]() if self._previews is None else await self._previews.close(delivery.id)
        done, gone = await self._bus.store.read(lambda connection: _state(connection, delivery))
        if not any(receipt.final for receipt in done.values()) and (reason := self._obsolete(delivery, work, gone)):
            return self._dead(work.lease, delivery, reason, gone)
        try:
            wait = await self._send(work.lease, delivery, done, edits)
        except ChannelError as error:
            return await self._failed(work.lease, delivery, error)
        if wait > 0:
            return Defer(until=self._bus.clock() + wait)
        return self._end(work.lease, delivery, Done(outcome="delivered"))

    async def _failed(self, lease: Lease, delivery: Delivery, error: ChannelError) -> Outcome:
        now = self._bus.clock()
        match error:
            case RateLimited():
                return Defer(until=now + error.retry_after, why=str(error))
            case ChatMoved():
                return self._follow(delivery, lease, error.to)
            case ChatGone():
                place = (delivery.address.channel, delivery.address.chat_id)
                await self._bus.store.write(lambda c: chats.mark_gone(c, *place, str(error), now))
                return self._dead(lease, delivery, "gone", str(error))
            case MessageRefused():
                return self._dead(lease, delivery, "failed", str(error))
            case ChannelRefused():
                return Defer(until=now + REFUSED_WAIT, why=str(error))
            case Unreachable(maybe_sent=True) if not self._channel.limits.dedupes:
                # Each try may be one more copy: they are counted.
                return Retry(why=f"{error} (it may have arrived all the same)")
            case _:
                # The platform is away: that is nobody's fault, so it uses up no try; `expires_at` ends it.
                return Defer(until=now + delay(lease.head.attempts + 1), why=str(error))

    def _follow(self, delivery: Delivery, lease: Lease, to: str) -> Done:
        """Send what is left to the chat's new id, and let its conversations go on there."""
        old = delivery.address
        again = msgspec.structs.replace(delivery, address=msgspec.structs.replace(old, chat_id=to))
        onward = Publish(
            inbox=channel_inbox(old.channel),
            lane=str(again.address),
            id=next_try(lease.head.id),
            body=msgspec.json.encode(again),
        )
        log.info("chat moved", channel=old.channel, chat_id=old.chat_id, to=to)
        return Done(
            outcome="dead",
            reason="retried",
            publishes=(onward,),
            also=lambda connection: chats.move(connection, old.channel, old.chat_id, to),
        )

    def _obsolete(self, delivery: Delivery, work: Work, gone: str | None) -> str | None:
        if work.stopped.is_set():
            return "discarded"
        if delivery.expires_at is not None and delivery.expires_at <= self._bus.clock():
            return "expired"
        return "gone" if gone is not None else None

    async def _send(
        self, lease: Lease, delivery: Delivery, done: dict[int, PartReceipt], edits: Mapping[int, int]
    ) -> float:
        """Send or edit what is not final; returns the seconds to wait before the next call, 0.0 after the last.

        `edits` says how often each part was shown before.
        """
        if delivery.reaction is not None:
            return await self._react(lease, delivery, delivery.reaction, done)
        parts = await self._parts(delivery)
        if delivery.closes and not done and not self._channel.limits.live:
            return 0.0
        if not parts and not delivery.closes:
            raise MessageRefused("There is nothing to send: the message is blank.")
        for index, part in enumerate(parts):
            receipt = done.get(index)
            if receipt is not None and receipt.final:
                continue
            if (wait := self._pacing.wait(delivery.address)) > 0:
                return wait
            await asyncio.sleep(self._pacing.take(delivery.address))
            sending, began_at = await self._sending(delivery, index, part, len(parts)), self._bus.clock()
            with tracing.span(f"part {index + 1}", {"bothub.part": index + 1}, kind="client") as span:
                platform_id = await self._bring(sending, receipt)
                span.set({"bothub.platform_id": platform_id, "bothub.edits": edits.get(index, 0)})
            is_edited = receipt is not None and receipt.platform_id == platform_id
            await self._keep(
                lease,
                delivery,
                PartReceipt(
                    part=index,
                    platform_id=platform_id,
                    at=self._bus.clock(),
                    began_at=began_at,
                    edits=edits.get(index, 0) + is_edited,
                ),
            )
        for index in sorted(set(done) - set(range(len(parts)))):
            await self._take_back(delivery, done[index])
        return 0.0

    async def _react(self, lease: Lease, delivery: Delivery, emoji: str, done: dict[int, PartReceipt]) -> float:
        """Put an emoji below a message; twice is as once."""
        if not isinstance(self._channel, Reacts) or delivery.reply_to is None:
            raise MessageRefused("Messages cannot be reacted to here.")
        if (wait := self._pacing.wait(delivery.address)) > 0:
            return wait
        if not done:
            await asyncio.sleep(self._pacing.take(delivery.address))
            began_at = self._bus.clock()
            await self._channel.react(delivery.address, delivery.reply_to, emoji)
            now = self._bus.clock()
            receipt = PartReceipt(part=0, platform_id=delivery.reply_to, at=now, began_at=began_at)
            await self._keep(lease, delivery, receipt)
        return 0.0

    async def _bring(self, sending: Sending, preview: PartReceipt | None) -> str:
        """Edit the preview into its final form, or send; what was deleted meanwhile is sent anew."""
        if preview is None or not preview.platform_id or not isinstance(self._channel, Edits):
            return await self._channel.send(sending)
        try:
            await self._channel.edit(sending, preview.platform_id)
        except MessageRefused as error:
            log.info("preview not there any more", id=sending.key, error=str(error))
            return await self._channel.send(sending)
        return preview.platform_id

    async def _take_back(self, delivery: Delivery, receipt: PartReceipt) -> None:
        """Delete a preview that has no part in the final message."""
        if receipt.final or not isinstance(self._channel, Edits | Drafts):
            return
        if receipt.platform_id and isinstance(self._channel, Edits):
            with suppress(MessageRefused):
                await self._channel.delete(delivery.address, receipt.platform_id)
        await self._bus.store.write(lambda connection: drop_receipt(connection, delivery.id, receipt.part))

    async def _parts(self, delivery: Delivery) -> list[Part]:
        found: list[Part] = []
        for part in delivery.parts:
            if isinstance(part, Text):
                found += [Text(text=text) for text in pieces(self._channel, part.text)]
            else:
                found.append(self._fitting(part))
        return found

    def _fitting(self, file: File) -> Part:
        """The file, or a sentence about one that this platform does not take."""
        most = self._channel.limits.file_size
        if file.size <= most:
            return file
        why = "is too large to send here" if most else "cannot be sent here"
        return Text(text=f"(The file “{file.name}”, {file.size / 1_000_000:.1f} MB, {why}.)")

    async def _sending(self, delivery: Delivery, index: int, part: Part, count: int) -> Sending:
        return Sending(
            address=delivery.address,
            part=part,
            author=delivery.author,
            key=f"{delivery.id}.{index}",
            reply_to=delivery.reply_to if index == 0 else None,
            buttons=delivery.buttons if index == count - 1 else (),
            content=await self._content(part) if isinstance(part, File) else b"",
        )

    async def _content(self, file: File) -> bytes:
        try:
            return await self._files.read(file)
        except NotFound as error:
            raise MessageRefused(str(error)) from error

    async def _keep(self, lease: Lease, delivery: Delivery, receipt: PartReceipt) -> None:
        """Store a receipt: what the platform has is not to be sent again, so this is tried while the lane is ours."""

        def write(connection: Connection) -> None:
            add_receipt(connection, delivery.id, receipt)

        while True:
            try:
                await self._bus.commit(Hold(lease=lease), also=write)
                return
            except LeaseLost:
                await self._bus.store.write(write)  # still a fact, and perhaps in time for whoever has the lane
                raise
            except StoreUnavailable as error:
                log.warning("receipt not stored yet", id=delivery.id, part=receipt.part, error=str(error))
                await asyncio.sleep(POLL)

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        """End a delivery that failed too often."""
        return self._dead(lease, _DELIVERY.decode(lease.head.body), "failed", str(why))

    def _dead(self, lease: Lease, delivery: Delivery, reason: str, error: str | None = None) -> Done:
        return self._end(lease, delivery, Done(outcome="dead", reason=reason, error=error))

    def _end(self, lease: Lease, delivery: Delivery, done: Done) -> Done:
        status = "delivered" if done.outcome == "delivered" else "discarded" if done.reason == "discarded" else "failed"
        DELIVERIES.labels(delivery.address.channel, status).inc()
        log.info(
            "delivery",
            id=delivery.id,
            address=str(delivery.address),
            author=delivery.author.name,
            status=done.outcome,
            seconds=round(self._bus.clock() - lease.head.at, 3),
            **({"reason": done.reason, "error": done.error} if done.reason else {}),
        )
        return replace(done, tell=((f"delivery.{delivery.id}", b""),))


def _state(connection: Connection, delivery: Delivery) -> tuple[dict[int, PartReceipt], str | None]:
    """The receipts by part, and why the chat cannot be written to."""
    receipts = {receipt.part: receipt for receipt in parts(connection, delivery.id)}
    return receipts, chats.gone_because(connection, delivery.address.channel, delivery.address.chat_id)


_DELIVERY = msgspec.json.Decoder(Delivery)
