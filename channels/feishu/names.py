"""Who people are: events name them by id only.

In groups the list of members has their names, in private chats the address book has; both want a permission that apps
have not got by default. Without it people are known by the end of their id, until somebody mentions them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from channels.feishu.api import Api, part
from channels.feishu.errors import translated
from channels.feishu.known import Known
from channels.feishu.read import Mention
from hub.errors import ChannelError

Json = dict[str, Any]
PATIENCE = 1.0
"""How long a name may take, in seconds: Feishu waits three for us."""
AGAIN = 3600.0
"""Who does not tell us a name is asked again after this many seconds."""


class Names:
    """The names of people, as far as Feishu tells them."""

    def __init__(self, channel: str, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._channel = channel
        self._api = api
        self._clock = clock
        self._known = Known[str]()
        self._asked = Known[float]()

    def note(self, mentions: Iterable[Mention]) -> None:
        for mention in mentions:
            if mention.open_id and mention.name:
                self._known.note(mention.open_id, mention.name)

    async def of(self, who: str, chat: str, *, direct: bool) -> str:
        """What to call somebody who speaks in a chat."""
        if who and who not in self._known and self._may_ask(who if direct else chat):
            try:
                async with asyncio.timeout(PATIENCE):
                    with translated(self._channel):
                        await (self._ask_person(who) if direct else self._ask_members(chat))
            except (ChannelError, TimeoutError):
                pass
        return self._known.get(who) or f"user {who[-4:]}".strip()

    def _may_ask(self, whom: str) -> bool:
        now = self._clock()
        if now - self._asked.get(whom, -AGAIN) < AGAIN:
            return False
        self._asked.note(whom, now)
        return True

    async def _ask_person(self, who: str) -> None:
        found = await self._api.call("GET", f"/contact/v3/users/{part(who)}", user_id_type="open_id")
        name = cast(Json, cast(Json, found.get("data") or {}).get("user") or {}).get("name")
        if name:
            self._known.note(who, str(name))

    async def _ask_members(self, chat: str) -> None:
        path = f"/im/v1/chats/{part(chat)}/members"
        found = await self._api.call("GET", path, member_id_type="open_id", page_size="100")
        for member in cast(list[Json], cast(Json, found.get("data") or {}).get("items") or []):
            if member.get("member_id") and member.get("name"):
                self._known.note(str(member["member_id"]), str(member["name"]))
