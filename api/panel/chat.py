"""Talking to agents in web rooms: conversations of one's own, and the rooms that everybody may enter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from quart import Response, current_app, request

from api import current, messages, names, posting, rooms, sse, web
from api.panel import talk
from api.panel.pages import Page
from api.panel.shared import Shared
from api.panel.talk import Draft, Drafts
from api.panel.view import View, parts
from api.panel.words import N_
from api.uploads import FILE_LIMIT, MOST
from hub.accounts.turns import Sign
from hub.errors import Forbidden, NotFound, StoreUnavailable
from hub.message import WEB, Address, Own
from hub.records import listed, steps
from hub.records.rooms import Post, Told

page = Page("chat", N_("Chat"), icon="chat")
LOBBY = "lobby"
"""The room that is always there."""
LISTED = 50
"""Conversations in the list."""
READ = 40
"""Messages that are shown at once."""
DRAWN_EVERY = 0.08
"""How often an answer that is being written is drawn anew, at most, in seconds."""
PATIENT = 4
"""So many times as long as that took is waited in between."""
CHECKED = 5.0
"""How long a login may have ended before its reader is sent away from a room in which nothing happens, in seconds."""
COMMANDS = {
    "new": N_("Start a new session"),
    "stop": N_("Stop the answer that is being written"),
    "status": N_("Show what the agent is doing"),
    "memory": N_("Show what the agent remembers here"),
    "help": N_("Show all commands"),
}
TRY = (
    "count to 20",
    'call message {"content": "hello"}',
    "post to web:lobby: hello",
)
"""What one may say first, in the words of the demo model: others make nothing of it."""


_DRAFTS = "bothub.panel.drafts"
_HEARING = "bothub.panel.hearing"


@page.routes.before_app_serving
async def hear() -> None:
    """Follow what is written from the start, for those who come late."""
    current_app.extensions[_HEARING] = asyncio.create_task(_drafts().follow(current.hub().signals))


@page.routes.after_app_serving
async def hear_no_more() -> None:
    """Stop following it."""
    current_app.extensions.pop(_HEARING).cancel()


def _drafts() -> Drafts:
    """Those of this app."""
    extensions: dict[str, Any] = current_app.extensions
    return extensions.setdefault(_DRAFTS, Drafts())


@dataclass(frozen=True, kw_only=True)
class Room:
    """A room, for whoever looks at it."""

    name: str
    agent: str | None
    """Whose conversation it is; None: everybody's."""
    gone: bool = False
    """Its agent is not there any more, or not for this key."""
    owner: str | None = None
    """What the key is called whose conversation it is, where that is not the viewer's."""

    @property
    def address(self) -> Address:
        return Address(WEB, self.name)

    @property
    def path(self) -> str:
        return f"{page.path}/{self.name}"


@page.get()
async def begin(view: View) -> Response:
    """A conversation that is still to begin, with the agent that is asked for, else the first."""
    if not _may(view):
        return view.render("chat.html", page=page, room=None)
    agents = _agents()
    if not agents and "agent" not in view.query:
        return view.go(f"{page.path}/{LOBBY}")
    agent = (await names.agent(view.query.get("agent"))).name
    return await _show(view, Room(name=Own(view.key.payer, agent, uuid4().hex[:12]).room, agent=agent), fresh=True)


@page.get("/<room>")
async def enter(view: View, room: str) -> Response:
    """A room with its newest messages."""
    _check(view)
    return await _show(view, await _room(view, room))


@page.get("/<room>/older")
async def older(view: View, room: str) -> Response:
    """The messages before one."""
    _check(view)
    there = await _room(view, room)
    found, more = await _read(view, there, messages.cursor(view.query.get("before"), "before"))
    return view.json({"html": talk.html(view, "posts", posts=found), "more": more})


@page.get("/<room>/events")
async def events(view: View, room: str) -> Response:
    """What happens in the room from now on, drawn for the viewer."""
    _check(view)
    there = await _room(view, room)
    last = request.headers.get("Last-Event-ID") or view.query.get("after")
    after = messages.cursor(last, "after") if last else None
    shared = parts().shared
    shared.check()
    scribe = _Scribe(view, there, _drafts())
    return sse.stream(_follow(view, scribe, after, shared, min(CHECKED, current.keep_alive())))


@page.post("/<room>/say")
async def say(view: View, room: str) -> Response:
    """Say something, or press a button; a form without modules goes back to the room."""
    _check(view)
    answer = await web.speak(_address(room))
    return view.go(f"{page.path}/{room}") if "text/html" in request.headers.get("Accept", "") else answer


@page.post("/<room>/stop")
async def stop(view: View, room: str) -> Response:
    """Stop what is being answered in the room."""
    _check(view)
    there = await _room(view, room)
    return view.json({"stopped": await view.hub.stop(there.address)})


@page.get("/files/<int:id>/<int:index>")
async def file(view: View, id: int, index: int) -> Response:
    """A file of a message: a picture to be shown, anything else to be saved."""
    _check(view)
    post = await rooms.stored(view.hub).find(id) if id < 10**messages.DIGITS else None
    return await messages.download(post, id, index)


def _may(view: View) -> bool:
    return view.key.has("chat") and view.key.has("read")


def _check(view: View) -> None:
    if not _may(view):
        raise Forbidden(view.say("This key may not talk to agents: it lacks the scope 'chat' or 'read'."))


def _address(room: str) -> Address:
    return posting.address(WEB, room, chat="room")


