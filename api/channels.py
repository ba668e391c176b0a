"""/api/v1/channels and /api/v1/pairing: how channels are, a fresh connection for one, strangers who ask to talk."""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec
from quart import Blueprint, Response

from api import current, wire
from api.acts import acting, change
from api.auth import require
from api.document import document
from hub import access
from hub.channel import State
from hub.errors import NotFound, RequestError
from hub.message import channel_inbox
from hub.records.health import Health, of_channels

routes = Blueprint("channels", __name__)


class Code(msgspec.Struct):
    """The body of an approval."""

    code: str


class ChannelState(TypedDict):
    """How a channel is; `since` a Unix time."""

    channel: str
    state: State
    error: str | None
    since: int
    reconnects: int


class Channels(TypedDict):
    """Every enabled channel."""

    channels: list[ChannelState]


class Restarted(TypedDict):
    """That a channel will connect anew; `held` when a process held it."""

    success: Literal[True]
    channel: str
    held: bool


class Stranger(TypedDict):
    """Somebody who asks to talk to a bot."""

    code: str
    userId: str
    name: str
    createdAt: int
    expiresAt: int


class Strangers(TypedDict):
    """Who waits for approval."""

    requests: list[Stranger]


class Approved(TypedDict):
    """Who was let in."""

    success: Literal[True]
    userId: str


@routes.get("/api/v1/channels")
@require("read")
@document({200: Channels})
async def show() -> Response:
    """Every enabled channel with its state, as its holder last said."""
    hub = current.hub()
    found = await hub.store.read(of_channels)
    unheard = Health(state="stopped", since=hub.clock())
    return wire.answer({"channels": [_shown(name, found.get(name, unheard)) for name in hub.channels()]})


@routes.post("/api/v1/channels/<name>/restart")
@require("admin")
@document({202: Restarted})
async def restart(name: str) -> Response:
    """Have a channel connect anew, whichever process holds it."""
    await _known(name)
    note = acting("channel.restart", lambda act: act.note(channel_inbox(name)))
    freed = await current.hub().restart(name, note)
    return wire.answer({"success": True, "channel": name, "held": freed}, 202)


@routes.get("/api/v1/pairing/<channel>")
@require("admin")
@document({200: Strangers})
async def pending(channel: str) -> Response:
    """Who waits for approval."""
    await _known(channel)
    hub = current.hub()
    now = hub.clock()
    found = await hub.store.read(lambda connection: access.pending(connection, channel, now))
    requests: list[Stranger] = [
        {
            "code": one.code,
            "userId": one.sender,
            "name": one.name,
            "createdAt": int(one.created_at),
            "expiresAt": int(one.expires_at),
        }
        for one in found
    ]
    return wire.answer({"requests": requests})


@routes.post("/api/v1/pairing/<channel>/approve")
@require("admin")
@document({200: Approved}, body=Code)
async def approve(channel: str) -> Response:
    """Let the person in who was given the code."""
    await _known(channel)
    code = (await wire.read(Code)).code
    sender = await change("pairing.approve", lambda act: access.approve(act, channel, code))
    if sender is None:
        raise RequestError(f"'{code}' is no code that waits in '{channel}'.", param="code", code="unknown_code")
    return wire.answer({"success": True, "userId": sender})


async def _known(channel: str) -> None:
    hub = current.hub()
    if not await current.known(lambda: channel in hub.channels() or None):
        raise NotFound(f"There is no enabled channel '{channel}'.", code="unknown_channel")


def _shown(name: str, health: Health) -> ChannelState:
    return {
        "channel": name,
        "state": health.state,
        "error": health.error,
        "since": int(health.since),
        "reconnects": health.reconnects,
    }
