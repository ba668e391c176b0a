"""How fast a channel may send: token buckets for each chat and for all of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from hub.channel import Limits
from hub.message import Address


class Bucket:
    """A token bucket: `rate` tokens a second, never more than `most`."""

    def __init__(self, rate: float, most: float, now: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        self._left = min(self._most, self._left + max(now - self._at, 0.0) * self._rate)
        self._at = now
        return max(0.0, (1.0 - self._left) / self._rate)

    def take(self) -> None:
        """Take a token, also one that will be there only after `wait`."""
        self._left -= 1.0


class Pacing:
    """How fast a channel may send, per chat and altogether; in memory, because one process holds the channel."""

    CHATS = 10_000

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._bot = Bucket(limits.per_bot, max(limits.per_bot, 1.0), clock())
        self._chats: OrderedDict[str, Bucket] = OrderedDict()

    def is_group(self, address: Address) -> bool:
        """Whether the platform's ids tell that this chat is a group."""
        prefix = self._limits.group_prefix
        return prefix is not None and address.chat_id.startswith(prefix)

    def wait(self, address: Address) -> float:
        """Seconds until its chat may get a message."""
        return self._chat(address).wait(self._clock())

    def take(self, address: Address) -> float:
        """Take a place for one message; returns the seconds until its turn among all the chats' messages."""
        turn = self._bot.wait(self._clock())
        self._bot.take()
        self._chat(address).take()
        return turn

    def _chat(self, address: Address) -> Bucket:
        name, limits = address.chat_id, self._limits
        if name not in self._chats:
            rate = limits.per_group if self.is_group(address) else limits.per_chat
            self._chats[name] = Bucket(rate, limits.burst, self._clock())
            if len(self._chats) > self.CHATS:
                self._chats.popitem(last=False)
        self._chats.move_to_end(name)
        return self._chats[name]
