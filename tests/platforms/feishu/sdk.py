"""The real lark-oapi against a local Feishu: its client, whose calls block, in threads, and its long connection
inside the running loop, without the stock client's own loop, blocking discovery and reconnecting.
"""

import asyncio
import contextlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Self
from urllib.parse import parse_qs, urlparse

from tests.patience import PATIENCE
from tests.platforms.feishu.server import FeishuServer
from tests.platforms.feishu.wire import Json


def _load() -> tuple[Any, Any]:
    """The package and its websocket client, imported where no event loop is: it takes one for itself."""
    package, client = import_module("lark_oapi"), import_module("lark_oapi.ws.client")
    client.loop.close()
    return package, client


with ThreadPoolExecutor(1) as pool:
    lark, ws = pool.submit(_load).result()
tokens: Any = import_module("lark_oapi.core.token.manager").TokenManager


def filled(name: str, **fields: Any) -> Any:
    """The request (or its body) of that name, with those fields that are not None."""
    builder = getattr(lark.cardkit.v1 if "Card" in name else lark.im.v1, name).builder()
    for field, value in fields.items():
        if value is not None:
            getattr(builder, field)(value)
    return builder.build()


class Bot:
    """The client of the server's app. Every call returns the SDK's response, refused or not."""

    def __init__(self, server: FeishuServer, secret: str | None = None) -> None:
        builder = lark.Client.builder().app_id(server.app_id).app_secret(secret or server.app_secret)
        self.client: Any = builder.domain(server.base_url).timeout(PATIENCE).log_level(lark.LogLevel.CRITICAL).build()
        tokens.cache.cache.clear()

    async def create(
        self, chat: str, content: Json, kind: str = "text", *, uuid: str | None = None, by: str = "chat_id"
    ) -> Any:
        text = json.dumps(content, ensure_ascii=False)
        body = filled("CreateMessageRequestBody", receive_id=chat, msg_type=kind, content=text, uuid=uuid)
        return await self._do(
            self.client.im.v1.message.create, "CreateMessageRequest", receive_id_type=by, request_body=body
        )

    async def say(self, text: str, chat: str, uuid: str | None = None) -> Any:
        return await self.create(chat, {"text": text}, uuid=uuid)

    async def reply(self, message: str, text: str, *, thread: bool = False, uuid: str | None = None) -> Any:
        content = json.dumps({"text": text})
        body = filled("ReplyMessageRequestBody", msg_type="text", content=content, reply_in_thread=thread, uuid=uuid)
        return await self._do(
            self.client.im.v1.message.reply, "ReplyMessageRequest", message_id=message, request_body=body
        )

    async def update(self, message: str, content: Json, kind: str = "text") -> Any:
        body = filled("UpdateMessageRequestBody", msg_type=kind, content=json.dumps(content))
        return await self._do(
            self.client.im.v1.message.update, "UpdateMessageRequest", message_id=message, request_body=body
        )

    async def patch(self, message: str, card: Json) -> Any:
        body = filled("PatchMessageRequestBody", content=json.dumps(card, ensure_ascii=False))
        return await self._do(
            self.client.im.v1.message.patch, "PatchMessageRequest", message_id=message, request_body=body
        )

    async def delete(self, message: str) -> Any:
        return await self._do(self.client.im.v1.message.delete, "DeleteMessageRequest", message_id=message)

    async def get(self, message: str) -> Any:
        return await self._do(self.client.im.v1.message.get, "GetMessageRequest", message_id=message)

    async def list(self, chat: str, *, size: int = 20, page: str | None = None, kind: str = "chat") -> Any:
        fields = {"container_id": chat, "container_id_type": kind, "page_size": size, "page_token": page}
        return await self._do(self.client.im.v1.message.list, "ListMessageRequest", **fields)

    async def react(self, message: str, emoji: str) -> Any:
        body = filled("CreateMessageReactionRequestBody", reaction_type=filled("Emoji", emoji_type=emoji))
        call = self.client.im.v1.message_reaction.create
        return await self._do(call, "CreateMessageReactionRequest", message_id=message, request_body=body)

    async def unreact(self, message: str, reaction: str) -> Any:
        call = self.client.im.v1.message_reaction.delete
        return await self._do(call, "DeleteMessageReactionRequest", message_id=message, reaction_id=reaction)

    async def download(self, message: str, key: str, kind: str = "file") -> Any:
        call = self.client.im.v1.message_resource.get
        return await self._do(call, "GetMessageResourceRequest", message_id=message, file_key=key, type=kind)

    async def upload_image(self, data: bytes, name: str | None = "a.png") -> Any:
        body = filled("CreateImageRequestBody", image_type="message", image=_part(data, name))
        return await self._do(self.client.im.v1.image.create, "CreateImageRequest", request_body=body)

    async def upload_file(self, data: bytes, name: str, kind: str = "stream") -> Any:
        body = filled("CreateFileRequestBody", file_type=kind, file_name=name, file=_part(data, "file"))
        return await self._do(self.client.im.v1.file.create, "CreateFileRequest", request_body=body)

    async def chat(self, chat: str) -> Any:
        return await self._do(self.client.im.v1.chat.get, "GetChatRequest", chat_id=chat)

    async def info(self) -> Json:
        """The bot's own account, by the SDK's raw request."""
        request = lark.BaseRequest.builder().http_method(lark.HttpMethod.GET).uri("/open-apis/bot/v3/info")
        built = request.token_types({lark.AccessTokenType.TENANT}).build()
        return json.loads((await asyncio.to_thread(self.client.request, built)).raw.content)

    # Card entities

    async def card(self, card: Json) -> Any:
        body = filled("CreateCardRequestBody", type="card_json", data=json.dumps(card, ensure_ascii=False))
        return await self._do(self.client.cardkit.v1.card.create, "CreateCardRequest", request_body=body)

    async def show(self, card: str, chat: str) -> Any:
        return await self.create(chat, {"type": "card", "data": {"card_id": card}}, "interactive")

    async def content(
        self, card: str, text: str, sequence: int, *, element: str = "md", uuid: str | None = None
    ) -> Any:
        body = filled("ContentCardElementRequestBody", content=text, sequence=sequence, uuid=uuid)
        call = self.client.cardkit.v1.card_element.content
        return await self._do(call, "ContentCardElementRequest", card_id=card, element_id=element, request_body=body)

    async def settings(self, card: str, config: Json, sequence: int) -> Any:
        body = filled("SettingsCardRequestBody", settings=json.dumps({"config": config}), sequence=sequence)
        return await self._do(
            self.client.cardkit.v1.card.settings, "SettingsCardRequest", card_id=card, request_body=body
        )

    async def replace(self, card: str, new: Json, sequence: int) -> Any:
        whole = filled("Card", type="card_json", data=json.dumps(new))
        body = filled("UpdateCardRequestBody", card=whole, sequence=sequence)
        return await self._do(self.client.cardkit.v1.card.update, "UpdateCardRequest", card_id=card, request_body=body)

    async def batch(self, card: str, actions: "list[Json]", sequence: int) -> Any:
        body = filled("BatchUpdateCardRequestBody", actions=json.dumps(actions), sequence=sequence)
        call = self.client.cardkit.v1.card.batch_update
        return await self._do(call, "BatchUpdateCardRequest", card_id=card, request_body=body)

    async def _do(self, call: Any, request: str, **fields: Any) -> Any:
        return await asyncio.to_thread(call, filled(request, **fields))


