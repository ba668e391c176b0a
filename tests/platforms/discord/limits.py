"""Discord's rate limits, as data and enforced."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.platforms.discord.state import Clock
from tests.platforms.discord.wire import ApiError, Call
from tests.platforms.faults import Rate

WIDE = 1000
"""What an unlimited route claims to let through each second."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Rates by method, counted per channel; for the whole bot; and for edits of messages older than an hour."""

    routes: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    bot: Rate | None = None
    old_edits: Rate | None = None


UNLIMITED = Limits()
FIVE = Rate(count=5, seconds=5)
DISCORD_LIMITS = Limits(
    routes={
        "create_message": FIVE,
        "edit_message": FIVE,
        "delete_message": FIVE,
        "get_messages": FIVE,
        "trigger_typing": FIVE,
        "create_reaction": Rate(count=1, seconds=0.25),
    },
    bot=Rate(count=50, seconds=1),
    old_edits=Rate(count=30, seconds=3600),
)
"""What was seen in the field; Discord publishes only the one for the whole bot, the one for old edits is a guess."""


@dataclass(kw_only=True)
class Window:
    """What one bucket let through since its window opened."""

    until: float
    used: int = 0


class Pace:
    """Buckets that open a window with their first call and are full again at its end; a refused call costs nothing."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self._clock = clock
        self._windows: dict[str, Window] = {}

    def admit(self, call: Call) -> dict[str, str]:
        """Counts a call in its bucket and returns the headers that tell of it; or refuses it."""
        bucket = hashlib.md5(call.method.encode(), usedforsecurity=False).hexdigest()
        rate = self.limits.routes.get(call.method)
        if rate is None:
            return _headers(bucket, WIDE, WIDE - 1, 1.0, self._clock() + 1)
        window = self._window(f"{bucket}:{_major(call)}", rate)
        left = window.until - self._clock()
        if window.used >= rate.count:
            raise rate_limited(left, headers=_headers(bucket, rate.count, 0, left, window.until))
        window.used += 1
        return _headers(bucket, rate.count, rate.count - window.used, left, window.until)

    def admit_bot(self) -> None:
        """Counts a call of the bot, wherever it goes."""
        if self.limits.bot and (left := self._spend("bot", self.limits.bot)):
            raise rate_limited(left, scope="global")

    def admit_old_edit(self, channel: str) -> None:
        """Counts an edit of a message older than an hour."""
        if self.limits.old_edits and (left := self._spend(f"old:{channel}", self.limits.old_edits)):
            message = "Maximum number of edits to messages older than 1 hour reached. Try again later."
            raise rate_limited(left, code=30046, message=message, scope="shared")

    def _spend(self, key: str, rate: Rate) -> float:
        """Counts one; or, when that is one too many, returns the seconds to wait."""
        window = self._window(key, rate)
        if window.used >= rate.count:
            return window.until - self._clock()
        window.used += 1
        return 0.0

    def _window(self, key: str, rate: Rate) -> Window:
        now = self._clock()
        if key not in self._windows or self._windows[key].until <= now:
            self._windows[key] = Window(until=now + rate.seconds)
        return self._windows[key]


def rate_limited(
    seconds: float,
    *,
    code: int = 0,
    message: str = "You are being rate limited.",
    scope: str = "user",
    headers: dict[str, str] | None = None,
) -> ApiError:
    """A 429 that says when to come back: in the body exactly, in the header in whole seconds."""
    error = ApiError(429, code, message, retry_after=round(seconds, 3))
    error.body["global"] = scope == "global"
    if not code:
        del error.body["code"]
    error.headers = {"Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": scope, **(headers or {})}
    if scope == "global":
        error.headers["X-RateLimit-Global"] = "true"
    return error


def _major(call: Call) -> str:
    return "+".join(call.path.get(name, "") for name in ("channel", "guild", "token"))


def _headers(bucket: str, limit: int, remaining: int, left: float, until: float) -> dict[str, str]:
    return {
        "X-RateLimit-Bucket": bucket,
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset-After": f"{left:.3f}",
        "X-RateLimit-Reset": f"{until:.3f}",
    }
