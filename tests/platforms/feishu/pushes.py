"""Events on their way to the bot: over a long connection or to its webhook, again until they are taken."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import ClientError, ClientSession, ClientTimeout
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.platforms.feishu.sockets import Sockets
from tests.platforms.feishu.state import TENANT, State
from tests.platforms.feishu.wire import Json, parsed

FEISHU_RETRIES = (15.0, 300.0, 3600.0, 21600.0)
"""How long the platform waits before it sends an event again; after the fourth time it gives up."""
CALLBACK = "card.action.trigger"


@dataclass(frozen=True, kw_only=True)
class Push:
    """One attempt to hand over an event. `status` is the acknowledged code or the HTTP status, None without an
    answer; `answer` what came with it; `took` the seconds until then.
    """

    event_id: str
    kind: str
    by: Literal["socket", "webhook"]
    at: float
    took: float
    status: int | None
    answer: Json | None


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What the app and the platform share: the token in each event, and the key that encrypts and signs ("": none)."""

    token: str
    encrypt: str = ""


class Pushes:
    """Every event until it is taken or given up. With a webhook they go there, else to a long connection; while there
    is neither they wait. A card callback is sent once.

    `within` is how long the bot has for its answer, `retries` the waits between attempts.
    """

    def __init__(self, state: State, sockets: Sockets, keys: Keys, *, within: float, retries: Sequence[float]) -> None:
        self.done: list[Push] = []
        self.on_answer: Callable[[Json, Push], None] | None = None
        self.pending: dict[str, Json] = {}
        self.url: str | None = None
        self.keys = keys
        self.within = within
        self.retries = retries
        self._state = state
        self._sockets = sockets
        self._running: set[asyncio.Task[None]] = set()
        self._open = False

    def envelope(self, kind: str, event: Json, event_id: str | None = None) -> Json:
        """An event as the platform sends it."""
        header = {
            "event_id": event_id or self._state.new_id(""),
            "event_type": kind,
            "create_time": self._state.millis(),
            "token": self.keys.token,
            "app_id": self._state.app_id,
            "tenant_key": TENANT,
        }
        return {"schema": "2.0", "header": header, "event": event}

    def push(self, event: Json) -> str:
        """Sends the event from now on; returns its id."""
        number = str(event["header"]["event_id"])
        self.pending[number] = event
        if self._open:
            task = asyncio.get_running_loop().create_task(self._deliver(number, event))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return number

    def open(self) -> None:
        self._open = True
        for event in [*self.pending.values()]:
            self.push(event)

    async def close(self) -> None:
        """Stops pushing; what is pending stays so."""
        self._open = False
        tasks = [*self._running]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def post(
        self,
        body: Json,
        *,
        encrypted: bool | None = None,
        signed: bool | None = None,
        signature: str | None = None,
        timestamp: float | None = None,
    ) -> Push:
        """One attempt at the webhook, with whatever is wrong about it; by default all is as it should be."""
        if self.url is None:
            raise ValueError("no webhook is configured")
        data = _seal(self.keys.encrypt, body) if encrypted or (encrypted is None and self.keys.encrypt) else body
        text = json.dumps(data, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if self.keys.encrypt if signed is None else signed:
            at = str(int(self._state.clock() if timestamp is None else timestamp))
            headers |= _sign(self.keys.encrypt, text, at, signature)
        start = asyncio.get_running_loop().time()
        status, answer = await _post(self.url, text, headers, self.within)
        return self._note(body, "webhook", start, status, answer)

    async def _deliver(self, number: str, event: Json) -> None:
        for wait in (*self.retries, None):
            await self._state.changed.until(lambda: self.url or self._sockets.connections, None)
            push = await self._attempt(event)
            if push.status == 200 or wait is None or push.kind == CALLBACK:
                break
            await asyncio.sleep(wait)
        self.pending.pop(number, None)
        self._state.changed.notify()

    async def _attempt(self, event: Json) -> Push:
        if self.url:
            return await self.post(event)
        start = asyncio.get_running_loop().time()
        ack = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.within):
                ack = await self._sockets.send(json.dumps(event, ensure_ascii=False).encode())
        return self._note(event, "socket", start, ack and ack.code, ack and ack.data)

    def _note(
        self, event: Json, by: Literal["socket", "webhook"], start: float, status: int | None, answer: Json | None
    ) -> Push:
        header: Json = event.get("header") or {"event_id": "", "event_type": event.get("type", "")}
        took = asyncio.get_running_loop().time() - start
        push = Push(
            event_id=header["event_id"],
            kind=header["event_type"],
            by=by,
            at=self._state.clock(),
            took=took,
            status=status,
            answer=answer,
        )
        self.done.append(push)
        if self.on_answer:
            self.on_answer(event, push)
        self._state.changed.notify()
        return push


def _seal(key: str, body: Json) -> Json:
    """AES-256-CBC with PKCS#7, the key being the SHA-256 of the encrypt key, the IV in front."""
    vector = os.urandom(16)
    padder = padding.PKCS7(128).padder()
    plain = padder.update(json.dumps(body, ensure_ascii=False).encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(vector)).encryptor()
    return {"encrypt": base64.b64encode(vector + encryptor.update(plain) + encryptor.finalize()).decode()}


def _sign(key: str, body: bytes, at: str, signature: str | None) -> dict[str, str]:
    nonce = os.urandom(8).hex()
    right = hashlib.sha256(f"{at}{nonce}{key}".encode() + body).hexdigest()
    return {
        "X-Lark-Request-Timestamp": at,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": right if signature is None else signature,
    }


async def _post(url: str, body: bytes, headers: dict[str, str], within: float) -> tuple[int | None, Any]:
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=within)) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, parsed(await response.text())
    except (ClientError, TimeoutError):
        return None, None