class LongConnection:
    """One connection of the SDK's own websocket client, its frames read and acknowledged by its own code."""

    def __init__(self, server: FeishuServer, dispatcher: Any, secret: str | None = None) -> None:
        self.client: Any = ws.Client(
            server.app_id,
            secret or server.app_secret,
            event_handler=dispatcher,
            domain=server.base_url,
            auto_reconnect=False,
            log_level=lark.LogLevel.CRITICAL,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            await self._connect()
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self.client._conn.close()
        self._end()

    async def ended(self) -> None:
        """Returns when the other side has ended the connection."""
        await asyncio.wait(self._tasks[:1])

    async def ping(self) -> None:
        frame = ws._new_ping_frame(int(self.client._service_id))
        await self.client._write_message(frame.SerializeToString())

    def _end(self) -> None:
        self.client._cache._cron.cancel()

    async def _connect(self) -> None:
        url: str = await asyncio.to_thread(self.client._get_conn_url)
        query = parse_qs(urlparse(url).query)
        try:
            self.client._conn = await ws.websockets.connect(url, **ws._ws_connect_kwargs(None))
        except ws.InvalidHandshake as refused:
            ws._parse_ws_conn_exception(refused)
        self.client._conn_id, self.client._service_id = query["device_id"][0], query["service_id"][0]
        self._tasks = [asyncio.create_task(self._read())]

    async def _read(self) -> None:
        with contextlib.suppress(ws.websockets.ConnectionClosed):
            while True:
                await self.client._handle_message(await self.client._conn.recv())


def dispatcher(token: str = "", key: str = "", /, **handlers: Any) -> Any:
    """The SDK's event dispatcher with a handler for each named event."""
    builder = lark.EventDispatcherHandler.builder(key, token)
    for name, handler in handlers.items():
        getattr(builder, f"register_p2_{name}")(handler)
    return builder.build()


def _part(data: bytes, name: str | None) -> Any:
    """What the SDK uploads rightly (a tuple), or, without a name, what it does not (a bare stream)."""
    return (name, io.BytesIO(data), "application/octet-stream") if name else io.BytesIO(data)


class Inbox:
    """Keeps what the SDK hands over."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.events.append(event)

    @property
    def texts(self) -> list[str]:
        return [json.loads(event.event.message.content)["text"] for event in self.events]

    @property
    def ids(self) -> list[str]:
        return [event.header.event_id for event in self.events]


def connected(server: FeishuServer, inbox: Inbox, **handlers: Callable[[Any], Any]) -> LongConnection:
    """A connection whose messages go to `inbox`."""
    return LongConnection(server, dispatcher(im_message_receive_v1=inbox, **handlers))
