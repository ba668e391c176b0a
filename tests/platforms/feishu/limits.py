"""The platform's rate limits, as data and enforced."""

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.platforms.faults import Rate
from tests.platforms.feishu.state import Clock
from tests.platforms.feishu.wire import Call, refusal


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Rates for sends per chat, edits per message, operations per card and calls per method; None: unlimited.

    The first two are refused with 230020, the others with HTTP 429, 99991400 and the seconds to wait.
    """

    chat: Rate | None = None
    message: Rate | None = None
    card: Rate | None = None
    method: Rate | None = None


UNLIMITED = Limits()
FEISHU_LIMITS = Limits(
    chat=Rate(count=5, seconds=1),
    message=Rate(count=5, seconds=1),
    card=Rate(count=10, seconds=1),
    method=Rate(count=50, seconds=1),
)
SENDS, EDITS = {"message.create", "message.reply"}, {"message.update", "message.patch"}
CARD_OPERATIONS = {"card.update", "card.settings", "card.batch_update", "card.content"}


class Pace:
    """Counts what was let through and refuses what is too much; a refused call costs nothing."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._past: defaultdict[object, deque[float]] = defaultdict(deque)

    def admit(self, call: Call) -> None:
        """Counts the call, or refuses it."""
        now = self._clock()
        rates = list(self._rates(call))
        for code, key, rate in rates:
            wait = self._excess(key, rate, now)
            if wait > 0:
                raise refusal(code, status=400) if code == 230020 else refusal(code, status=429, reset=math.ceil(wait))
        for _, key, _ in rates:
            self._past[key].append(now)

    def _rates(self, call: Call) -> Iterator[tuple[int, object, Rate]]:
        if self.limits.chat and call.method in SENDS:
            yield 230020, ("chat", call.chat), self.limits.chat
        if self.limits.message and call.method in EDITS:
            yield 230020, ("message", call.params["message_id"]), self.limits.message
        if self.limits.card and call.method in CARD_OPERATIONS:
            yield 99991400, ("card", call.params["card_id"]), self.limits.card
        if self.limits.method:
            yield 99991400, ("method", call.method), self.limits.method

    def _excess(self, key: object, rate: Rate, now: float) -> float:
        past = self._past[key]
        while past and past[0] <= now - rate.seconds:
            past.popleft()
        return past[0] + rate.seconds - now if len(past) >= rate.count else 0.0
