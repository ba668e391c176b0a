"""Statistics as the routes of admins and users take and show them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from api import current
from api.envelope import Word
from api.keys import Time
from hub.accounts import money
from hub.errors import RequestError
from hub.records import histogram, statistics
from hub.records.rollup import MINUTES_KEPT
from hub.records.statistics import FOREVER, SPAN, Asked, By, Of, Per
from hub.records.tally import Sums

POINTS_MOST = 1000
POINTS: dict[Per, int] = {"minute": 60, "hour": 24, "day": 30}
"""How many there are unless `since` is given."""
HALF, MOST = 50, 95


class Filter(msgspec.Struct, kw_only=True):
    """Which turns and messages: those that ended in a time, from one whole hour (UTC) to another, and of these some."""

    since: Time | None = None
    until: Time | None = None
    channel: Word | None = None
    agent: Word | None = None
    model: Word | None = None

    def asked(self, key_id: int | None, since: float = 0.0) -> Asked:
        """What is to be measured; raises RequestError for a time that ends before it begins."""
        since = since if self.since is None else self.since
        until = FOREVER if self.until is None else self.until
        if until < since:
            raise RequestError(f"until: {self.until} is before since ({since:.0f})", param="until")
        return Asked(since=since, until=until, channel=self.channel, agent=self.agent, model=self.model, key_id=key_id)


class Breakdown(Filter, kw_only=True):
    """The same, and what each line is of."""

    by: By


class Series(Filter, kw_only=True):
    """The same: a point for each minute, hour or day (UTC), or one for each of these and whatever `by` says."""

    per: Annotated[Per, Meta(description="minutes are known of the last three hours")] = "hour"
    by: By | None = None

    def when(self, now: float) -> float:
        """Where it begins; raises RequestError for more points than there may be, or minutes that are forgotten."""
        span = SPAN[self.per]
        until = now if self.until is None else self.until
        since = max(0.0, until - span * (POINTS[self.per] - 1)) if self.since is None else self.since
        if (min(until, now) - since) / span > POINTS_MOST:
            raise RequestError(
                f"since: more than {POINTS_MOST} {self.per}s before until; ask for less, or a longer `per`",
                param="since",
            )
        if self.per == "minute" and since < now - MINUTES_KEPT:
            raise RequestError("since: minutes are known of the last three hours; ask per=hour", param="since")
        return since


class Measures(TypedDict):
    """What there was. `failed` and `cancelled` are among the `turns`, `refused` among the messages `received`.

    `delivered` and `undelivered` are the messages sent to chats, `fee` is in the currency's unit. Latencies are in
    milliseconds, those of answered turns, percentiles at most 9.1 % beside the exact ones; null: there were none.
    """

    turns: int
    failed: int
    cancelled: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    fee: str
    latency_mean: int | None
    latency_p50: int | None
    latency_p95: int | None
    first_token_p50: int | None
    first_token_p95: int | None
    received: int
    refused: int
    delivered: int
    undelivered: int


class Line(Measures):
    """Of a channel (`api`: over HTTP), an agent, a model or a key; `of` null: what has none. `name` is a key's."""

    of: str | int | None
    name: str | None


class Lines(TypedDict):
    """The lines, the most tokens first."""

    by: By
    items: list[Line]


class Point(Line):
    """From `at` on, Unix seconds."""

    at: int


class Points(TypedDict):
    """The points, the earliest first; without `by` there is one for each time, else for what had something."""

    per: Per
    items: list[Point]


def measures(sums: Sums) -> Measures:
    """What there was, as it is shown."""
    answered = histogram.count(sums.latency)
    return {
        "turns": sums.turns,
        "failed": sums.failed,
        "cancelled": sums.cancelled,
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "cached_tokens": sums.cached_tokens,
        "fee": money.shown(sums.fee),
        "latency_mean": round(sums.milliseconds / answered) if answered else None,
        "latency_p50": histogram.percentile(sums.latency, HALF),
        "latency_p95": histogram.percentile(sums.latency, MOST),
        "first_token_p50": histogram.percentile(sums.first_token, HALF),
        "first_token_p95": histogram.percentile(sums.first_token, MOST),
        "received": sums.received,
        "refused": sums.refused,
        "delivered": sums.delivered,
        "undelivered": sums.undelivered,
    }


async def total(asked: Asked) -> Measures:
    """What there was in all."""
    found = await current.hub().store.read(partial(statistics.measure, asked=asked))
    return measures(statistics.total(found))


async def breakdown(query: Breakdown, key_id: int | None) -> Lines:
    """What there was of each."""
    store, asked = current.hub().store, query.asked(key_id)
    found = await store.read(lambda connection: statistics.measure(connection, asked, by=query.by))
    names = await _names(query.by)
    ordered = sorted(found.items(), key=lambda one: (-one[1].tokens, str(one[0][1] or "")))
    return {"by": query.by, "items": [_line(of, sums, names) for (_, of), sums in ordered]}


async def series(query: Series, key_id: int | None) -> Points:
    """What there was in each time."""
    hub = current.hub()
    now = hub.clock()
    asked = query.asked(key_id, query.when(now))
    found = await hub.store.read(lambda connection: statistics.measure(connection, asked, per=query.per, by=query.by))
    if query.by is None:
        span = SPAN[query.per]
        starts = range(int(asked.since // span) * span, int(-(-min(asked.until, now + 1) // span)) * span, span)
        found = {(at, None): found.get((at, None), Sums()) for at in starts}
    names = await _names(query.by)
    return {"per": query.per, "items": [{"at": at, **_line(of, sums, names)} for (at, of), sums in found.items()]}


async def _names(by: By | None) -> Mapping[int, str]:
    return await current.hub().store.read(statistics.names) if by == "key" else {}


def _line(of: Of, sums: Sums, names: Mapping[int, str]) -> Line:
    return {"of": of, "name": names.get(of) if isinstance(of, int) else None, **measures(sums)}
