"""The gateway: sessions that outlive their connections, and what can go wrong between the two."""

import asyncio
import contextlib
import json
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from aiohttp import WSMsgType, web

from tests.platforms.discord.intents import KNOWN, PRIVILEGED, cut, is_heard
from tests.platforms.discord.shapes import BOT
from tests.platforms.discord.state import State
from tests.platforms.discord.wire import Json

URL = "wss://gateway.discord.gg"
DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, RESUME, RECONNECT, MEMBERS, INVALID, HELLO, ACK = (
    0,
    1,
    2,
    3,
    6,
    7,
    8,
    9,
    10,
    11,
)
FORGETTING = (4007, 4009)
"""Close codes that end the session too."""
PAYLOAD_LIMIT, PAYLOADS_PER_MINUTE = 4096, 120


@dataclass(kw_only=True)
class Session:
    """What one identified bot was told, kept so that it can resume."""

    id: str
    intents: int
    said: list[Json] = field(default_factory=list[Json])
    connection: "Connection | None" = None

    def tell(self, event: str, data: Json) -> None:
        payload: Json = {"op": DISPATCH, "t": event, "s": len(self.said) + 1, "d": data}
        self.said.append(payload)
        if self.connection:
            self.connection.send(payload)


@dataclass(frozen=True, kw_only=True)
class Close:
    """The end of a connection; without a code it is cut."""

    code: int | None


