"""What happened, by time, channel, agent, model and key: read from what `rollup` added up.

The last minutes are there too: what is not counted yet is read and added. So an answer costs what the rows of its time
cost, a row for each channel, agent, model and key that had something, however many turns and messages there were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Integer, and_, bindparam, func, literal_column, null, select

from hub.message import Value
from hub.records import histogram
from hub.records.rollup import DAY, HOUR, MINUTE, MONTH, SETTLED, UNCOUNTED, counted_until, stored
from hub.records.tally import COUNTS, Place, Sums, of_message, of_turn
from hub.store.tables import keys, messages, statistics, turns

By = Literal["channel", "agent", "model", "key"]
Per = Literal["minute", "hour", "day"]
SPAN: dict[Per, int] = {"minute": MINUTE, "hour": HOUR, "day": DAY}
UNCOUNTED_MOST = 5000
"""Turns, and messages, that are added though they are not counted: more wait only while an old store is counted."""
FOREVER = float(10**11)


class Asked(Value, frozen=True, kw_only=True):
    """Which turns and messages: those that ended in a time (Unix seconds, `until` excluded), and of these some."""

    since: float = 0.0
    until: float = FOREVER
    channel: str | None = None
    agent: str | None = None
    model: str | None = None
    key_id: int | None = None

    def has(self, place: Place) -> bool:
        """Whether this is one of them."""
        return all(wanted in (None, found) for wanted, found in zip(self._place, place, strict=True))

    @property
    def _place(self) -> tuple[str | None, str | None, str | None, int | None]:
        return self.channel, self.agent, self.model, self.key_id

    def rows(self) -> list[ColumnElement[bool]]:
        """Conditions on `statistics`."""
        wanted = zip(_PLACE.values(), self._place, strict=True)
        return [column == value for column, value in wanted if value is not None]


Of = str | int | None
"""A channel's, agent's or model's name, or a key's id; None: what has none."""
Found = dict[tuple[int, Of], Sums]
"""By the beginning of its time, and by whom it was; 0 and None where that was not asked."""


def measure(
    connection: Connection, asked: Asked, *, per: Per | None = None, by: By | None = None, timed: bool = True
) -> Found:
    """A unit, with nothing before it: the sums for each time and each `by` that has something, the earliest first.

    Times begin and end with a whole `per`, without it with a whole hour: `since` moves down to it and `until` up.
    Without `timed` no histograms are read.
    """
    if connection.dialect.name == "postgresql":  # all statements see the same moment: none counts what another did
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    found: Found = {}
    for part in _parts(asked, per):
        _add_counted(connection, found, asked, part, per, by)
        if timed:
            _add_timed(connection, found, asked, part, per, by)
    span = SPAN[per or "hour"]
    for at, place, sums in _fresh(connection, _down(asked.since, span), _up(asked.until, span)):
        if asked.has(place):
            key = (_down(at, span) if per else 0, _of(place, by))
            found.setdefault(key, Sums()).add(sums)
    return dict(sorted(found.items(), key=lambda one: one[0][0]))


def total(found: Mapping[Any, Sums]) -> Sums:
    """All of them together."""
    sums = Sums()
    for each in found.values():
        sums.add(each)
    return sums


class Plot(Value, frozen=True, kw_only=True):
    """Lines to draw: all have a point for each time, which lasts `span` seconds from its start on."""

    span: int
    starts: Sequence[int]
    lines: Mapping[Of, Sequence[Sums]]

    @property
    def total(self) -> Sums:
        """All points of all lines together."""
        return total(dict(enumerate(point for line in self.lines.values() for point in line)))


Window = Literal["1h", "24h", "30d"]
WINDOWS: dict[Window, tuple[Per, int]] = {"1h": ("minute", 60), "24h": ("hour", 24), "30d": ("day", 30)}
"""What a point of a plot is of, and how many there are; the last one is of the time that is not over yet."""


def plot(
    connection: Connection, window: Window, now: float, by: By | None = None, *, key_id: int | None = None
) -> Plot:
    """A unit, with nothing before it: the points of a window that ends now; by agent a line for each one, and so on.

    With `key_id` those of one key.
    """
    per, many = WINDOWS[window]
    span = SPAN[per]
    last = _down(now, span)
    starts = [last - span * back for back in reversed(range(many))]
    found = measure(connection, Asked(since=starts[0], until=last + span, key_id=key_id), per=per, by=by)
    lines = sorted({of for _, of in found}, key=lambda of: str(of or "")) if by else [None]
    return Plot(span=span, starts=starts, lines={of: [found.get((at, of), Sums()) for at in starts] for of in lines})


def count_keys(connection: Connection) -> int:
    """A unit: how many keys there are."""
    return connection.execute(_KEYS).scalar() or 0


def names(connection: Connection) -> dict[int, str]:
    """A unit: what keys are called, those too that are gone."""
    return {row.id: row.name for row in connection.execute(select(keys.c.id, keys.c.name))}


Part = tuple[int, int, int]
"""Rows of a span, from a start on and before another."""


def _parts(asked: Asked, per: Per | None) -> list[Part]:
    """The rows to read: without `per` those of months and days where they are whole, and of what is around them."""
    if per is not None:
        return [(SPAN[per], _down(asked.since, SPAN[per]), _up(asked.until, SPAN[per]))]
    since, until = _down(asked.since, HOUR), _up(asked.until, HOUR)
    parts = list[Part]()
    for span, longer in ((HOUR, DAY), (DAY, MONTH)):
        first, last = _up(since, longer), _down(until, longer)
        if first >= last:
            return [*parts, (span, since, until)]
        parts += [(span, since, first), (span, last, until)]
        since, until = first, last
    return [*parts, (MONTH, since, until)]


def _add_counted(
    connection: Connection, found: Found, asked: Asked, part: Part, per: Per | None, by: By | None
) -> None:
    at, of = _labels(per, by)
    sums = [func.sum(statistics.c[name]).label(name) for name in COUNTS]
    groups = [column for column, wanted in ((at, per), (of, by)) if wanted]
    query = select(at, of, *sums).where(_here(asked, part)).group_by(*groups)
    for row in connection.execute(query).mappings():
        if row["turns"] is not None:
            found.setdefault((row["at"], row["of"] or None), Sums()).add(stored(row))


def _add_timed(connection: Connection, found: Found, asked: Asked, part: Part, per: Per | None, by: By | None) -> None:
    """Add the histograms: row by row, because a database cannot."""
    query = select(*_labels(per, by), statistics.c.latency, statistics.c.first_token)
    for at, of, latency, first_token in connection.execute(query.where(_here(asked, part), _ANSWERED)):
        sums = found[at, of or None]
        sums.latency += histogram.unpack(latency)
        sums.first_token += histogram.unpack(first_token)


def _labels(per: Per | None, by: By | None) -> tuple[Any, Any]:
    return (_START if per else _NEVER).label("at"), (_PLACE[by] if by else null()).label("of")


def _here(asked: Asked, part: Part) -> ColumnElement[bool]:
    span, since, until = part
    return and_(statistics.c.span == span, statistics.c.start >= since, statistics.c.start < until, *asked.rows())


def _fresh(connection: Connection, since: int, until: int) -> Iterator[tuple[float, Place, Sums]]:
    """What is not counted yet."""
    for row in connection.execute(_TURNS, {"since": since, "until": until}):
        yield row.finished_at, *of_turn(row)
    part = {"since": max(counted_until(connection), since - 1), "until": until}
    for row in connection.execute(_MESSAGES, part):
        if since <= row.settled_at < until:
            yield row.settled_at, *of_message(row)


def _of(place: Place, by: By | None) -> Of:
    return (place.key_id if by == "key" else getattr(place, by)) or None if by else None


def _down(at: float, span: int) -> int:
    return int(at // span) * span


def _up(at: float, span: int) -> int:
    return int(-(-at // span)) * span


_KEYS = select(func.count()).select_from(keys).where(keys.c.deleted_at.is_(None))
_PLACE: dict[By, Any] = {
    "channel": statistics.c.channel,
    "agent": statistics.c.agent,
    "model": statistics.c.model,
    "key": statistics.c.key_id,
}
_START: Any = statistics.c.start
_NEVER = literal_column("0", Integer)
_ANSWERED = statistics.c.turns > statistics.c.failed + statistics.c.cancelled
_TURNS = (
    UNCOUNTED.where(turns.c.finished_at >= bindparam("since"), turns.c.finished_at < bindparam("until"))
    .order_by(turns.c.finished_at.desc())
    .limit(UNCOUNTED_MOST)
)
_MESSAGES = SETTLED.order_by(messages.c.settled_at.desc()).limit(UNCOUNTED_MOST)
