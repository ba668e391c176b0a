"""/admin/log: the newest lines of the log, and those that come."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from api import current, sse
from api.auth import require
from api.document import Stream, document
from api.envelope import LIMIT, Done, Items, Text, done
from api.messages import cursor
from api.wire import query
from hub.logbook import Level, Logbook, LogLine, News, Wanted

routes = Blueprint("admin-logs", __name__)
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""Of a line: JavaScript can hold it."""


class LogProcess(TypedDict):
    """The process whose lines these are: each keeps its own since it began, from a level on."""

    name: str
    since: float
    level: str


class LogItems(Items[LogLine]):
    """A page of lines, and whose they are."""

    process: LogProcess


class Missed(TypedDict):
    """Lines that nobody can show any more: so many, or null where they are another process's, before a restart."""

    missed: int | None


class LogFilter(msgspec.Struct, kw_only=True):
    """Which lines: of this level and above, about a channel, an agent, a message (with its answer and its trace).

    `q` is a text anywhere in the line.
    """

    level: Level = "debug"
    channel: Text | None = None
    agent: Text | None = None
    message: Text | None = None
    q: Text | None = None

    def wanted(self) -> Wanted:
        """The same for a logbook."""
        return Wanted(level=self.level, channel=self.channel, agent=self.agent, message=self.message, q=self.q)


class LogQuery(LogFilter, kw_only=True):
    """Which lines to list: so many, the newest, or after the `next` of another page; while lines come, places move."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = LIMIT
    after: Number | None = None


class LogTail(LogFilter, kw_only=True):
    """Which lines to follow; with `after` those that came after the line of this number, too."""

    after: Number | None = None


@routes.get("/admin/log/list")
@require("admin")
@document({200: Done[LogItems]}, query=LogQuery)
async def index() -> Response:
    """The newest lines of the log of the process that answers, newest first."""
    asked, book = query(LogQuery), current.hub().logbook
    wanted = asked.wanted()
    fitting = [line for line in reversed(book.lines()) if wanted.fits(line)]
    older = fitting if asked.after is None else [line for line in fitting if line.id < asked.after]
    found = older[: asked.limit]
    listed: LogItems = {
        "items": found,
        "total": len(fitting),
        "limit": asked.limit,
        "offset": 0,
        "next": found[-1].id if len(older) > asked.limit else None,
        "process": process(book),
    }
    return done(listed)


@routes.get("/admin/log/tail")
@require("admin")
@document(
    {200: Stream(line=LogLine, missed=Missed)},
    query=LogTail,
    headers={"Last-Event-ID": "The number of the last line that was seen; browsers send it."},
)
async def tail() -> Response:
    """Lines as they are written, from now on or after `Last-Event-ID` (else `after`), as server-sent events.

    `missed` says that some came meanwhile which are not kept any more.
    """
    asked, book = query(LogTail), current.hub().logbook
    last = request.headers.get("Last-Event-ID")
    after = cursor(last, "Last-Event-ID", of="a line") if last else asked.after
    return sse.stream(_events(book.follow(asked.wanted(), after, current.keep_alive())))


def process(book: Logbook) -> LogProcess:
    """Which process this is."""
    return {"name": f"{socket.gethostname()}:{os.getpid()}", "since": book.since, "level": book.level}


async def _events(news: AsyncGenerator[News | None]) -> AsyncGenerator[bytes]:
    async with aclosing(news):
        async for each in news:
            if each is None:
                yield sse.KEEP_ALIVE
                continue
            told = _missed(None) if each.restarted else _missed(each.missed) if each.missed else b""
            yield told + b"".join(b"id: %d\n" % line.id + sse.event(line, "line") for line in each.lines)


def _missed(lines: int | None) -> bytes:
    told: Missed = {"missed": lines}
    return sse.event(told, "missed")
