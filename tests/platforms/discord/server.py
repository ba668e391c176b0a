"""The server: one bot's Discord on 127.0.0.1, with faults on demand."""

import asyncio
import contextlib
import mimetypes
import shutil
import time
import weakref
from collections.abc import Awaitable, Callable
from copy import deepcopy
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import mkdtemp
from typing import Self, TypeVar
from uuid import uuid4

from aiohttp import web

from tests.patience import PATIENCE
from tests.platforms.discord.certificate import Identity
from tests.platforms.discord.gateway import Gateway
from tests.platforms.discord.intents import PRIVILEGED
from tests.platforms.discord.limits import UNLIMITED, Limits, Pace, rate_limited
from tests.platforms.discord.routes import ROUTES, Route
from tests.platforms.discord.shapes import (
    ANNA,
    BORIS,
    BOT,
    FORUM,
    FORUM_CHANNEL,
    GENERAL,
    GUILD,
    OWNER,
    TEXT_CHANNEL,
    THREAD,
    VOICE,
    VOICE_CHANNEL,
    is_signed,
    user_shape,
)
from tests.platforms.discord.state import Clock, Ping, State, made_at
from tests.platforms.discord.users import Users
from tests.platforms.discord.wire import VIA, Answer, ApiError, Call, Json, invalid, json_response, read_body
from tests.platforms.faults import Fault, Faults

T = TypeVar("T")
Handle = Callable[[], Awaitable[web.StreamResponse]]
BODY_LIMIT = 128 * 2**20
TOKEN = "MTEwMDAwMDAwMDAwMDAwMDAwMQ.GlocaL.the-token-of-the-local-discord-server"
OLD = 3600
"""From what age on, in seconds, edits are limited by themselves."""


