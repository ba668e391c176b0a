"""The long connection: lark-oapi's client, run in our loop, with each event stored before it is acknowledged.

Of the SDK stay its frames, the ping and the settings that come with the pong. Ours are the discovery (the SDK's blocks
the loop and has no timeout), the reading (its handlers cannot wait), the joining of pieces (it keeps them), the end (it
has none) and reconnecting, which is the hub's. What is taken of it by private names is held by tests/channels/feishu.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Mapping
from itertools import count
from typing import Any

import structlog

from channels.feishu.api import Api
from channels.feishu.errors import translated
from channels.feishu.hear import PRESSED, Ears, chat_of
from channels.feishu.known import Known
from channels.feishu.sdk import load
from hub.channel import Intake
from hub.errors import ChannelRefused, HubError, Unreachable
from hub.retry import delay

log = structlog.get_logger()

sdk: Any = load()
MOST = 30.0
"""The longest wait, in seconds, between tries to store an event."""
HANG_UP = 0.5
"""How long Feishu may take to say goodbye, in seconds."""


class Connection(sdk.Client):
    """One long connection, from its discovery to the error that ends it."""

    def __init__(self, ears: Ears, api: Api, intake: Intake, *, back_off: float) -> None:
        sdk.Client.__init__(self, api.app_id, "", auto_reconnect=False, log_level=sdk.LogLevel.CRITICAL)
        self._cache._cron.cancel()
        self._ears = ears
        self._api = api
        self._intake = intake
        self._back_off = back_off
        self._wire: Any = None
        self._last: dict[str, asyncio.Task[None]] = {}
        self._pieces = Known[list[bytes]]()

    async def run(self) -> None:
        """Hand over events until cancelled; raises ChannelRefused or Unreachable."""
        try:
            with translated(self._ears.name):
                await self._dial()
            self._intake.up()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ping())
                await self._read(group)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None  # one failure cancels the others
        finally:
            await self._hang_up()

    async def _dial(self) -> None:
        found = await self._api.discover()
        config = found.get("ClientConfig")
        if config:
            self._configure(sdk.ClientConfig(config))
        url = str(found["URL"])
        query = sdk.parse_qs(sdk.urlparse(url).query)
        self._conn_id, self._service_id = query[sdk.DEVICE_ID][0], query[sdk.SERVICE_ID][0]
        try:
            self._wire = await sdk.websockets.connect(url, **sdk._ws_connect_kwargs(None), close_timeout=HANG_UP)
        except sdk.InvalidHandshake as error:
            raise _refused(self._ears.name, sdk._get_ws_conn_exception_headers(error) or {}) from None

    async def _read(self, group: asyncio.TaskGroup) -> None:
        """Take frames until the connection ends. Events of one chat wait for each other, others for nobody."""
        try:
            async for frame in self._wire:
                await self._take_frame(frame, group)
        except (sdk.websockets.exceptions.WebSocketException, OSError):
            pass
        raise Unreachable(f"Feishu closed the long connection of channel '{self._ears.name}'.")

    async def _take_frame(self, raw: bytes, group: asyncio.TaskGroup) -> None:
        frame = sdk.Frame()
        try:
            frame.ParseFromString(raw)
            headers = {header.key: header.value for header in frame.headers}
            if sdk.FrameType(frame.method) is sdk.FrameType.CONTROL:
                await self._handle_control_frame(frame)
                return
            payload = self._whole(frame.payload, headers)
        except Exception as error:  # noqa: BLE001 - a frame of any other shape is none of ours
            log.warning("a frame of the long connection is none", channel=self._ears.name, error=type(error).__name__)
            return
        if payload is not None:
            self._queue(frame, payload, group)

    def _whole(self, payload: bytes, headers: dict[str, str]) -> bytes | None:
        """The event, once all its pieces are there; what stays incomplete is sent again as another message."""
        count = int(headers["sum"])
        if count <= 1:
            return payload
        number = headers["message_id"]
        pieces = self._pieces.get(number) or [b""] * count
        pieces[int(headers["seq"])] = payload
        self._pieces.note(number, pieces)
        if not all(pieces):
            return None
        del self._pieces[number]
        return b"".join(pieces)

    def _queue(self, frame: Any, payload: bytes, group: asyncio.TaskGroup) -> None:
        chat = chat_of(payload)
        task = group.create_task(self._in_turn(self._last.get(chat), frame, payload))
        self._last[chat] = task
        task.add_done_callback(lambda done: self._last.pop(chat) if self._last.get(chat) is done else None)

    async def _in_turn(self, before: asyncio.Task[None] | None, frame: Any, payload: bytes) -> None:
        """Store an event after the one of its chat that came before, then acknowledge it."""
        if before is not None:
            await asyncio.wait({before})
        started = time.monotonic()
        await self._store(payload)
        await self._acknowledge(frame, payload, time.monotonic() - started)

    async def _store(self, payload: bytes) -> None:
        """However long the hub cannot: Feishu sends it again meanwhile, and the hub knows it by its id."""
        for attempt in count(1):
            try:
                await self._ears.hear(payload, self._intake)
            except HubError as error:
                log.warning("an event waits for the store", channel=self._ears.name, attempt=attempt, error=str(error))
                await asyncio.sleep(delay(attempt, first=self._back_off, most=MOST))
            else:
                return

    async def _acknowledge(self, frame: Any, payload: bytes, took: float) -> None:
        header = frame.headers.add()
        header.key, header.value = sdk.HEADER_BIZ_RT, str(int(took * 1000))
        answer: dict[str, Any] = {"code": 200}
        if PRESSED.encode() in payload:
            answer["data"] = base64.b64encode(b"{}").decode()
        frame.payload = json.dumps(answer).encode()
        await self._write(frame)

    async def _ping(self) -> None:
        while True:
            await self._write(sdk._new_ping_frame(int(self._service_id)))
            await asyncio.sleep(self._ping_interval)

    async def _write(self, frame: Any) -> None:
        """Send a frame; whether the connection ended is what the reading finds out."""
        with contextlib.suppress(sdk.websockets.exceptions.WebSocketException, OSError):
            await self._wire.send(frame.SerializeToString())

    async def _hang_up(self) -> None:
        connection, self._wire = self._wire, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close()


def _refused(channel: str, headers: Mapping[str, str]) -> ChannelRefused | Unreachable:
    """What Feishu says where it takes no connection."""
    code, why = (str(headers.get(name) or "") for name in (sdk.HEADER_HANDSHAKE_STATUS, sdk.HEADER_HANDSHAKE_MSG))
    if headers.get(sdk.HEADER_HANDSHAKE_AUTH_ERRCODE) == str(sdk.EXCEED_CONN_LIMIT):
        return Unreachable(
            f"The app of channel '{channel}' has too many long connections (Feishu takes 50): stop other programs "
            "that use it, or give this channel an app of its own."
        )
    if code == str(sdk.FORBIDDEN):
        return ChannelRefused(
            f"Feishu lets the app of channel '{channel}' open no long connection ({why}): choose 'Receive events "
            "through persistent connection' in the app's event settings; store apps need `mode: webhook`."
        )
    return Unreachable(f"Feishu takes no long connection of channel '{channel}' ({code or 'no reason given'}).")
