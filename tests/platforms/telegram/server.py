"""The server: one bot's Telegram on 127.0.0.1, with faults on demand."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.patience import PATIENCE
from tests.platforms.faults import Fault, Faults
from tests.platforms.telegram.faults import UNLIMITED, Limits, Pace
from tests.platforms.telegram.methods import METHODS, PACED
from tests.platforms.telegram.state import PRIVATE, Clock, Json, State
from tests.platforms.telegram.updates import Push, Updates
from tests.platforms.telegram.users import Users
from tests.platforms.telegram.wire import ApiError, Params, bad, read_params
from tests.platforms.waker import Signal

T = TypeVar("T")
BODY_LIMIT = 64 * 2**20
TOKEN = "123456789:AAFakeTokenOfTheLocalTelegramServer"


@dataclass(kw_only=True)
class Call:
    """A call the bot made. `status` is None until it was answered, and for ever when it never was;
    `abandoned` says that the bot hung up first.
    """

    method: str
    params: Params
    at: float
    status: int | None = None
    abandoned: bool = False


class TelegramServer(Users):
    """Telegram for one bot. `say` and its kin are the users; `sent`, `calls` and `wait_*` show what the bot did;
    `fail`, `hang` and `reset` break what comes next.

    What was stored survives `stop` and `start`, which keep the port: an outage. `second` is how long a second of
    long polls and webhook retries lasts; `clock` gives dates and paces the `limits`.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        username: str = "bothub_bot",
        port: int = 0,
        limits: Limits = UNLIMITED,
        clock: Clock = time.time,
        second: float = 1.0,
        webhook_retries: Sequence[float] = (0.1, 0.2, 0.5, 1, 2, 5),
    ) -> None:
        changed = Signal()
        me = {"id": int(token.partition(":")[0]), "is_bot": True, "first_name": "Bothub", "username": username}
        me |= {"can_join_groups": True, "can_read_all_group_messages": True, "supports_inline_queries": False}
        state = State(me=me, clock=clock, changed=changed)
        super().__init__(state, Updates(changed, second=second, retries=webhook_retries))
        self.token = token
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
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        app.router.add_get("/file/bot{token}/{path:.*}", self._download)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.updates.resume()

    async def stop(self) -> None:
        """Cuts every connection; the state stays."""
        await self.updates.close()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    # What the bot did

    def sent(self, chat: int = PRIVATE) -> list[Json]:
        """What stands in `chat` from the bot, oldest first: edited as edited, deleted as gone."""
        return [deepcopy(message) for message in self.state.sent(chat)]

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    @property
    def pushes(self) -> list[Push]:
        """Every attempt at the webhook."""
        return self.updates.pushes

    async def wait_for(self, predicate: Callable[[], T], timeout: float = PATIENCE) -> T:
        """The first true value of `predicate`, asked again at each event; fails with what the bot did instead."""
        with contextlib.suppress(TimeoutError):
            return await self.state.changed.until(predicate, timeout)
        recent = [f"{call.method} -> {call.status}" for call in self.calls[-10:]]
        raise AssertionError(f"not within {timeout} s; the last calls: {', '.join(recent) or 'none'}")

    async def wait_sent(self, chat: int = PRIVATE, count: int = 1, timeout: float = PATIENCE) -> list[Json]:
        """What stands in `chat` from the bot once it is at least `count` messages."""
        await self.wait_for(lambda: sum(1 for _ in self.state.sent(chat)) >= count, timeout)
        return self.sent(chat)

    async def wait_text(self, text: str, chat: int = PRIVATE, timeout: float = PATIENCE) -> Json:
        """The bot's first message in `chat` that says exactly `text`, sent or edited so."""
        found = await self.wait_for(lambda: [m for m in self.state.sent(chat) if m.get("text") == text], timeout)
        return deepcopy(found[0])

    async def wait_call(self, method: str, count: int = 1, timeout: float = PATIENCE) -> Call:
        """The `count`th call of `method`, as soon as it arrived (its `status` may still be None)."""
        await self.wait_for(lambda: len(self.called(method)) >= count, timeout)
        return self.called(method)[count - 1]

    # What goes wrong

    def fail(
        self,
        method: str,
        code: int = 429,
        description: str | None = None,
        *,
        retry_after: int | None = None,
        migrate_to_chat_id: int | None = None,
        times: int | None = 1,
        chat: int | None = None,
        json: bool = True,
    ) -> None:
        """The next `times` calls (None: all until `heal`) are refused unhandled; `json=False`: by a proxy's page."""
        after = 3 if code == 429 and retry_after is None else retry_after
        remedy = {"retry_after": after, "migrate_to_chat_id": migrate_to_chat_id}
        words = description or (f"Too Many Requests: retry after {after}" if code == 429 else HTTPStatus(code).phrase)
        error = ApiError(code, words, **{name: value for name, value in remedy.items() if value is not None})
        answer = error.answer if json else partial(_page, error)
        self._faults.add(Fault(kind="refuse", method=method, chat=chat, times=times, answer=answer))

    def hang(self, method: str, *, times: int | None = 1, chat: int | None = None) -> asyncio.Event:
        """The next `times` calls wait, unhandled, until the event is set; one given up meanwhile is never handled."""
        released = asyncio.Event()
        self._faults.add(Fault(kind="hang", method=method, chat=chat, times=times, released=released))
        return released

    def reset(self, method: str, *, handled: bool = False, times: int | None = 1, chat: int | None = None) -> None:
        """The connection of the next `times` calls is cut: before they are handled, or `handled` and unanswered."""
        self._faults.add(Fault(kind="lose" if handled else "drop", method=method, chat=chat, times=times))

    def limit(self, limits: Limits) -> None:
        """Enforces `limits` from now on."""
        self._pace.limits = limits

    def heal(self) -> None:
        """Forgets the faults that did not happen yet."""
        self._faults.clear()

    # The wire

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        try:
            self._authorize(request)
            params = await read_params(request)
        except ApiError as error:
            return error.answer()
        call = Call(method=method, params=params, at=self.state.clock())
        self.calls.append(call)
        self.state.changed.notify()
        try:
            response = await self._meet(request, call)
        except asyncio.CancelledError:
            call.abandoned = True
            self.state.changed.notify()
            raise
        if response is None:
            return _cut(request)
        call.status = response.status
        self.state.changed.notify()
        return response

    async def _meet(self, request: web.Request, call: Call) -> web.Response | None:
        """The answer after whatever fault the call meets; None when the connection is to be cut."""
        fault = self._faults.take(call.method, call.params.get("chat_id"))
        if fault is None:
            return await self._handle(call)
        if fault.answer:
            return fault.answer()
        if fault.kind == "drop":
            return None
        if fault.released:
            await fault.released.wait()
        response = await self._handle(call)
        return None if fault.kind == "lose" else response

    async def _handle(self, call: Call) -> web.Response:
        try:
            if call.method not in METHODS:
                raise ApiError(404, "Not Found: method not found")
            if call.method in PACED and isinstance(call.params.get("chat_id"), int):
                self._pace.admit(call.params["chat_id"])
            result: Any = await METHODS[call.method](self.state, self.updates, call.params)
        except ApiError as error:
            return error.answer()
        except (KeyError, TypeError, AttributeError) as error:
            return bad(f"a parameter has the wrong shape: {error!r}").answer()
        return web.json_response({"ok": True, "result": result})

    async def _download(self, request: web.Request) -> web.Response:
        try:
            self._authorize(request)
        except ApiError as error:
            return error.answer()
        path = request.match_info["path"]
        found = next((file for file in self.state.files.values() if file.path == path), None)
        return web.Response(body=found.data) if found else ApiError(404, "Not Found").answer()

    def _authorize(self, request: web.Request) -> None:
        if request.match_info["token"] != self.token:
            raise ApiError(401, "Unauthorized")


def _page(error: ApiError) -> web.Response:
    """What a proxy in front of Telegram says when Telegram does not."""
    return web.Response(status=error.code, text=f"<html><h1>{error}</h1></html>", content_type="text/html")


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