class DiscordServer(Users):
    """Discord for one bot. `say` and its kin are the people; `sent`, `calls`, `pings` and `wait_*` show what the bot
    did; `fail`, `hang`, `reset` and the gateway's own troubles break what comes next.

    What was stored survives `stop` and `start`, which keep the port: an outage. `heartbeat` is the interval asked of
    the bot; `clock` dates messages, paces the `limits` and lets links and interactions expire.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        username: str = "bothub",
        port: int = 0,
        limits: Limits = UNLIMITED,
        clock: Clock = time.time,
        heartbeat: float = 41.25,
        intents_allowed: int = PRIVILEGED,
    ) -> None:
        me = {**user_shape(BOT, bot=True), "username": username}
        super().__init__(State(me=me, clock=clock, granted=intents_allowed))
        _furnish(self.state)
        self.token = token
        self.port = port
        self.calls: list[Call] = []
        self.gateway = Gateway(self.state, token, heartbeat=heartbeat)
        self._faults = Faults()
        self._pace = Pace(limits, clock)
        folder = mkdtemp(prefix="local-discord-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._identity = Identity(Path(folder))
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """Where to lead the connections for Discord's hosts; the certificate does not cover this address itself."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self._identity.ca_file

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=BODY_LIMIT)
        for route in ROUTES:
            app.router.add_route(route.verb, route.path, partial(self._answer, route))
        app.router.add_get("/", self._connect)
        app.router.add_get("/attachments/{channel}/{id}/{name}", self._download)
        app.router.add_route("*", "/{path:.*}", self._refuse)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._identity.context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Cuts every connection; the state stays, sessions included."""
        self.gateway.drop(None)
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    # What the bot did

    def sent(self, channel: str = GENERAL) -> list[Json]:
        """What stands in `channel` from the bot, oldest first: edited as edited, deleted as gone."""
        return [self.state.shown(message) for message in self.state.sent(channel)]

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    @property
    def pings(self) -> list[Ping]:
        """Everybody the bot's messages rang, in order."""
        return self.state.pings

    @property
    def commands(self) -> list[Json]:
        """The global commands of the bot."""
        return deepcopy(self.state.commands.get(None, []))

    async def wait_for(self, predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
        """The first true value of `predicate`, asked again at each event; fails with what the bot did instead."""
        with contextlib.suppress(TimeoutError):
            return await self.state.changed.until(predicate, timeout)
        recent = [f"{call.method} -> {call.status}" for call in self.calls[-10:]]
        raise AssertionError(f"not within {timeout} s; the last calls: {', '.join(recent) or 'none'}")

    async def wait_sent(self, channel: str = GENERAL, count: int = 1, timeout: float = PATIENCE) -> list[Json]:
        """What stands in `channel` from the bot once it is at least `count` messages."""
        await self.wait_for(lambda: sum(1 for _ in self.state.sent(channel)) >= count, timeout)
        return self.sent(channel)

    async def wait_text(self, text: str, channel: str = GENERAL, timeout: float = PATIENCE) -> Json:
        """The bot's first message in `channel` that says exactly `text`, sent or edited so."""
        found = await self.wait_for(lambda: [m for m in self.state.sent(channel) if m["content"] == text], timeout)
        return self.state.shown(found[0])

    async def wait_call(self, method: str, count: int = 1, timeout: float = PATIENCE) -> Call:
        """The `count`th call of `method`, as soon as it arrived (its `status` may still be None)."""
        await self.wait_for(lambda: len(self.called(method)) >= count, timeout)
        return self.called(method)[count - 1]

    async def wait_connected(self, timeout: float = PATIENCE) -> None:
        """Until the bot listens at the gateway, after READY or RESUMED was sent."""
        await self.wait_for(lambda: self.gateway.connected, timeout)

    # What goes wrong

    def fail(
        self,
        method: str,
        status: int = 429,
        code: int = 0,
        message: str | None = None,
        *,
        retry_after: float = 0.1,
        scope: str = "user",
        times: int | None = 1,
        channel: str | None = None,
        json: bool = True,
    ) -> None:
        """The next `times` calls (None: all until `heal`) are refused unhandled; `json=False`: by a proxy's page.

        A 429 says `retry_after`, for the `scope` user, shared or global; a 429 page is Cloudflare's ban.
        """
        words = message or (
            "You are being rate limited." if status == 429 else f"{status}: {HTTPStatus(status).phrase}"
        )
        limited = rate_limited(retry_after, code=code, message=words, scope=scope)
        error = limited if status == 429 else ApiError(status, code, words)
        answer = error.answer if json else partial(_page, status)
        self._faults.add(Fault(kind="refuse", method=method, chat=channel, times=times, answer=answer))

    def hang(self, method: str, *, times: int | None = 1, channel: str | None = None) -> asyncio.Event:
        """The next `times` calls wait, unhandled, until the event is set; one given up meanwhile is never handled."""
        released = asyncio.Event()
        self._faults.add(Fault(kind="hang", method=method, chat=channel, times=times, released=released))
        return released

    def reset(self, method: str, *, handled: bool = False, times: int | None = 1, channel: str | None = None) -> None:
        """The connection of the next `times` calls is cut: before they are handled, or `handled` and unanswered."""
        kind = "lose" if handled else "drop"
        self._faults.add(Fault(kind=kind, method=method, chat=channel, times=times))

    def limit(self, limits: Limits) -> None:
        """Enforces `limits` from now on."""
        self._pace.limits = limits

    def heal(self) -> None:
        """Forgets the faults that did not happen yet."""
        self._faults.clear()

    def drop_gateway(self, code: int | None = 4000) -> None:
        """Closes the gateway's connections with `code`; with None they are cut. 4007 and 4009 end the session too."""
        self.gateway.drop(code)

    def invalidate_session(self, *, resumable: bool = False) -> None:
        """Says that the session is invalid; unless `resumable` it is forgotten, with all that was not delivered."""
        self.gateway.invalidate(resumable=resumable)

    def reconnect_please(self) -> None:
        """Asks the bot to reconnect and resume."""
        self.gateway.ask_to_reconnect()

    def stop_acking(self) -> None:
        """The connections open now go silent in both directions; what happens meanwhile waits for a resume."""
        self.gateway.kill()

    def revoke_token(self) -> str:
        """The token counts no more, anywhere and at once; returns the new one."""
        self.token = self.gateway.token = f"{TOKEN}-{uuid4().hex}"
        self.gateway.drop(4004)
        return self.token

    @property
    def intents_allowed(self) -> int:
        """The privileged intents the bot was granted; asking for others ends in 4014."""
        return self.state.granted

    @intents_allowed.setter
    def intents_allowed(self, intents: int) -> None:
        self.state.granted = intents

    # The wire

    async def _answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        call = Call(method=route.name, path=dict(request.match_info), at=self.state.clock())
        try:
            self._authorize(route, request)
            await read_body(request, call)
        except ApiError as error:
            return error.answer()
        return await self._record(request, call, partial(self._handle, route, call))

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        """The gateway's door, which may fail like any call: as the method `connect`."""
        if request.host != "gateway.discord.gg":
            return await self._refuse(request)
        call = Call(method="connect", path={}, at=self.state.clock(), query=dict(request.query))
        handle = partial(self.gateway.serve, request)
        return await self._record(request, call, handle)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if request.host != "cdn.discordapp.com":
            return await self._refuse(request)
        call = Call(method="download", path=dict(request.match_info), at=self.state.clock())
        return await self._record(request, call, partial(self._file, request))

    async def _refuse(self, request: web.Request) -> web.StreamResponse:
        """What Discord does not know, or this server does not model."""
        call = Call(method=f"{request.method} {request.path}", path={}, at=self.state.clock())
        return await self._record(request, call, _unknown)

    async def _record(self, request: web.Request, call: Call, handle: Handle) -> web.StreamResponse:
        self.calls.append(call)
        self.state.changed.notify()
        try:
            response = await self._meet(call, handle)
        except asyncio.CancelledError:
            call.abandoned = True
            self.state.changed.notify()
            raise
        if response is None:
            return _cut(request)
        call.status = response.status
        self.state.changed.notify()
        return response

    async def _meet(self, call: Call, handle: Handle) -> web.StreamResponse | None:
        """The answer after whatever fault the call meets; None when the connection is to be cut."""
        fault = self._faults.take(call.method, call.channel)
        if fault is None:
            return await handle()
        if fault.answer:
            return fault.answer()
        if fault.kind == "drop":
            return None
        if fault.released:
            await fault.released.wait()
        response = await handle()
        return None if fault.kind == "lose" else response

    async def _handle(self, route: Route, call: Call) -> web.Response:
        headers: dict[str, str] = {}
        try:
            if not route.open:
                self._pace.admit_bot()
            headers = self._pace.admit(call)
            self._admit_edit(call)
            result = route.handle(self.state, call)
        except ApiError as error:
            error.headers = headers | error.headers
            return error.answer()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return invalid("_", "MODEL_TYPE_CONVERT", f"a parameter has the wrong shape: {error!r}").answer()
        told = result if isinstance(result, Answer) else Answer(status=204 if result is None else 200, body=result)
        if told.body is None:
            return web.Response(status=told.status, headers=VIA | headers)
        return json_response(told.body, told.status, headers)

    def _admit_edit(self, call: Call) -> None:
        if call.method == "edit_message" and self.state.clock() - made_at(call.path["message"]) > OLD:
            self._pace.admit_old_edit(call.path["channel"])

    async def _file(self, request: web.Request) -> web.Response:
        channel, file, name = (request.match_info[part] for part in ("channel", "id", "name"))
        genuine = is_signed(f"{channel}/{file}", dict(request.query), self.state.clock())
        if file not in self.state.files or not genuine:
            return web.Response(status=404, text="This content is no longer available.")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return web.Response(body=self.state.files[file], content_type=kind)

    def _authorize(self, route: Route, request: web.Request) -> None:
        if request.host != "discord.com":
            raise ApiError(404, 0, "404: Not Found")
        if not route.open and request.headers.get("Authorization") != f"Bot {self.token}":
            raise ApiError(401, 0, "401: Unauthorized")


def _furnish(state: State) -> None:
    """One server with three people: #general and a thread in it, a forum, and a voice channel with its text."""
    for person in (OWNER, ANNA, BORIS):
        state.user(person)
    state.add_guild("The workshop", GUILD)
    general = state.add_channel("general", TEXT_CHANNEL, id=GENERAL)
    state.add_channel("questions", FORUM_CHANNEL, id=FORUM)
    state.add_channel("Lounge", VOICE_CHANNEL, id=VOICE)
    state.add_thread(general, "Planning", ANNA, id=THREAD)


async def _unknown() -> web.Response:
    return ApiError(404, 0, "404: Not Found").answer()


def _page(status: int) -> web.Response:
    """What a proxy in front of Discord says when Discord does not."""
    return web.Response(status=status, text=f"<html><h1>{status}</h1></html>", content_type="text/html")


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
