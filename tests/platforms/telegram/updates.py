"""The way in: pending updates, fetched by one long poll or pushed to one webhook."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.platforms.telegram.state import Json
from tests.platforms.telegram.wire import ApiError
from tests.platforms.waker import Signal

POLL_TAKEN = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_SET = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
WEBHOOK_TAKEN = "Conflict: terminated by setWebhook request"
NOT_BY_DEFAULT = {"chat_member", "message_reaction", "message_reaction_count"}


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where the bot wants its updates, and the secret that proves they are Telegram's."""

    url: str
    secret: str | None


@dataclass(frozen=True, kw_only=True)
class Push:
    """One attempt at the webhook; `status` is None when there was no answer."""

    update_id: int
    status: int | None


class Updates:
    """Keeps each update until it is acknowledged, by a higher offset or by a 2xx of the webhook.

    `retries` are the waits between attempts at the webhook; after the last the update is given up.
    """

    def __init__(self, changed: Signal, *, second: float, retries: Sequence[float]) -> None:
        self.pending: list[Json] = []
        self.pushes: list[Push] = []
        self.webhook: Webhook | None = None
        self.allowed: list[str] = []
        self.last_error: Json = {}
        """What went wrong at the webhook most recently, as `getWebhookInfo` tells it."""
        self._changed = changed
        self._second = second
        self._retries = retries
        self._numbers = count(870_000_001)
        self._poller = 0
        self._pusher: asyncio.Task[None] | None = None

    def push(self, update: Json) -> Json:
        """Adds an update of a kind the bot asked for; gives it an id unless it has one."""
        numbered = {"update_id": next(self._numbers), **update}
        if self._wanted(update):
            self.push_raw(numbered)
        return numbered

    def push_raw(self, update: Json) -> Json:
        """Adds an update as it is, whether or not it makes sense; gives it an id unless it has one."""
        numbered = update if "update_id" in update else {"update_id": next(self._numbers), **update}
        self.pending.append(numbered)
        self._changed.notify()
        return numbered

    def _wanted(self, update: Json) -> bool:
        kinds = set(update) - {"update_id"}
        return bool(kinds & set(self.allowed)) if self.allowed else not kinds & NOT_BY_DEFAULT

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Json]:
        """The updates from `offset` on, waiting for the first; those before it are forgotten.

        A newer poll ends an older one with 409.
        """
        if self.webhook:
            raise ApiError(409, WEBHOOK_SET)
        self._poller += 1
        mine = self._poller
        self._acknowledge(offset)
        self._changed.notify()
        with contextlib.suppress(TimeoutError):
            await self._changed.until(lambda: self._arrived(mine), timeout * self._second)
        return self.pending[:limit]

    def _acknowledge(self, offset: int) -> None:
        if offset < 0:
            self.pending = self.pending[offset:]
        else:
            self.pending = [update for update in self.pending if update["update_id"] >= offset]

    def _arrived(self, poller: int) -> bool:
        if self.webhook:
            raise ApiError(409, WEBHOOK_TAKEN)
        if poller != self._poller:
            raise ApiError(409, POLL_TAKEN)
        return bool(self.pending)

    async def set_webhook(self, webhook: Webhook | None) -> None:
        """Pushes to `webhook` from now on; with None, back to polling."""
        await self.close()
        self.webhook = webhook
        if webhook:
            self._pusher = asyncio.create_task(self._push_all(webhook))
        self._changed.notify()

    async def close(self) -> None:
        """Stops pushing."""
        if self._pusher:
            self._pusher.cancel()
            await asyncio.wait([self._pusher])
            self._pusher = None

    def resume(self) -> None:
        """Starts pushing again after `close`."""
        if self.webhook and not self._pusher:
            self._pusher = asyncio.create_task(self._push_all(self.webhook))

    async def _push_all(self, webhook: Webhook) -> None:
        async with ClientSession(timeout=ClientTimeout(total=10 * self._second)) as session:
            while True:
                await self._changed.until(lambda: bool(self.pending), None)
                await self._push_one(session, webhook, self.pending[0])

    async def _push_one(self, session: ClientSession, webhook: Webhook, update: Json) -> None:
        for wait in (*self._retries, None):
            status = await _post(session, webhook, update)
            final = wait is None or (status is not None and 200 <= status < 300)
            if final and update in self.pending:
                self.pending.remove(update)
            if not final:
                words = f"Wrong response from the webhook: {status}" if status else "Connection refused"
                self.last_error = {"last_error_date": int(time.time()) + 1, "last_error_message": words}
            self.pushes.append(Push(update_id=update["update_id"], status=status))
            self._changed.notify()
            if wait is None or final:
                return
            await asyncio.sleep(wait * self._second)


async def _post(session: ClientSession, webhook: Webhook, update: Json) -> int | None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret} if webhook.secret else {}
    try:
        async with session.post(webhook.url, json=update, headers=headers) as response:
            return response.status
    except (ClientError, TimeoutError):
        return None
