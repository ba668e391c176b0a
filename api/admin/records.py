"""/admin/session and /admin/thread: what was said, by whom, and what it cost."""

from __future__ import annotations

from quart import Blueprint, Response

from api.auth import require
from api.document import document
from api.envelope import Done, Listed
from api.records import (
    SESSION,
    AllSessionsQuery,
    AllThreadsQuery,
    SessionDetail,
    SessionPageQuery,
    SessionShown,
    ThreadDetail,
    ThreadList,
    list_sessions,
    list_threads,
    show_session,
    show_thread,
)
from api.wire import query

routes = Blueprint("admin-records", __name__)


@routes.get("/admin/session/list")
@require("admin")
@document({200: Listed[SessionShown]}, query=AllSessionsQuery)
async def sessions() -> Response:
    """Sessions, the newest first."""
    return await list_sessions(query(AllSessionsQuery), None)


@routes.get(f"/admin/session/detail/{SESSION}")
@require("admin")
@document({200: Done[SessionDetail]}, query=SessionPageQuery)
async def session(id: int) -> Response:
    """A session, a page of what was said in it, and what the turns of the page took."""
    return await show_session(id, None)


@routes.get("/admin/thread/list")
@require("admin")
@document({200: ThreadList}, query=AllThreadsQuery)
async def threads() -> Response:
    """Turns, the newest first."""
    return await list_threads(query(AllThreadsQuery), None)


@routes.get("/admin/thread/detail/<path:id>")
@require("admin")
@document({200: Done[ThreadDetail]})
async def thread(id: str) -> Response:
    """A turn: what was asked, each step, what it cost."""
    return await show_thread(id, None)
