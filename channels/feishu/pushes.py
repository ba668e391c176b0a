"""Events that Feishu pushes over HTTP: who sent them is proven before they are read. Needs nothing of lark-oapi."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.feishu.api import Api
from channels.feishu.config import Feishu
from channels.feishu.hear import Ears
from hub.channel import Intake, WebhookAnswer
from hub.errors import Forbidden

Json = dict[str, Any]
FRESH = 300.0
"""How far the time that was signed may be from ours, in seconds."""
JSON = "application/json"
BLOCK = 16


class FeishuWebhook:
    """Reads what Feishu pushes for one channel.

    Everything has to be encrypted with the `encrypt_key`, and all but the challenge signed with it; without a key
    nothing is taken. `clock` is a Unix time.
    """

    def __init__(
        self, name: str, config: Feishu, *, timeout: float = 15.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._key = config.encrypt_key.get_secret_value()
        self._token = config.verification_token.get_secret_value()
        self._clock = clock
        self._api = Api(config, timeout=timeout)
        self._ears = Ears(name, config, self._api)
        self._running = 0

    async def receive(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> WebhookAnswer:
        """Store what an event says and answer it; raises Forbidden, and HubError where it cannot be stored.

        Kinds of events that we do not know are answered like the others: refused, they would come again for hours.
        """
        signed = self._signed(headers, body)
        raw = self._opened(body)
        event = _object(raw)
        if event.get("type") == "url_verification":
            self._check_token(event.get("token"))
            return _answer({"challenge": str(event.get("challenge") or "")})
        if not signed:
            raise Forbidden(f"The signature of what was pushed to channel '{self._name}' is missing, wrong or old.")
        header = event.get("header")
        self._check_token(cast(Json, header).get("token") if isinstance(header, dict) else event.get("token"))
        await self._hear(raw, intake)
        return _answer({})

    async def close(self) -> None:
        await self._api.close()

    async def _hear(self, raw: bytes, intake: Intake) -> None:
        """Nobody tells a webhook that it is over: its connections last as long as there is an event being read."""
        self._running += 1
        try:
            await self._ears.hear(raw, intake)
        finally:
            self._running -= 1
            if not self._running:
                await self._api.close()

    def _signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the body was signed with our key, and just now."""
        at, nonce = headers.get("x-lark-request-timestamp", ""), headers.get("x-lark-request-nonce", "")
        right = hashlib.sha256(f"{at}{nonce}{self._key}".encode() + body).hexdigest()
        given = headers.get("x-lark-signature", "")
        fresh = at.isdecimal() and abs(self._clock() - int(at)) <= FRESH
        return bool(self._key) and hmac.compare_digest(right.encode(), given.encode()) and fresh

    def _opened(self, body: bytes) -> bytes:
        """What was encrypted with our key."""
        sealed = _object(body).get("encrypt")
        if not self._key or not isinstance(sealed, str):
            raise Forbidden(f"What was pushed to channel '{self._name}' is not encrypted.")
        try:
            data = base64.b64decode(sealed, validate=True)
            key = hashlib.sha256(self._key.encode()).digest()
            decryptor = Cipher(algorithms.AES256(key), modes.CBC(data[:BLOCK])).decryptor()
            unpadder = padding.PKCS7(BLOCK * 8).unpadder()
            padded = decryptor.update(data[BLOCK:]) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            raise Forbidden(f"What was pushed to channel '{self._name}' is encrypted with another key.") from None

    def _check_token(self, given: object) -> None:
        said = given if isinstance(given, str) else ""
        if self._token and not hmac.compare_digest(self._token.encode(), said.encode()):
            raise Forbidden(f"What was pushed to channel '{self._name}' has the wrong verification token.")


def webhook(name: str, config: Feishu) -> FeishuWebhook:
    """What reads the pushes for a channel; nothing is connected."""
    return FeishuWebhook(name, config)


def _object(body: bytes) -> Json:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Forbidden("What was pushed is no event of Feishu.")
    return cast(Json, found)


def _answer(said: Json) -> WebhookAnswer:
    return WebhookAnswer(body=json.dumps(said).encode(), content_type=JSON)
