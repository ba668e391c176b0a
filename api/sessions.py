"""/api/v1/sessions: the conversations that a key holds with agents, to list, read, name, take along and erase.

Only the key's own are there, not those of another key, whoever asks; and to read, those of chats that it was granted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Annotated, Literal, NoReturn, NotRequired, TypedDict, cast

import msgspec
from msgspec import Meta
from quart import Blueprint, Response

from api import conversations, current
from api.acts import change
from api.auth import require
from api.document import Content, document
from api.envelope import Moment, Text
from api.openai.answers import Call
from api.openai.request import Name
from api.ports import Sessions
from api.wire import answer, query, read
from hub.errors import NotFound
from hub.memory import Heard, Said, Stepped, Summary
from hub.message import File
from hub.records.search import Sought
from hub.records.sessions import SessionRecord, Written
from hub.store.listing import Part

routes = Blueprint("sessions", __name__)
LIMIT = 20
MOST = 200
HIGHEST = 10**18 - 1
"""The largest number that a cursor may be."""
ID = f"<int(max={HIGHEST}):id>"
JSON_LINES = "application/x-ndjson"
_encode = msgspec.json.Encoder().encode
Cursor = Annotated[int, Meta(ge=0, le=HIGHEST)]
Limit = Annotated[int, Meta(ge=1, le=MOST)]


class Listed(msgspec.Struct):
    """Which sessions to list: those of an agent, those after the `next` of a page; with `session` those of a chat.

    `session` is the address of a chat whose conversation the key was granted. `q` is looked for in what was said, every
    word of it, and in titles and names. In the time from `since` on and before `until`, Unix seconds, they were used.
    """

    q: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    agent: Name | None = None
    session: Name | None = None
    after: Cursor | None = None
    limit: Limit = LIMIT


class Paged(msgspec.Struct):
    """Which messages to read: those after the `next` of a page."""

    after: Cursor = 0
    limit: Limit = MOST


class Exported(msgspec.Struct):
    """How to write an export: as one JSON, or a message a line."""

    format: Literal["json", "jsonl"] = "json"


class Title(msgspec.Struct):
    """A title, or null for none."""

    title: Name | None


class Session(TypedDict):
    """A conversation with an agent; `session_id` is the name that its requests give it, `session` the chat it is in."""

    id: str
    object: Literal["session"]
    agent: str
    session_id: str | None
    session: NotRequired[str]
    title: str | None
    created_at: int
    updated_at: int | None


class SessionList(TypedDict):
    """Sessions, the newest first; `next` is the cursor to go on with, null where there are no more."""

    object: Literal["list"]
    data: list[Session]
    next: str | None


class FileName(TypedDict):
    """A file that came with a message."""

    name: str
    media_type: str
    size: int


class SessionMessage(TypedDict):
    """Something said: `id` tells its place, `turn` what it belongs to; `mark` says why a reply is not whole.

    `author` says who spoke where several do: people in a group, or a program by the name of its key. A `system` message
    is a summary of what stands before it.
    """

    id: str
    turn: str
    at: int
    role: Literal["user", "assistant", "tool", "system"]
    content: str
    author: NotRequired[str]
    files: NotRequired[list[FileName]]
    tool_calls: NotRequired[list[Call]]
    tool_call_id: NotRequired[str]
    mark: NotRequired[str]


class SessionPage(Session):
    """A session and a page of what was said in it, the oldest first."""

    messages: list[SessionMessage]
    next: str | None


class SessionExport(Session):
    """A session and all that was said in it."""

    messages: list[SessionMessage]


class Gone(TypedDict):
    """The session is erased."""

    id: str
    object: Literal["session"]
    deleted: Literal[True]


@routes.get("/api/v1/sessions")
@require("read", "chat")
@document({200: SessionList}, query=Listed)
async def index() -> Response:
    """The key's sessions, the newest first; or those of a chat whose conversation it was granted."""
    asked, key = query(Listed), current.key().id
    sought = Sought(text=asked.q, since=asked.since, until=asked.until, agent=asked.agent)
    part = Part(limit=asked.limit, after=() if asked.after is None else (asked.after,))
    if asked.session:
        page = await _sessions().granted(key, conversations.address(asked.session), sought, part)
    else:
        page = await _sessions().list(key, sought, part)
    following = None if page.next is None else str(page.next[0])
    return answer({"object": "list", "data": [shown(each) for each in page.items], "next": following})


@routes.get(f"/api/v1/sessions/{ID}")
@require("read", "chat")
@document({200: SessionPage}, query=Paged)
async def show(id: int) -> Response:
    """A session, and what was said in it: messages with their roles, the steps of tools among them."""
    session, asked = await _readable(id), query(Paged)
    found = await _sessions().read(session, asked.after, asked.limit + 1)
    page = found[: asked.limit]
    following = str(page[-1].id) if len(found) > asked.limit else None
    return answer({**shown(session), "messages": messages_of(page), "next": following})


