"""Channels as a configuration describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import channels
from channels.config import ChannelSettings
from hub.access import Chat, Rules
from hub.channel import Channel, Webhook
from hub.delivery.posts import Channels
from hub.files import FileStore
from hub.ingress import Ingress
from hub.inlet import Door, Inlet
from hub.records.rooms import StoredRooms
from hub.supervise import Line


def known(all_: Mapping[str, ChannelSettings]) -> Channels:
    """Which channels there are, for those who post."""
    return Channels(
        kinds={name: channel.kind for name, channel in all_.items()},
        enabled={name for name, channel in all_.items() if channel.enabled},
        known_kinds=set(channels.names()),
    )


def lines(enabled: Mapping[str, ChannelSettings], rooms: StoredRooms) -> dict[str, Line]:
    """How to connect each of them."""
    return {
        name: Line(
            settings=settings,
            make=partial(_make, name, settings, rooms),
            previews=settings.preview,
            stoppable=settings.commands.stop != "off",
        )
        for name, settings in enabled.items()
    }


async def _make(name: str, settings: ChannelSettings, rooms: StoredRooms) -> Channel:
    kind = channels.kind(settings.kind)
    # A platform's SDK takes seconds to import; the loop goes on meanwhile.
    make = await asyncio.to_thread(channels.load, kind.channel)
    return make(name, settings, rooms) if settings.kind == "web" else make(name, settings)


def doors(enabled: Mapping[str, ChannelSettings], ingress: Ingress, files: FileStore) -> dict[tuple[str, str], Door]:
    """Where platforms push, by kind and channel: the channels that ask for it with `mode: webhook`."""
    return {
        (settings.kind, name): Door(partial(_webhook, webhook, name, settings), Inlet(name, ingress, files))
        for name, settings in enabled.items()
        if (webhook := channels.kind(settings.kind).webhook) and getattr(settings, "mode", None) == "webhook"
    }


async def _webhook(reference: str, name: str, settings: ChannelSettings) -> Webhook:
    """What reads a channel's pushes; it may need the platform's SDK."""
    return (await asyncio.to_thread(channels.load, reference))(name, settings)


def rules(channel: ChannelSettings) -> Rules:
    """Who may say what in a channel, and who answers."""
    return Rules(
        agent=channel.agent,
        direct=channel.direct,
        groups=channel.groups,
        allow=frozenset(channel.allow),
        chats={id: Chat(groups=chat.groups, agent=chat.agent) for id, chat in channel.chats.items()},  # noqa: A001
        commands=channel.commands.who(),
        bots=channel.bots == "allow",
        per_minute=channel.rate.per_minute,
        per_day=channel.rate.per_day,
    )
