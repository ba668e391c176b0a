"""/user/session and /user/thread: one's own records, and those of the keys one made; others' do not exist."""

from __future__ import annotations

from quart import Blueprint, Response

from api.auth import require
from api.document import document
from api.envelope import Done, Listed
from api.records import (
    SESSION,
    SessionDetail,
    SessionPageQuery,
    SessionQuery,
    SessionShown,
    ThreadDetail,
    ThreadList,
    ThreadQuery,
    list_sessions,
    list_threads,
    own,
    show_session,
    show_thread,
)
from api.wire import query

routes = Blueprint("own-records", __name__)


@routes.get("/user/session/list")
@require("chat", "read")
@document({200: Listed[SessionShown]}, query=SessionQuery)
async def sessions() -> Response:
    """One's own sessions, the newest first."""
    return await list_sessions(query(SessionQuery), await own())


@routes.get(f"/user/session/detail/{SESSION}")
@require("chat", "read")
@document({200: Done[SessionDetail]}, query=SessionPageQuery)
async def session(id: int) -> Response:
    """One of one's sessions, a page of what was said in it, and what the turns of the page took."""
    return await show_session(id, await own())


@routes.get("/user/thread/list")
@require("chat", "read")
@document({200: ThreadList}, query=ThreadQuery)
async def threads() -> Response:
    """One's own turns, the newest first; those in the conversation of a chat only while one is granted it."""
    return await list_threads(query(ThreadQuery), await own())


@routes.get("/user/thread/detail/<path:id>")
@require("chat", "read")
@document({200: Done[ThreadDetail]})
async def thread(id: str) -> Response:
    """One of one's turns: what was asked, each step, what it cost."""
    return await show_thread(id, await own())
