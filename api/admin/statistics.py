"""/admin/statistics and /user/statistics: what happened, how much, how fast and what it cost."""

from __future__ import annotations

from datetime import UTC, datetime

from quart import Blueprint, Response

from api import current
from api.auth import require
from api.document import document
from api.envelope import Done, Id, done
from api.statistics import Breakdown, Filter, Lines, Measures, Points, Series, breakdown, series, total
from api.wire import query
from hub.accounts import money
from hub.records.statistics import Asked, Of, count_keys, measure

routes = Blueprint("statistics", __name__)


class AdminFilter(Filter, kw_only=True):
    """The same, or those of a key."""

    key_id: Id | None = None


class AdminBreakdown(Breakdown, kw_only=True):
    """The same, or those of a key."""

    key_id: Id | None = None


class AdminSeries(Series, kw_only=True):
    """The same, or those of a key."""

    key_id: Id | None = None


class Total(Measures):
    """What there was in all; and of the keys, whatever is asked for.

    How many there are, how many cost something, ever and in this month (UTC), and what they all did.
    """

    count_key: int
    active_key: int
    active_key_this_month: int
    total_fee: str
    total_month_fee: str


@routes.get("/admin/statistics/total")
@require("admin")
@document({200: Done[Total]}, query=AdminFilter)
async def admin_total() -> Response:
    """Everything added up: since the beginning, or in a time."""
    asked = query(AdminFilter)
    return done({**await total(asked.asked(asked.key_id)), **await _of_keys()})


@routes.get("/admin/statistics/breakdown")
@require("admin")
@document({200: Done[Lines]}, query=AdminBreakdown)
async def admin_breakdown() -> Response:
    """A line for each channel, agent, model or key that had something."""
    asked = query(AdminBreakdown)
    return done(await breakdown(asked, asked.key_id))


@routes.get("/admin/statistics/series")
@require("admin")
@document({200: Done[Points]}, query=AdminSeries)
async def admin_series() -> Response:
    """A point for each minute, hour or day: up to 1000."""
    asked = query(AdminSeries)
    return done(await series(asked, asked.key_id))


@routes.get("/user/statistics/total")
@require("chat", "read")
@document({200: Done[Measures]}, query=Filter)
async def own_total() -> Response:
    """What the key that asks did: since the beginning, or in a time."""
    return done(await total(query(Filter).asked(current.key().id)))


@routes.get("/user/statistics/breakdown")
@require("chat", "read")
@document({200: Done[Lines]}, query=Breakdown)
async def own_breakdown() -> Response:
    """The same, with a line for each agent or model."""
    return done(await breakdown(query(Breakdown), current.key().id))


@routes.get("/user/statistics/series")
@require("chat", "read")
@document({200: Done[Points]}, query=Series)
async def own_series() -> Response:
    """The same, with a point for each minute, hour or day: up to 1000."""
    return done(await series(query(Series), current.key().id))


async def _of_keys() -> dict[str, int | str]:
    hub = current.hub()
    month = datetime.fromtimestamp(hub.clock(), UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    async def fees(since: float) -> dict[Of, int]:
        asked = Asked(since=since)
        found = await hub.store.read(lambda connection: measure(connection, asked, by="key", timed=False))
        return {of: sums.fee for (_, of), sums in found.items() if sums.fee}

    ever, this_month = await fees(0.0), await fees(month.timestamp())
    return {
        "count_key": await hub.store.read(count_keys),
        "active_key": len(ever.keys() - {None}),
        "active_key_this_month": len(this_month.keys() - {None}),
        "total_fee": money.shown(sum(ever.values())),
        "total_month_fee": money.shown(sum(this_month.values())),
    }
