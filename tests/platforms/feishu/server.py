"""The server: one app's Feishu on 127.0.0.1, with faults on demand."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.patience import PATIENCE
from tests.platforms.faults import Fault, Faults
from tests.platforms.feishu.limits import UNLIMITED, Limits, Pace
from tests.platforms.feishu.methods import ENDPOINT, NAMES, OPEN, ROUTES, Method
from tests.platforms.feishu.pushes import Keys, Push, Pushes
from tests.platforms.feishu.sockets import CLIENT_CONFIG, Sockets
from tests.platforms.feishu.state import P2P, Clock, Json, State
from tests.platforms.feishu.users import Users
from tests.platforms.feishu.wire import ApiError, Call, bad, page, parsed, read_params, refusal

T = TypeVar("T")
BODY_LIMIT = 64 * 2**20
CODES = {99991400: 429, 1: 200}


class FeishuServer(Users):
    """Feishu (or Lark) for one app. `say` and its kin are the users; `sent`, `calls`, `pushes` and `wait_*` show what
    the bot did; `fail`, `hang`, `reset` and what `sockets` offers break what comes next.

    What was stored survives `stop` and `start`, which keep the port: an outage. Events go to the webhook once one is
    set, else to a long connection; until there is either they wait. `clock` gives dates, paces the `limits` and ends
    tokens and streaming; `ack_within` and `retries` are real seconds.
    """

    def __init__(
        self,
        *,
        app_id: str = "cli_a1b2c3d4e5f6",
        app_secret: str = "secret-of-the-local-feishu",
        verification_token: str = "v-token",
        encrypt_key: str = "",
        port: int = 0,
        limits: Limits = UNLIMITED,
        clock: Clock = time.time,
        ack_within: float = 3.0,
        retries: Sequence[float] = (0.1, 0.2, 0.5, 1),
        streaming_seconds: float = 600,
        token_seconds: float = 7200,
        client_config: Json | None = None,
    ) -> None:
        state = State(
            app_id=app_id,
            app_secret=app_secret,
            clock=clock,
            streaming_seconds=streaming_seconds,
            token_seconds=token_seconds,
        )
        self.sockets = Sockets(state, client_config or CLIENT_CONFIG)
        keys = Keys(token=verification_token, encrypt=encrypt_key)
        super().__init__(state, Pushes(state, self.sockets, keys, within=ack_within, retries=retries))
        self.app_id, self.app_secret = app_id, app_secret
        self.port = port
        self.calls: list[Call] = []
        self._faults = Faults()
        self._pace = Pace(limits, clock)
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=BODY_LIMIT)
        for name, (method, path, handler) in ROUTES.items():
            app.router.add_route(method, f"/open-apis{path}", partial(self._answer, name, handler))
        app.router.add_post("/callback/ws/endpoint", partial(self._answer, ENDPOINT, self._discover))
        app.router.add_get("/ws", self.sockets.serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.sockets.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self.events.open()

    async def stop(self) -> None:
        """Cuts every connection; the state stays."""
        await self.events.close()
        self.sockets.abort()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    # What the bot did

    def sent(self, chat: str = P2P) -> list[Json]:
        """What stands in `chat` from the bot, oldest first, edited as edited and without what it recalled; `text` is
        what each says now, of a card its markdown.
        """
        return [self.state.view(message) for message in self.state.sent(chat)]

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == _known(method)]

    @property
    def pushes(self) -> list[Push]:
        """Every attempt to hand over an event."""
        return self.events.done

    async def wait_for(self, predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
        """The first true value of `predicate`, asked again at each event; fails with what the bot did instead."""
        with contextlib.suppress(TimeoutError):
            return await self.state.changed.until(predicate, timeout)
        recent = [f"{call.method} -> {call.status} {call.code}" for call in self.calls[-10:]]
        raise AssertionError(f"not within {timeout} s; the last calls: {', '.join(recent) or 'none'}")

    async def wait_sent(self, chat: str = P2P, count: int = 1, timeout: float = PATIENCE) -> list[Json]:
        """What stands in `chat` from the bot once it is at least `count` messages."""
        await self.wait_for(lambda: sum(1 for _ in self.state.sent(chat)) >= count, timeout)
        return self.sent(chat)

    async def wait_text(self, text: str, chat: str = P2P, timeout: float = PATIENCE) -> Json:
        """The bot's first message in `chat` that says exactly `text`, sent or edited so."""
        found = await self.wait_for(lambda: [m for m in self.state.sent(chat) if self.state.text(m) == text], timeout)
        return self.state.view(found[0])

    async def wait_call(self, method: str, count: int = 1, timeout: float = PATIENCE) -> Call:
        """The `count`th call of `method`, as soon as it arrived (its `status` may still be None)."""
        await self.wait_for(lambda: len(self.called(method)) >= count, timeout)
        return self.called(method)[count - 1]

    async def wait_push(self, event_id: str, count: int = 1, timeout: float = PATIENCE) -> Push:
        """The `count`th attempt to hand over that event, once it was answered or given up."""
        return (await self.wait_for(lambda: self._attempts(event_id)[count - 1 : count], timeout))[0]

    async def wait_connected(self, count: int = 1, timeout: float = PATIENCE) -> None:
        """Returns once that many long connections stand."""
        await self.wait_for(lambda: len(self.sockets.connections) >= count, timeout)

    # The app's settings

    async def set_webhook(self, url: str | None, *, verify: bool = True) -> Push | None:
        """Sends events to `url` from now on, if it answers the challenge; with None, back to long connections."""
        before, self.events.url = self.events.url, url
        push = None
        if url and verify:
            challenge = self.state.new_id("")
            body = {"challenge": challenge, "token": self.events.keys.token, "type": "url_verification"}
            push = await self.events.post(body, signed=False)
            if push.status != 200 or (push.answer or {}).get("challenge") != challenge:
                self.events.url = before
        self.state.changed.notify()
        return push

    def revoke(self) -> None:
        """Every token given so far is refused from now on."""
        self.state.tokens.clear()

    # What goes wrong

    def fail(
        self,
        method: str,
        code: int = 99991400,
        msg: str | None = None,
        *,
        status: int | None = None,
        reset: int | None = None,
        times: int | None = 1,
        chat: str | None = None,
        json: bool = True,
    ) -> None:
        """The next `times` calls (None: all until `heal`) are refused unhandled; `json=False`: by a proxy's page."""
        http = status or (CODES.get(code, 400) if json else 502)
        after = 3 if code == 99991400 and reset is None else reset
        error = ApiError(code, msg or refusal(code).msg, status=http, reset=after)
        answer = error.answer if json else partial(page, http)
        self._faults.add(Fault(kind="refuse", method=_known(method), chat=chat, times=times, answer=answer))

    def hang(self, method: str, *, times: int | None = 1, chat: str | None = None) -> asyncio.Event:
        """The next `times` calls wait, unhandled, until the event is set; one given up meanwhile is never handled."""
        released = asyncio.Event()
        self._faults.add(Fault(kind="hang", method=_known(method), chat=chat, times=times, released=released))
        return released

    def reset(self, method: str, *, handled: bool = False, times: int | None = 1, chat: str | None = None) -> None:
        """The connection of the next `times` calls is cut: before they are handled, or `handled` and unanswered."""
        kind = "lose" if handled else "drop"
        self._faults.add(Fault(kind=kind, method=_known(method), chat=chat, times=times))

    def limit(self, limits: Limits) -> None:
        """Enforces `limits` from now on."""
        self._pace.limits = limits

    def heal(self) -> None:
        """Forgets the faults that did not happen yet."""
        self._faults.clear()

    # The wire

    async def _answer(self, name: str, handler: Method, request: web.Request) -> web.StreamResponse:
        try:
            params = await read_params(request)
        except ApiError as error:
            return error.answer()
        size = len(await request.read()) if not request.content_type.startswith("multipart/") else 0
        call = Call(method=name, params=params, size=size, at=self.state.clock())
        call.chat = self.state.place(call)
        self.calls.append(call)
        self.state.changed.notify()
        try:
            response = await self._meet(request, call, handler)
        except asyncio.CancelledError:
            call.abandoned = True
            self.state.changed.notify()
            raise
        if response is None:
            return _cut(request)
        call.status, call.code = response.status, _code(response)
        self.state.changed.notify()
        return response

    async def _meet(self, request: web.Request, call: Call, handler: Method) -> web.Response | None:
        """The answer after whatever fault the call meets; None when the connection is to be cut."""
        fault = self._faults.take(call.method, call.chat)
        if fault and fault.answer:
            return fault.answer()
        if fault and fault.kind == "drop":
            return None
        if fault and fault.released:
            await fault.released.wait()
        response = await self._handle(request, call, handler)
        return None if fault and fault.kind == "lose" else response

    async def _handle(self, request: web.Request, call: Call, handler: Method) -> web.Response:
        try:
            if call.method not in OPEN:
                self._authorize(request)
                self._pace.admit(call)
            result = await handler(self.state, call)
        except ApiError as error:
            return error.answer()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return bad(f"a parameter has the wrong shape: {error!r}").answer()
        if isinstance(result, web.Response):
            return result
        return web.json_response({"code": 0, "msg": "success", "data": result})

    def _authorize(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise refusal(99991661)
        if self.state.tokens.get(token, 0) <= self.state.clock():
            raise refusal(99991663)

    async def _discover(self, state: State, call: Call) -> web.Response:
        return await self.sockets.discover(call)

    def _attempts(self, event_id: str) -> list[Push]:
        return [push for push in self.pushes if push.event_id == event_id]


def _known(method: str) -> str:
    if method not in NAMES:
        raise ValueError(f"no call is named {method}; there are {', '.join(sorted(NAMES))}")
    return method


def _code(response: web.Response) -> int | None:
    body: Any = parsed(response.body) if response.content_type == "application/json" else None
    return body.get("code") if body else None


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
