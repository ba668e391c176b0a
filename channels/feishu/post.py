"""Messages on their way to a chat: where they stand there, and that each is there once."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, cast

from channels.feishu.api import Api, part
from channels.feishu.errors import RECALLED, Refusal
from channels.feishu.hear import Ears
from channels.feishu.known import Known
from hub.channel import Sending
from hub.message import Address

Json = dict[str, Any]
OLD = 3.0
"""Who was made so many seconds before we sent it was sent before; Feishu's clock and its messages' differ by less."""


class Posted(NamedTuple):
    """A message that stands in a chat; `earlier` if it is one that was sent with the same key before."""

    id: str
    earlier: bool


class Post:
    """Sends messages, each with a key: Feishu answers a second one within an hour with the first, whatever is in it."""

    def __init__(self, api: Api, ears: Ears) -> None:
        self._api = api
        self._ears = ears
        self._open = Known[str]()
        """What was sent and never answered, by its key."""

    async def send(self, sending: Sending, kind: str, content: Json) -> Posted:
        """Send a message: below the one it answers where others talk too, in its thread, or into the chat."""
        written = written_as(content)
        key = _key(sending, kind)
        started, before = self._api.now(), self._open.get(key, written)
        self._open.note(key, written)
        try:
            sent = await self._placed(sending, {"msg_type": kind, "content": written, "uuid": key})
        except Refusal:
            self._open.pop(key, None)
            raise
        self._open.pop(key, None)
        message = str(sent["message_id"])
        self._note(sending.address, message)
        made = int(sent.get("create_time") or 0) / 1000
        earlier = before != written or 0 < made < started - OLD or _card(sent) not in ("", _card_in(written))
        return Posted(message, earlier)

    async def _placed(self, sending: Sending, body: Json) -> Json:
        address = sending.address
        above = await self._above(sending)
        if above:
            threaded = {"reply_in_thread": True} if address.thread_id else {}
            try:
                return await self._reply(above, {**body, **threaded})
            except Refusal as refusal:
                if refusal.code not in RECALLED:
                    raise
                above = await self._last(address) if address.thread_id else None
                if above:
                    return await self._reply(above, {**body, **threaded})
        kind = "open_id" if address.chat_id.startswith("ou_") else "chat_id"
        to = {**body, "receive_id": address.chat_id}
        return cast(Json, (await self._api.call("POST", "/im/v1/messages", to, receive_id_type=kind))["data"])

    async def _reply(self, message: str, body: Json) -> Json:
        return cast(Json, (await self._api.call("POST", f"/im/v1/messages/{part(message)}/reply", body))["data"])

    async def _above(self, sending: Sending) -> str | None:
        """The message to reply to: in a private chat there is no need for one, in a thread there is no other way."""
        address = sending.address
        if address.thread_id:
            return sending.reply_to or self._ears.threads.get(address.thread_id) or await self._last(address)
        if sending.reply_to is None or await self._ears.is_direct(address.chat_id):
            return None
        return sending.reply_to

    async def _last(self, address: Address) -> str | None:
        """The newest message of a thread."""
        found = await self._api.call(
            "GET",
            "/im/v1/messages",
            container_id_type="thread",
            container_id=address.thread_id or "",
            sort_type="ByCreateTimeDesc",
            page_size="1",
        )
        items = cast(list[Json], cast(Json, found["data"]).get("items") or [])
        return str(items[0]["message_id"]) if items else None

    def _note(self, address: Address, message: str) -> None:
        self._ears.threads.note(message, address.thread_id or "")
        if address.thread_id:
            self._ears.threads.note(address.thread_id, message)


def written_as(content: Json) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _key(sending: Sending, kind: str) -> str:
    """The same for every try of the same part as the same kind of message; Feishu takes 50 characters."""
    said = f"{sending.address}\n{sending.key}\n{kind}"
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _card(sent: Json) -> str:
    """The card entity that a message shows, where Feishu says so."""
    return _card_in(cast(Json, sent.get("body") or {}).get("content"))


def _card_in(content: object) -> str:
    try:
        found: Any = json.loads(content) if isinstance(content, str) else {}
        return str(found["data"]["card_id"]) if found.get("type") == "card" else ""
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""
