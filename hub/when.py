"""When something is due: once, every so often, or as a cron expression says. Pure arithmetic on Unix times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import floor
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from hub.errors import RequestError
from hub.message import Value

SHORTEST = 60.0
"""What is repeated is at least so many seconds apart."""
FARTHEST = 5 * 366 * 86_400.0
DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?")
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def span(value: object) -> object:
    """Seconds of a time span that is written as `500ms`, `8s`, `5m`, `1h` or `90d`; what is no text stays as it is.

    Raises ValueError, which says how it is written.
    """
    if not isinstance(value, str):
        return value
    written = DURATION.fullmatch(value.strip())
    if not written:
        raise ValueError("must be a time such as 500ms, 8s, 5m or 1h, or a number of seconds")
    return float(written[1]) * UNITS[written[2] or "s"]


class Once(Value, frozen=True, kw_only=True, tag_field="kind", tag="once"):
    """At a Unix time."""

    at: float


class Every(Value, frozen=True, kw_only=True, tag_field="kind", tag="every"):
    """Each time so many seconds have passed."""

    seconds: float


class Cron(Value, frozen=True, kw_only=True, tag_field="kind", tag="cron"):
    """As five fields say (minute, hour, day, month, weekday), by the clocks of a time zone.

    An hour that the clocks skip is made up for when it is over; one that they repeat counts once.
    """

    expression: str
    zone: str


When = Once | Every | Cron


def first(when: When, now: float) -> float:
    """When it is due for the first time; raises RequestError where that is never, too late or too often."""
    match when:
        case Once(at=at) if at < now:
            raise RequestError("That time is over.", param="at")
        case Once(at=at):
            due = at
        case Every(seconds=seconds) if seconds < SHORTEST:
            raise RequestError(f"Every {seconds:g} seconds is too often: the shortest is {SHORTEST:g}.", param="every")
        case Every(seconds=seconds):
            due = now + seconds
        case Cron():
            due = _next(when, now)
    if not due <= now + FARTHEST:
        raise RequestError("That is more than five years away.")
    return due


def after(when: When, due: float, now: float) -> float | None:
    """When it is due next, later than now, once it was due; None when that was the last time.

    What is repeated keeps its beat, however late it is.
    """
    match when:
        case Once():
            return None
        case Every(seconds=seconds):
            return due + seconds * (floor((now - due) / seconds) + 1)
        case Cron():
            try:
                return _next(when, now)
            except RequestError:
                return None


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name such as Europe/Paris; raises RequestError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise RequestError(f"There is no time zone '{name}': write one such as Europe/Paris.") from error


def _next(cron: Cron, now: float) -> float:
    zone = zone_of(cron.zone)
    if len(cron.expression.split()) != 5:
        raise RequestError("A cron expression has five fields: minute, hour, day, month, weekday.", param="cron")
    try:
        return next(CronSim(cron.expression, datetime.fromtimestamp(now, UTC).astimezone(zone))).timestamp()
    except CronSimError as error:
        raise RequestError(f"'{cron.expression}' is no cron expression: {error}.", param="cron") from error
    except StopIteration as error:
        raise RequestError(f"'{cron.expression}' is never due.", param="cron") from error
