"""Telegram's rate limits, as data and enforced."""

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.platforms.faults import Rate
from tests.platforms.telegram.state import Clock, kind_of
from tests.platforms.telegram.wire import ApiError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Rates for sends and edits, per private chat, per group and for the whole bot; None: unlimited."""

    chat: Rate | None = None
    group: Rate | None = None
    bot: Rate | None = None


UNLIMITED = Limits()
TELEGRAM_LIMITS = Limits(chat=Rate(count=1, seconds=1), group=Rate(count=20, seconds=60), bot=Rate(count=30, seconds=1))


class Pace:
    """Counts what was let through and refuses what is too much; a refused call costs nothing."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._past: defaultdict[object, deque[float]] = defaultdict(deque)

    def admit(self, chat: int) -> None:
        """Counts one call in `chat`, or refuses it with the seconds to wait."""
        now = self._clock()
        rates = list(self._rates(chat))
        wait = max((self._excess(key, rate, now) for key, rate in rates), default=0.0)
        if wait > 0:
            seconds = math.ceil(wait)
            raise ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        for key, _ in rates:
            self._past[key].append(now)

    def _rates(self, chat: int) -> Iterator[tuple[object, Rate]]:
        here = self.limits.chat if kind_of(chat) == "private" else self.limits.group
        if here:
            yield chat, here
        if self.limits.bot:
            yield "bot", self.limits.bot

    def _excess(self, key: object, rate: Rate, now: float) -> float:
        past = self._past[key]
        while past and past[0] <= now - rate.seconds:
            past.popleft()
        return past[0] + rate.seconds - now if len(past) >= rate.count else 0.0
