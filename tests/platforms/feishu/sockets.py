"""The long connection: discovery of its address, the websocket, frames and their acknowledgements."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.platforms.feishu.frames import CONTROL, DATA, Frame, decode
from tests.platforms.feishu.state import State
from tests.platforms.feishu.wire import ApiError, Call, Json, parsed

SERVICE = 33554678
CLIENT_CONFIG = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 120}
SYSTEM_BUSY, FORBIDDEN, AUTH_FAILED = 1, 403, 514
BAD_CREDENTIALS, TOO_MANY = 1000040345, 1000040350  # the first: mem


@dataclass(frozen=True, kw_only=True)
class Ack:
    """What a client answered to an event frame."""

    code: int
    data: Json | None
    headers: Mapping[str, str]


@dataclass(kw_only=True)
class Connection:
    """One client's websocket, and the acknowledgements it still owes."""

    id: str
    socket: web.WebSocketResponse
    request: web.Request
    owed: dict[str, "asyncio.Future[Ack | None]"] = field(default_factory=dict[str, "asyncio.Future[Ack | None]"])


class Sockets:
    """All connections of the app. Each event goes to one of them, in turn.

    `limit` is how many there may be; `frame_bytes` splits longer payloads over several frames; `answer_pings` can
    be switched off; `client_config` is what a client is told when it asks for the address and with each pong.
    """

    def __init__(self, state: State, client_config: Json) -> None:
        self.connections: list[Connection] = []
        self.client_config = client_config
        self.limit = 50
        self.frame_bytes: int | None = None
        self.answer_pings = True
        self.pings = 0
        self.connects = 0
        self.ws_url = ""
        self._state = state
        self._tickets: set[str] = set()

    async def discover(self, call: Call) -> web.Response:
        """The address to connect to, good for one connection."""
        known = (call.params.get("AppID"), call.params.get("AppSecret"))
        if known != (self._state.app_id, self._state.app_secret):
            raise ApiError(BAD_CREDENTIALS, "app_id or app_secret is invalid", status=200)
        ticket = self._state.new_id("t")
        self._tickets.add(ticket)
        query = f"device_id={self._state.new_id('')}&service_id={SERVICE}&access_key=k&ticket={ticket}"
        data = {"URL": f"{self.ws_url}?{query}", "ClientConfig": self.client_config}
        return web.json_response({"code": 0, "msg": "", "data": data})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A client's connection, until one side ends it."""
        if refused := self._refuse(request):
            return refused
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(id=request.query["device_id"], socket=socket, request=request)
        self.connections.append(connection)
        self.connects += 1
        self._state.changed.notify()
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await self._read(connection, decode(message.data))
        finally:
            self._forget(connection)
        return socket

    async def send(self, event: bytes) -> Ack | None:
        """Gives the event to a client and waits for what it answers; None when the connection ends first."""
        connection = self.connections.pop(0)
        self.connections.append(connection)
        number = self._state.new_id("")
        answer = connection.owed[number] = asyncio.get_running_loop().create_future()
        parts = self._split(event)
        for seq, part in enumerate(parts):
            headers = {"type": "event", "message_id": number, "sum": str(len(parts)), "seq": str(seq), "trace_id": "T"}
            frame = Frame(method=DATA, headers=headers, payload=part, service=SERVICE)
            with contextlib.suppress(ConnectionError):
                await connection.socket.send_bytes(frame.encode())
        self._state.changed.notify()
        try:
            return await answer
        finally:
            connection.owed.pop(number, None)

    async def close(self, code: int = 1000) -> None:
        """Closes every connection, as the platform does when it moves its clients."""
        for connection in [*self.connections]:
            await connection.socket.close(code=code)

    def abort(self) -> None:
        """Cuts every connection without a word."""
        for connection in [*self.connections]:
            if connection.request.transport:
                connection.request.transport.abort()

    def _refuse(self, request: web.Request) -> web.Response | None:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return _handshake(FORBIDDEN, "invalid ticket", 0)
        self._tickets.remove(ticket)
        if len(self.connections) >= self.limit:
            return _handshake(AUTH_FAILED, "the number of connections exceeded the limit", TOO_MANY)
        return None

    async def _read(self, connection: Connection, frame: Frame) -> None:
        if frame.method == CONTROL and frame.headers.get("type") == "ping":
            self.pings += 1
            self._state.changed.notify()
            if self.answer_pings:
                payload = json.dumps(self.client_config).encode()
                pong = Frame(method=CONTROL, headers={"type": "pong"}, payload=payload, service=frame.service)
                await connection.socket.send_bytes(pong.encode())
        elif frame.method == DATA:
            owed = connection.owed.get(frame.headers.get("message_id", ""))
            if owed and not owed.done():
                owed.set_result(_ack(frame))

    def _forget(self, connection: Connection) -> None:
        self.connections.remove(connection)
        for owed in connection.owed.values():
            if not owed.done():
                owed.set_result(None)
        self._state.changed.notify()

    def _split(self, event: bytes) -> list[bytes]:
        size = self.frame_bytes or len(event)
        return [event[at : at + size] for at in range(0, len(event), size)]


def _handshake(status: int, msg: str, code: int) -> web.Response:
    headers = {"Handshake-Status": str(status), "Handshake-Msg": msg, "Handshake-Autherrcode": str(code)}
    return web.Response(status=400, headers=headers)


def _ack(frame: Frame) -> Ack:
    said = parsed(frame.payload) or {}
    data = said.get("data")
    answer = parsed(base64.b64decode(data)) if isinstance(data, str) and data else None
    return Ack(code=int(said.get("code", 0)), data=answer, headers=frame.headers)