@routes.patch(f"/api/v1/sessions/{ID}")
@require("chat")
@document({200: Session}, body=Title)
async def rename(id: int) -> Response:
    """Give a session a title, or take it away."""
    session, new = await _mine(id), await read(Title)
    title = (new.title or "").strip() or None
    await _sessions().rename(session, title)
    return answer(shown(msgspec.structs.replace(session, title=title)))


@routes.get(f"/api/v1/sessions/{ID}/export")
@require("read", "chat")
@document({200: (SessionExport, Content(JSON_LINES))}, query=Exported)
async def export(id: int) -> Response:
    """All of a session, to take along: one JSON, or with `format=jsonl` a message a line."""
    session, asked = await _readable(id), query(Exported)
    if asked.format == "jsonl":
        return exported(session)
    name = {"Content-Disposition": f'attachment; filename="session-{session.id}.json"'}
    said = [message async for page in _pages(_sessions(), session) for message in page]
    return answer({**shown(session), "messages": said}, headers=name)


@routes.delete(f"/api/v1/sessions/{ID}")
@require("chat")
@document({200: Gone}, errors=(409,))
async def erase(id: int) -> Response:
    """Erase a session for good: what was said, what a search finds of it, and the text of its turns.

    A turn that runs is told to stop first; 409 when it does not. The next message begins another session.
    """
    session = await _mine(id)
    await change("session.erase", lambda act: act.note(f"session:{session.id}"))
    await _sessions().erase(session)
    return answer({"id": str(session.id), "object": "session", "deleted": True})


def shown(session: SessionRecord) -> Session:
    """A session as its key sees it."""
    told: Session = {
        "id": str(session.id),
        "object": "session",
        "agent": session.agent,
        "session_id": session.session_id,
        "title": session.title,
        "created_at": int(session.started_at),
        "updated_at": None if session.updated_at is None else int(session.updated_at),
    }
    return told if session.chat is None else {**told, "session": session.chat}


def _sessions() -> Sessions:
    return current.hub().sessions


async def _mine(id: int) -> SessionRecord:
    """The session, if it is the key's; raises NotFound."""
    return await _sessions().find(current.key().id, id) or _missing(id)


async def _readable(id: int) -> SessionRecord:
    """The session, if it is the key's or of a chat's conversation that it was granted; raises NotFound."""
    return await _sessions().readable(current.key().id, id) or _missing(id)


def _missing(id: int) -> NoReturn:
    raise NotFound(f"There is no session '{id}'.", code="session_not_found")


def exported(session: SessionRecord) -> Response:
    """The answer that is all of a session, a message a line."""
    name = {"Content-Disposition": f'attachment; filename="session-{session.id}.jsonl"'}
    return Response(_lines(_pages(_sessions(), session)), 200, name, content_type=JSON_LINES)


async def _pages(sessions: Sessions, session: SessionRecord) -> AsyncGenerator[list[SessionMessage]]:
    after = 0
    while page := await sessions.read(session, after, MOST):
        yield messages_of(page)
        after = page[-1].id


async def _lines(pages: AsyncGenerator[list[SessionMessage]]) -> AsyncGenerator[bytes]:
    async for page in pages:
        yield b"".join(_encode(message) + b"\n" for message in page)


def messages_of(page: Sequence[Written]) -> list[SessionMessage]:
    """Entries as messages."""
    return [message for written in page for message in _of(written)]


def _of(written: Written) -> Iterator[SessionMessage]:
    """An entry as messages: a step of tools is several."""
    match written.entry:
        case Heard(text=text, author=author, files=files, returned=returned):
            if returned is not None:  # the calls are where they were made
                yield from _results(written, returned)
            if text or files or returned is None:
                said = _message(written, "user", text)
                if author is not None:
                    said["author"] = author
                if files:
                    said["files"] = [file_of(file) for file in files]
                yield said
        case Stepped() as step:
            yield _called(written, step)
            yield from _results(written, step)
        case Said(text=text, mark=mark) as last:
            if text or mark or last.calls:
                said = _called(written, last)
                yield {**said, "mark": mark} if mark else said
        case Summary(text=text):
            yield _message(written, "system", text)


def _called(written: Written, step: Stepped | Said) -> SessionMessage:
    said = _message(written, "assistant", step.text)
    return {**said, "tool_calls": [cast(Call, call.in_chat) for call in step.calls]} if step.calls else said


def _results(written: Written, step: Stepped) -> Iterator[SessionMessage]:
    for call, result in zip(step.calls, step.results, strict=True):
        yield {**_message(written, "tool", result), "tool_call_id": call.id}


def _message(written: Written, role: Literal["user", "assistant", "tool", "system"], content: str) -> SessionMessage:
    return {
        "id": str(written.id),
        "turn": written.turn,
        "at": int(written.at),
        "role": role,
        "content": content,
    }


def file_of(file: File) -> FileName:
    """What is told of a file."""
    return {"name": file.name, "media_type": file.media_type, "size": file.size}
