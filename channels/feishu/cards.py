"""Card entities: answers that are shown while they are written.

A change of an entity needs a sequence, an int32, above the one before. Ours are the seconds since 2026, or one more
than the last where there are several in a second: they fit until 2094 and need not be stored. A card streams for ten
minutes at most and takes ten changes a second, so it is never ahead of the clock by more than `AHEAD`; who did not
make the card itself (after a restart) starts that much later, and so does who is told that a sequence is stale.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast

from channels.feishu import render
from channels.feishu.api import Api, part
from channels.feishu.errors import BAD_CARD, CLOSED_CARD, LOST_CARD, STALE, Refusal
from channels.feishu.known import Known
from hub.message import Buttons

Json = dict[str, Any]
EPOCH = 1767225600
"""2026-01-01, as a Unix time."""
AHEAD = 6000


class Card:
    """A card entity, the last sequence used for it, and the buttons it has; None where we do not know."""

    def __init__(self, id: str, buttons: Buttons | None = None) -> None:
        self.id = id
        self.sequence = 0
        self.buttons = buttons


class Cards:
    """The card entities of one app, by the message that shows them."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.time) -> None:
        self._api = api
        self._clock = clock
        self._known = Known[Card]()

    async def create(self, text: str, buttons: Buttons) -> str:
        """A card that streams; returns its id."""
        data = json.dumps(render.card(text, buttons, streaming=True), ensure_ascii=False)
        found = await self._api.call("POST", "/cardkit/v1/cards", {"type": "card_json", "data": data})
        return str(cast(Json, found["data"])["card_id"])

    def shown(self, message: str, card: str, buttons: Buttons | None = None) -> None:
        """Remember which message shows a card."""
        self._known.note(message, Card(card, buttons))

    async def change(self, message: str, text: str, buttons: Buttons, *, final: bool) -> bool:
        """Put a text into the card of a message, and end its streaming; False where there is no card to change."""
        card = await self._card(message)
        if card is None:
            return False
        try:
            # A card of another process has kept the buttons it was made with; the last text takes them away.
            same = card.buttons == buttons if card.buttons is not None else not final
            if not same or (final and buttons):
                await self._replace(card, text, buttons, streaming=not final)
            else:
                await self._write(card, text, buttons, final=final)
        except Refusal as refusal:
            if refusal.code not in LOST_CARD:
                raise
            self._known.pop(message, None)
            return False
        if final:
            self._known.pop(message, None)
        return True

    async def _write(self, card: Card, text: str, buttons: Buttons, *, final: bool) -> None:
        """Into the text element while the card streams; a card that has stopped is replaced as a whole."""
        try:
            await self._content(card, text)
        except Refusal as refusal:
            if refusal.code not in CLOSED_CARD | BAD_CARD:
                raise
            await self._replace(card, text, buttons, streaming=not final)
            return
        if final:
            await self._close(card, text)

    async def _content(self, card: Card, text: str) -> None:
        path = f"/cardkit/v1/cards/{part(card.id)}/elements/{render.ELEMENT}/content"
        await self._operate(card, "PUT", path, {"content": render.markdown(text)})

    async def _close(self, card: Card, text: str) -> None:
        config = {"streaming_mode": False, "summary": {"content": render.summary(text)}}
        body = {"settings": json.dumps({"config": config}, ensure_ascii=False)}
        await self._operate(card, "PATCH", f"/cardkit/v1/cards/{part(card.id)}/settings", body)

    async def _replace(self, card: Card, text: str, buttons: Buttons, *, streaming: bool) -> None:
        data = json.dumps(render.card(text, buttons, streaming=streaming), ensure_ascii=False)
        body = {"card": {"type": "card_json", "data": data}}
        await self._operate(card, "PUT", f"/cardkit/v1/cards/{part(card.id)}", body)
        card.buttons = buttons

    async def _operate(self, card: Card, method: str, path: str, body: Json) -> None:
        """One change; once more far ahead where somebody else has changed the card."""
        card.sequence = max(card.sequence + 1, self._now())
        try:
            await self._api.call(method, path, {**body, "sequence": card.sequence})
        except Refusal as refusal:
            if refusal.code != STALE:
                raise
            card.sequence = max(card.sequence, self._now()) + AHEAD
            await self._api.call(method, path, {**body, "sequence": card.sequence})

    async def _card(self, message: str) -> Card | None:
        """The card of a message, which another process may have made; None if it shows no entity."""
        if message not in self._known:
            try:
                found = await self._api.call("POST", "/cardkit/v1/cards/id_convert", {"message_id": message})
            except Refusal as refusal:
                if refusal.status >= 500 or refusal.status == 429:
                    raise
                return None
            self.shown(message, str(cast(Json, found["data"])["card_id"]))
            self._known[message].sequence = self._now() + AHEAD
        self._known.move_to_end(message)
        return self._known[message]

    def _now(self) -> int:
        return max(int(self._clock() - EPOCH), 1)
