"""What the hub logs: its newest lines, and those that come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup
from quart import Response, request

from api import current, sse
from api.admin.logs import LogFilter, process
from api.messages import cursor
from api.panel import forms
from api.panel.pages import Page
from api.panel.shared import Shared
from api.panel.view import View, parts
from api.panel.words import N_
from api.wire import fit
from hub.logbook import News, Wanted

page = Page("logs", N_("Logs"), icon="log", admin=True)
SHOWN = 200
TEMPLATE = "logs.html"
CHECKED = 5.0
"""How long a login may have ended before its reader is sent away, in seconds."""
LEVELS = (
    ("debug", N_("All")),
    ("info", N_("Info and above")),
    ("warning", N_("Warnings and errors")),
    ("error", N_("Errors")),
)
TONES = {"debug": "", "info": "", "warning": "warn", "error": "bad"}
NAMES = {"debug": N_("Debug"), "info": N_("Info"), "warning": N_("Warning"), "error": N_("Error")}
LEADS = {
    "agent": "agent",
    "channel": "channel",
    **dict.fromkeys(("id", "turn", "message", "request_id", "trace_id"), "message"),
}
"""The filter that a field's value leads to."""
TRACED = ("id", "turn", "message")
"""Fields whose value may have a timeline."""


@page.get()
async def index(view: View) -> Response:
    """The newest lines; the page's module then follows what comes after them."""
    book, wanted = view.hub.logbook, _wanted(view)
    newest = book.newest
    lines = [line for line in reversed(book.lines()) if wanted.fits(line)]
    agents = [one.name for one in view.hub.names() if one.kind == "agent"]
    every = ("", view.say("All"))
    given: dict[str, Any] = {
        "wanted": wanted,
        "levels": [(level, view.say(said)) for level, said in LEVELS],
        "channels": [every, *forms.options(view.hub.channels(), wanted.channel or "")],
        "agents": [every, *forms.options(agents, wanted.agent or "")],
        "process": process(book),
        "tail": f"{page.path}/tail?{request.query_string.decode()}",
        "newest": newest,
    }
    return view.render(TEMPLATE, page=page, **_context(lines[:SHOWN]), **given)


@page.get("/tail")
async def tail(view: View) -> Response:
    """Lines as they are written, ready to be shown."""
    last = request.headers.get("Last-Event-ID") or view.query.get("after")
    after = cursor(last, "Last-Event-ID", of="a line") if last else None
    news = view.hub.logbook.follow(_wanted(view), after, min(CHECKED, current.keep_alive()))
    shared = parts().shared
    shared.check()
    return sse.stream(_events(view, shared, news))


async def _events(view: View, shared: Shared, news: AsyncGenerator[News | None]) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    checked = clock()
    with shared.watching():
        async with aclosing(news):
            async for each in news:
                if clock() - checked >= CHECKED:
                    checked = clock()
                    if not await view.holds():
                        yield sse.event({}, "ended")
                        return
                if each is None:
                    yield sse.KEEP_ALIVE
                    continue
                head = b"id: %d\n" % each.lines[-1].id if each.lines else b""
                context = _context(each.lines[::-1], each)
                yield head + sse.event(view.block(TEMPLATE, "lines", **context), "lines")


def _wanted(view: View) -> Wanted:
    """What is asked for behind the `?`; raises RequestError."""
    names = LogFilter.__struct_fields__
    return fit({name: value for name, value in view.query.items() if name in names and value}, LogFilter).wanted()


def _context(lines: Sequence[object], news: News | None = None) -> dict[str, Any]:
    return {
        "lines": lines,
        "news": news or News(),
        "tones": TONES,
        "names": NAMES,
        "leads": LEADS,
        "traced": TRACED,
        "moment": _moment,
    }


def _moment(at: float) -> Markup:
    """The second in which something was logged; the browser puts it into the reader's zone."""
    when = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" data-at="{}" data-as="second">{}</time>').format(
        f"{when:%Y-%m-%dT%H:%M:%SZ}", f"{at:.3f}", f"{when:%H:%M:%S}"
    )