async def _room(view: View, room: str) -> Room:
    """A room that the viewer may enter; raises NotFound, RequestError."""
    name = _address(room).chat_id
    whose = rooms.check(view.key, name)
    owner = None if whose is None or whose.key == view.key.payer else await _called(view, whose.key)
    try:
        await rooms.partner(name)
    except NotFound:
        return Room(name=name, agent=whose and whose.agent, gone=True, owner=owner)
    return Room(name=name, agent=whose and whose.agent, owner=owner)


async def _called(view: View, key: int) -> str:
    """A key by its name, or by its number where there is none."""
    found = await view.hub.store.read(lambda connection: listed.names(connection, [key]))
    return found.get(key) or view.say("Key {n}", n=key)


def _agents() -> Sequence[names.Named]:
    return [each for each in names.usable() if each.kind == "agent"]


async def _show(view: View, room: Room, *, fresh: bool = False) -> Response:
    found, more = await _read(view, room, None)
    usable = [each.name for each in _agents()]
    return view.render(
        "chat.html",
        page=page,
        room=room,
        fresh=fresh,
        posts=found,
        more=more,
        agents=usable,
        commands=COMMANDS,
        tries=() if found or room.agent is None or room.gone else await _tries(view, room.agent),
        limit=FILE_LIMIT,
        most=MOST,
        **await _lists(view),
    )


async def _tries(view: View, agent: str) -> Sequence[str]:
    definitions = view.hub.definitions
    models = {one.name for one in await definitions.list("model") if one.settings.get("provider") == "demo"}
    asks = [one.settings.get("model") for one in await definitions.list("agent") if one.name == agent]
    return TRY if models.intersection(asks) else ()


async def _read(view: View, room: Room, before: int | None) -> tuple[Sequence[talk.Shown], bool]:
    """Messages before one, or the newest; and whether there may be more."""
    posts = await rooms.stored(view.hub).before(WEB, room.name, before, READ)
    return await talk.shown(view, posts, with_steps=_sees_steps(view, room)), len(posts) == READ


def _sees_steps(view: View, room: Room) -> bool:
    """What tools were told is for whoever asked: in everybody's room that may be anybody."""
    return room.agent is not None or view.is_admin


async def _lists(view: View) -> dict[str, Sequence[Told]]:
    """The viewer's own conversations; for admins also the rooms where something was said."""
    known = rooms.stored(view.hub)
    shared = await known.shared(WEB, LISTED) if view.is_admin else []
    return {
        "own": await known.owned(WEB, view.key.payer, LISTED),
        "shared": [told for told in shared if told.room != LOBBY],
    }


async def _follow(
    view: View, scribe: _Scribe, after: int | None, shared: Shared, silence: float
) -> AsyncGenerator[bytes]:
    """The room's events as parts of the page; nothing of what happens once the login has ended."""
    happenings = rooms.follow(view.hub, scribe.room.address, after, silence)
    try:
        with shared.watching():
            async for happened in happenings:
                began = time.monotonic()
                if not await view.holds():
                    yield sse.event({}, "ended")
                    return
                if not happened:
                    yield sse.KEEP_ALIVE
                for event in await scribe.tell(happened):
                    yield event
                if happened:
                    await asyncio.sleep(max(DRAWN_EVERY, PATIENT * (time.monotonic() - began)))
    except StoreUnavailable:
        yield sse.event({}, "away")


class _Scribe:
    """Draws what happens in a room for one viewer."""

    def __init__(self, view: View, room: Room, known: Drafts) -> None:
        self.room = room
        self._view = view
        self._known = known
        self._drafts: dict[str, Draft] = {}

    async def tell(self, happened: Sequence[Post | Sign]) -> list[bytes]:
        """The events for what happened: each draft once, then the messages."""
        posts = [one for one in happened if isinstance(one, Post)]
        signs = [one for one in happened if isinstance(one, Sign)]
        changed = {sign.turn: sign for sign in signs}
        for sign in signs:
            await self._hear(sign)
        told = [self._draft(turn) for turn in changed if turn in self._drafts]
        told += [sse.event({"turn": turn}, "done") for turn in changed if turn not in self._drafts]
        return [*told, *await self._posts(posts)]

    async def _hear(self, sign: Sign) -> None:
        if sign.kind == "done":
            self._drafts.pop(sign.turn, None)
            return
        draft = self._drafts.get(sign.turn) or Draft(sign.turn, sign.agent, text=self._known.said(sign.turn))
        self._drafts[sign.turn] = draft
        if sign.kind == "delta":
            draft.hear(sign)
        elif sign.kind == "calls" and _sees_steps(self._view, self.room):
            draft.calling = sign.calls
        elif sign.kind == "step" and _sees_steps(self._view, self.room):
            done = await self._view.hub.store.read(lambda connection: steps.of(connection, [sign.turn]))
            draft.calling, draft.finished = (), done.get(sign.turn, [])

    def _draft(self, turn: str) -> bytes:
        draft = self._drafts[turn]
        parts = {name: talk.html(self._view, name, draft=draft) for name in ("words", "steps")}
        return sse.event({"turn": turn, "agent": draft.agent, "length": draft.length, **parts}, "draft")

    async def _posts(self, posts: Sequence[Post]) -> list[bytes]:
        if not posts:
            return []
        told: list[bytes] = []
        for each in await talk.shown(self._view, posts, with_steps=_sees_steps(self._view, self.room)):
            drawn = talk.html(self._view, "posts", posts=[each])
            told.append(b"id: %d\n" % each.post.id + sse.event({"id": each.post.id, "html": drawn}, "message"))
        lists = talk.html(self._view, "rooms", room=self.room, **await _lists(self._view))
        return [*told, sse.event({"html": lists}, "rooms")]
