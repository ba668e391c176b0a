"""Calls of the open platform, over one session with keep-alive.

Not lark-oapi's own client: its async calls fetch the token with blocking `requests`, open a new connection each, take
HTTP 200 with an error code for success in places, and never renew a token that was refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote

from aiohttp import ClientResponse, ClientSession, ClientTimeout, FormData

from channels.feishu.config import Feishu
from channels.feishu.errors import BAD_TOKEN, NotFeishu, Refusal, TooBig

Json = dict[str, Any]
DOMAINS = {"feishu": "https://open.feishu.cn", "lark": "https://open.larksuite.com"}
CONNECT = 10.0
"""How long a connection may take, in seconds, if the whole call may take longer."""
EARLY = 300.0
"""A token is renewed this many seconds before it ends."""
PIECE = 64 * 1024
RESET = "x-ogw-ratelimit-reset"


class Api:
    """One app on one domain. The token is fetched once for however many calls wait for it."""

    def __init__(self, config: Feishu, *, timeout: float = 15.0, clock: Callable[[], float] = time.time) -> None:
        self.base = config.base_url or DOMAINS[config.domain]
        self.app_id = config.app_id
        self._secret = config.app_secret
        self._timeout = ClientTimeout(total=timeout, connect=min(CONNECT, timeout / 2))
        self._clock = clock
        self._session: ClientSession | None = None
        self._fetching = asyncio.Lock()
        self._token = ""
        self._until = 0.0
        self._ahead = 0.0

    async def call(self, method: str, path: str, body: Json | None = None, **query: str) -> Json:
        """What Feishu answers, `data` and all; raises Refusal, NotFeishu or what aiohttp raises."""
        data = (
            None
            if body is None
            else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        )
        return await self._authorized(method, path, query, lambda: data)

    async def upload(self, path: str, field: str, name: str, content: bytes, **fields: str) -> Json:
        """Upload a file with the fields that go with it."""

        def form() -> FormData:
            written = FormData(quote_fields=False)
            for key, value in fields.items():
                written.add_field(key, value)
            written.add_field(field, BytesIO(content), filename=_ascii(name), content_type="application/octet-stream")
            return written

        return await self._authorized("POST", path, {}, form)

    async def download(self, path: str, most: int, **query: str) -> tuple[str, bytes]:
        """The media type and content of a file; raises TooBig when it has more than `most` bytes."""
        tried = ""
        while True:
            token = await self._bearer(tried)
            async with self._open("GET", path, query, None, token) as response:
                if response.status == 200 and "Content-Disposition" in response.headers:
                    return response.content_type, await _content(response, most)
                refusal = _refusal(response, await response.read())
            if refusal.code not in BAD_TOKEN or tried:
                raise refusal
            tried = token

    async def discover(self) -> Json:
        """Where to open the long connection, good for one; no token is needed for it."""
        body = {"AppID": self.app_id, "AppSecret": self._secret.get_secret_value()}
        answer = await self._post_open("/callback/ws/endpoint", body)
        return cast(Json, answer.get("data") or {})

    def now(self) -> float:
        """The time it is at Feishu, as its last answer told it; a Unix time."""
        return self._clock() + self._ahead

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _authorized(self, method: str, path: str, query: dict[str, str], data: Callable[[], Any]) -> Json:
        """Once more with a new token where the last one is refused."""
        tried = ""
        while True:
            token = await self._bearer(tried)
            try:
                async with self._open(method, path, query, data(), token) as response:
                    self._ahead = _told(response, self._clock())
                    return _answer(response, await response.read())
            except Refusal as refusal:
                if refusal.code not in BAD_TOKEN or tried:
                    raise
                tried = token

    async def _bearer(self, refused: str = "") -> str:
        """The tenant token; another one if it is the one that was refused."""
        async with self._fetching:
            if not self._token or self._token == refused or self._clock() >= self._until:
                self._token = ""
                body = {"app_id": self.app_id, "app_secret": self._secret.get_secret_value()}
                answer = await self._post_open("/open-apis/auth/v3/tenant_access_token/internal", body)
                self._token = str(answer["tenant_access_token"])
                lasts = float(answer.get("expire") or 0)
                self._until = self._clock() + max(lasts - EARLY, lasts / 2)
            return self._token

    async def _post_open(self, path: str, body: Json) -> Json:
        session = self._live()
        async with session.post(self.base + path, json=body, headers={"locale": "en_us"}) as response:
            return _answer(response, await response.read())

    def _open(self, method: str, path: str, query: dict[str, str], data: Any, token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        if isinstance(data, bytes):
            headers["Content-Type"] = "application/json; charset=utf-8"
        url = f"{self.base}/open-apis{path}"
        return self._live().request(method, url, params=query, data=data, headers=headers)

    def _live(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(timeout=self._timeout)
        return self._session


def part(value: str) -> str:
    """A piece of a path, whatever stands in it."""
    return quote(value, safe="")


def _answer(response: ClientResponse, body: bytes) -> Json:
    """What Feishu answered, if it is a success: errors come with any HTTP status, 200 included."""
    found = _parsed(body)
    if found is None or "code" not in found or found["code"] != 0:
        raise _refusal(response, body)
    return found


def _refusal(response: ClientResponse, body: bytes) -> Refusal:
    found = _parsed(body)
    if found is None or not isinstance(found.get("code"), int):
        if response.status == 429:
            return Refusal(0, "too many requests", status=429, wait=_wait(response))
        raise NotFeishu(f"HTTP {response.status}")
    return Refusal(found["code"], str(found.get("msg") or ""), status=response.status, wait=_wait(response))


def _wait(response: ClientResponse) -> float | None:
    for name in (RESET, "Retry-After"):
        try:
            return max(float(response.headers[name]), 0.0)
        except (KeyError, ValueError):
            continue
    return None


def _told(response: ClientResponse, now: float) -> float:
    """How far Feishu's clock is ahead of ours, in seconds."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp() - now
    except (KeyError, ValueError):
        return 0.0


def _parsed(body: bytes) -> Json | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return cast(Json, found) if isinstance(found, dict) else None


async def _content(response: ClientResponse, most: int) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(PIECE):
        content += piece
        if len(content) > most:
            raise TooBig
    return bytes(content)


def _ascii(name: str) -> str:
    """A file name for a form: the real one goes beside it, in a field of its own."""
    return name.encode("ascii", "replace").decode().replace('"', "'").replace("\r", " ").replace("\n", " ") or "file"