class Connection:
    """One websocket. `dead`: nothing gets through any more, though neither side noticed."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self.session: Session | None = None
        self.dead = False
        self.closing = False
        self._request = request
        self._ws = ws
        self._queue: asyncio.Queue[Json | Close] = asyncio.Queue()
        self._zlib = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        self._heard: deque[float] = deque()

    def send(self, payload: Json) -> None:
        if not self.dead and not self.closing:
            self._queue.put_nowait(payload)

    def close(self, code: int | None) -> None:
        """Ends the connection after what was sent; its session may be resumed at once."""
        self.leave()
        if not self.closing:
            self.closing = True
            self._queue.put_nowait(Close(code=code))

    def leave(self) -> None:
        if self.session and self.session.connection is self:
            self.session.connection = None

    def floods(self, now: float) -> bool:
        """Counts a payload from the bot, true when it is one too many; heartbeats, often hastened, do not count."""
        while self._heard and self._heard[0] <= now - 60:
            self._heard.popleft()
        self._heard.append(now)
        return len(self._heard) > PAYLOADS_PER_MINUTE

    async def write(self) -> None:
        """Sends what is queued, in order, until the end."""
        with contextlib.suppress(ConnectionError):
            while isinstance(frame := await self._queue.get(), dict):
                await self._put(json.dumps(frame))
            if frame.code is not None:
                await self._ws.close(code=frame.code)
            elif self._request.transport:
                self._request.transport.abort()

    async def _put(self, text: str) -> None:
        if self._zlib:
            await self._ws.send_bytes(self._zlib.compress(text.encode()) + self._zlib.flush(zlib.Z_SYNC_FLUSH))
        else:
            await self._ws.send_str(text)


class Gateway:
    """Tells every session what it may hear. Sessions outlive an outage, connections do not.

    `heartbeat` is the interval asked of the bot, in seconds.
    """

    def __init__(self, state: State, token: str, *, heartbeat: float) -> None:
        self.state = state
        self.token = token
        self.heartbeat = heartbeat
        self.identifies = 0
        self.resumes = 0
        self.sessions: dict[str, Session] = {}
        self.connections: list[Connection] = []
        self._hears: dict[int, Callable[[Connection, Any], None]] = {
            IDENTIFY: self._identify,
            RESUME: self._resume,
            MEMBERS: self._members,
            PRESENCE: self._presence,
        }
        state.publish = self.publish

    @property
    def connected(self) -> bool:
        """Whether a bot listens now."""
        return any(session.connection for session in self.sessions.values())

    def publish(self, event: str, data: Json) -> None:
        """Tells `event` to every session that may hear it."""
        if self._hidden(event, data):
            return
        for session in self.sessions.values():
            if is_heard(event, data, session.intents):
                session.tell(event, cut(event, data, session.intents))

    def _hidden(self, event: str, data: Json) -> bool:
        channel = data.get("channel_id")
        if event == "INTERACTION_CREATE" or channel not in self.state.channels:
            return False
        return not self.state.may("view", channel)

    # A connection's life

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Holds one connection until either side ends it."""
        ws = web.WebSocketResponse(timeout=2)
        await ws.prepare(request)
        connection = Connection(request, ws)
        self.connections.append(connection)
        writer = asyncio.create_task(connection.write())
        connection.send(self._hello(request, connection))
        try:
            async for message in ws:
                self._hear(connection, message.data if message.type is WSMsgType.TEXT else "")
            if connection.closing:
                await writer
        finally:
            writer.cancel()
            self._part(connection, ws.close_code)
        return ws

    def _hello(self, request: web.Request, connection: Connection) -> Json:
        if (request.query.get("v"), request.query.get("encoding", "json")) != ("10", "json"):
            connection.close(4012)
        return {"op": HELLO, "d": {"heartbeat_interval": round(self.heartbeat * 1000)}}

    def _part(self, connection: Connection, code: int | None) -> None:
        self.connections.remove(connection)
        connection.leave()
        if connection.session and not connection.closing and code in (1000, 1001):
            self.sessions.pop(connection.session.id, None)
        self.state.changed.notify()

    def _hear(self, connection: Connection, text: str) -> None:
        if connection.dead or connection.closing:
            return
        payload = _read(text)
        if payload is None:
            connection.close(4002)
        elif payload["op"] == HEARTBEAT:
            connection.send({"op": ACK})
        elif connection.floods(self.state.clock()):
            connection.close(4008)
        else:
            self._obey(connection, payload["op"], payload.get("d"))
        self.state.changed.notify()

    def _obey(self, connection: Connection, op: int, data: Any) -> None:
        known = connection.session is not None
        if op not in self._hears:
            connection.close(4001)
        elif not known and op not in (IDENTIFY, RESUME):
            connection.close(4003)
        elif known and op in (IDENTIFY, RESUME):
            connection.close(4005)
        else:
            self._hears[op](connection, data)

    # What a bot says

    def _identify(self, connection: Connection, data: Json) -> None:
        self.identifies += 1
        if code := self._objection(data):
            connection.close(code)
            return
        session = Session(id=uuid4().hex, intents=data["intents"], connection=connection)
        self.sessions[session.id] = connection.session = session
        session.tell("READY", self._ready(session))
        for guild in self.state.guilds:
            if is_heard("GUILD_CREATE", {}, session.intents):
                session.tell("GUILD_CREATE", self.state.guild_event(guild))

    def _objection(self, data: Json) -> int | None:
        intents = data.get("intents")
        if data.get("token") != self.token:
            return 4004
        if data.get("shard", [0, 1]) != [0, 1]:
            return 4010
        if not isinstance(intents, int) or intents & ~KNOWN:
            return 4013
        return 4014 if intents & PRIVILEGED & ~self.state.granted else None

    def _ready(self, session: Session) -> Json:
        return {
            "v": 10,
            "user": {**self.state.me, "verified": True, "mfa_enabled": True, "email": None},
            "guilds": [{"id": guild, "unavailable": True} for guild in self.state.guilds],
            "private_channels": [],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": URL,
            "application": {"id": BOT, "flags": 1 << 19},
            "shard": [0, 1],
        }

    def _resume(self, connection: Connection, data: Json) -> None:
        self.resumes += 1
        session = self.sessions.get(str(data.get("session_id")))
        if data.get("token") != self.token:
            connection.close(4004)
        elif session is None:
            connection.send({"op": INVALID, "d": False})
        elif not isinstance(data.get("seq"), int) or data["seq"] > len(session.said):
            connection.close(4007)
        else:
            self._replay(connection, session, data["seq"])

    def _replay(self, connection: Connection, session: Session, seen: int) -> None:
        if session.connection:
            session.connection.close(None)
        for payload in session.said[seen:]:
            connection.send(payload)
        connection.session = session
        session.connection = connection
        session.tell("RESUMED", {})

    def _members(self, connection: Connection, data: Json) -> None:
        people = [self.state.me, *self.state.users.values()]
        members = [{"user": user, **self.state.member(user["id"])} for user in people]
        chunk: Json = {"guild_id": data["guild_id"], "members": members, "chunk_index": 0, "chunk_count": 1}
        if connection.session:
            connection.session.tell("GUILD_MEMBERS_CHUNK", chunk | {"nonce": data.get("nonce")})

    def _presence(self, connection: Connection, data: Json) -> None:
        """Nobody here looks at a bot's presence."""

    # What goes wrong

    def drop(self, code: int | None) -> None:
        """Closes every connection with `code`; with None it is cut without a word."""
        if code in FORGETTING:
            self.sessions.clear()
        for connection in self.connections:
            connection.close(code)

    def invalidate(self, *, resumable: bool) -> None:
        """Says that the sessions are invalid; unless `resumable`, forgets them."""
        for connection in self.connections:
            connection.send({"op": INVALID, "d": resumable})
        if not resumable:
            for connection in self.connections:
                connection.leave()
            self.sessions.clear()

    def ask_to_reconnect(self) -> None:
        for connection in self.connections:
            connection.send({"op": RECONNECT, "d": None})

    def kill(self) -> None:
        """Nothing gets through the connections open now any more, in neither direction."""
        for connection in self.connections:
            connection.leave()
            connection.dead = True


def _read(text: str) -> Json | None:
    """The payload, or None when it is none."""
    if not text or len(text.encode()) > PAYLOAD_LIMIT:
        return None
    try:
        payload = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(payload, dict):
        return None
    read = cast(Json, payload)
    return read if isinstance(read.get("op"), int) else None
