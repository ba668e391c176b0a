"""Shows answers while they are written: one message that grows, edited by time, newest wins, one call in flight.

A preview belongs to the reply of its turn: its platform ids are stored as receipts of that delivery, not final, before
anything is edited. The dispatcher makes them final, so there is never a second copy: whatever a preview could not show
is in the delivery.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

import msgspec
import structlog
from msgspec import structs

from hub.bus import Bus
from hub.channel import Drafts, Edits, Limits, Measures, Sending
from hub.delivery.deliveries import PartReceipt, add_receipt, parts
from hub.delivery.pacing import Pacing
from hub.errors import ChannelError, RateLimited, StoreUnavailable, Unreachable
from hub.message import Author, Button, Buttons, Live, Text, channel_inbox, reply_id
from hub.signals import POLL
from hub.text import split

log = structlog.get_logger()
STOP: Buttons = ((Button(text="Stop", value="/stop"),),)
"""Below an answer while it is written; pressing it is the command."""


class Shows(Protocol):
    """A channel as previews need it."""

    @property
    def limits(self) -> Limits: ...

    async def send(self, sending: Sending) -> str: ...


def pieces(channel: Shows, text: str) -> list[str]:
    """A CommonMark text in parts that fit the platform once they are rendered."""
    limits = channel.limits
    found = split(text, limits.length, limits.unit)
    if not isinstance(channel, Measures):
        return found
    return [piece for part in found for piece in _fitted(channel, part, limits.length)]


def _fitted(channel: Measures, text: str, length: int) -> list[str]:
    size = channel.size(text)
    if size <= length:
        return [text]
    smaller = max(int(len(text) * length / size * 0.9), 16)
    halves = split(text, smaller, "chars")
    return [text] if len(halves) < 2 else [piece for half in halves for piece in _fitted(channel, half, length)]


class Preview:
    """The reply of one turn while it is written."""

    def __init__(self, bus: Bus, channel: Shows, pacing: Pacing, live: Live, buttons: Buttons = ()) -> None:
        self._bus = bus
        self._channel = channel
        self._pacing = pacing
        self._live = live
        self._buttons = buttons
        self._reply = reply_id(live.turn)
        self._text = ""
        self._shown: dict[int, Sending] = {}
        self._ids: dict[int, str] = {}
        self._is_drafted = False
        self.edits: Counter[int] = Counter()
        """How often each message was changed."""
        self._news = asyncio.Event()
        self._ending = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"preview {live.turn}")

    def hear(self, live: Live) -> None:
        """Take what was written; a piece that got lost ends the preview, not the answer."""
        if live.offset > len(self._text):
            self.end()
            return
        self._text = self._text[: live.offset] + live.text
        self._news.set()

    def end(self) -> None:
        """Begin no other call."""
        self._ending.set()
        self._news.set()

    async def close(self) -> None:
        """Begin no other call, and wait for the one that is in flight."""
        self.end()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            await self._resume()
            while not self._ending.is_set():
                await self._news.wait()
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(await self._show()):
                        await self._ending.wait()
        except ChannelError as error:
            log.info("preview given up", turn=self._live.turn, address=str(self._live.address), error=str(error))
        except Exception:
            log.exception("preview failed", turn=self._live.turn)

    async def _resume(self) -> None:
        """Go on with what a process before this one had shown."""
        receipts = await self._bus.store.read(lambda connection: parts(connection, self._reply))
        if any(receipt.final for receipt in receipts):
            self.end()
        self._ids = {receipt.part: receipt.platform_id for receipt in receipts if receipt.platform_id}
        self._is_drafted = len(self._ids) < len(receipts)

    async def _show(self) -> float:
        """Bring one message up to date; returns the seconds until the next call may be made."""
        wanted = self._wanted(pieces(self._channel, self._text))
        stale = [index for index, sending in enumerate(wanted) if self._shown.get(index) != sending]
        if not stale or self._ending.is_set():
            return 0.0
        if len(stale) > 1:
            self._news.set()
        try:
            await self._bring(stale[0], wanted[stale[0]])
        except RateLimited as limit:
            self._news.set()
            return limit.retry_after
        except Unreachable:
            self._news.set()
        limits = self._channel.limits
        return limits.edit_every_group if self._pacing.is_group(self._live.address) else limits.edit_every

    async def _bring(self, index: int, sending: Sending) -> None:
        if index in self._ids:
            await self._paced()
            assert isinstance(self._channel, Edits), "only then there is an id"
            await self._channel.edit(sending, self._ids[index])
            self.edits[index] += 1
        elif not await self._draft(sending):
            if not await self._is_free() or not isinstance(self._channel, Edits):
                self._news.set()
                return
            await self._paced()
            began_at = self._bus.clock()
            self._ids[index] = await self._channel.send(sending)
            await self._keep(index, self._ids[index], began_at)
        self._shown[index] = sending

    async def _draft(self, sending: Sending) -> bool:
        """Show a draft, which goes away: its receipt has no id, and says that something was shown."""
        channel, began_at = self._channel, self._bus.clock()
        if not isinstance(channel, Drafts) or not await channel.draft(structs.replace(sending, key=f"{self._reply}.0")):
            return False
        if self._is_drafted:
            self.edits[0] += 1
        else:
            self._is_drafted = True
            await self._keep(0, "", began_at)
        return True

    def _wanted(self, texts: list[str]) -> list[Sending]:
        """The messages as they should stand, the buttons below the last."""
        return [
            self._sending(index, text, self._buttons if index == len(texts) - 1 else ())
            for index, text in enumerate(texts)
        ]

    def _sending(self, index: int, text: str, buttons: Buttons) -> Sending:
        return Sending(
            address=self._live.address,
            part=Text(text=text),
            author=Author(id=self._live.agent, name=self._live.agent, kind="agent"),
            key=f"{self._reply}.{index}",
            reply_to=self._live.reply_to if index == 0 else None,
            buttons=buttons,
            final=False,
        )

    async def _is_free(self) -> bool:
        """Nothing else waits to be sent there, which would have to come first."""
        address = self._live.address
        return await self._bus.waiting(channel_inbox(address.channel), str(address)) == 0

    async def _paced(self) -> None:
        await asyncio.sleep(self._pacing.wait(self._live.address))
        await asyncio.sleep(self._pacing.take(self._live.address))

    async def _keep(self, index: int, platform_id: str, began_at: float) -> None:
        """Store the receipt: without it the reply would be a second copy, so this is tried until it is done."""
        now = self._bus.clock()
        receipt = PartReceipt(part=index, platform_id=platform_id, at=now, final=False, began_at=began_at)
        while True:
            try:
                await self._bus.store.write(lambda connection: add_receipt(connection, self._reply, receipt))
                return
            except StoreUnavailable as error:
                log.warning("receipt of a preview not stored yet", id=self._reply, error=str(error))
                await asyncio.sleep(POLL)


class Previews:
    """The previews of one channel."""

    KNOWN = 1000

    def __init__(self, bus: Bus, name: str, channel: Shows, pacing: Pacing, buttons: Buttons = ()) -> None:
        self._bus = bus
        self._topic = f"live.{name}"
        self._channel = channel
        self._pacing = pacing
        self._buttons = buttons
        self._previews: OrderedDict[str, Preview | Counter[int]] = OrderedDict()
        """By delivery; of one that is closed, the number of its edits."""

    async def run(self) -> None:
        """Follow the channel's turns until cancelled."""
        with self._bus.signals.listen(self._topic) as signs:
            try:
                while True:
                    payload = await signs.next()
                    if payload is not None:
                        self._notice(_LIVE.decode(payload))
            finally:
                open_ = [preview for preview in self._previews.values() if isinstance(preview, Preview)]
                await asyncio.gather(*(preview.close() for preview in open_))

    def _notice(self, live: Live) -> None:
        reply = reply_id(live.turn)
        known = reply in self._previews
        preview = self._previews.get(reply)
        if live.kind == "delta" and not known and live.offset == 0:
            preview = self._remember(reply, Preview(self._bus, self._channel, self._pacing, live, self._buttons))
            preview.hear(live)
        elif live.kind == "delta" and isinstance(preview, Preview):
            preview.hear(live)
        elif live.kind == "done" and isinstance(preview, Preview):
            preview.end()

    def _remember(self, reply: str, preview: Preview) -> Preview:
        self._previews[reply] = preview
        if len(self._previews) > self.KNOWN:
            _, oldest = self._previews.popitem(last=False)
            if isinstance(oldest, Preview):
                oldest.end()
        return preview

    async def close(self, delivery: str) -> Mapping[int, int]:
        """End the preview of this delivery, if it has one; returns how often each of its messages was edited.

        A sign that comes later opens no other.
        """
        preview = self._previews.get(delivery)
        edits = preview.edits if isinstance(preview, Preview) else preview or Counter[int]()
        self._previews[delivery] = edits
        if isinstance(preview, Preview):
            await preview.close()
        while len(self._previews) > self.KNOWN:
            self._previews.popitem(last=False)
        return edits


_LIVE = msgspec.json.Decoder(Live)
